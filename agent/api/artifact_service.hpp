// nett.v1.Artifacts over agent/core/inventory.
#pragma once

#include <boost/asio/thread_pool.hpp>

#include "agent/api/artifact_download.hpp"
#include "agent/api/call.hpp"
#include "agent/core/inventory/inventory.hpp"
#include "nett.grpc.pb.h"

namespace nett {

// Uploads hash and write on threads of their own: a slow disk must hold neither the loop nor gRPC's few threads.
inline constexpr std::size_t kUploadThreads = 2;

class ArtifactService final : public v1::Artifacts::CallbackService {
public:
    ArtifactService(ApiContext api, Inventory& inventory) : api_(std::move(api)), inventory_(inventory) {}

    grpc::ServerReadReactor<v1::UploadRequest>* Upload(grpc::CallbackServerContext* context,
                                                       v1::UploadReply* reply) override;
    grpc::ServerUnaryReactor* GetUpload(grpc::CallbackServerContext* context, const v1::GetUploadRequest* request,
                                        v1::GetUploadReply* reply) override;
    grpc::ServerWriteReactor<v1::DownloadChunk>* Download(grpc::CallbackServerContext* context,
                                                          const v1::DownloadRequest* request) override;
    grpc::ServerUnaryReactor* PutArtifactSet(grpc::CallbackServerContext* context,
                                             const v1::PutArtifactSetRequest* request,
                                             v1::MutationReply* reply) override;
    grpc::ServerUnaryReactor* DeleteArtifactSet(grpc::CallbackServerContext* context, const v1::NameRequest* request,
                                                v1::MutationReply* reply) override;
    grpc::ServerUnaryReactor* ListArtifactSets(grpc::CallbackServerContext* context, const v1::ListRequest* request,
                                               v1::ListArtifactSetsReply* reply) override;

private:
    ApiContext api_;
    Inventory& inventory_;
    asio::thread_pool disk_{kUploadThreads};
    ArtifactDownloads downloads_{inventory_.artifact_files()};
};

}  // namespace nett
