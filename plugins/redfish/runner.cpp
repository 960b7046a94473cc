#include "plugins/redfish/runner.hpp"

#include <algorithm>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

#include "agent/sdk/job_image.hpp"
#include "agent/sdk/strings.hpp"
#include "plugins/redfish/bmc_status.hpp"
#include "plugins/redfish/json.hpp"
#include "plugins/redfish/redact.hpp"

namespace nett::redfish {
namespace {

// decode() of a record that must be there.
template <typename T>
Result<T> load(const Store& store, std::string_view kind, const std::string& key) {
    auto record = store.get(kind, key);
    if (!record) return fail(std::move(record.error()));
    if (!*record) return fail(Code::kNotFound, "there is no {} \"{}\"", kind, key);
    return decode<T>((*record)->value);
}

std::string parameter(const Job& job, const std::string& name) {
    const auto found = job.parameters.find(name);
    return found == job.parameters.end() ? std::string() : found->second;
}

// The API has checked the parameters.
Goal goal_of(const Job& job) {
    Goal goal;
    goal.type = parse_job_type(job.type).value_or(JobType::kCheck);
    goal.action = parameter(job, "action");
    goal.boot_target = parameter(job, "target");
    goal.continuous = parameter(job, "enabled") == "continuous";
    return goal;
}

// A job may wait for its place and for its BMC before the machine boots.
constexpr std::chrono::hours kGrantSlack{4};

bool changes_something(const Goal& goal) {
    return goal.type != JobType::kInventory && goal.type != JobType::kCheck;
}

}  // namespace

Runner::Runner(Services services, TransportFactory factory)
    : services_(services), factory_(std::move(factory)), all_done_(services.loop) {}

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

// ---- Places ----

BmcSettings Runner::settings_of(const std::string& bmc) const {
    const auto found = settings_.bmcs.find(bmc);
    return found == settings_.bmcs.end() ? BmcSettings{} : found->second;
}

Runner::Place Runner::find_place(const std::string& machine) const {
    Place place;
    const auto record = load<Machine>(services_.store, kMachineKind, machine);
    if (!record || record->bmc.empty()) return place;
    place.bmc = record->bmc;
    const auto bmc = load<Bmc>(services_.store, kBmcKind, record->bmc);
    if (!bmc) return place;
    // Two records, or two spellings, of one endpoint are one BMC.
    const auto origin = Origin::parse(bmc->endpoint);
    place.endpoint = origin ? origin->host_header() : bmc->endpoint;
    place.system = place.endpoint + bmc->system_path;
    place.site = settings_of(bmc->name).site;
    return place;
}

bool Runner::may_run(const Place& place, bool owns_system) const {
    if (place.endpoint.empty()) return true;  // it will end with what is missing
    if (busy_endpoints_.contains(place.endpoint)) return false;
    if (!owns_system && owned_systems_.contains(place.system)) return false;
    const auto limit = settings_.sites.find(place.site);
    const auto used = site_places_.find(place.site);
    return limit == settings_.sites.end() || used == site_places_.end() || used->second < limit->second;
}

void Runner::occupy(const Place& place) {
    ++places_;
    ++site_places_[place.site];
    if (!place.endpoint.empty()) busy_endpoints_.insert(place.endpoint);
}

void Runner::vacate(const Place& place) {
    --places_;
    --site_places_[place.site];
    busy_endpoints_.erase(place.endpoint);
}

// Those that were running before come first, then the oldest.
void Runner::pump() {
    if (stopping_ || pumping_) return;
    pumping_ = true;
    for (const Phase phase : {Phase::kReturning, Phase::kQueued}) {
        if (places_ >= settings_.concurrency) break;
        const auto keys = by_phase_[phase];  // a copy: launching changes it
        for (const std::string& key : keys) {
            if (places_ >= settings_.concurrency) break;
            Entry& entry = jobs_.at(key);
            if (!entry.place) entry.place = find_place(entry.machine);
            if (!may_run(*entry.place, phase == Phase::kReturning)) continue;
            occupy(*entry.place);
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
    if (!entry.place->system.empty()) owned_systems_.insert(entry.place->system);
    asio::co_spawn(services_.loop, work(key), [this, key](std::exception_ptr exception) {
        if (exception) log_.error("a job ended with an exception; it goes on at the next start", {{"job", key}});
        finished(key);
    });
}

void Runner::leave_place(const std::string& key) {
    Entry& entry = jobs_.at(key);
    vacate(*entry.place);
    set_phase(key, entry, Phase::kWaiting);
    pump();
}

Awaitable<void> Runner::work(std::string key) {
    auto run = prepare(key);
    if (run) {
        auto stored = co_await store_grants((*run)->order().grants);
        if (!stored) run = fail(std::move(stored.error()));
    }
    if (!run) {
        co_await end_without_bmc(key, std::move(run.error()));
        co_return;
    }
    JobRun& here = *(jobs_.at(key).run = std::move(*run));
    co_await here.run();
    co_await remember(here);
}

Result<std::unique_ptr<JobRun>> Runner::prepare(const std::string& key) {
    const auto job = load<Job>(services_.store, kJobKind, key);
    if (!job) return fail(job.error());
    auto order = make_order(*job);
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

Result<Bmc> Runner::usable_bmc(const Machine& machine) const {
    if (machine.bmc.empty()) {
        return fail(Code::kFailedPrecondition, "machine \"{}\" has no BMC; register one", machine.name);
    }
    auto bmc = load<Bmc>(services_.store, kBmcKind, machine.bmc);
    if (!bmc) return bmc;
    const BmcStatus status = read_bmc_status(services_.store, bmc->name);
    if (!status.refused_login.empty() && status.refused_login == login_digest(*bmc)) {
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
    if (machine->locked && progress->step == Step::kQueued && changes_something(goal_of(job))) {
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
    std::string profile = settings_of(bmc->name).profile;
    JobOrder order{job.id,       job.machine,          std::move(*bmc),
                   *origin,      std::move(*password), std::move(profile),
                   goal_of(job), std::move(*progress), settings_.boot_deadline};
    NETT_TRY(take_image(job, *machine, order));
    return order;
}

// The URL is fixed when the job begins: a run that goes on after a crash must recognise its own image.
Result<void> Runner::take_image(const Job& job, const Machine& machine, JobOrder& order) const {
    const bool inserts =
        order.goal.type == JobType::kProvision || (order.goal.type == JobType::kMedia && order.goal.action == "insert");
    if (!inserts) return {};
    const std::string context = "job/" + job.id + "/image";
    JobImage image;
    if (order.progress.sealed_image.empty()) {
        const std::string given = parameter(job, kJobImageUrl);
        auto asked = given.empty() ? Result<std::string>() : services_.secrets.open(given, job_image_context(job.id));
        if (!asked) return fail(std::move(asked.error()).in("the job's image-url"));
        auto ordered =
            order_image(settings_.image, {job.id, machine.name, machine.tenant, *asked, order.origin.address,
                                          services_.clock.system_now() + settings_.boot_deadline + kGrantSlack});
        if (!ordered) return fail(std::move(ordered.error()));
        auto sealed = services_.secrets.seal(encode(ordered->image), context);
        if (!sealed) return fail(std::move(sealed.error()));
        order.progress.sealed_image = std::move(*sealed);
        order.grants = std::move(ordered->grants);
        image = std::move(ordered->image);
    } else {
        auto opened = services_.secrets.open(order.progress.sealed_image, context);
        auto stored = opened ? decode_image(*opened) : Result<JobImage>(fail(std::move(opened.error())));
        if (!stored) return fail(std::move(stored.error()).in("the job's image URL"));
        image = std::move(*stored);
    }
    order.goal.http_image = std::move(image.http);
    order.goal.https_image = std::move(image.https);
    return {};
}

Awaitable<Result<void>> Runner::store_grants(std::vector<MediaGrant> grants) {
    if (grants.empty()) co_return Result<void>();
    Transaction transaction;
    for (const MediaGrant& grant : grants) transaction.puts.push_back(put_of(grant));
    transaction.actor = kActor;
    transaction.reason = "image for job " + grants.front().job;
    auto committed = co_await services_.store.commit(std::move(transaction));
    if (!committed) co_return fail(std::move(committed.error()));
    co_return Result<void>();
}

Awaitable<void> Runner::remember(const JobRun& run) {
    const Bmc& bmc = run.order().bmc;
    const Progress& progress = run.progress();
    if (!is_at_rest(progress.step)) co_return;
    BmcStatus status = read_bmc_status(services_.store, bmc.name);
    status.profile = progress.profile;
    status.site = settings_of(bmc.name).site;
    status.last_job = run.order().id;
    status.seen = services_.clock.system_now();
    status.refused_login = run.credentials_refused() ? login_digest(bmc) : std::string();
    status.state = run.credentials_refused()               ? "credentials refused"
                   : progress.step == Step::kNeedsOperator ? "needs operator"
                   : progress.step == Step::kFailed        ? "failed"
                                                           : "ok";
    if (const auto found = parse_object(progress.result)) {
        status.model = trim(text_at(*found, {"manufacturer"}) + " " + text_at(*found, {"model"}));
        status.firmware = text_at(*found, {"bmc-firmware"});
    }
    Transaction transaction;
    transaction.puts.push_back({std::string(kBmcStatusKind), bmc.name, encode(status)});
    if (is_final(progress.step)) {
        const Goal& goal = run.order().goal;
        for (std::string& grant : grant_keys({goal.http_image, goal.https_image})) {
            transaction.deletes.push_back({std::string(kMediaGrantKind), std::move(grant)});
        }
    }
    transaction.actor = kActor;
    transaction.reason = "job " + run.order().id;
    auto committed = co_await services_.store.commit(std::move(transaction));
    if (!committed) log_.warning("a BMC's state cannot be stored", {{"bmc", bmc.name}, {"error", committed.error()}});
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
    --runs_;
    Entry& entry = jobs_.at(key);
    if (entry.phase == Phase::kRunning) vacate(*entry.place);
    owned_systems_.erase(entry.place->system);
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
    } else if (!stopping_ && wants_to_wake(key, entry)) {
        set_phase(key, entry, Phase::kQueued);
    }
    report_health();
    if (stopping_ && runs_ == 0) all_done_.cancel();
    pump();
}

Awaitable<void> Runner::stop(SteadyTime deadline) {
    stopping_ = true;
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
