// nett.v1.Shell over agent/core/shell.
#pragma once

#include "agent/api/call.hpp"
#include "nett.grpc.pb.h"

namespace nett {

class ShellService final : public v1::Shell::CallbackService {
public:
    ShellService(ApiContext api, Shell& shell) : api_(std::move(api)), shell_(shell) {}

    grpc::ServerWriteReactor<v1::ExecuteReply>* Execute(grpc::CallbackServerContext* context,
                                                        const v1::ExecuteRequest* request) override;
    grpc::ServerUnaryReactor* Complete(grpc::CallbackServerContext* context, const v1::CompleteRequest* request,
                                       v1::CompleteReply* reply) override;

private:
    ApiContext api_;
    Shell& shell_;
};

}  // namespace nett
