#include "plugins/redfish/runner.hpp"

#include <algorithm>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

#include "plugins/redfish/redact.hpp"

namespace nett::redfish {
namespace {

constexpr std::string_view kJobType = "provision";

// decode() of a record that must be there.
template <typename T>
Result<T> load(const Store& store, std::string_view kind, const std::string& key) {
    auto record = store.get(kind, key);
    if (!record) return fail(std::move(record.error()));
    if (!*record) return fail(Code::kNotFound, "there is no {} \"{}\"", kind, key);
    return decode<T>((*record)->value);
}

std::string login_key(const Bmc& bmc) {
    return bmc.endpoint + " " + bmc.username + " " + bmc.sealed_password;
}

}  // namespace

Runner::Runner(Services services, TransportFactory factory)
    : services_(services), factory_(std::move(factory)), all_done_(services.loop) {}

Result<void> Runner::start(RunnerSettings settings) {
    settings_ = std::move(settings);
    stopping_ = false;
    auto records = services_.store.list(kJobKind);
    if (!records) return fail(std::move(records.error()));
    job_watch_ = services_.store.watch(std::string(kJobKind), [this](const Change& change) { on_job(change); });
    machine_watch_ =
        services_.store.watch(std::string(kMachineKind), [this](const Change& change) { on_machine(change); });
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
    pump();
}

void Runner::on_job(const Change& change) {
    if (stopping_) return;
    auto job = change.value ? decode<Job>(*change.value) : Result<Job>(fail(Code::kNotFound, "deleted"));
    if (job) {
        take(*job);
    } else if (const auto found = jobs_.find(change.key); found != jobs_.end()) {
        if (found->second.phase == Phase::kRunning) {
            found->second.run ? found->second.run->stop() : void();
        } else {
            jobs_.erase(found);
        }
    }
    pump();
}

void Runner::take(const Job& job) {
    if (job.type != kJobType) return;
    const auto step = parse_step(job.state);
    if (step && is_final(*step)) {
        const auto found = jobs_.find(job_key(job.id));
        if (found != jobs_.end() && found->second.phase != Phase::kRunning) jobs_.erase(found);
        return;
    }
    const auto [entry, added] = jobs_.try_emplace(job_key(job.id));
    Entry& here = entry->second;
    here.machine = job.machine;
    if (added && step && *step == Step::kNeedsOperator) here.phase = Phase::kResting;
    if (here.run) here.run->wake();
    if (here.phase == Phase::kResting && wants_to_wake(entry->first, here)) here.phase = Phase::kQueued;
    report_health();
}

void Runner::on_machine(const Change& change) {
    if (stopping_) return;
    for (auto& [key, entry] : jobs_) {
        if (entry.machine != change.key) continue;
        if (entry.run) entry.run->wake();
        if (entry.phase == Phase::kResting && wants_to_wake(key, entry)) entry.phase = Phase::kQueued;
    }
    pump();
}

bool Runner::wants_to_wake(const std::string& key, const Entry& entry) const {
    const auto job = load<Job>(services_.store, kJobKind, key);
    if (!job) return false;
    const auto progress = decode_progress(job->progress);
    return progress && should_wake(*progress, view_job(services_.store, services_.clock, job->id, entry.machine));
}

bool Runner::is_busy(const std::string& bmc) const {
    return !bmc.empty() && std::any_of(jobs_.begin(), jobs_.end(), [&](const auto& job) {
        return job.second.phase == Phase::kRunning && job.second.bmc == bmc;
    });
}

std::string Runner::bmc_of(const std::string& machine) const {
    const auto record = load<Machine>(services_.store, kMachineKind, machine);
    return record ? record->bmc : std::string();
}

void Runner::pump() {
    if (stopping_) return;
    for (auto& [key, entry] : jobs_) {
        if (running_ >= settings_.concurrency) break;
        if (entry.phase != Phase::kQueued) continue;
        entry.bmc = bmc_of(entry.machine);
        if (!is_busy(entry.bmc)) launch(key, entry);
    }
}

void Runner::launch(const std::string& key, Entry& entry) {
    entry.phase = Phase::kRunning;
    ++running_;
    asio::co_spawn(services_.loop, work(key), [this, key](std::exception_ptr exception) {
        if (exception) log_.error("a job ended with an exception; it goes on at the next start", {{"job", key}});
        finished(key);
    });
}

Awaitable<void> Runner::work(std::string key) {
    auto run = prepare(key);
    if (!run) {
        co_await end_without_bmc(key, std::move(run.error()));
        co_return;
    }
    JobRun& here = *(jobs_.at(key).run = std::move(*run));
    co_await here.run();
    if (here.credentials_refused()) refused_credentials_[here.order().bmc.name] = login_key(here.order().bmc);
}

Result<std::unique_ptr<JobRun>> Runner::prepare(const std::string& key) const {
    const auto job = load<Job>(services_.store, kJobKind, key);
    if (!job) return fail(job.error());
    auto order = make_order(*job);
    if (!order) return fail(std::move(order.error()));
    auto transport = factory_({order->origin, order->bmc.ca_file, order->bmc.pinned_sha256});
    if (!transport) return fail(std::move(transport.error()));
    return std::make_unique<JobRun>(services_, std::move(*order), std::move(*transport));
}

Result<Bmc> Runner::usable_bmc(const Machine& machine) const {
    if (machine.bmc.empty()) {
        return fail(Code::kFailedPrecondition, "machine \"{}\" has no BMC; register one", machine.name);
    }
    auto bmc = load<Bmc>(services_.store, kBmcKind, machine.bmc);
    if (!bmc) return bmc;
    const auto refused = refused_credentials_.find(bmc->name);
    if (refused != refused_credentials_.end() && refused->second == login_key(*bmc)) {
        return fail(
            Code::kUnauthenticated,
            "BMC \"{}\" has refused user \"{}\" before; correct its user name or password first, because BMCs lock "
            "accounts",
            bmc->name, bmc->username);
    }
    return bmc;
}

Result<JobOrder> Runner::make_order(const Job& job) const {
    auto machine = load<Machine>(services_.store, kMachineKind, job.machine);
    if (!machine) return fail(std::move(machine.error()));
    auto progress = decode_progress(job.progress);
    if (!progress) return fail(std::move(progress.error()));
    if (machine->locked && progress->step == Step::kQueued) {
        return fail(Code::kFailedPrecondition, "machine \"{0}\" is locked; \"machine {0} unlock\" first",
                    machine->name);
    }
    auto bmc = usable_bmc(*machine);
    if (!bmc) return fail(std::move(bmc.error()));
    auto origin = Origin::parse(bmc->endpoint);
    if (!origin) return fail(std::move(origin.error()));
    NETT_TRY(check_allowed(*origin, settings_.allowed));
    auto password = bmc->sealed_password.empty()
                        ? Result<std::string>()
                        : services_.secrets.open(bmc->sealed_password, "bmc/" + bmc->name + "/password");
    if (!password) return fail(std::move(password.error()).in("BMC \"" + bmc->name + "\""));
    if (progress->image.empty()) {
        const auto given = job.parameters.find("image-url");
        progress->image = given == job.parameters.end() || given->second.empty() ? settings_.image_url : given->second;
        if (progress->image.empty()) {
            return fail(Code::kInvalidArgument, "the job names no image-url, and plugin redfish has no \"image-url\"");
        }
        NETT_TRY(check_image_url(progress->image));
    }
    return JobOrder{job.id,
                    job.machine,
                    std::move(*bmc),
                    *origin,
                    std::move(*password),
                    std::move(*progress),
                    settings_.boot_deadline};
}

Awaitable<void> Runner::end_without_bmc(std::string key, Error why) {
    const auto job = load<Job>(services_.store, kJobKind, key);
    std::string message = why.to_string();
    Step step = why.code == Code::kUnauthenticated ? Step::kNeedsOperator : Step::kFailed;
    if (job && job->cancel_requested) {
        step = Step::kCancelled;
        message = "cancelled without asking the BMC, where an image may still be inserted: " + message;
    }
    co_await conclude(std::move(key), step, std::move(message));
}

Awaitable<void> Runner::conclude(std::string key, Step step, std::string message) {
    auto job = load<Job>(services_.store, kJobKind, key);
    if (!job) co_return;
    Progress progress = decode_progress(job->progress).value_or(Progress{});
    progress.rested_in = progress.step;
    progress.step = step;
    progress.step_since = services_.clock.system_now();
    progress.message = redact_text(message);
    auto saved = co_await save_job(services_.store, services_.clock, job->id, progress);
    if (!saved) {
        log_.error("a job's end cannot be stored", {{"job", job->id}, {"error", saved.error()}});
        co_return;
    }
    Event event;
    event.type = "job.step";
    event.subject = job->id;
    event.message = fmt::format("job {} ({}): {}: {}", job->id, job->machine, to_string(step), progress.message);
    event.fields = {{"job", job->id}, {"machine", job->machine}, {"step", std::string(to_string(step))}};
    services_.events.publish(std::move(event));
}

void Runner::finished(const std::string& key) {
    --running_;
    Entry& entry = jobs_.at(key);
    entry.run.reset();
    entry.phase = Phase::kResting;
    entry.bmc.clear();
    const auto job = load<Job>(services_.store, kJobKind, key);
    const auto step = job ? parse_step(job->state) : Result<Step>(Step::kDone);
    // NEEDS_OPERATOR stays here; what is unfinished (the agent stops, or the store failed) is taken up at the next
    // start.
    if (!step || is_final(*step)) {
        jobs_.erase(key);
    } else if (!stopping_ && wants_to_wake(key, entry)) {
        entry.phase = Phase::kQueued;
    }
    report_health();
    if (stopping_ && running_ == 0) all_done_.cancel();
    pump();
}

Awaitable<void> Runner::stop(SteadyTime deadline) {
    stopping_ = true;
    job_watch_.reset();
    machine_watch_.reset();
    for (auto& [key, entry] : jobs_) {
        if (entry.run) entry.run->stop();
    }
    // Half of the time for what is in flight to end by itself; then connections are cut, which ends it at once.
    const auto now = services_.clock.steady_now();
    if (running_ > 0) {
        all_done_.expires_after(std::max(deadline - now, SteadyTime::duration::zero()) / 2);
        co_await all_done_.async_wait(asio::as_tuple(asio::use_awaitable));
    }
    for (auto& [key, entry] : jobs_) {
        if (entry.run) entry.run->abort();
    }
    while (running_ > 0) {
        all_done_.expires_at(asio::steady_timer::time_point::max());
        co_await all_done_.async_wait(asio::as_tuple(asio::use_awaitable));
    }
    jobs_.clear();
}

void Runner::report_health() {
    const auto resting =
        std::count_if(jobs_.begin(), jobs_.end(), [](const auto& job) { return job.second.phase == Phase::kResting; });
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
    boost::json::array running;
    std::size_t queued = 0;
    std::size_t resting = 0;
    for (const auto& [key, entry] : jobs_) {
        if (entry.phase == Phase::kQueued) ++queued;
        if (entry.phase == Phase::kResting) ++resting;
        if (entry.phase != Phase::kRunning || !entry.run) continue;
        const Progress& progress = entry.run->progress();
        boost::json::object line;
        line["job"] = entry.run->order().id;
        line["machine"] = entry.machine;
        line["bmc"] = entry.bmc;
        line["state"] = to_string(progress.step);
        line["since"] = to_rfc3339(progress.step_since);
        line["last_request"] = progress.last_request;
        line["last_response"] = progress.last_response;
        running.push_back(std::move(line));
    }
    boost::json::object status;
    status["running"] = std::move(running);
    status["queued"] = queued;
    status["needs_operator"] = resting;
    status["concurrency"] = settings_.concurrency;
    return status;
}

}  // namespace nett::redfish
