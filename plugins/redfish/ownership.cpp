#include "plugins/redfish/ownership.hpp"

#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "agent/sdk/servers.hpp"
#include "plugins/redfish/json.hpp"

namespace nett::redfish {

namespace {

Result<std::string> owner_of(const Record& record) {
    const auto object = parse_object(record.value);
    if (!object) return fail(Code::kDataLoss, "the claim of BMC {} is not readable", record.key);
    return text_at(*object, {"owner"});
}

Transaction claim(const std::string& self, const std::string& endpoint, Revision revision) {
    Transaction transaction;
    transaction.compares.push_back({std::string(kBmcOwnerKind), endpoint, revision});
    transaction.puts.push_back({std::string(kBmcOwnerKind), endpoint,
                                boost::json::serialize(boost::json::object{{"version", 1}, {"owner", self}})});
    transaction.actor = "plugin:redfish";
    transaction.reason = "drives the BMC";
    return transaction;
}

}  // namespace

Awaitable<Result<Fence>> claim_bmc(Store& store, std::string self, std::string endpoint) {
    const auto servers = store.list(kServerKind, "", 1);
    if (!servers) co_return fail(Error(servers.error()));
    if (servers->empty() || endpoint.empty()) co_return Fence();
    const auto record = store.get(kBmcOwnerKind, endpoint);
    if (!record) co_return fail(Error(record.error()));
    auto transaction = claim(self, endpoint, *record ? (*record)->revision : 0);
    if (*record) {
        const auto owner = owner_of(**record);
        if (!owner) co_return fail(Error(owner.error()));
        if (*owner == self) co_return Fence(transaction.compares.front());
        const auto alive = store.get(kServerKind, *owner);
        if (!alive) co_return fail(Error(alive.error()));
        if (*alive) co_return fail(Code::kFailedPrecondition, "server {} drives this BMC", *owner);
        // Dead for certain only if it is so where everybody's word counts.
        transaction.compares.push_back({std::string(kServerKind), *owner, 0});
    }
    auto fence = transaction.compares.front();
    auto committed = co_await store.commit(std::move(transaction));
    if (!committed) co_return fail(std::move(committed.error()));
    fence.revision = *committed;
    co_return Fence(std::move(fence));
}

Result<bool> holds(const Store& store, const Fence& fence) {
    if (!fence) return true;
    const auto record = store.get(fence->kind, fence->key);
    if (!record) return fail(record.error());
    return *record && (*record)->revision == fence->revision;
}

}  // namespace nett::redfish
