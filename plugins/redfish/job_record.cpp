#include "plugins/redfish/job_record.hpp"

#include "agent/sdk/strings.hpp"
#include "plugins/redfish/bmc_status.hpp"
#include "plugins/redfish/json.hpp"
#include "plugins/redfish/redact.hpp"

namespace nett::redfish {

Awaitable<Result<void>> remember_bmc(const Services& services, const RunnerSettings& settings, const JobRun& run) {
    const Bmc& bmc = run.order().bmc;
    const Progress& progress = run.progress();
    if (!is_at_rest(progress.step)) co_return Result<void>();
    BmcStatus status = read_bmc_status(services.store, bmc.name);
    status.profile = progress.profile;
    status.site = settings.of(bmc.name).site;
    status.last_job = run.order().id;
    status.seen = services.clock.system_now();
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
    auto committed = co_await services.store.commit(std::move(transaction));
    if (!committed) co_return fail(std::move(committed.error()).in("the state of BMC \"" + bmc.name + "\""));
    co_return Result<void>();
}

Awaitable<Result<void>> conclude(const Services& services, std::string key, Step step, std::string message) {
    auto job = load<Job>(services.store, kJobKind, key);
    if (!job) co_return Result<void>();
    Progress progress = decode_progress(job->progress).value_or(Progress{});
    progress.rested_in = progress.step;
    progress.step = step;
    progress.step_since = services.clock.system_now();
    progress.message = redact_text(message);
    auto saved = co_await save_job(services.store, services.clock, job->id, progress);
    if (!saved) co_return fail(std::move(saved.error()).in("the end of job " + job->id));
    Event event;
    event.type = "job.step";
    event.subject = job->id;
    event.message = fmt::format("job {} ({}): {}: {}", job->id, job->machine, to_string(step), progress.message);
    event.fields = {{"job", job->id}, {"machine", job->machine}, {"step", std::string(to_string(step))}};
    services.events.publish(std::move(event));
    co_return Result<void>();
}

}  // namespace nett::redfish
