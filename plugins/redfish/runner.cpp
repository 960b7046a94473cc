#include "plugins/redfish/runner.hpp"

#include <algorithm>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

#include "agent/sdk/strings.hpp"
#include "plugins/redfish/job_order.hpp"
#include "plugins/redfish/job_record.hpp"

namespace nett::redfish {

namespace {

// A server that died is noticed some seconds later; its BMCs are taken over soon after that.
constexpr std::chrono::seconds kOwnerLook{2};

}  // namespace

Runner::Runner(Services services, TransportFactory factory)
    : services_(services),
      factory_(std::move(factory)),
      all_done_(services.loop),
      later_(std::make_shared<asio::steady_timer>(services.loop)) {}

Result<void> Runner::start(RunnerSettings settings) {
    settings_ = std::move(settings);
    stopping_ = false;
    auto records = services_.store.list(kJobKind);
    if (!records) return fail(std::move(records.error()));
    const auto watch = [this](std::string_view kind, void (Runner::*handler)(const Change&)) {
        return services_.store.watch(std::string(kind), [this, handler](const Change& change) {
            if (!stopping_) (this->*handler)(change);
        });
    };
    job_watch_ = watch(kJobKind, &Runner::on_job);
    machine_watch_ = watch(kMachineKind, &Runner::on_machine);
    bmc_watch_ = watch(kBmcKind, &Runner::on_bmc);
    boot_watch_ = watch(kBootHistoryKind, &Runner::on_machine);
    for (const Record& record : *records) {
        if (auto job = decode<Job>(record.value)) {
            take(*job);
        } else {
            log_.error("a job's record cannot be read", {{"key", record.key}, {"error", job.error()}});
        }
    }
    pump();
    return {};
}

void Runner::configure(RunnerSettings settings) {
    settings_ = std::move(settings);
    for (auto& [key, entry] : jobs_) {
        look_again(entry);
    }
    pump();
}

void Runner::set_phase(const std::string& key, Entry& entry, Phase phase) {
    by_phase_[entry.phase].erase(key);
    entry.phase = phase;
    by_phase_[phase].insert(key);
}

// A job keeps the place that it occupies, also while its run is being made.
void Runner::look_again(Entry& entry) {
    if (!entry.run && entry.phase != Phase::kRunning) entry.place.reset();
}

void Runner::on_job(const Change& change) {
    auto job = change.value ? decode<Job>(*change.value) : Result<Job>(fail(Code::kNotFound, "deleted"));
    if (job) {
        take(*job);
    } else if (const auto found = jobs_.find(change.key); found != jobs_.end()) {
        if (found->second.run) {
            found->second.run->stop();
        } else if (found->second.phase != Phase::kRunning) {
            by_phase_[found->second.phase].erase(change.key);
            jobs_.erase(found);
        }
    }
    pump();
}

void Runner::take(const Job& job) {
    if (!parse_job_type(job.type)) return;  // another plugin's
    const auto step = parse_step(job.state);
    const std::string key = job_key(job.id);
    const auto found = jobs_.find(key);
    if (step && is_final(*step)) {
        if (found == jobs_.end()) return;
        if (found->second.phase == Phase::kQueued || found->second.phase == Phase::kResting) {
            by_phase_[found->second.phase].erase(key);
            jobs_.erase(found);
            report_health();
        }
        return;
    }
    const auto [entry, added] = jobs_.try_emplace(key);
    Entry& here = entry->second;
    here.machine = job.machine;
    if (added) set_phase(key, here, step && *step == Step::kNeedsOperator ? Phase::kResting : Phase::kQueued);
    if (here.run) here.run->wake();
    if (here.phase != Phase::kResting) return;
    if (wants_to_wake(key, here)) set_phase(key, here, Phase::kQueued);
    report_health();
}

void Runner::on_machine(const Change& change) {
    for (auto& [key, entry] : jobs_) {
        if (entry.machine != change.key) continue;
        if (entry.run) entry.run->wake();
        look_again(entry);
        if (entry.phase == Phase::kResting && wants_to_wake(key, entry)) set_phase(key, entry, Phase::kQueued);
    }
    pump();
}

void Runner::on_bmc(const Change&) {
    // Rare, and it may change where any waiting job belongs.
    for (auto& [key, entry] : jobs_) {
        look_again(entry);
    }
    pump();
}

bool Runner::wants_to_wake(const std::string& key, const Entry& entry) const {
    const auto job = load<Job>(services_.store, kJobKind, key);
    if (!job) return false;
    const auto progress = decode_progress(job->progress);
    return progress && should_wake(*progress, view_job(services_.store, services_.clock, job->id, entry.machine));
}

// Those that were running before come first, then the oldest.
void Runner::pump() {
    if (stopping_ || pumping_) return;
    pumping_ = true;
    for (const Phase phase : {Phase::kReturning, Phase::kQueued}) {
        if (places_.full(settings_)) break;
        const auto keys = by_phase_[phase];  // a copy: launching changes it
        for (const std::string& key : keys) {
            if (places_.full(settings_)) break;
            Entry& entry = jobs_.at(key);
            if (entry.not_before > services_.clock.steady_now()) continue;
            if (!entry.place) entry.place = find_place(services_.store, settings_, entry.machine);
            if (!places_.may_run(*entry.place, phase == Phase::kReturning, settings_)) continue;
            places_.occupy(*entry.place);
            set_phase(key, entry, Phase::kRunning);
            if (phase == Phase::kReturning) {
                entry.run->grant();
            } else {
                launch(key, entry);
            }
        }
    }
    pumping_ = false;
}

void Runner::launch(const std::string& key, Entry& entry) {
    ++runs_;
    places_.own_system(*entry.place);
    asio::co_spawn(services_.loop, work(key), [this, key](std::exception_ptr exception) {
        if (exception) log_.error("a job ended with an exception; it goes on at the next start", {{"job", key}});
        finished(key);
    });
}

void Runner::leave_place(const std::string& key) {
    Entry& entry = jobs_.at(key);
    places_.vacate(*entry.place);
    set_phase(key, entry, Phase::kWaiting);
    pump();
}

void Runner::look_later(const std::string& key) {
    jobs_.at(key).not_before = services_.clock.steady_now() + kOwnerLook;
    if (std::exchange(later_armed_, true)) return;
    later_->expires_after(kOwnerLook);
    later_->async_wait([this, timer = std::weak_ptr(later_)](boost::system::error_code ended) {
        if (ended || timer.expired()) return;
        later_armed_ = false;
        pump();
    });
}

Awaitable<void> Runner::work(std::string key) {
    std::string endpoint = jobs_.at(key).place->endpoint;
    std::string server = services_.server;
    auto fence = co_await claim_bmc(services_.store, std::move(server), std::move(endpoint));
    if (!fence) {
        look_later(key);
        co_return;
    }
    auto run = prepare(key);
    if (run) {
        (*run)->set_fence(std::move(*fence));
        auto stored = co_await store_grants(services_.store, (*run)->order().grants);
        if (!stored) run = fail(std::move(stored.error()));
    }
    if (!run) {
        co_await end_without_bmc(key, std::move(run.error()));
        co_return;
    }
    JobRun& here = *(jobs_.at(key).run = std::move(*run));
    co_await here.run();
    if (here.lost_bmc()) {
        look_later(key);
        co_return;
    }
    auto remembered = co_await remember_bmc(services_, settings_, here);
    if (!remembered) log_.warning("a job's outcome cannot be stored", {{"error", remembered.error()}});
}

Result<std::unique_ptr<JobRun>> Runner::prepare(const std::string& key) {
    const auto job = load<Job>(services_.store, kJobKind, key);
    if (!job) return fail(job.error());
    auto order = make_order(services_, settings_, *job);
    if (!order) return fail(std::move(order.error()));
    auto transport = factory_({order->origin, order->bmc.ca_file, order->bmc.pinned_sha256});
    if (!transport) return fail(std::move(transport.error()));
    Turnstile turnstile{[this, key] { leave_place(key); },
                        [this, key] {
                            set_phase(key, jobs_.at(key), Phase::kReturning);
                            pump();
                        }};
    return std::make_unique<JobRun>(services_, std::move(*order), std::move(*transport), std::move(turnstile));
}

Awaitable<void> Runner::end_without_bmc(std::string key, Error why) {
    const auto job = load<Job>(services_.store, kJobKind, key);
    std::string message = why.to_string();
    Step step = why.code == Code::kUnauthenticated ? Step::kNeedsOperator : Step::kFailed;
    if (job && job->cancel_requested) {
        step = Step::kCancelled;
        message = "cancelled without asking the BMC, where an image may still be inserted: " + message;
    }
    auto concluded = co_await conclude(services_, std::move(key), step, std::move(message));
    if (!concluded) log_.error("a job's end cannot be stored", {{"error", concluded.error()}});
}

void Runner::finished(const std::string& key) {
    --runs_;
    Entry& entry = jobs_.at(key);
    if (entry.phase == Phase::kRunning) places_.vacate(*entry.place);
    places_.disown_system(*entry.place);
    entry.run.reset();
    entry.place.reset();
    set_phase(key, entry, Phase::kResting);
    const auto job = load<Job>(services_.store, kJobKind, key);
    const auto step = job ? parse_step(job->state) : Result<Step>(Step::kDone);
    // NEEDS_OPERATOR stays here; what is unfinished (the agent stops, or the store failed) is taken up at the next
    // start.
    if (!step || is_final(*step)) {
        by_phase_[Phase::kResting].erase(key);
        jobs_.erase(key);
    } else if (!stopping_ && entry.not_before > services_.clock.steady_now()) {
        set_phase(key, entry, Phase::kQueued);
    } else if (!stopping_ && wants_to_wake(key, entry)) {
        set_phase(key, entry, Phase::kQueued);
    }
    report_health();
    if (stopping_ && runs_ == 0) all_done_.cancel();
    pump();
}

Awaitable<void> Runner::stop(SteadyTime deadline) {
    stopping_ = true;
    later_->cancel();
    later_armed_ = false;
    job_watch_.reset();
    machine_watch_.reset();
    bmc_watch_.reset();
    boot_watch_.reset();
    for (auto& [key, entry] : jobs_) {
        if (entry.run) entry.run->stop();
    }
    // Half of the time for what is in flight to end by itself; then connections are cut, which ends it at once.
    const auto now = services_.clock.steady_now();
    if (runs_ > 0) {
        all_done_.expires_after(std::max(deadline - now, SteadyTime::duration::zero()) / 2);
        co_await all_done_.async_wait(asio::as_tuple(asio::use_awaitable));
    }
    for (auto& [key, entry] : jobs_) {
        if (entry.run) entry.run->abort();
    }
    while (runs_ > 0) {
        all_done_.expires_at(asio::steady_timer::time_point::max());
        co_await all_done_.async_wait(asio::as_tuple(asio::use_awaitable));
    }
    jobs_.clear();
    by_phase_.clear();
}

void Runner::report_health() {
    const std::size_t resting = by_phase_[Phase::kResting].size();
    HealthCondition condition;
    condition.component = "redfish";
    condition.name = "jobs";
    condition.state = resting > 0 ? HealthState::kDegraded : HealthState::kOk;
    if (resting > 0) {
        condition.message = fmt::format("{} job(s) need an operator", resting);
        condition.remedy = "see \"show jobs\" for cause and remedy of each";
    }
    services_.health.report(std::move(condition));
}

boost::json::value Runner::status() const {
    const auto count = [this](Phase phase) {
        const auto found = by_phase_.find(phase);
        return found == by_phase_.end() ? 0 : found->second.size();
    };
    boost::json::array running;
    for (const auto& [key, entry] : jobs_) {
        if (!entry.run) continue;
        const Progress& progress = entry.run->progress();
        boost::json::object line;
        line["job"] = entry.run->order().id;
        line["machine"] = entry.machine;
        line["bmc"] = entry.place->bmc;
        line["state"] = to_string(progress.step);
        line["since"] = to_rfc3339(progress.step_since);
        line["last_request"] = progress.last_request;
        line["last_response"] = progress.last_response;
        running.push_back(std::move(line));
    }
    boost::json::object status;
    status["running"] = std::move(running);
    status["waiting"] = count(Phase::kWaiting) + count(Phase::kReturning);
    status["queued"] = count(Phase::kQueued);
    status["needs_operator"] = count(Phase::kResting);
    status["concurrency"] = settings_.concurrency;
    return status;
}

}  // namespace nett::redfish
