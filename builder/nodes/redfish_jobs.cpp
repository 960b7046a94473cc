#include "builder/nodes/redfish_jobs.hpp"

#include <algorithm>

#include "builder/nodes/agents.hpp"

namespace nett::builder {
namespace {

using State = Provisioning::State;

bool has_ended(const v1::Job& job) {
    return job.state() == "DONE" || job.state() == "FAILED" || job.state() == "CANCELLED";
}

// The machine has been told to boot its image; what follows needs nobody here.
bool has_rebooted(const v1::Job& job) {
    return job.state() == "BOOT_WAIT" || job.state() == "DONE" || job.state() == "CLEANUP";
}

struct Jobs {
    std::vector<v1::Job> list;  // in order of their ids
    std::uint64_t revision = 0;
};

Result<Jobs> list_jobs(Server& server) {
    Jobs all;
    v1::ListRequest request;
    for (;;) {
        const auto reply = call(server.target, *server.jobs, &v1::Jobs::Stub::ListJobs, request);
        if (!reply) return fail(reply.error());
        if (all.revision == 0) all.revision = reply->revision();
        all.list.insert(all.list.end(), reply->jobs().begin(), reply->jobs().end());
        if (reply->next().empty()) return all;
        request.set_after(reply->next());
    }
}

class Follower {
public:
    Follower(Server& server, std::map<std::string, Provisioning>& results, const TellJobs& tell)
        : server_(server), results_(results), tell_(tell) {}

    void take(const v1::Job& job) { machines_[job.id()] = job.machine(); }
    std::size_t open() const { return machines_.size(); }
    // Until all are done or the deadline has passed; false: the watch ended before.
    bool follow(std::uint64_t revision, std::chrono::system_clock::time_point deadline);
    void look();
    void give_up(const std::string& message) {
        for (const auto& [id, machine] : machines_) results_[machine] = {State::kFailed, id, message};
        machines_.clear();
    }

private:
    void update(const std::string& id);

    Server& server_;
    std::map<std::string, Provisioning>& results_;
    const TellJobs& tell_;
    std::map<std::string, std::string> machines_;  // of jobs that are not done, by id
    std::size_t done_ = 0;
};

void Follower::update(const std::string& id) {
    v1::JobRequest request;
    request.set_id(id);
    const auto job = call(server_.target, *server_.jobs, &v1::Jobs::Stub::GetJob, request);
    if (!job) return;  // the next change, or the deadline
    const std::string machine = machines_.at(id);
    if (has_rebooted(*job)) results_[machine] = {State::kRebooted, id, ""};
    if (job->state() == "FAILED" || job->state() == "CANCELLED")
        results_[machine] = {State::kFailed, id, fmt::format("job {} is {}: {}", id, job->state(), job->message())};
    if (job->state() == "NEEDS_OPERATOR")
        results_[machine] = {State::kFailed, id,
                             fmt::format("job {} needs an operator: {}; see \"show job {}\", then \"job {} cancel\"",
                                         id, job->message(), id, id)};
    const bool over = has_rebooted(*job) || has_ended(*job) || job->state() == "NEEDS_OPERATOR";
    if (over) machines_.erase(id);
    if (over) ++done_;
    tell_(done_, fmt::format("{} {}", machine, job->state()));
}

void Follower::look() {
    std::vector<std::string> ids;
    for (const auto& [id, machine] : machines_) ids.push_back(id);
    for (const auto& id : ids) update(id);
}

bool Follower::follow(std::uint64_t revision, std::chrono::system_clock::time_point deadline) {
    grpc::ClientContext context;
    context.set_deadline(deadline);
    v1::WatchRequest request;
    request.set_since_revision(revision);
    request.add_kinds("job");
    const auto stream = server_.inventory->Watch(&context, request);
    v1::Change change;
    while (!machines_.empty() && stream->Read(&change)) {
        const auto digits = change.key().find_first_not_of('0');
        const std::string id = digits == std::string::npos ? std::string() : change.key().substr(digits);
        if (machines_.contains(id)) update(id);
    }
    context.TryCancel();
    stream->Finish();
    return machines_.empty();
}

// The job of a machine that is new: one that runs, or one that is made now.
Result<v1::Job> job_of(Server& server, const std::string& machine, const std::vector<v1::Job>& jobs,
                       const std::string& reason) {
    for (const auto& job : jobs) {
        if (job.machine() == machine && job.type() == "provision" && !has_ended(job) && job.state() != "NEEDS_OPERATOR")
            return job;
    }
    v1::CreateJobRequest request;
    request.set_type("provision");
    request.set_machine(machine);
    request.set_reason(reason);
    request.set_idempotency_key(make_key());
    return call(server.target, *server.jobs, &v1::Jobs::Stub::CreateJob, request);
}

}  // namespace

std::map<std::string, Provisioning> provision(Server& server, const std::vector<std::string>& machines,
                                              const std::string& reason, std::chrono::seconds deadline,
                                              const TellJobs& tell) {
    const auto end = std::chrono::system_clock::now() + deadline;
    std::map<std::string, Provisioning> results;
    const auto jobs = list_jobs(server);
    Follower follower(server, results, tell);
    for (const auto& name : machines) {
        v1::NameRequest request;
        request.set_name(name);
        const auto machine = call(server.target, *server.inventory, &v1::Inventory::Stub::GetMachine, request);
        if (!jobs || !machine) {
            results[name] = {State::kFailed, "", (jobs ? machine.error() : jobs.error()).to_string()};
            continue;
        }
        if (machine->state() != v1::MACHINE_STATE_NEW) {
            std::string state = v1::MachineState_Name(machine->state()).substr(std::string("MACHINE_STATE_").size());
            std::transform(state.begin(), state.end(), state.begin(), [](unsigned char c) { return std::tolower(c); });
            results[name] = {State::kNotNeeded, "", state};
            continue;
        }
        const auto job = job_of(server, name, jobs->list, reason);
        if (!job) results[name] = {State::kFailed, "", job.error().to_string()};
        if (job) follower.take(*job);
    }
    // A watch that ends early (the agent restarts) is begun again, from what the jobs are by then.
    while (follower.open() != 0 && std::chrono::system_clock::now() < end) {
        follower.look();
        const auto now = list_jobs(server);
        if (follower.open() == 0) break;
        if (!now) {
            follower.give_up(now.error().to_string());
        } else {
            follower.look();
            if (follower.open() != 0) follower.follow(now->revision, end);
        }
    }
    follower.give_up(fmt::format("its job has not got as far as its boot within {} minutes; see \"show jobs\"",
                                 deadline.count() / 60));
    return results;
}

}  // namespace nett::builder
