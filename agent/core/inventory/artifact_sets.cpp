// Inventory's use cases for artifact sets and BMCs.
#include <algorithm>

#include "agent/core/inventory/inventory.hpp"
#include "agent/core/inventory/validate.hpp"
#include "agent/sdk/records.hpp"

namespace nett {

namespace {

// Fills in a size that was not given.
Result<void> check_stored(const ArtifactFiles& files, ArtifactFile& file) {
    const auto size = files.size_of(file.sha256);
    if (!size && size.error().code == Code::kNotFound) {
        return fail(Code::kFailedPrecondition, "file \"{}\" (SHA-256 {}) is not stored here; upload it first",
                    file.name, file.sha256);
    }
    if (!size) return fail(size.error());
    if (file.size != 0 && file.size != *size) {
        return fail(Code::kDataLoss, "file \"{}\" is stored with {} bytes, not {}; upload it again", file.name, *size,
                    file.size);
    }
    file.size = *size;
    return {};
}

// Puts a record whatever was there before.
template <typename T>
Result<Transaction> plain_put(const Store& store, std::string_view kind, const T& value) {
    const auto old = store.get(kind, value.name);
    if (!old) return fail(old.error());
    Transaction transaction;
    transaction.compares.push_back({std::string(kind), value.name, *old ? (*old)->revision : 0});
    transaction.puts.push_back(put_of(value));
    return transaction;
}

}  // namespace

Awaitable<Result<Revision>> Inventory::put_artifact_set(ArtifactSet set, By by) {
    auto checked = check_artifact_set(std::move(set));
    if (!checked) co_return fail(std::move(checked.error()));
    for (auto& file : checked->files) NETT_CO_TRY(check_stored(files_, file));
    const auto turn = co_await registrations_.lock();
    Build build = [this, &checked] { return plain_put(store_, kArtifactSetKind, *checked); };
    co_return co_await transact(std::move(by), "put artifact set", std::move(build));
}

Awaitable<Result<Revision>> Inventory::delete_artifact_set(std::string name, By by) {
    const auto turn = co_await registrations_.lock();
    const auto user = store_.scan(kMachineKind, kArtifactSetIndex, group_prefix(name), "", 1);
    if (!user) co_return fail(user.error());
    if (!user->empty()) {
        co_return fail(Code::kFailedPrecondition,
                       "machine \"{}\" netboots artifact set \"{}\"; give it another one first", user->front().key,
                       name);
    }
    co_return co_await remove(kArtifactSetKind, "artifact set", std::move(name), std::move(by));
}

Awaitable<Result<Revision>> Inventory::put_bmc(Bmc bmc, std::optional<std::string> password, By by) {
    auto checked = check_bmc(std::move(bmc));
    if (!checked) co_return fail(std::move(checked.error()));
    if (password && password->size() > kMaxPassword) {
        co_return fail(Code::kInvalidArgument, "the password has {} bytes; at most {} fit", password->size(),
                       kMaxPassword);
    }
    std::string sealed;
    if (password) {
        auto box = secrets_.seal(*password, fmt::format("bmc/{}/password", checked->name));
        if (!box) co_return fail(std::move(box.error()));
        sealed = std::move(*box);
    }
    Build build = [this, &checked, &password, &sealed]() -> Result<Transaction> {
        const auto old = read_record<Bmc>(store_, kBmcKind, checked->name);
        if (!old) return fail(old.error());
        Bmc next = *checked;
        next.sealed_password = password ? sealed : *old ? (*old)->value.sealed_password : "";
        // A certificate that was pinned at first use stays, as long as it is the same BMC.
        const bool same = *old && (*old)->value.endpoint == next.endpoint;
        if (same && next.pinned_sha256.empty() && next.ca_file.empty())
            next.pinned_sha256 = (*old)->value.pinned_sha256;
        return plain_put(store_, kBmcKind, next);
    };
    co_return co_await transact(std::move(by), "put BMC", std::move(build));
}

Awaitable<Result<Revision>> Inventory::delete_bmc(std::string name, By by) {
    const auto turn = co_await registrations_.lock();
    const auto user = store_.scan(kMachineKind, kBmcIndex, group_prefix(name), "", 1);
    if (!user) co_return fail(user.error());
    if (!user->empty()) {
        co_return fail(Code::kFailedPrecondition, "machine \"{}\" has BMC \"{}\"; take it away there first",
                       user->front().key, name);
    }
    co_return co_await remove(kBmcKind, "BMC", std::move(name), std::move(by));
}

}  // namespace nett
