// nett.v1.Jobs over agent/core/inventory.
#pragma once

#include <map>
#include <string>

#include "agent/api/call.hpp"
#include "agent/core/inventory/inventory.hpp"
#include "nett.grpc.pb.h"

namespace nett {

class JobService final : public v1::Jobs::CallbackService {
public:
    JobService(ApiContext api, Inventory& inventory) : api_(std::move(api)), inventory_(inventory) {}

    grpc::ServerUnaryReactor* CreateJob(grpc::CallbackServerContext* context, const v1::CreateJobRequest* request,
                                        v1::Job* reply) override;
    grpc::ServerUnaryReactor* GetJob(grpc::CallbackServerContext* context, const v1::JobRequest* request,
                                     v1::Job* reply) override;
    grpc::ServerUnaryReactor* ListJobs(grpc::CallbackServerContext* context, const v1::ListRequest* request,
                                       v1::ListJobsReply* reply) override;
    grpc::ServerUnaryReactor* CancelJob(grpc::CallbackServerContext* context, const v1::JobRequest* request,
                                        v1::MutationReply* reply) override;
    grpc::ServerUnaryReactor* AcknowledgeJob(grpc::CallbackServerContext* context, const v1::JobRequest* request,
                                             v1::MutationReply* reply) override;

private:
    Awaitable<Result<v1::Job>> create_once(const v1::CreateJobRequest& request,
                                           std::map<std::string, std::string> parameters, By by);

    ApiContext api_;
    Inventory& inventory_;
};

}  // namespace nett
