#include "plugins/bgp-anycast/service.hpp"

#include <algorithm>

namespace nett::anycast {
namespace {

const Logger kLog("bgp-anycast");
constexpr const char* kComponent = "bgp-anycast";
constexpr auto kAsTuple = asio::as_tuple(asio::use_awaitable);
// frr.conf changes by hand; a look starts vtysh once.
constexpr std::chrono::seconds kFrrConfigInterval{60};

}  // namespace

Service::Service(const Host& host, Platform platform)
    : host_(host),
      platform_(std::move(platform)),
      announcer_(host_, platform_.open_device),
      checks_(
          host_.loop, host_.clock,
          [this](const CheckSettings& check) { return platform_.make_probe(check, settings_.address.address()); },
          [this] { evaluate(); }),
      journal_(host_.loop, host_.store),
      tasks_(host_.loop, Logger("bgp-anycast")),
      look_timer_(host_.loop),
      refresh_timer_(host_.loop),
      wake_timer_(host_.loop),
      pause_timer_(host_.loop),
      frr_timer_(host_.loop) {}

void Service::start(Settings settings) {
    running_ = true;
    stopping_ = false;
    since_ = host_.clock.system_now();
    decision_ = Decision();
    local_ = CheckTracker(settings.rise, settings.fall);
    shared_ = CheckTracker(settings.rise, settings.fall, CheckState::kUp);
    journal_.load();
    journal_.record({since_, "started", fmt::format("withdrawn, mode {}", to_string(journal_.mode().mode))});
    reconfigure(std::move(settings));
    health_ = host_.health.observe([this](const HealthCondition& condition) {
        // At most one early look between two of the timer's, so that a burst of changes is not a row of looks.
        if (condition.component != kComponent && !std::exchange(looked_early_, true)) look();
    });
    // A bgpd that comes back may have another configuration.
    frr_ = host_.frr.observe([this](FrrDaemon daemon) {
        if (daemon == FrrDaemon::kBgpd) frr_timer_.cancel();
    });
    handovers_ = host_.events.subscribe("handover.state", [this](const Event& event) {
        auto state = event.fields.find("state");
        if (state != event.fields.end()) on_handover(event.subject, state->second);
    });
    tasks_.spawn(watch_frr_config());
}

void Service::reconfigure(Settings settings) {
    stood_still();
    if (settings_.address != settings.address && settings_.address.length() != 0) {
        if (auto removed = platform_.remove_local_path(settings_.address.address()); !removed)
            kLog.warning("cannot remove the former address's local path", {{"error", removed.error()}});
    }
    settings_ = std::move(settings);
    local_.set_thresholds(settings_.rise, settings_.fall);
    shared_.set_thresholds(settings_.rise, settings_.fall);
    decision_.set_drain_time(settings_.drain_time);
    decision_.set_hold_down(settings_.hold_down);
    put_local_path();
    announcer_.configure(settings_);
    if (announcer_.stance() != decision_.stance()) announcer_.apply(decision_.stance());
    checks_.configure(settings_.checks);
    frr_timer_.cancel();
    arm_look();
    arm_refresh();
    evaluate();
}

void Service::put_local_path() {
    auto put = platform_.put_local_path(settings_.address.address());
    std::string error = put ? std::string() : put.error().to_string();
    if (!error.empty() && error != local_path_error_)
        kLog.warning("checks of this server's own address work only while it is announced", {{"error", error}});
    local_path_error_ = std::move(error);
}

bool Service::stood_still() {
    if (!announcer_.lease_lost()) return false;
    auto gap = std::chrono::duration<double>(host_.clock.steady_now() - announcer_.refreshed());
    std::string reason =
        fmt::format("the agent stood still for {:.1f} s, longer than its lease; checking first", gap.count());
    decision_.lost(reason, host_.clock.steady_now());
    announcer_.apply(Stance::kWithdrawn);
    local_.reset();
    checks_.reset();
    since_ = host_.clock.system_now();
    kLog.error("withdrawn", {{"address", settings_.address.to_string()}, {"reason", reason}});
    note_change("anycast.withdrawn", "withdrawn", reason);
    return true;
}

void Service::look() {
    // After a standstill the conditions are from before it: the next tick finds them reported anew.
    if (!running_ || stopping_ || stood_still()) return;
    bool vouched = std::any_of(settings_.checks.begin(), settings_.checks.end(),
                               [](const CheckSettings& check) { return check.scope == CheckClass::kLocal; });
    verdict_ = judge(host_.health.conditions(), settings_.required, vouched);
    local_.add({verdict_.healthy, verdict_.reason});
    shared_.add({verdict_.shared.empty(), fmt::format("{}", fmt::join(verdict_.shared, "; "))});
    evaluate();
}

Health Service::health() const {
    Health health;
    if (local_.state() == CheckState::kDown) health.failed.push_back(local_.message());
    if (local_.state() == CheckState::kUnknown)
        health.pending.push_back(fmt::format("the agent's own health, {}: {}", local_.progress(), local_.message()));
    if (shared_.state() == CheckState::kDown) health.shared.push_back(shared_.message());
    std::vector<std::string> up;
    for (const RunningCheck* check : checks_.all()) {
        const CheckTracker& tracker = check->tracker;
        std::string what = fmt::format("check {}: {}", check->settings.name, tracker.message());
        bool local = check->settings.scope == CheckClass::kLocal;
        if (tracker.state() == CheckState::kUp) up.push_back(check->settings.name);
        if (tracker.state() == CheckState::kDown) (local ? health.failed : health.shared).push_back(what);
        if (tracker.state() == CheckState::kUnknown && local)
            health.pending.push_back(
                fmt::format("check {}, {}: {}", check->settings.name, tracker.progress(), tracker.message()));
    }
    health.summary = local_.message();
    if (!up.empty()) health.summary += fmt::format("; check {} up", fmt::join(up, ", "));
    return health;
}

void Service::evaluate() {
    if (!running_ || stopping_) return;
    stood_still();
    advance_handover();
    Stance before = decision_.stance();
    const ModeRecord& mode = journal_.mode();
    if (decision_.update(health(), mode.mode, mode.note, host_.clock.steady_now())) {
        carry_out(before);
    } else if (mode.mode == Mode::kActive && handover_ != Handover::kNone && handover_ != Handover::kTurning) {
        // Resumed, and less preferred still, for shared trouble: nothing is handed over any more.
        announcer_.apply(decision_.stance());
        end_handover();
    }
    report_health();
    arm_wake();
}

void Service::carry_out(Stance before) {
    Stance stance = decision_.stance();
    Mode mode = journal_.mode().mode;
    bool leaves = mode == Mode::kMaintenance || (mode == Mode::kDrain && settings_.drain);
    if (leaves && before == Stance::kAnnounced && stance == Stance::kDePreferred) {
        begin_handover();
    } else if (mode != Mode::kMaintenance && stance == Stance::kWithdrawn && still_serves()) {
        turn_away();
    } else {
        announcer_.apply(stance);
        end_handover();
    }
    since_ = host_.clock.system_now();
    std::string state(to_string(stance));
    kLog.info(state, {{"address", settings_.address.to_string()},
                      {"before", std::string(to_string(before))},
                      {"reason", decision_.reason()},
                      {"dry_run", settings_.dry_run ? "yes" : "no"}});
    note_change("anycast." + state, state, decision_.reason());
}

void Service::note_change(std::string event, std::string state, std::string reason) {
    if (settings_.dry_run) state += " (dry run)";
    journal_.record({host_.clock.system_now(), std::move(state), reason});
    host_.events.publish({std::move(event),
                          settings_.address.to_string(),
                          reason,
                          {{"reason", reason}, {"dry_run", settings_.dry_run ? "yes" : "no"}},
                          {},
                          0});
}

Awaitable<Result<void>> Service::set_mode(Mode mode, std::string note, std::string actor) {
    ModeRecord record{mode, std::move(note), std::move(actor), host_.clock.system_now()};
    std::string what =
        fmt::format("{}{}{} by {}", to_string(mode), record.note.empty() ? "" : ": ", record.note, record.actor);
    auto kept = co_await journal_.set_mode(std::move(record));
    if (!kept) co_return kept;
    kLog.info("mode", {{"mode", what}});
    note_change("anycast.mode", fmt::format("mode {}", to_string(mode)), what);
    evaluate();
    co_return Result<void>{};
}

Awaitable<void> Service::check_now() {
    co_await checks_.run_all();
    look();
}

Awaitable<void> Service::pause(std::chrono::milliseconds time) {
    pause_timer_.expires_after(time);
    co_await pause_timer_.async_wait(kAsTuple);
}

Awaitable<void> Service::stop(SteadyTime deadline) {
    if (!running_ || std::exchange(stopping_, true)) co_return;
    health_.reset();
    frr_.reset();
    look_timer_.cancel();
    wake_timer_.cancel();
    frr_timer_.cancel();
    bool was_announced = announcer_.stance() != Stance::kWithdrawn;
    // The lease is refreshed until the end.
    if (was_announced) co_await withdraw_in_order(deadline);
    refresh_timer_.cancel();
    running_ = false;
    announcer_.release();
    if (auto removed = platform_.remove_local_path(settings_.address.address()); !removed)
        kLog.warning("cannot remove the local path", {{"error", removed.error()}});
    co_await checks_.stop();
    co_await tasks_.join();
    if (was_announced) {
        kLog.info("withdrawn", {{"address", settings_.address.to_string()}, {"reason", "the plugin stops"}});
        note_change("anycast.withdrawn", "stopped", "the plugin stops");
    }
    handovers_.reset();
    co_await journal_.stop();
    host_.frr.release(kComponent);
    host_.health.forget(kComponent);
}

void Service::arm_look() {
    look_timer_.expires_after(settings_.check_interval);
    look_timer_.async_wait([this](const boost::system::error_code& error) {
        if (error || stopping_) return;
        looked_early_ = false;
        look();
        arm_look();
    });
}

void Service::arm_refresh() {
    refresh_timer_.expires_after(std::chrono::duration_cast<std::chrono::milliseconds>(settings_.lease) / 3);
    refresh_timer_.async_wait([this](const boost::system::error_code& error) {
        if (error || !running_) return;
        // Never put back an address that the kernel took because nobody looked after it: check first.
        if (!stood_still()) announcer_.refresh();
        arm_refresh();
    });
}

void Service::arm_wake() {
    auto at = decision_.wake(host_.clock.steady_now());
    if (handover_ != Handover::kNone) at = std::min(at.value_or(handover_until_), handover_until_);
    if (!at) {
        wake_timer_.cancel();
        return;
    }
    wake_timer_.expires_after(*at - host_.clock.steady_now());
    wake_timer_.async_wait([this](const boost::system::error_code& error) {
        if (!error) evaluate();
    });
}

Awaitable<Result<std::string>> Service::running_config() const {
    co_return co_await host_.frr.show_text("show running-config");
}

Awaitable<void> Service::watch_frr_config() {
    while (!stopping_) {
        auto text = co_await running_config();
        if (stopping_) co_return;
        frr_error_ = text ? std::string() : text.error().to_string();
        frr_findings_ = text ? missing_in(*text, settings_) : std::vector<FrrFinding>{};
        report_parts();
        frr_timer_.expires_after(kFrrConfigInterval);
        co_await frr_timer_.async_wait(kAsTuple);
    }
}

}  // namespace nett::anycast
