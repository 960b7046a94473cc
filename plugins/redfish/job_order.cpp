#include "plugins/redfish/job_order.hpp"

#include "agent/sdk/job_image.hpp"
#include "plugins/redfish/bmc_status.hpp"
#include "plugins/redfish/job_record.hpp"

namespace nett::redfish {
namespace {

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

Result<Bmc> usable_bmc(const Store& store, const Machine& machine) {
    if (machine.bmc.empty()) {
        return fail(Code::kFailedPrecondition, "machine \"{}\" has no BMC; register one", machine.name);
    }
    auto bmc = load<Bmc>(store, kBmcKind, machine.bmc);
    if (!bmc) return bmc;
    const BmcStatus status = read_bmc_status(store, bmc->name);
    if (!status.refused_login.empty() && status.refused_login == login_digest(*bmc)) {
        return fail(
            Code::kUnauthenticated,
            "BMC \"{}\" has refused user \"{}\" before; correct its user name or password first, because BMCs lock "
            "accounts",
            bmc->name, bmc->username);
    }
    return bmc;
}

// The URL is fixed when the job begins: a run that goes on after a crash must recognise its own image.
Result<void> take_image(const Services& services, const RunnerSettings& settings, const Job& job,
                        const Machine& machine, JobOrder& order) {
    const bool inserts =
        order.goal.type == JobType::kProvision || (order.goal.type == JobType::kMedia && order.goal.action == "insert");
    if (!inserts) return {};
    const std::string context = "job/" + job.id + "/image";
    JobImage image;
    if (order.progress.sealed_image.empty()) {
        const std::string given = parameter(job, kJobImageUrl);
        auto asked = given.empty() ? Result<std::string>() : services.secrets.open(given, job_image_context(job.id));
        if (!asked) return fail(std::move(asked.error()).in("the job's image-url"));
        auto ordered =
            order_image(settings.image, {job.id, machine.name, machine.tenant, *asked, order.origin.address,
                                         services.clock.system_now() + settings.boot_deadline + kGrantSlack});
        if (!ordered) return fail(std::move(ordered.error()));
        auto sealed = services.secrets.seal(encode(ordered->image), context);
        if (!sealed) return fail(std::move(sealed.error()));
        order.progress.sealed_image = std::move(*sealed);
        order.grants = std::move(ordered->grants);
        image = std::move(ordered->image);
    } else {
        auto opened = services.secrets.open(order.progress.sealed_image, context);
        auto stored = opened ? decode_image(*opened) : Result<JobImage>(fail(std::move(opened.error())));
        if (!stored) return fail(std::move(stored.error()).in("the job's image URL"));
        image = std::move(*stored);
    }
    order.goal.http_image = std::move(image.http);
    order.goal.https_image = std::move(image.https);
    return {};
}

}  // namespace

Result<JobOrder> make_order(const Services& services, const RunnerSettings& settings, const Job& job) {
    auto machine = load<Machine>(services.store, kMachineKind, job.machine);
    if (!machine) return fail(std::move(machine.error()));
    auto progress = decode_progress(job.progress);
    if (!progress) return fail(std::move(progress.error()));
    if (machine->locked && progress->step == Step::kQueued && changes_something(goal_of(job))) {
        return fail(Code::kFailedPrecondition, "machine \"{0}\" is locked; \"machine {0} unlock\" first",
                    machine->name);
    }
    auto bmc = usable_bmc(services.store, *machine);
    if (!bmc) return fail(std::move(bmc.error()));
    auto origin = Origin::parse(bmc->endpoint);
    if (!origin) return fail(std::move(origin.error()));
    NETT_TRY(check_allowed(*origin, settings.allowed));
    auto password = bmc->sealed_password.empty()
                        ? Result<std::string>()
                        : services.secrets.open(bmc->sealed_password, "bmc/" + bmc->name + "/password");
    if (!password) return fail(std::move(password.error()).in("BMC \"" + bmc->name + "\""));
    std::string profile = settings.of(bmc->name).profile;
    JobOrder order{job.id,       job.machine,          std::move(*bmc),
                   *origin,      std::move(*password), std::move(profile),
                   goal_of(job), std::move(*progress), settings.boot_deadline};
    NETT_TRY(take_image(services, settings, job, *machine, order));
    return order;
}

Awaitable<Result<void>> store_grants(Store& store, std::vector<MediaGrant> grants) {
    if (grants.empty()) co_return Result<void>();
    Transaction transaction;
    for (const MediaGrant& grant : grants) transaction.puts.push_back(put_of(grant));
    transaction.actor = kActor;
    transaction.reason = "image for job " + grants.front().job;
    auto committed = co_await store.commit(std::move(transaction));
    if (!committed) co_return fail(std::move(committed.error()));
    co_return Result<void>();
}

}  // namespace nett::redfish
