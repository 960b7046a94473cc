#include "plugins/redfish/job_run.hpp"

#include <random>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "agent/sdk/records.hpp"

namespace nett::redfish {
namespace {

using std::chrono::seconds;

constexpr seconds kRetryCommit{5};

double random_fraction() {
    thread_local std::minstd_rand generator{std::random_device{}()};
    return std::uniform_real_distribution<double>(0.0, 1.0)(generator);
}

// What must be on disk before the next action; the last request is there for people, and rides along.
bool same_for_recovery(Progress a, Progress b) {
    a.last_request = b.last_request;
    a.last_response = b.last_response;
    a.session = b.session;
    return a == b;
}

// Of the machine's last boot request; empty: it is not recorded yet, or was made by an earlier version.
std::string boot_id_of(const Store& store, const std::string& machine) {
    const auto history = read_record<BootHistory>(store, kBootHistoryKind, machine);
    return history && *history ? (*history)->value.last_boot.boot_id : std::string();
}

}  // namespace

JobView view_job(const Store& store, const Clock& clock, const std::string& job, const std::string& machine) {
    JobView view;
    view.now = clock.system_now();
    view.random = random_fraction();
    if (auto record = store.get(kMachineKind, machine); record && *record) {
        if (auto value = decode<Machine>((*record)->value)) {
            view.registered = {value->uuid, value->serial, value->macs, {}};
            if (value->state == MachineState::kProvisioning) view.provisioning_since = value->state_since;
        }
    }
    if (auto history = read_record<BootHistory>(store, kBootHistoryKind, machine); history && *history) {
        view.boots = (*history)->value.boots;
        view.last_boot_refused = (*history)->value.last_boot.outcome == "refused";
    }
    if (auto record = store.get(kJobKind, job_key(job)); record && *record) {
        if (auto value = decode<Job>((*record)->value)) view.cancel_requested = value->cancel_requested;
    }
    return view;
}

static Result<Transaction> save_transaction(const Store& store, const Clock& clock, const std::string& id,
                                            const Progress& progress, const Fence& fence) {
    const auto kept = holds(store, fence);
    if (!kept) return fail(kept.error());
    if (!*kept) return fail(Code::kPermissionDenied, "another server drives the BMC of job {} now", id);
    const auto record = store.get(kJobKind, job_key(id));
    if (!record) return fail(record.error());
    if (!*record) return fail(Code::kNotFound, "job {} was deleted", id);
    auto job = decode<Job>((*record)->value);
    if (!job) return fail(std::move(job.error()));
    // Whoever cancels a job that is still queued ends it in the record.
    if (const auto state = parse_step(job->state); state && is_final(*state)) {
        return fail(Code::kFailedPrecondition, "job {} has ended already: {}", id, job->state);
    }
    job->state = to_string(progress.step);
    job->message = progress.message;
    job->progress = encode_progress(progress);
    job->updated = clock.system_now();
    Transaction transaction;
    transaction.compares.push_back(unchanged(kJobKind, job_key(id), (*record)->revision));
    if (fence) transaction.compares.push_back(*fence);
    transaction.puts.push_back(put_of(*job));
    transaction.actor = kActor;
    transaction.reason = fmt::format("job {}: {}", id, to_string(progress.step));
    return transaction;
}

Awaitable<Result<void>> save_job(Store& store, const Clock& clock, std::string id, Progress progress, Fence fence) {
    for (int attempt = 0; attempt < kMaxUpdateAttempts; ++attempt) {
        auto transaction = save_transaction(store, clock, id, progress, fence);
        if (!transaction) co_return fail(std::move(transaction.error()));
        auto committed = co_await store.commit(std::move(*transaction));
        if (committed) co_return Result<void>();
        if (committed.error().code != Code::kAborted) co_return fail(std::move(committed.error()));
    }
    co_return fail(Code::kAborted, "job {} changes faster than it can be updated; try again", id);
}

JobRun::JobRun(const Services& services, JobOrder order, std::unique_ptr<Transport> transport, Turnstile turnstile)
    : services_(services),
      order_(std::move(order)),
      transport_(std::move(transport)),
      turnstile_(std::move(turnstile)),
      session_(*transport_, make_login()),
      timer_(services.loop) {
    saved_ = order_.progress;
    state_.progress = order_.progress;
    session_.set_leftover(order_.progress.session);
}

Login JobRun::make_login() {
    Login login{order_.origin, order_.bmc.username, order_.password, nullptr};
    if (order_.origin.tls && order_.bmc.ca_file.empty() && order_.bmc.pinned_sha256.empty()) {
        login.trust = [this](std::string sha256) { return pin(std::move(sha256)); };
    }
    return login;
}

Awaitable<Result<void>> JobRun::pin(std::string sha256) {
    RecordEdit edit = [&](const std::optional<Record>& record) -> Result<std::optional<Transaction::Put>> {
        if (!record) return fail(Code::kNotFound, "the BMC's record was deleted");
        auto bmc = decode<Bmc>(record->value);
        if (!bmc) return fail(std::move(bmc.error()));
        if (bmc->pinned_sha256 == sha256) return std::optional<Transaction::Put>();
        if (!bmc->pinned_sha256.empty())
            return fail(Code::kPermissionDenied, "another certificate was pinned meanwhile");
        bmc->pinned_sha256 = sha256;
        return std::optional<Transaction::Put>(put_of(*bmc));
    };
    auto committed = co_await update_record(services_.store, std::string(kBmcKind), order_.bmc.name, kActor,
                                            "certificate pinned at first use", std::move(edit));
    if (!committed) co_return fail(std::move(committed.error()));
    log_.info("certificate pinned at first use", {{"bmc", order_.bmc.name}, {"sha256", sha256}});
    co_return Result<void>();
}

JobView JobRun::view() {
    JobView view = view_job(services_.store, services_.clock, order_.id, order_.machine);
    view.origin = order_.origin;
    view.system_path = order_.bmc.system_path;
    view.profile = order_.profile;
    view.boot_deadline = order_.boot_deadline;
    return view;
}

Awaitable<void> JobRun::run() {
    state_ = resume(order_.goal, order_.progress, view());
    std::optional<Reply> reply;
    while (!stopping_) {
        woken_ = false;
        Decision decision = advance(std::move(state_), view(), reply);
        state_ = std::move(decision.state);
        reply.reset();
        const Action::Kind kind = decision.action.kind;
        if (kind == Action::Kind::kFinish || decision.action.long_wait) co_await session_.close();
        const bool saved = co_await save();
        if (!saved || kind == Action::Kind::kFinish) co_return;
        auto work = act(std::move(decision.action));
        reply = co_await std::move(work);
    }
    co_await session_.close();
}

Awaitable<std::optional<Reply>> JobRun::act(Action action) {
    if (action.kind == Action::Kind::kWait) {
        if (action.long_wait && has_place_) {
            has_place_ = false;
            turnstile_.leave();
        }
        co_await wait_until(action.until);
        co_return std::nullopt;
    }
    if (!has_place_) {
        co_await regain_place();
        if (stopping_) co_return std::nullopt;
    }
    if (action.kind == Action::Kind::kRecord) {
        auto recorded = co_await record(std::move(action.facts));
        co_return std::optional<Reply>(std::move(recorded));
    }
    auto answer = co_await session_.send(std::move(action.request));
    co_return std::optional<Reply>(std::move(answer));
}

// The step's time does not run while it stands in the queue.
Awaitable<void> JobRun::regain_place() {
    const SystemTime since = services_.clock.system_now();
    turnstile_.wants_place();
    while (!has_place_ && !stopping_) {
        woken_ = false;
        co_await wait_until(SystemTime::max());
    }
    state_.cursor.deadline += services_.clock.system_now() - since;
}

// What is registered stays; a mismatch has been found before.
Awaitable<Reply> JobRun::record(MachineFacts facts) {
    RecordEdit edit = [&](const std::optional<Record>& record) -> Result<std::optional<Transaction::Put>> {
        if (!record) return fail(Code::kNotFound, "machine \"{}\" was deleted", order_.machine);
        auto machine = decode<Machine>(record->value);
        if (!machine) return fail(std::move(machine.error()));
        if (machine->uuid.empty()) machine->uuid = facts.uuid;
        if (machine->serial.empty()) machine->serial = facts.serial;
        if (machine->macs.empty()) machine->macs = facts.macs;
        return std::optional<Transaction::Put>(put_of(*machine));
    };
    auto committed = co_await update_record(services_.store, std::string(kMachineKind), order_.machine, kActor,
                                            "inventory of its BMC", std::move(edit));
    if (!committed) co_return fail(std::move(committed.error()));
    Response done;
    done.status = 200;
    co_return done;
}

void JobRun::grant() {
    has_place_ = true;
    wake();
}

Awaitable<bool> JobRun::save() {
    state_.progress.session = session_.uri();
    if (same_for_recovery(state_.progress, saved_)) co_return true;
    for (bool told = false; !stopping_; told = true) {
        auto committed = co_await save_job(services_.store, services_.clock, order_.id, state_.progress, order_.fence);
        if (committed) {
            if (saved_.step != state_.progress.step) publish_step();
            saved_ = state_.progress;
            co_return true;
        }
        const Code code = committed.error().code;
        if (code == Code::kPermissionDenied) {
            log_.warning("another server goes on with a job", {{"job", order_.id}, {"why", committed.error()}});
            lost_bmc_ = true;
            co_return false;
        }
        if (code == Code::kNotFound || code == Code::kFailedPrecondition) {
            log_.warning("a job was ended by somebody else", {{"job", order_.id}, {"why", committed.error()}});
            co_return false;
        }
        if (!told) {
            log_.error("a job's progress cannot be stored; it waits",
                       {{"job", order_.id}, {"error", committed.error()}});
        }
        woken_ = false;
        co_await wait_until(services_.clock.system_now() + kRetryCommit);
    }
    co_return false;
}

void JobRun::publish_step() {
    const Progress& progress = state_.progress;
    Event event;
    event.type = "job.step";
    event.subject = order_.id;
    event.message = fmt::format("job {} ({}): {} → {}", order_.id, order_.machine, to_string(saved_.step),
                                to_string(progress.step));
    event.fields = {{"job", order_.id},
                    {"machine", order_.machine},
                    {"bmc", order_.bmc.name},
                    {"from", std::string(to_string(saved_.step))},
                    {"step", std::string(to_string(progress.step))}};
    if (!progress.last_request.empty()) event.fields["request"] = progress.last_request;
    if (!progress.last_response.empty()) event.fields["response"] = progress.last_response;
    if (!progress.message.empty()) event.fields["message"] = progress.message;
    const std::string boot_id = progress.booted ? boot_id_of(services_.store, order_.machine) : "";
    if (!boot_id.empty()) event.fields["boot_id"] = boot_id;
    services_.events.publish(std::move(event));
    if (is_at_rest(progress.step)) {
        log_.info("job at rest", {{"job", order_.id},
                                  {"machine", order_.machine},
                                  {"state", to_string(progress.step)},
                                  {"message", progress.message},
                                  {"boot_id", boot_id}});
    } else {
        log_.info("job step", {{"job", order_.id},
                               {"machine", order_.machine},
                               {"step", to_string(progress.step)},
                               {"boot_id", boot_id}});
    }
}

Awaitable<void> JobRun::wait_until(SystemTime until) {
    if (woken_ || stopping_) co_return;
    const auto now = services_.clock.system_now();
    if (until <= now) co_return;
    // As long as timers can: a wait without an end is ended by wake() or stop().
    constexpr std::chrono::hours kLongest{24};
    timer_.expires_after(std::min<SystemTime::duration>(until - now, kLongest));
    co_await timer_.async_wait(asio::as_tuple(asio::use_awaitable));
}

void JobRun::wake() {
    woken_ = true;
    timer_.cancel();
}

void JobRun::stop() {
    stopping_ = true;
    timer_.cancel();
}

void JobRun::abort() {
    stop();
    transport_->abort();
}

}  // namespace nett::redfish
