#include "agent/api/job_service.hpp"

#include <map>

#include "agent/api/convert.hpp"
#include "agent/api/mutation.hpp"

namespace nett {

grpc::ServerUnaryReactor* JobService::CreateJob(grpc::CallbackServerContext* context,
                                                const v1::CreateJobRequest* request, v1::Job* reply) {
    By by{caller_of(api_, *context).actor, request->reason()};
    return answer<v1::Job>(api_, context, reply, [this, request, by]() -> Awaitable<Result<v1::Job>> {
        std::map<std::string, std::string> parameters(request->parameters().begin(), request->parameters().end());
        auto job = co_await inventory_.create_job(request->type(), request->machine(), std::move(parameters), by);
        if (!job) co_return fail(std::move(job.error()));
        co_return to_proto(*job);
    });
}

grpc::ServerUnaryReactor* JobService::GetJob(grpc::CallbackServerContext* context, const v1::JobRequest* request,
                                             v1::Job* reply) {
    return answer<v1::Job>(api_, context, reply, [this, request]() -> Awaitable<Result<v1::Job>> {
        auto job = inventory_.job(request->id());
        if (!job) co_return fail(std::move(job.error()));
        co_return to_proto(job->value);
    });
}

grpc::ServerUnaryReactor* JobService::ListJobs(grpc::CallbackServerContext* context, const v1::ListRequest* request,
                                               v1::ListJobsReply* reply) {
    return list(
        api_, context, reply, [this, request] { return inventory_.jobs(request->after(), list_limit(*request)); },
        [](v1::ListJobsReply& out, const auto& item) { *out.add_jobs() = to_proto(item.value); });
}

grpc::ServerUnaryReactor* JobService::CancelJob(grpc::CallbackServerContext* context, const v1::JobRequest* request,
                                                v1::MutationReply* reply) {
    return mutate(api_, context, "", reply,
                  [this, request](By by) { return inventory_.cancel_job(request->id(), std::move(by)); });
}

}  // namespace nett
