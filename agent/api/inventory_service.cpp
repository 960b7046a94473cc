#include "agent/api/inventory_service.hpp"

#include <algorithm>

#include "agent/api/convert.hpp"
#include "agent/api/lists.hpp"
#include "agent/api/mutations.hpp"
#include "agent/api/tenant_scope.hpp"
#include "agent/sdk/enrol.hpp"

namespace nett {

namespace {

// Of the change log at a time: what a slow watcher holds in memory. A transaction is never split, so it may be more by
// kMaxRecordsPerCommit.
constexpr std::size_t kChangesPerRead = 64;

std::string key_of_unknown(const Stored<UnknownMachine>& item) {
    return unknown_machine_key(item.value.tenant, item.value.id);
}

v1::Change to_proto(const Change& change) {
    v1::Change out;
    out.set_revision(change.revision);
    out.set_kind(change.kind);
    out.set_key(change.key);
    out.set_deleted(!change.value);
    out.set_actor(change.actor);
    out.set_reason(change.reason);
    if (change.value) out.set_value_json(public_text(*change.value));
    return out;
}

// Follows the store for one watcher. Reads the change log on as the client takes what it got, so a slow one costs one
// batch of memory; one that is so slow that the log has moved past it is told to list again.
class ChangeFeed : public std::enable_shared_from_this<ChangeFeed> {
public:
    ChangeFeed(asio::any_io_executor loop, Store& store, std::shared_ptr<Stream<v1::Change>> stream,
               const v1::WatchRequest& request)
        : loop_(std::move(loop)),
          store_(store),
          stream_(std::move(stream)),
          kinds_(request.kinds().begin(), request.kinds().end()),
          sent_(request.since_revision() == 0 ? store.revision() : request.since_revision()) {}

    // The stream owns the feed from here on.
    void start() {
        subscription_ = store_.watch("", [this](const Change& change) {
            if (change.revision > sent_ && stream_->idle()) pump();
        });
        stream_->open();
        stream_->on_idle([self = shared_from_this()] { self->pump(); });
        stream_->on_cancel([self = shared_from_this()] { self->subscription_.reset(); });
        pump();
    }

private:
    // Sends one batch when nothing is on its way; goes on by itself when none of it was wanted, and lets others run in
    // between.
    void pump() {
        if (stream_->ended() || !stream_->idle()) return;
        const auto changes = store_.changes(sent_, kChangesPerRead);
        if (!changes) return stream_->finish(to_status(changes.error()));
        if (changes->empty()) return;
        sent_ = changes->back().revision;
        for (const auto& change : *changes) send(change);
        if (stream_->idle()) asio::post(loop_, [self = shared_from_this()] { self->pump(); });
    }
    void send(const Change& change) {
        const bool wanted = kinds_.empty() || std::find(kinds_.begin(), kinds_.end(), change.kind) != kinds_.end();
        if (wanted) stream_->write(to_proto(change));
    }

