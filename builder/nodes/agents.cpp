#include "builder/nodes/agents.hpp"

#include <openssl/rand.h>

#include "agent/sdk/strings.hpp"

namespace nett::builder {
namespace {

constexpr int kMaxMutations = 250;  // the API's limit of a plan and of an apply
constexpr std::size_t kKeyBytes = 16;

template <typename Reply, typename Stub, typename Take>
Result<void> list_all(Server& server, Stub& stub,
                      grpc::Status (Stub::*method)(grpc::ClientContext*, const v1::ListRequest&, Reply*),
                      const Take& take) {
    v1::ListRequest request;
    for (;;) {
        const auto reply = call(server.target, stub, method, request);
        if (!reply) return fail(reply.error());
        take(*reply);
        if (reply->next().empty()) return {};
        request.set_after(reply->next());
    }
}

template <typename Message>
void keep(std::map<std::string, Message>& to, const google::protobuf::RepeatedPtrField<Message>& from) {
    for (const Message& one : from) to[one.name()] = one;
}

}  // namespace

Result<Snapshot> take_snapshot(Server& server) {
    Snapshot all;
    using Inventory = v1::Inventory::Stub;
    auto& inventory = *server.inventory;
    NETT_TRY(list_all<v1::ListTenantsReply>(server, inventory, &Inventory::ListTenants,
                                            [&](const auto& reply) { keep(all.tenants, reply.tenants()); }));
    NETT_TRY(list_all<v1::ListMachinesReply>(server, inventory, &Inventory::ListMachines,
                                             [&](const auto& reply) { keep(all.machines, reply.machines()); }));
    NETT_TRY(list_all<v1::ListBmcsReply>(server, inventory, &Inventory::ListBmcs,
                                         [&](const auto& reply) { keep(all.bmcs, reply.bmcs()); }));
    NETT_TRY(list_all<v1::ListPrefixPoolsReply>(server, inventory, &Inventory::ListPrefixPools,
                                                [&](const auto& reply) { keep(all.pools, reply.pools()); }));
    NETT_TRY(list_all<v1::ListProfilesReply>(server, inventory, &Inventory::ListProfiles, [&](const auto& reply) {
        for (const auto& one : reply.profiles()) all.profiles[one.tenant() + "/" + one.name()] = one;
    }));
    NETT_TRY(list_all<v1::ListArtifactSetsReply>(server, *server.artifacts, &v1::Artifacts::Stub::ListArtifactSets,
                                                 [&](const auto& reply) { keep(all.sets, reply.sets()); }));
    return all;
}

Result<v1::PlanReply> plan_changes(Server& server, const std::vector<v1::Mutation>& mutations, std::size_t shared) {
    v1::PlanReply all;
    std::map<std::string, v1::PlannedChange> changes;
    std::size_t at = shared;
    do {
        v1::PlanRequest request;
        for (std::size_t i = 0; i < shared; ++i) *request.add_mutations() = mutations[i];
        const std::size_t first = at;
        while (at < mutations.size() && request.mutations_size() < kMaxMutations)
            *request.add_mutations() = mutations[at++];
        if (request.mutations_size() == 0) break;
        if (request.mutations_size() > kMaxMutations || (at == first && at < mutations.size()))
            return fail(Code::kResourceExhausted,
                        "tenants, pools and profiles alone are more than {} changes: split the file", kMaxMutations);
        auto reply = call(server.target, *server.inventory, &v1::Inventory::Stub::Plan, request);
        if (!reply) return fail(std::move(reply.error()));
        for (auto& change : *reply->mutable_changes()) changes[change.kind() + "/" + change.key()] = std::move(change);
        for (auto& refusal : *reply->mutable_refusals()) {
            if (refusal.mutation() >= shared)
                refusal.set_mutation(static_cast<std::uint32_t>(refusal.mutation() - shared + first));
            *all.add_refusals() = std::move(refusal);
        }
    } while (at < mutations.size());
    for (auto& [name, change] : changes) *all.add_changes() = std::move(change);
    return all;
}

Result<void> apply_changes(Server& server, const std::vector<v1::Mutation>& mutations, const std::string& reason) {
    for (std::size_t at = 0; at < mutations.size();) {
        v1::ApplyRequest request;
        while (at < mutations.size() && request.mutations_size() < kMaxMutations)
            *request.add_mutations() = mutations[at++];
        request.set_reason(reason);
        request.set_idempotency_key(make_key());
        auto reply = call(server.target, *server.inventory, &v1::Inventory::Stub::Apply, request);
        if (!reply && reply.error().code == Code::kUnavailable) {
            grpc::ClientContext context;
            context.set_wait_for_ready(true);
            context.set_deadline(std::chrono::system_clock::now() + kCallDeadline);
            v1::MutationReply again;
            const grpc::Status status = server.inventory->Apply(&context, request, &again);
            if (!status.ok()) return fail(error_of(status, server.target));
            continue;
        }
        if (!reply) return fail(std::move(reply.error()));
    }
    return {};
}

std::string make_key() {
    std::string bytes(kKeyBytes, '\0');
    RAND_bytes(reinterpret_cast<unsigned char*>(bytes.data()), static_cast<int>(bytes.size()));
    return to_hex(bytes);
}

}  // namespace nett::builder
