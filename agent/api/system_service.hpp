// nett.v1.System: version, health, live events.
#pragma once

#include <string>
#include <vector>

#include "agent/api/call.hpp"
#include "agent/sdk/event.hpp"
#include "agent/sdk/health.hpp"
#include "nett.grpc.pb.h"

namespace nett {

struct VersionInfo {
    std::string version;
    std::string build_id;
    std::string hostname;
    std::vector<std::string> plugins;
};

class SystemService final : public v1::System::CallbackService {
public:
    SystemService(ApiContext api, VersionInfo version, HealthRegistry& health, EventBus& events)
        : api_(std::move(api)), version_(std::move(version)), health_(health), events_(events) {}

    grpc::ServerUnaryReactor* GetVersion(grpc::CallbackServerContext* context, const v1::GetVersionRequest* request,
                                         v1::Version* reply) override;
    grpc::ServerUnaryReactor* GetHealth(grpc::CallbackServerContext* context, const v1::GetHealthRequest* request,
                                        v1::Health* reply) override;
    grpc::ServerWriteReactor<v1::Event>* StreamEvents(grpc::CallbackServerContext* context,
                                                      const v1::StreamEventsRequest* request) override;

private:
    ApiContext api_;
    VersionInfo version_;
    HealthRegistry& health_;
    EventBus& events_;
};

}  // namespace nett