    asio::any_io_executor loop_;
    Store& store_;
    std::shared_ptr<Stream<v1::Change>> stream_;
    std::vector<std::string> kinds_;
    Revision sent_;
    Subscription subscription_;
};

}  // namespace

// ---- Mutations: agent/api/mutations.cpp does them ----

InventoryService::Unary* InventoryService::PutTenant(Context* context, const v1::PutTenantRequest* request,
                                                     v1::MutationReply* reply) {
    return mutate(api_, context, inventory_, *request, &v1::Mutation::mutable_put_tenant, reply);
}

InventoryService::Unary* InventoryService::DeleteTenant(Context* context, const v1::NameRequest* request,
                                                        v1::MutationReply* reply) {
    return mutate(api_, context, inventory_, *request, &v1::Mutation::mutable_delete_tenant, reply);
}

InventoryService::Unary* InventoryService::PutMachine(Context* context, const v1::PutMachineRequest* request,
                                                      v1::MutationReply* reply) {
    return mutate(api_, context, inventory_, *request, &v1::Mutation::mutable_put_machine, reply);
}

InventoryService::Unary* InventoryService::DeleteMachine(Context* context, const v1::NameRequest* request,
                                                         v1::MutationReply* reply) {
    return mutate(api_, context, inventory_, *request, &v1::Mutation::mutable_delete_machine, reply);
}

InventoryService::Unary* InventoryService::SetMachineState(Context* context, const v1::SetMachineStateRequest* request,
                                                           v1::MutationReply* reply) {
    return mutate(api_, context, inventory_, *request, &v1::Mutation::mutable_set_machine_state, reply);
}

InventoryService::Unary* InventoryService::SetMachineLock(Context* context, const v1::SetMachineLockRequest* request,
                                                          v1::MutationReply* reply) {
    return mutate(api_, context, inventory_, *request, &v1::Mutation::mutable_set_machine_lock, reply);
}

InventoryService::Unary* InventoryService::ReleaseMachine(Context* context, const v1::NameRequest* request,
                                                          v1::MutationReply* reply) {
    return mutate(api_, context, inventory_, *request, &v1::Mutation::mutable_release_machine, reply);
}

InventoryService::Unary* InventoryService::AcceptUnknownMachine(Context* context,
                                                                const v1::AcceptUnknownMachineRequest* request,
                                                                v1::MutationReply* reply) {
    return mutate(api_, context, inventory_, *request, &v1::Mutation::mutable_accept_unknown_machine, reply);
}

InventoryService::Unary* InventoryService::PutProfile(Context* context, const v1::PutProfileRequest* request,
                                                      v1::MutationReply* reply) {
    return mutate(api_, context, inventory_, *request, &v1::Mutation::mutable_put_profile, reply);
}

InventoryService::Unary* InventoryService::DeleteProfile(Context* context, const v1::DeleteProfileRequest* request,
                                                         v1::MutationReply* reply) {
    return mutate(api_, context, inventory_, *request, &v1::Mutation::mutable_delete_profile, reply);
}

InventoryService::Unary* InventoryService::PutPrefixPool(Context* context, const v1::PutPrefixPoolRequest* request,
                                                         v1::MutationReply* reply) {
    return mutate(api_, context, inventory_, *request, &v1::Mutation::mutable_put_prefix_pool, reply);
}

InventoryService::Unary* InventoryService::DeletePrefixPool(Context* context, const v1::NameRequest* request,
                                                            v1::MutationReply* reply) {
    return mutate(api_, context, inventory_, *request, &v1::Mutation::mutable_delete_prefix_pool, reply);
}

InventoryService::Unary* InventoryService::PutBmc(Context* context, const v1::PutBmcRequest* request,
                                                  v1::MutationReply* reply) {
    return mutate(api_, context, inventory_, *request, &v1::Mutation::mutable_put_bmc, reply);
}

InventoryService::Unary* InventoryService::DeleteBmc(Context* context, const v1::NameRequest* request,
                                                     v1::MutationReply* reply) {
    return mutate(api_, context, inventory_, *request, &v1::Mutation::mutable_delete_bmc, reply);
}

InventoryService::Unary* InventoryService::ReportErased(Context* context, const v1::ReportErasedRequest* request,
                                                        v1::MutationReply* reply) {
    v1::Mutation mutation;
    *mutation.mutable_report_erased() = *request;
    return mutate(api_, context, inventory_, std::move(mutation), "", request->idempotency_key(), reply);
}

// ---- Reads ----

InventoryService::Unary* InventoryService::GetMachine(Context* context, const v1::NameRequest* request,
                                                      v1::Machine* reply) {
    const Caller caller = caller_of(api_, *context);
    return answer<v1::Machine>(api_, context, reply, [this, request, caller]() -> Awaitable<Result<v1::Machine>> {
        NETT_CO_TRY(check_own_machine(inventory_, caller, request->name()));
        auto found = inventory_.machine_view(request->name());
        if (!found) co_return fail(std::move(found.error()));
        co_return to_proto(*found);
    });
}

InventoryService::Unary* InventoryService::ListTenants(Context* context, const v1::ListRequest* request,
                                                       v1::ListTenantsReply* reply) {
    return list(
        api_, context, store_, list_limit(*request), reply,
        [this, request, caller = caller_of(api_, *context)] {
            return read_visible(
                request->after(), list_limit(*request),
                [this, request](const std::string& after) { return inventory_.tenants(after, list_limit(*request)); },
                [](const auto& item) { return item.value.name; },
                [&](const auto& item) { return may_see(caller, item.value.name); });
        },
        [](v1::ListTenantsReply& out, const auto& item) { *out.add_tenants() = to_proto(item.value); },
        [](const auto& item) { return item.value.name; });
}

InventoryService::Unary* InventoryService::ListMachines(Context* context, const v1::ListRequest* request,
                                                        v1::ListMachinesReply* reply) {
    return list(
        api_, context, store_, list_limit(*request), reply,
        [this, request, caller = caller_of(api_, *context)] {
            return read_visible(
                request->after(), list_limit(*request),
                [this, request](const std::string& after) { return inventory_.machines(after, list_limit(*request)); },
                [](const auto& item) { return item.value.name; },
                [&](const auto& item) { return may_see(caller, item.value.tenant); });
        },
        [](v1::ListMachinesReply& out, const auto& item) { *out.add_machines() = to_proto(item); },
        [](const auto& item) { return item.value.name; });
}

InventoryService::Unary* InventoryService::ListUnknownMachines(Context* context, const v1::ListRequest* request,
                                                               v1::ListUnknownMachinesReply* reply) {
    return list(
        api_, context, store_, list_limit(*request), reply,
        [this, request, caller = caller_of(api_, *context)] {
            return read_visible(
                request->after(), list_limit(*request),
                [this, request](const std::string& after) {
                    return inventory_.unknown_machines(after, list_limit(*request));
                },
                key_of_unknown, [&](const auto& item) { return may_see(caller, item.value.tenant); });
        },
        [](v1::ListUnknownMachinesReply& out, const auto& item) { *out.add_machines() = to_proto(item.value); },
        key_of_unknown);
}

InventoryService::Unary* InventoryService::ListProfiles(Context* context, const v1::ListRequest* request,
                                                        v1::ListProfilesReply* reply) {
    return list(
        api_, context, store_, list_limit(*request), reply,
        [this, request, caller = caller_of(api_, *context)] {
            return read_visible(
                request->after(), list_limit(*request),
                [this, request](const std::string& after) { return inventory_.profiles(after, list_limit(*request)); },
                [](const auto& item) { return profile_key(item.value.tenant, item.value.name); },
                [&](const auto& item) { return item.value.tenant.empty() || may_see(caller, item.value.tenant); });
        },
        [](v1::ListProfilesReply& out, const auto& item) { *out.add_profiles() = to_proto(item); },
        [](const auto& item) { return profile_key(item.value.tenant, item.value.name); });
}

InventoryService::Unary* InventoryService::ListPrefixPools(Context* context, const v1::ListRequest* request,
                                                           v1::ListPrefixPoolsReply* reply) {
    return list(
        api_, context, store_, list_limit(*request), reply,
        [this, request] { return inventory_.prefix_pools(request->after(), list_limit(*request)); },
        [](v1::ListPrefixPoolsReply& out, const auto& item) { *out.add_pools() = to_proto(item); },
        [](const auto& item) { return item.value.name; });
}

InventoryService::Unary* InventoryService::ListBmcs(Context* context, const v1::ListRequest* request,
                                                    v1::ListBmcsReply* reply) {
    return list(
        api_, context, store_, list_limit(*request), reply,
        [this, request] { return inventory_.bmcs(request->after(), list_limit(*request)); },
        [](v1::ListBmcsReply& out, const auto& item) { *out.add_bmcs() = to_proto(item.value); },
        [](const auto& item) { return item.value.name; });
}

InventoryService::Unary* InventoryService::ListAllocations(Context* context, const v1::ListAllocationsRequest* request,
                                                           v1::ListAllocationsReply* reply) {
    const auto limit = request->limit() == 0 ? kMaxListed : std::min<std::size_t>(request->limit(), kMaxListed);
    return list(
        api_, context, store_, limit, reply,
        [this, request, limit] { return inventory_.allocations(request->pool(), request->after(), limit); },
        [](v1::ListAllocationsReply& out, const auto& item) { *out.add_allocations() = to_proto(item.value); },
        [](const auto& item) { return allocation_key(item.value.pool, item.value.machine); });
}

// ---- Plans ----

namespace {

// The lambdas refer to the messages.
std::vector<Mutation> mutations_of(const google::protobuf::RepeatedPtrField<v1::Mutation>& messages,
                                   const Caller& caller) {
    std::vector<Mutation> out;
    for (const auto& message : messages) {
        out.emplace_back([&message, &caller](Inventory& inventory, By by) {
            return run_mutation(inventory, caller, message, std::move(by));
        });
    }
    return out;
}

v1::PlanReply to_proto(const Plan& plan) {
    v1::PlanReply out;
    for (const auto& change : plan.changes) {
        auto* added = out.add_changes();
        added->set_effect(change.before.empty()  ? v1::PlannedChange::EFFECT_ADD
                          : change.after.empty() ? v1::PlannedChange::EFFECT_REMOVE
                                                 : v1::PlannedChange::EFFECT_CHANGE);
        added->set_kind(change.kind);
        added->set_key(change.key);
        added->set_before_json(change.before);
        added->set_after_json(change.after);
    }
    for (const auto& refusal : plan.refusals) {
        auto* added = out.add_refusals();
        added->set_mutation(static_cast<std::uint32_t>(refusal.mutation));
        added->set_code(to_status(refusal.error).error_code());
        added->set_message(refusal.error.to_string());
    }
    return out;
}

}  // namespace

InventoryService::Unary* InventoryService::Plan(Context* context, const v1::PlanRequest* request,
                                                v1::PlanReply* reply) {
    const Caller caller = caller_of(api_, *context);
    return answer<v1::PlanReply>(api_, context, reply, [this, request, caller]() -> Awaitable<Result<v1::PlanReply>> {
        By by{caller.actor, ""};
        auto mutations = mutations_of(request->mutations(), caller);
        const auto plan = co_await inventory_.plan(std::move(mutations), std::move(by));
        if (!plan) co_return fail(plan.error());
        co_return to_proto(*plan);
    });
}

InventoryService::Unary* InventoryService::Apply(Context* context, const v1::ApplyRequest* request,
                                                 v1::MutationReply* reply) {
    const Caller caller = caller_of(api_, *context);
    return answer<v1::MutationReply>(
        api_, context, reply, [this, request, caller]() -> Awaitable<Result<v1::MutationReply>> {
            By by{caller.actor, request->reason()};
            auto mutations = mutations_of(request->mutations(), caller);
            std::optional<OnceKey> once;
            if (!request->idempotency_key().empty()) {
                v1::ApplyRequest digested = *request;
                for (auto& mutation : *digested.mutable_mutations()) {
                    if (mutation.has_put_bmc()) mutation.mutable_put_bmc()->clear_password();
                }
                once = OnceKey{request->idempotency_key(), "/nett.v1.Inventory/Apply", digest_of(digested)};
            }
            const auto revision = co_await inventory_.apply_all(std::move(mutations), std::move(by), std::move(once));
            if (!revision) co_return fail(revision.error());
            v1::MutationReply out;
            out.set_revision(*revision);
            co_return out;
        });
}

// ---- Watch ----

grpc::ServerWriteReactor<v1::Change>* InventoryService::Watch(Context*, const v1::WatchRequest* request) {
    auto stream = Stream<v1::Change>::make(api_.loop, api_.streams,
                                           "changes are read too slowly; watch again from the last revision received");
    auto* reactor = stream.get();
    asio::post(api_.loop, [this, stream, wanted = *request] {
        std::make_shared<ChangeFeed>(api_.loop, store_, stream, wanted)->start();
    });
    return reactor;
}

}  // namespace nett
