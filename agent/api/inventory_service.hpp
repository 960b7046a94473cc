// nett.v1.Inventory over agent/core/inventory.
#pragma once

#include "agent/api/call.hpp"
#include "agent/core/inventory/inventory.hpp"
#include "nett.grpc.pb.h"

namespace nett {

class InventoryService final : public v1::Inventory::CallbackService {
public:
    InventoryService(ApiContext api, Inventory& inventory, Store& store)
        : api_(std::move(api)), inventory_(inventory), store_(store) {}

    using Context = grpc::CallbackServerContext;
    using Unary = grpc::ServerUnaryReactor;

    Unary* PutTenant(Context* context, const v1::PutTenantRequest* request, v1::MutationReply* reply) override;
    Unary* DeleteTenant(Context* context, const v1::NameRequest* request, v1::MutationReply* reply) override;
    Unary* ListTenants(Context* context, const v1::ListRequest* request, v1::ListTenantsReply* reply) override;

    Unary* PutMachine(Context* context, const v1::PutMachineRequest* request, v1::MutationReply* reply) override;
    Unary* DeleteMachine(Context* context, const v1::NameRequest* request, v1::MutationReply* reply) override;
    Unary* GetMachine(Context* context, const v1::NameRequest* request, v1::Machine* reply) override;
    Unary* ListMachines(Context* context, const v1::ListRequest* request, v1::ListMachinesReply* reply) override;
    Unary* SetMachineState(Context* context, const v1::SetMachineStateRequest* request,
                           v1::MutationReply* reply) override;
    Unary* SetMachineLock(Context* context, const v1::SetMachineLockRequest* request,
                          v1::MutationReply* reply) override;

    Unary* ReleaseMachine(Context* context, const v1::NameRequest* request, v1::MutationReply* reply) override;
    Unary* ReportErased(Context* context, const v1::ReportErasedRequest* request, v1::MutationReply* reply) override;

    Unary* ListUnknownMachines(Context* context, const v1::ListRequest* request,
                               v1::ListUnknownMachinesReply* reply) override;
    Unary* AcceptUnknownMachine(Context* context, const v1::AcceptUnknownMachineRequest* request,
                                v1::MutationReply* reply) override;

    Unary* PutProfile(Context* context, const v1::PutProfileRequest* request, v1::MutationReply* reply) override;
    Unary* DeleteProfile(Context* context, const v1::DeleteProfileRequest* request, v1::MutationReply* reply) override;
    Unary* ListProfiles(Context* context, const v1::ListRequest* request, v1::ListProfilesReply* reply) override;

    Unary* PutPrefixPool(Context* context, const v1::PutPrefixPoolRequest* request, v1::MutationReply* reply) override;
    Unary* DeletePrefixPool(Context* context, const v1::NameRequest* request, v1::MutationReply* reply) override;
    Unary* ListPrefixPools(Context* context, const v1::ListRequest* request, v1::ListPrefixPoolsReply* reply) override;
    Unary* ListAllocations(Context* context, const v1::ListAllocationsRequest* request,
                           v1::ListAllocationsReply* reply) override;

    Unary* Plan(Context* context, const v1::PlanRequest* request, v1::PlanReply* reply) override;
    Unary* Apply(Context* context, const v1::ApplyRequest* request, v1::MutationReply* reply) override;

    Unary* PutBmc(Context* context, const v1::PutBmcRequest* request, v1::MutationReply* reply) override;
    Unary* DeleteBmc(Context* context, const v1::NameRequest* request, v1::MutationReply* reply) override;
    Unary* ListBmcs(Context* context, const v1::ListRequest* request, v1::ListBmcsReply* reply) override;

    grpc::ServerWriteReactor<v1::Change>* Watch(Context* context, const v1::WatchRequest* request) override;

private:
    ApiContext api_;
    Inventory& inventory_;
    Store& store_;
};

}  // namespace nett
