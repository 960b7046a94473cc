// nett.v1.Fabric: where switches report what they see.
#pragma once

#include <functional>
#include <string>

#include "agent/api/call.hpp"
#include "agent/fabric/reporter.hpp"
#include "nett.grpc.pb.h"

namespace nett {

// Takes a report of the switch whose certificate has this common name; true: all of it is wanted. Loop thread.
using FabricReceiver = std::function<Result<bool>(const std::string& origin, FabricReport report)>;

class FabricService final : public v1::Fabric::CallbackService {
public:
    FabricService(ApiContext api, FabricReceiver receive) : api_(std::move(api)), receive_(std::move(receive)) {}

    grpc::ServerUnaryReactor* Report(grpc::CallbackServerContext* context, const v1::FabricReport* request,
                                     v1::FabricReportReply* reply) override;

private:
    ApiContext api_;
    FabricReceiver receive_;
};

}  // namespace nett
