// nett.v1.System: version, health, live events, archives.
#pragma once

#include <string>
#include <vector>

#include "agent/api/archive_call.hpp"
#include "agent/api/call.hpp"
#include "agent/core/backup/backup.hpp"
#include "agent/sdk/event.hpp"
#include "agent/sdk/health.hpp"
#include "agent/sdk/log.hpp"
#include "nett.grpc.pb.h"

namespace nett {

struct VersionInfo {
    std::string version;
    std::string build_id;
    std::string hostname;
    std::vector<std::string> plugins;
};

// Where archives come from; loop thread. Empty functions: the calls are refused.
struct ArchiveSources {
    std::function<BackupSource()> backup = {};
    // What `show` commands say, as files of an archive.
    std::function<Awaitable<std::vector<SupportFile>>()> support = {};
};

class SystemService final : public v1::System::CallbackService {
public:
    SystemService(ApiContext api, VersionInfo version, HealthRegistry& health, EventBus& events, ArchiveSources sources)
        : api_(std::move(api)),
          version_(std::move(version)),
          health_(health),
          events_(events),
          sources_(std::move(sources)) {}

    grpc::ServerUnaryReactor* GetVersion(grpc::CallbackServerContext* context, const v1::GetVersionRequest* request,
                                         v1::Version* reply) override;
    grpc::ServerUnaryReactor* GetHealth(grpc::CallbackServerContext* context, const v1::GetHealthRequest* request,
                                        v1::Health* reply) override;
    grpc::ServerWriteReactor<v1::Event>* StreamEvents(grpc::CallbackServerContext* context,
                                                      const v1::StreamEventsRequest* request) override;
    grpc::ServerWriteReactor<v1::BackupChunk>* Backup(grpc::CallbackServerContext* context,
                                                      const v1::BackupRequest* request) override;
    grpc::ServerWriteReactor<v1::BackupChunk>* TechSupport(grpc::CallbackServerContext* context,
                                                           const v1::TechSupportRequest* request) override;

private:
    ApiContext api_;
    VersionInfo version_;
    HealthRegistry& health_;
    EventBus& events_;
    ArchiveSources sources_;
    ArchiveMaker archives_;
    Logger log_{"api"};
};

}  // namespace nett
