#include "agent/api/job_service.hpp"

#include <map>

#include "agent/api/convert.hpp"
#include "agent/api/lists.hpp"
#include "agent/api/mutations.hpp"
#include "agent/api/tenant_scope.hpp"

namespace nett {

grpc::ServerUnaryReactor* JobService::CreateJob(grpc::CallbackServerContext* context,
                                                const v1::CreateJobRequest* request, v1::Job* reply) {
    const Caller caller = caller_of(api_, *context);
    By by{caller.actor, request->reason()};
    return answer<v1::Job>(api_, context, reply, [this, request, by, caller]() -> Awaitable<Result<v1::Job>> {
        NETT_CO_TRY(check_own_machine(inventory_, caller, request->machine()));
        // An image's URL is fetched by the BMC, in the management network.
        if (caller.scope != Scope::kAgent && !request->parameters().empty()) {
            co_return fail(Code::kPermissionDenied, "a job's parameters are set by an operator, not by a tenant");
        }
        std::map<std::string, std::string> parameters(request->parameters().begin(), request->parameters().end());
        if (!request->idempotency_key().empty()) {
            co_return co_await create_once(*request, std::move(parameters), std::move(by));
        }
        auto job = co_await inventory_.create_job(request->type(), request->machine(), std::move(parameters), by);
        if (!job) co_return fail(std::move(job.error()));
        co_return to_proto(*job);
    });
}

Awaitable<Result<v1::Job>> JobService::create_once(const v1::CreateJobRequest& request,
                                                   std::map<std::string, std::string> parameters, By by) {
    OnceMutation work = [&](Inventory& draft, By who) -> Awaitable<Result<std::string>> {
        auto job = co_await draft.create_job(request.type(), request.machine(), parameters, std::move(who));
        if (!job) co_return fail(std::move(job.error()));
        co_return job->id;
    };
    OnceKey key{request.idempotency_key(), "/nett.v1.Jobs/CreateJob", digest_of(request)};
    const auto done = co_await inventory_.once(std::move(key), std::move(work), std::move(by));
    if (!done) co_return fail(done.error());
    auto job = inventory_.job(done->answer);
    if (!job) co_return fail(std::move(job.error()));
    co_return to_proto(job->value);
}

grpc::ServerUnaryReactor* JobService::GetJob(grpc::CallbackServerContext* context, const v1::JobRequest* request,
                                             v1::Job* reply) {
    const Caller caller = caller_of(api_, *context);
    return answer<v1::Job>(api_, context, reply, [this, request, caller]() -> Awaitable<Result<v1::Job>> {
        NETT_CO_TRY(check_own_job(inventory_, caller, request->id()));
        auto job = inventory_.job(request->id());
        if (!job) co_return fail(std::move(job.error()));
        co_return to_proto(job->value);
    });
}

grpc::ServerUnaryReactor* JobService::ListJobs(grpc::CallbackServerContext* context, const v1::ListRequest* request,
                                               v1::ListJobsReply* reply) {
    return list(
        api_, context, inventory_.store(), list_limit(*request), reply,
        [this, request, caller = caller_of(api_, *context)] {
            return read_visible(
                request->after(), list_limit(*request),
                [this, request](const std::string& after) { return inventory_.jobs(after, list_limit(*request)); },
                [](const auto& item) { return item.value.id; },
                [&](const auto& item) { return may_see_job(inventory_, caller, item.value); });
        },
        [](v1::ListJobsReply& out, const auto& item) { *out.add_jobs() = to_proto(item.value); },
        [](const auto& item) { return item.value.id; });
}

grpc::ServerUnaryReactor* JobService::CancelJob(grpc::CallbackServerContext* context, const v1::JobRequest* request,
                                                v1::MutationReply* reply) {
    return mutate(api_, context, inventory_, *request, &v1::Mutation::mutable_cancel_job, reply);
}

grpc::ServerUnaryReactor* JobService::AcknowledgeJob(grpc::CallbackServerContext* context,
                                                     const v1::JobRequest* request, v1::MutationReply* reply) {
    return mutate(api_, context, inventory_, *request, &v1::Mutation::mutable_acknowledge_job, reply);
}

}  // namespace nett
