#include "agent/api/mutations.hpp"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include "agent/api/convert.hpp"
#include "agent/api/tenant_scope.hpp"
#include "agent/core/access/access.hpp"
#include "agent/sdk/enrol.hpp"
#include "agent/sdk/strings.hpp"
#include "proto/enumerations.hpp"

namespace nett {

namespace {

using Work = Awaitable<Result<Revision>>;
using M = v1::Mutation;

// What one mutation is done with.
struct MutationScope {
    Inventory& inventory;
    const Caller& caller;
    By by;
};

Work put_machine(MutationScope in, const v1::PutMachineRequest& request) {
    auto machine = from_proto(request.machine());
    if (!machine) co_return fail(std::move(machine.error()));
    NETT_CO_TRY(check_own_registration(in.inventory, in.caller, *machine));
    std::optional<std::string> config;
    if (request.has_config()) config = request.config();
    co_return co_await in.inventory.put_machine(std::move(*machine), std::move(config), std::move(in.by));
}

Work set_state(MutationScope in, const v1::SetMachineStateRequest& request) {
    NETT_CO_TRY(check_own_machine(in.inventory, in.caller, request.name()));
    const auto state = from_proto(request.state());
    if (!state) co_return fail(state.error());
    co_return co_await in.inventory.set_machine_state(request.name(), *state, std::move(in.by));
}

Work set_lock(MutationScope in, const v1::SetMachineLockRequest& request) {
    NETT_CO_TRY(check_own_machine(in.inventory, in.caller, request.name()));
    co_return co_await in.inventory.set_machine_lock(request.name(), request.locked(), std::move(in.by));
}

Work release(MutationScope in, const v1::NameRequest& request) {
    NETT_CO_TRY(check_own_machine(in.inventory, in.caller, request.name()));
    co_return co_await in.inventory.release_machine(request.name(), std::move(in.by));
}

Work erased(MutationScope in, const v1::ReportErasedRequest& request) {
    NETT_CO_TRY(check_own_machine(in.inventory, in.caller, request.name()));
    co_return co_await in.inventory.report_erased(request.name(), request.proof(), std::move(in.by));
}

Work accept_unknown(MutationScope in, const v1::AcceptUnknownMachineRequest& request) {
    std::string id = request.id();
    if (in.caller.scope != Scope::kAgent) {
        // What other tenants' clients said about the id is not there for it, nor in the way.
        if (id.find('/') == std::string::npos) id = unknown_machine_key(in.caller.tenant, id);
        const auto seen = in.inventory.unknown_machine(id);
        if (!seen) co_return fail(seen.error());
        NETT_CO_TRY(check_own(in.caller, seen->value.tenant,
                              fmt::format("unknown machine {}; see \"show unknown-machines\"", request.id())));
    }
    co_return co_await in.inventory.accept_unknown_machine(std::move(id), request.name(), std::move(in.by));
}

Work put_profile(MutationScope in, const v1::PutProfileRequest& request) {
    auto profile = from_proto(request.profile());
    if (!profile) co_return fail(std::move(profile.error()));
    if (!may_see(in.caller, profile->tenant)) {
        co_return fail(Code::kPermissionDenied, "{} has profiles of its own tenant only", role_text(in.caller));
    }
    co_return co_await in.inventory.put_profile(std::move(*profile), std::move(in.by));
}

Work delete_profile(MutationScope in, const v1::DeleteProfileRequest& request) {
    NETT_CO_TRY(check_own(in.caller, request.tenant(), fmt::format("profile \"{}\"", request.name())));
    co_return co_await in.inventory.delete_profile(request.tenant(), request.name(), std::move(in.by));
}

Work put_pool(MutationScope in, const v1::PutPrefixPoolRequest& request) {
    auto pool = from_proto(request.pool());
    if (!pool) co_return fail(std::move(pool.error()));
    co_return co_await in.inventory.put_prefix_pool(std::move(*pool), std::move(in.by));
}

Work put_bmc(MutationScope in, const v1::PutBmcRequest& request) {
    std::optional<std::string> password;
    if (request.has_password()) password = request.password();
    co_return co_await in.inventory.put_bmc(from_proto(request.bmc()), std::move(password), std::move(in.by));
}

Work end_job(MutationScope in, const v1::JobRequest& request, bool cancel) {
    NETT_CO_TRY(check_own_job(in.inventory, in.caller, request.id()));
    if (cancel) co_return co_await in.inventory.cancel_job(request.id(), std::move(in.by));
    co_return co_await in.inventory.acknowledge_job(request.id(), std::move(in.by));
}

Work dispatch(MutationScope in, const v1::Mutation& mutation) {
    auto& inventory = in.inventory;
    switch (mutation.kind_case()) {
        case M::kPutTenant:
            return inventory.put_tenant(from_proto(mutation.put_tenant().tenant()), std::move(in.by));
        case M::kDeleteTenant:
            return inventory.delete_tenant(mutation.delete_tenant().name(), std::move(in.by));
        case M::kPutMachine:
            return put_machine(std::move(in), mutation.put_machine());
        case M::kDeleteMachine:
            return inventory.delete_machine(mutation.delete_machine().name(), std::move(in.by));
        case M::kSetMachineState:
            return set_state(std::move(in), mutation.set_machine_state());
        case M::kSetMachineLock:
            return set_lock(std::move(in), mutation.set_machine_lock());
        case M::kReleaseMachine:
            return release(std::move(in), mutation.release_machine());
        case M::kReportErased:
            return erased(std::move(in), mutation.report_erased());
        case M::kAcceptUnknownMachine:
            return accept_unknown(std::move(in), mutation.accept_unknown_machine());
        case M::kPutProfile:
            return put_profile(std::move(in), mutation.put_profile());
        case M::kDeleteProfile:
            return delete_profile(std::move(in), mutation.delete_profile());
        case M::kPutPrefixPool:
            return put_pool(std::move(in), mutation.put_prefix_pool());
        case M::kDeletePrefixPool:
            return inventory.delete_prefix_pool(mutation.delete_prefix_pool().name(), std::move(in.by));
        case M::kPutBmc:
            return put_bmc(std::move(in), mutation.put_bmc());
        case M::kDeleteBmc:
            return inventory.delete_bmc(mutation.delete_bmc().name(), std::move(in.by));
        case M::kPutArtifactSet:
            return inventory.put_artifact_set(from_proto(mutation.put_artifact_set().set()), std::move(in.by));
        case M::kDeleteArtifactSet:
            return inventory.delete_artifact_set(mutation.delete_artifact_set().name(), std::move(in.by));
        case M::kCancelJob:
            return end_job(std::move(in), mutation.cancel_job(), true);
        case M::kAcknowledgeJob:
            return end_job(std::move(in), mutation.acknowledge_job(), false);
        case M::KIND_NOT_SET:
            break;
    }
    return
        [](MutationScope) -> Work { co_return fail(Code::kInvalidArgument, "the mutation is empty"); }(std::move(in));
}

}  // namespace

std::string_view method_of(const v1::Mutation& mutation) {
    switch (mutation.kind_case()) {
        case M::kPutTenant:
            return "/nett.v1.Inventory/PutTenant";
        case M::kDeleteTenant:
            return "/nett.v1.Inventory/DeleteTenant";
        case M::kPutMachine:
            return "/nett.v1.Inventory/PutMachine";
        case M::kDeleteMachine:
            return "/nett.v1.Inventory/DeleteMachine";
        case M::kSetMachineState:
            return "/nett.v1.Inventory/SetMachineState";
        case M::kSetMachineLock:
            return "/nett.v1.Inventory/SetMachineLock";
        case M::kReleaseMachine:
            return "/nett.v1.Inventory/ReleaseMachine";
        case M::kReportErased:
            return "/nett.v1.Inventory/ReportErased";
        case M::kAcceptUnknownMachine:
            return "/nett.v1.Inventory/AcceptUnknownMachine";
        case M::kPutProfile:
            return "/nett.v1.Inventory/PutProfile";
        case M::kDeleteProfile:
            return "/nett.v1.Inventory/DeleteProfile";
        case M::kPutPrefixPool:
            return "/nett.v1.Inventory/PutPrefixPool";
        case M::kDeletePrefixPool:
            return "/nett.v1.Inventory/DeletePrefixPool";
        case M::kPutBmc:
            return "/nett.v1.Inventory/PutBmc";
        case M::kDeleteBmc:
            return "/nett.v1.Inventory/DeleteBmc";
        case M::kPutArtifactSet:
            return "/nett.v1.Artifacts/PutArtifactSet";
        case M::kDeleteArtifactSet:
            return "/nett.v1.Artifacts/DeleteArtifactSet";
        case M::kCancelJob:
            return "/nett.v1.Jobs/CancelJob";
        case M::kAcknowledgeJob:
            return "/nett.v1.Jobs/AcknowledgeJob";
        case M::KIND_NOT_SET:
            break;
    }
    return {};
}

Awaitable<Result<Revision>> run_mutation(Inventory& inventory, const Caller& caller, const v1::Mutation& mutation,
                                         By by) {
    NETT_CO_TRY(check_need(caller, need_of(method_of(mutation))));
    MutationScope in{inventory, caller, std::move(by)};
    co_return co_await dispatch(std::move(in), mutation);
}

std::string digest_of(const google::protobuf::Message& request) {
    std::string bytes;
    {
        google::protobuf::io::StringOutputStream stream(&bytes);
        google::protobuf::io::CodedOutputStream out(&stream);
        out.SetSerializationDeterministic(true);  // maps in one order
        request.SerializeToCodedStream(&out);
    }
    return sha256_hex(bytes);
}

std::string digest_of(v1::Mutation mutation) {
    if (mutation.has_put_bmc()) mutation.mutable_put_bmc()->clear_password();
    return digest_of(static_cast<const google::protobuf::Message&>(mutation));
}

grpc::ServerUnaryReactor* mutate(const ApiContext& api, grpc::CallbackServerContext* context, Inventory& inventory,
                                 v1::Mutation mutation, std::string reason, std::string key, v1::MutationReply* reply) {
    const Caller caller = caller_of(api, *context);
    By by{caller.actor, std::move(reason)};
    return answer<v1::MutationReply>(
        api, context, reply,
        [&inventory, caller, by = std::move(by), key = std::move(key),
         mutation = std::move(mutation)]() -> Awaitable<Result<v1::MutationReply>> {
            v1::MutationReply out;
            if (key.empty()) {
                const auto revision = co_await run_mutation(inventory, caller, mutation, by);
                if (!revision) co_return fail(revision.error());
                out.set_revision(*revision);
                co_return out;
            }
            OnceMutation work = [&caller, &mutation](Inventory& draft, By who) -> Awaitable<Result<std::string>> {
                const auto revision = co_await run_mutation(draft, caller, mutation, std::move(who));
                if (!revision) co_return fail(revision.error());
                co_return std::string();
            };
            OnceKey once{key, std::string(method_of(mutation)), digest_of(mutation)};
            const auto done = co_await inventory.once(std::move(once), std::move(work), by);
            if (!done) co_return fail(done.error());
            out.set_revision(done->revision);
            co_return out;
        });
}

}  // namespace nett
