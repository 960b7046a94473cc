#include "plugins/bgp-anycast/checks.hpp"

#include <algorithm>

namespace nett::anycast {
namespace {

const Logger kLog("bgp-anycast");
constexpr auto kAsTuple = asio::as_tuple(asio::use_awaitable);

}  // namespace

Checks::Checks(asio::any_io_executor loop, const Clock& clock, ProbeFactory make_probe, std::function<void()> changed)
    : loop_(loop),
      clock_(clock),
      make_probe_(std::move(make_probe)),
      changed_(std::move(changed)),
      tasks_(loop, Logger("bgp-anycast")) {}

void Checks::configure(const std::vector<CheckSettings>& settings) {
    std::vector<std::shared_ptr<Runner>> next;
    for (const CheckSettings& wanted : settings) {
        auto kept = std::find_if(runners_.begin(), runners_.end(),
                                 [&](const auto& runner) { return runner->settings == wanted; });
        if (kept != runners_.end()) {
            next.push_back(*kept);
            continue;
        }
        next.push_back(std::make_shared<Runner>(loop_, wanted));
        tasks_.spawn(run(next.back()));
    }
    for (const auto& runner : runners_) {
        if (std::find(next.begin(), next.end(), runner) == next.end()) end(*runner);
    }
    runners_ = std::move(next);
}

void Checks::reset() {
    for (const auto& runner : runners_) {
        runner->tracker.reset();
        runner->timer.cancel();
    }
}

Awaitable<void> Checks::run_all() {
    auto runners = runners_;
    for (const auto& runner : runners) {
        if (runner->ended) continue;
        auto probe = make_probe_(runner->settings);
        CheckResult result = co_await probe->run();
        take(*runner, std::move(result));
    }
}

Awaitable<void> Checks::stop() {
    for (const auto& runner : runners_) end(*runner);
    co_await tasks_.join();
    runners_.clear();
}

std::vector<const RunningCheck*> Checks::all() const {
    std::vector<const RunningCheck*> result;
    for (const auto& runner : runners_) result.push_back(runner.get());
    return result;
}

void Checks::end(Runner& runner) {
    runner.ended = true;
    runner.timer.cancel();
    if (runner.probe) runner.probe->cancel();
}

void Checks::take(Runner& runner, CheckResult result) {
    if (runner.ended) return;
    runner.last = clock_.system_now();
    ++runner.runs;
    bool changed = runner.tracker.add(result);
    if (!changed) return;
    runner.since = runner.last;
    bool up = runner.tracker.state() == CheckState::kUp;
    LogField name("check", runner.settings.name);
    LogField message("result", result.message);
    up ? kLog.info("check is up", {name, message}) : kLog.warning("check is down", {name, message});
    changed_();
}

Awaitable<void> Checks::run(std::shared_ptr<Runner> runner) {
    while (!runner->ended) {
        runner->probe = make_probe_(runner->settings);
        CheckResult result = co_await runner->probe->run();
        runner->probe.reset();
        take(*runner, std::move(result));
        if (runner->ended) co_return;
        double random = std::uniform_real_distribution<double>()(random_);
        runner->timer.expires_after(next_delay(runner->settings, runner->tracker.settled(), random));
        co_await runner->timer.async_wait(kAsTuple);
    }
}

}  // namespace nett::anycast
