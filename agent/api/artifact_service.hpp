// nett.v1.Artifacts over agent/core/inventory.
#pragma once

#include "agent/api/call.hpp"
#include "agent/core/inventory/inventory.hpp"
#include "nett.grpc.pb.h"

namespace nett {

// Uploads write files on gRPC's threads: a slow disk must not hold the loop.
class ArtifactService final : public v1::Artifacts::CallbackService {
public:
    ArtifactService(ApiContext api, Inventory& inventory) : api_(std::move(api)), inventory_(inventory) {}

    grpc::ServerReadReactor<v1::UploadRequest>* Upload(grpc::CallbackServerContext* context,
                                                       v1::UploadReply* reply) override;
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
};

}  // namespace nett
