// Inventory's plans: several mutations seen together before, and done together or not at all.
#include <boost/asio/post.hpp>

#include "agent/core/inventory/inventory.hpp"
#include "agent/core/inventory/plan_store.hpp"
#include "agent/core/inventory/validate.hpp"
#include "agent/core/store/sqlite_store.hpp"

namespace nett {

namespace {

constexpr std::size_t kMutationsPerTurn = 16;  // then others run: a plan of a thousand must not hold the loop

// Holds back what a plan would have told.
class HeldEvents final : public EventBus {
public:
    void publish(Event event) override { events.push_back(std::move(event)); }
    [[nodiscard]] Subscription subscribe(std::string, Handler) override { return {}; }
    std::vector<Event> events;
};

}  // namespace

struct Inventory::Draft {
    explicit Draft(const Inventory& real)
        : store(real.store_),
          inventory(new Inventory(InventoryDependencies{store, real.secrets_, events, real.clock_}, real.files_)) {}

    PlanStore store;
    HeldEvents events;
    std::unique_ptr<Inventory> inventory;
    std::vector<Refusal> refusals;
};

Awaitable<Result<void>> Inventory::draft(Draft& draft, const std::vector<Mutation>& mutations, By by) const {
    if (mutations.empty() || mutations.size() > kMaxMutations) {
        co_return fail(Code::kInvalidArgument, "a plan has 1 to {} mutations, not {}", kMaxMutations, mutations.size());
    }
    const auto executor = co_await asio::this_coro::executor;
    for (std::size_t i = 0; i < mutations.size(); ++i) {
        auto done = co_await mutations[i](*draft.inventory, by);
        if (!done) draft.refusals.push_back({i, std::move(done.error())});
        if (i % kMutationsPerTurn == kMutationsPerTurn - 1) co_await asio::post(executor, asio::use_awaitable);
    }
    co_return Result<void>{};
}

Awaitable<Result<Plan>> Inventory::plan(std::vector<Mutation> mutations, By by) const {
    Draft made(*this);
    NETT_CO_TRY(co_await draft(made, mutations, std::move(by)));
    Plan plan;
    for (auto& one : made.store.touched()) {
        PlannedChange change;
        change.kind = std::move(one.kind);
        change.key = std::move(one.key);
        if (one.before) change.before = public_text(*one.before);
        if (one.after) change.after = public_text(*one.after);
        plan.changes.push_back(std::move(change));
    }
    plan.refusals = std::move(made.refusals);
    co_return plan;
}

Awaitable<Result<Revision>> Inventory::commit_draft(Draft& made, const By& by, std::string_view what) {
    auto transaction = made.store.merged();
    if (transaction.puts.size() + transaction.deletes.size() + transaction.compares.size() > kMaxRecordsPerCommit) {
        co_return fail(Code::kInvalidArgument,
                       "these mutations touch {} records; at most {} parts fit into one transaction: send fewer",
                       transaction.puts.size() + transaction.deletes.size(), kMaxRecordsPerCommit);
    }
    transaction.actor = by.actor;
    transaction.reason = by.reason.empty() ? std::string(what) : by.reason;
    auto committed = co_await store_.commit(std::move(transaction));
    if (!committed) co_return fail(std::move(committed.error()));
    for (auto& event : made.events.events) events_.publish(std::move(event));
    co_return committed;
}

Awaitable<Result<Revision>> Inventory::apply_all(std::vector<Mutation> mutations, By by, std::optional<OnceKey> key) {
    if (key) NETT_CO_TRY(check_text("the idempotency key", key->key, kMaxIdempotencyKey));
    const auto turn = co_await registrations_.lock();
    for (int attempt = 0; attempt < kMaxUpdateAttempts; ++attempt) {
        if (key) {
            const auto before = answered_before(*key, by);
            if (!before) co_return fail(before.error());
            if (*before) co_return (*before)->revision;
        }
        Draft made(*this);
        NETT_CO_TRY(co_await draft(made, mutations, by));
        if (!made.refusals.empty()) {
            auto& [at, error] = made.refusals.front();
            co_return fail(
                std::move(error).in(fmt::format("nothing was done; mutation {} of {}", at + 1, mutations.size())));
        }
        if (key) NETT_CO_TRY(co_await remember(made, *key, by, ""));
        auto committed = co_await commit_draft(made, by, "apply a plan");
        if (committed || committed.error().code != Code::kAborted) co_return committed;
    }
    co_return fail(Code::kAborted, "what the mutations touch changes faster than they can be applied; try again");
}

// What the request was answered before; nullopt: it is new. An answer that is too old counts as none.
Result<std::optional<Once>> Inventory::answered_before(const OnceKey& key, const By& by) const {
    const auto found = read_record<IdempotencyRecord>(store_, kIdempotencyKind, idempotency_key(by.actor, key.key));
    if (!found) return fail(found.error());
    if (!*found || (*found)->value.created + kIdempotencyAge <= clock_.system_now()) return std::optional<Once>();
    const auto& before = (*found)->value;
    if (before.method != key.method || before.request_sha256 != key.request_sha256) {
        return fail(Code::kInvalidArgument,
                    "idempotency key \"{}\" was used for another request ({} at {}); make up a new one", key.key,
                    before.method, to_rfc3339(before.created));
    }
    return std::optional<Once>(Once{(*found)->revision, before.answer});
}

// Adds the answer to the draft, and lets a few that are too old go.
Awaitable<Result<void>> Inventory::remember(Draft& made, const OnceKey& key, const By& by, std::string answer) const {
    constexpr std::size_t kForgottenAtOnce = 4;
    IdempotencyRecord record{by.actor, key.key, key.method, key.request_sha256, std::move(answer), clock_.system_now()};
    Transaction transaction;
    transaction.puts.push_back(put_of(record));
    const auto oldest =
        decode_records<IdempotencyRecord>(store_.scan(kIdempotencyKind, kExpiryIndex, "", "", kForgottenAtOnce));
    if (!oldest) co_return fail(oldest.error());
    for (const auto& one : *oldest) {
        const bool same = one.value.actor == by.actor && one.value.key == key.key;
        if (same || one.value.created + kIdempotencyAge > clock_.system_now()) continue;
        transaction.deletes.push_back({std::string(kIdempotencyKind), idempotency_key(one.value.actor, one.value.key)});
    }
    auto added = co_await made.store.commit(std::move(transaction));
    if (!added) co_return fail(std::move(added.error()));
    co_return Result<void>{};
}

Awaitable<Result<Once>> Inventory::once(OnceKey key, OnceMutation mutation, By by) {
    NETT_CO_TRY(check_text("the idempotency key", key.key, kMaxIdempotencyKey));
    const auto turn = co_await registrations_.lock();
    for (int attempt = 0; attempt < kMaxUpdateAttempts; ++attempt) {
        auto before = answered_before(key, by);
        if (!before) co_return fail(std::move(before.error()));
        if (*before) co_return std::move(**before);
        Draft made(*this);
        auto answer = co_await mutation(*made.inventory, by);
        if (!answer) co_return fail(std::move(answer.error()));
        NETT_CO_TRY(co_await remember(made, key, by, *answer));
        auto committed = co_await commit_draft(made, by, key.method);
        if (committed) co_return Once{*committed, std::move(*answer)};
        if (committed.error().code != Code::kAborted) co_return fail(std::move(committed.error()));
    }
    co_return fail(Code::kAborted, "what \"{}\" touches changes faster than it can be updated; try again", key.method);
}

}  // namespace nett
