// Inventory's use cases for jobs: they are created and cancelled here, and run by the plugin that owns their type.

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "agent/core/inventory/inventory.hpp"
#include "agent/core/inventory/job_types.hpp"
#include "agent/core/inventory/validate.hpp"
#include "agent/sdk/job_image.hpp"
#include "agent/sdk/lifecycle.hpp"
#include "agent/sdk/records.hpp"
#include "agent/sdk/redact.hpp"
#include "agent/sdk/strings.hpp"

namespace nett {

namespace {

constexpr std::string_view kQueued = "QUEUED";
constexpr std::string_view kCancelled = "CANCELLED";
constexpr std::string_view kNeedsOperator = "NEEDS_OPERATOR";

// The last number given, so that a number never comes twice, even when old jobs are gone.
constexpr std::string_view kCounterKind = "counter";
constexpr std::string_view kJobCounter = "job";

struct Counter {
    std::uint64_t last = 0;
    Revision revision = 0;
};

Result<Counter> read_counter(const Store& store) {
    auto record = store.get(kCounterKind, kJobCounter);
    if (!record) return fail(std::move(record.error()));
    if (!*record) return Counter{};
    boost::json::error_code error;
    const auto last = boost::json::parse((*record)->value, error);
    const auto* object = error ? nullptr : last.if_object();
    const auto* number = object == nullptr ? nullptr : object->if_contains("last");
    if (number == nullptr || !number->is_number())
        return fail(Code::kDataLoss, "the stored counter of jobs is unusable");
    return Counter{number->to_number<std::uint64_t>(error), (*record)->revision};
}

Transaction::Put counter_put(std::uint64_t last) {
    return {std::string(kCounterKind),
            std::string(kJobCounter),
            boost::json::serialize(boost::json::object{{"version", 1}, {"last", last}}),
            {}};
}

// Ended jobs that are kKeptJobs numbers old go, a few at a time: as many as come.
constexpr std::size_t kForgottenAtOnce = 4;

Result<void> forget_old_jobs(const Store& store, std::uint64_t last, Transaction& transaction) {
    if (last <= kKeptJobs) return {};
    const auto oldest = store.scan(kJobKind, kEndedJobIndex, group_prefix(""), "", kForgottenAtOnce);
    if (!oldest) return fail(oldest.error());
    const auto keep_after = job_key(std::to_string(last - kKeptJobs));
    for (const auto& record : *oldest) {
        if (record.key <= keep_after) transaction.deletes.push_back({record.kind, record.key});
    }
    return {};
}

tl::unexpected<Error> refuse(const Machine& machine, std::string_view why) {
    return fail(Code::kFailedPrecondition, "machine \"{}\" {}", machine.name, why);
}

Result<void> check_target(const Store& store, const JobType& type, const Machine& machine) {
    if (machine.locked && type.changes_machine) {
        return refuse(machine, fmt::format("is locked; \"machine {} unlock\" lifts it", machine.name));
    }
    if (machine.bmc.empty()) return refuse(machine, "has no BMC; register it with the name of its BMC");
    const auto bmc = store.get(kBmcKind, machine.bmc);
    if (!bmc) return fail(bmc.error());
    if (!*bmc) return refuse(machine, fmt::format("has BMC \"{}\", which is not registered", machine.bmc));
    return {};
}

// A BMC's image URL may carry a token: the record has it sealed.
Result<void> seal_image(const SecretBox& secrets, Job& job) {
    const auto url = job.parameters.find(kJobImageUrl);
    if (url == job.parameters.end()) return {};
    auto sealed = secrets.seal(url->second, job_image_context(job.id));
    if (!sealed) return fail(std::move(sealed.error()));
    job.parameters[kJobImageShown] = redact_url(url->second);
    url->second = std::move(*sealed);
    return {};
}

}  // namespace

// The job that keeps its machine from having another.
Result<std::optional<Job>> Inventory::open_job_of(const std::string& machine) const {
    const auto jobs = decode_records<Job>(store_.scan(kJobKind, kOpenJobIndex, group_prefix(machine)));
    if (!jobs) return fail(jobs.error());
    for (const auto& job : *jobs) {
        if (is_open(job.value)) return job.value;
    }
    return std::optional<Job>();
}

// What a provision job wants besides what every job does.
Result<void> Inventory::check_provision(const Machine& machine) const {
    if (boot_decision(machine) != BootKind::kDisk) return {};
    return refuse(machine,
                  fmt::format("is {}: it would boot its disk again; say \"machine {} state reprovision\" first",
                              to_string(machine.state), machine.name));
}

Result<Transaction> Inventory::build_job(Job& job) const {
    const auto type = check_job(job.type, job.parameters);
    if (!type) return fail(type.error());
    const auto target = machine(job.machine);
    if (!target) return fail(target.error());
    NETT_TRY(check_target(store_, **type, target->value));
    if ((*type)->boots_image) NETT_TRY(check_provision(target->value));
    const auto other = open_job_of(job.machine);
    if (!other) return fail(other.error());
    if (*other && (*other)->state == kNeedsOperator) {
        return fail(Code::kFailedPrecondition,
                    "job {} of machine \"{}\" waits for an operator: {}; see to it, then say \"job {} acknowledge\" or "
                    "\"job {} cancel\"",
                    (*other)->id, job.machine, (*other)->message, (*other)->id, (*other)->id);
    }
    if (*other) {
        return fail(Code::kFailedPrecondition,
                    "job {} of machine \"{}\" runs ({}); wait for it or say \"job {} cancel\"", (*other)->id,
                    job.machine, (*other)->state, (*other)->id);
    }
    const auto counter = read_counter(store_);
    if (!counter) return fail(counter.error());
    job.id = std::to_string(counter->last + 1);
    job.created = job.updated = clock_.system_now();
    Job stored = job;
    NETT_TRY(seal_image(secrets_, stored));
    Transaction transaction;
    // All jobs are numbered here, so this compare also keeps two jobs for one machine apart.
    transaction.compares.push_back({std::string(kCounterKind), std::string(kJobCounter), counter->revision});
    transaction.compares.push_back({std::string(kMachineKind), job.machine, target->revision});
    transaction.puts.push_back(counter_put(counter->last + 1));
    transaction.puts.push_back(put_of(stored));
    NETT_TRY(forget_old_jobs(store_, counter->last + 1, transaction));
    return transaction;
}

Awaitable<Result<Job>> Inventory::create_job(std::string type, std::string machine,
                                             std::map<std::string, std::string> parameters, By by) {
    NETT_CO_TRY(check_job(type, parameters));
    Job job;
    job.type = std::move(type);
    job.machine = std::move(machine);
    job.state = kQueued;
    job.parameters = std::move(parameters);
    Build build = [this, &job] { return build_job(job); };
    auto committed = co_await transact(by, "create job", std::move(build));
    if (!committed) co_return fail(std::move(committed.error()));
    std::map<std::string, std::string> fields{{"machine", job.machine}, {"type", job.type}};
    publish("job.created", job.id, fmt::format("{} {}", job.type, job.machine), by, std::move(fields));
    co_return job;
}

Awaitable<Result<Revision>> Inventory::cancel_job(std::string id, By by) {
    Build build = [this, &id]() -> Result<Transaction> {
        auto found = job(id);
        if (!found) return fail(std::move(found.error()));
        Job& job = found->value;
        if (is_ended(job)) return fail(Code::kFailedPrecondition, "job {} has ended already: {}", id, job.state);
        job.cancel_requested = true;
        job.updated = clock_.system_now();
        if (job.state == kQueued) {
            job.state = kCancelled;
            job.message = "cancelled before it began";
        }
        Transaction transaction;
        transaction.compares.push_back({std::string(kJobKind), job_key(id), found->revision});
        transaction.puts.push_back(put_of(job));
        return transaction;
    };
    auto committed = co_await transact(by, "cancel job", std::move(build));
    if (committed) publish("job.cancel", id, "cancellation was asked for", by);
    co_return committed;
}

Awaitable<Result<Revision>> Inventory::acknowledge_job(std::string id, By by) {
    Build build = [this, &id]() -> Result<Transaction> {
        auto found = job(id);
        if (!found) return fail(std::move(found.error()));
        Job& job = found->value;
        if (job.state != kNeedsOperator) {
            return fail(Code::kFailedPrecondition, "job {} does not wait for an operator: it is {}", id, job.state);
        }
        Transaction transaction;
        if (job.acknowledged) return transaction;
        job.acknowledged = true;
        transaction.compares.push_back(unchanged(kJobKind, job_key(id), found->revision));
        transaction.puts.push_back(put_of(job));
        return transaction;
    };
    auto committed = co_await transact(by, "acknowledge job", std::move(build));
    if (committed) publish("job.acknowledged", id, "an operator has seen to it", by);
    co_return committed;
}

}  // namespace nett
