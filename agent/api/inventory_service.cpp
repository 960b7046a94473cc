#include "agent/api/inventory_service.hpp"

#include <algorithm>

#include "agent/api/convert.hpp"
#include "agent/api/mutation.hpp"
#include "agent/api/tenant_scope.hpp"

namespace nett {

namespace {

using Work = Awaitable<Result<Revision>>;

// Of the change log at a time: what a slow watcher holds in memory. A transaction is never split, so it may be more by
// kMaxRecordsPerCommit.
constexpr std::size_t kChangesPerRead = 64;

v1::Change to_proto(const Change& change) {
    v1::Change out;
    out.set_revision(change.revision);
    out.set_kind(change.kind);
    out.set_key(change.key);
    out.set_deleted(!change.value);
    out.set_actor(change.actor);
    out.set_reason(change.reason);
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

// ---- Tenants ----

InventoryService::Unary* InventoryService::PutTenant(Context* context, const v1::PutTenantRequest* request,
                                                     v1::MutationReply* reply) {
    return mutate(api_, context, request->reason(), reply, [this, request](By by) -> Work {
        return inventory_.put_tenant(from_proto(request->tenant()), std::move(by));
    });
}

InventoryService::Unary* InventoryService::DeleteTenant(Context* context, const v1::NameRequest* request,
                                                        v1::MutationReply* reply) {
    return mutate(api_, context, request->reason(), reply,
                  [this, request](By by) -> Work { return inventory_.delete_tenant(request->name(), std::move(by)); });
}

InventoryService::Unary* InventoryService::ListTenants(Context* context, const v1::ListRequest* request,
                                                       v1::ListTenantsReply* reply) {
    return list(
        api_, context, reply,
        [this, request, caller = caller_of(api_, *context)] {
            return read_visible(
                request->after(), list_limit(*request),
                [this, request](const std::string& after) { return inventory_.tenants(after, list_limit(*request)); },
                [](const auto& item) { return item.value.name; },
                [&](const auto& item) { return may_see(caller, item.value.name); });
        },
        [](v1::ListTenantsReply& out, const auto& item) { *out.add_tenants() = to_proto(item.value); });
}

// ---- Machines ----

InventoryService::Unary* InventoryService::PutMachine(Context* context, const v1::PutMachineRequest* request,
                                                      v1::MutationReply* reply) {
    const Caller caller = caller_of(api_, *context);
    return mutate(api_, context, request->reason(), reply, [this, request, caller](By by) -> Work {
        auto machine = from_proto(request->machine());
        if (!machine) co_return fail(std::move(machine.error()));
        NETT_CO_TRY(check_own_registration(inventory_, caller, *machine));
        std::optional<std::string> config;
        if (request->has_config()) config = request->config();
        co_return co_await inventory_.put_machine(std::move(*machine), std::move(config), std::move(by));
    });
}

InventoryService::Unary* InventoryService::DeleteMachine(Context* context, const v1::NameRequest* request,
                                                         v1::MutationReply* reply) {
    return mutate(api_, context, request->reason(), reply,
                  [this, request](By by) -> Work { return inventory_.delete_machine(request->name(), std::move(by)); });
}

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

InventoryService::Unary* InventoryService::ListMachines(Context* context, const v1::ListRequest* request,
                                                        v1::ListMachinesReply* reply) {
    return list(
        api_, context, reply,
        [this, request, caller = caller_of(api_, *context)] {
            return read_visible(
                request->after(), list_limit(*request),
                [this, request](const std::string& after) { return inventory_.machines(after, list_limit(*request)); },
                [](const auto& item) { return item.value.name; },
                [&](const auto& item) { return may_see(caller, item.value.tenant); });
        },
        [](v1::ListMachinesReply& out, const auto& item) {
            *out.add_machines() = to_proto(item);
        });
}

InventoryService::Unary* InventoryService::SetMachineState(Context* context, const v1::SetMachineStateRequest* request,
                                                           v1::MutationReply* reply) {
    const Caller caller = caller_of(api_, *context);
    return mutate(api_, context, request->reason(), reply, [this, request, caller](By by) -> Work {
        NETT_CO_TRY(check_own_machine(inventory_, caller, request->name()));
        auto state = from_proto(request->state());
        if (!state) co_return fail(std::move(state.error()));
        co_return co_await inventory_.set_machine_state(request->name(), *state, std::move(by));
    });
}

InventoryService::Unary* InventoryService::SetMachineLock(Context* context, const v1::SetMachineLockRequest* request,
                                                          v1::MutationReply* reply) {
    const Caller caller = caller_of(api_, *context);
    return mutate(api_, context, request->reason(), reply, [this, request, caller](By by) -> Work {
        NETT_CO_TRY(check_own_machine(inventory_, caller, request->name()));
        co_return co_await inventory_.set_machine_lock(request->name(), request->locked(), std::move(by));
    });
}

// ---- BMCs ----

InventoryService::Unary* InventoryService::PutBmc(Context* context, const v1::PutBmcRequest* request,
                                                  v1::MutationReply* reply) {
    return mutate(api_, context, request->reason(), reply, [this, request](By by) -> Work {
        std::optional<std::string> password;
        if (request->has_password()) password = request->password();
        return inventory_.put_bmc(from_proto(request->bmc()), std::move(password), std::move(by));
    });
}

InventoryService::Unary* InventoryService::DeleteBmc(Context* context, const v1::NameRequest* request,
                                                     v1::MutationReply* reply) {
    return mutate(api_, context, request->reason(), reply,
                  [this, request](By by) -> Work { return inventory_.delete_bmc(request->name(), std::move(by)); });
}

InventoryService::Unary* InventoryService::ListBmcs(Context* context, const v1::ListRequest* request,
                                                    v1::ListBmcsReply* reply) {
    return list(
        api_, context, reply, [this, request] { return inventory_.bmcs(request->after(), list_limit(*request)); },
        [](v1::ListBmcsReply& out, const auto& item) { *out.add_bmcs() = to_proto(item.value); });
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
