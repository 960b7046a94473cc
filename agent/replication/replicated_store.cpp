#include "agent/replication/replicated_store.hpp"

#include <openssl/rand.h>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "agent/sdk/servers.hpp"
#include "agent/sdk/strings.hpp"

namespace nett::replication {

namespace {

// How long a writer waits for etcd, several members one after the other, and for the copy.
constexpr std::chrono::seconds kWriteTime{8};
constexpr std::chrono::milliseconds kRetryPause{150};
constexpr std::size_t kRunBytes = 8;

std::string random_hex() {
    unsigned char bytes[kRunBytes];
    if (RAND_bytes(bytes, sizeof bytes) != 1) return "0";  // the instance still tells servers apart
    return to_hex(std::string_view(reinterpret_cast<const char*>(bytes), sizeof bytes));
}

enum class Reach { kNothing, kLocal, kShared, kMixed };

Reach reach_of(const Transaction& transaction) {
    bool local = false;
    bool shared = false;
    const auto count = [&](const auto& parts) {
        for (const auto& part : parts) (is_local_kind(part.kind) ? local : shared) = true;
    };
    count(transaction.compares);
    count(transaction.puts);
    count(transaction.deletes);
    if (local && shared) return Reach::kMixed;
    return local ? Reach::kLocal : shared ? Reach::kShared : Reach::kNothing;
}

bool is_doubtful(const Error& error) {
    return error.code == Code::kUnavailable || error.code == Code::kDeadlineExceeded;
}

class FileCopy final : public LocalCopy {
public:
    explicit FileCopy(const SqliteStore& file) : file_(file) {}

    Result<Known> record(std::string_view kind, std::string_view key) const override {
        const auto record = file_.get(kind, key);
        if (!record) return fail(Error(record.error()));
        if (!*record) return Known{};
        auto indexes = file_.indexes_of(kind, key);
        if (!indexes) return fail(std::move(indexes.error()));
        return Known{(*record)->revision, std::move(*indexes)};
    }
    Result<std::optional<std::string>> owner(std::string_view kind, const IndexEntry& entry) const override {
        auto record = file_.find(kind, entry.index, entry.value);
        if (!record) return fail(std::move(record.error()));
        if (!*record) return std::optional<std::string>();
        return std::optional<std::string>(std::move((*record)->key));
    }

private:
    const SqliteStore& file_;
};

// A transaction that is looked out for in the watch while it is under way.
class Expectation {
public:
    Expectation(Follower& follower, std::string id) : follower_(follower), id_(std::move(id)) { follower_.expect(id_); }
    Expectation(const Expectation&) = delete;
    Expectation& operator=(const Expectation&) = delete;
    ~Expectation() { follower_.forget(id_); }

private:
    Follower& follower_;
    std::string id_;
};

}  // namespace

ReplicatedStore::ReplicatedStore(const Context& context, Follower& follower, Presence& presence)
    : c_(context), follower_(follower), presence_(presence), run_(c_.instance + "-" + random_hex()) {}

Result<std::optional<Record>> ReplicatedStore::get(std::string_view kind, std::string_view key) const {
    if (kind != kServerKind) return c_.file.get(kind, key);
    for (auto& record : presence_.records()) {
        if (record.key == key) return std::optional<Record>(std::move(record));
    }
    return std::optional<Record>();
}

Result<std::optional<Record>> ReplicatedStore::find(std::string_view kind, std::string_view index,
                                                    std::string_view value) const {
    return c_.file.find(kind, index, value);
}

Result<std::vector<Record>> ReplicatedStore::list(std::string_view kind, std::string_view after,
                                                  std::size_t limit) const {
    if (kind != kServerKind) return c_.file.list(kind, after, limit);
    auto records = presence_.records();
    std::erase_if(records, [&](const Record& record) { return record.key <= after; });
    if (records.size() > limit) records.resize(limit);
    return records;
}

Result<std::vector<Record>> ReplicatedStore::scan(std::string_view kind, std::string_view index,
                                                  std::string_view prefix, std::string_view after,
                                                  std::size_t limit) const {
    return c_.file.scan(kind, index, prefix, after, limit);
}

Result<std::uint64_t> ReplicatedStore::count(std::string_view kind, std::string_view index,
                                             std::string_view prefix) const {
    return c_.file.count(kind, index, prefix);
}

Result<std::vector<Change>> ReplicatedStore::changes(Revision since, std::size_t limit) const {
    return c_.file.changes(since, limit);
}

Revision ReplicatedStore::revision() const {
    return c_.file.revision();
}

Subscription ReplicatedStore::watch(std::string kind, std::function<void(const Change&)> observer) {
    return c_.file.watch(std::move(kind), std::move(observer));
}

Awaitable<Result<Revision>> ReplicatedStore::commit(Transaction transaction) {
    NETT_CO_TRY(check_transaction(transaction));
    switch (reach_of(transaction)) {
        case Reach::kNothing:
            co_return revision();
        case Reach::kMixed:
            co_return fail(Code::kInvalidArgument, "a transaction changes either shared kinds or this server's own");
        case Reach::kLocal:
            // A server that is not part of the cluster has a file that stands alone, or another cluster's copy: both
            // take what is this host's own.
            co_return co_await c_.file.commit(std::move(transaction));
        case Reach::kShared:
            break;
    }
    auto work = commit_shared(std::move(transaction));
    co_return co_await asio::co_spawn(c_.loop, std::move(work), asio::use_awaitable);
}

Awaitable<Result<Revision>> ReplicatedStore::commit_shared(Transaction transaction) {
    std::string id = fmt::format("{}-{}", run_, ++sent_);
    const Expectation expectation(follower_, id);
    co_return co_await send(std::move(transaction), std::move(id));
}

// What the writer has read must be what this copy has: the transaction is made from it.
Awaitable<Result<void>> ReplicatedStore::check_asked(const Transaction& transaction, SteadyTime deadline) {
    for (const auto& compare : transaction.compares) {
        if (compare.kind == kServerKind) continue;
        auto record = c_.file.get(compare.kind, compare.key);
        if (!record) co_return fail(std::move(record.error()));
        Revision now = *record ? (*record)->revision : 0;
        // It was read at a server that is ahead.
        if (now < compare.revision && co_await follower_.wait_for(compare.revision, deadline)) {
            record = c_.file.get(compare.kind, compare.key);
            if (!record) co_return fail(std::move(record.error()));
            now = *record ? (*record)->revision : 0;
        }
        if (now == compare.revision) continue;
        co_return fail(Code::kAborted, "{} \"{}\" has revision {}, expected {}; read it again", compare.kind,
                       compare.key, now, compare.revision);
    }
    co_return Result<void>{};
}

Result<Mapped> ReplicatedStore::map(const Transaction& transaction, const std::string& id) const {
    const Stamp stamp{id, c_.name, transaction.actor, transaction.reason};
    auto mapped = map_transaction(c_.layout, transaction, FileCopy(c_.file), stamp);
    if (mapped) mapped->txn.reads.push_back({c_.layout.last(), ""});
    return mapped;
}

Awaitable<Result<Revision>> ReplicatedStore::send(Transaction transaction, std::string id) {
    const auto deadline = c_.clock.steady_now() + kWriteTime;
    bool doubtful = false;  // an attempt may have been stored though it was not answered
    for (int attempt = 0; attempt < kMaxUpdateAttempts; ++attempt) {
        if (const auto seen = follower_.seen(id)) co_return *seen;
        if (auto obstacle = presence_.obstacle(); obstacle && !doubtful) co_return fail(std::move(*obstacle));
        if (auto asked = co_await check_asked(transaction, deadline); !asked) {
            if (const auto seen = follower_.seen(id)) co_return *seen;
            co_return fail(std::move(asked.error()));
        }
        auto mapped = map(transaction, id);
        if (!mapped) co_return fail(std::move(mapped.error()));
        EtcdTxn txn = mapped->txn;
        auto answer = co_await c_.etcd.txn(std::move(txn));
        if (answer) {
            auto settled = co_await settle(*mapped, std::move(*answer), id, deadline);
            if (!settled) co_return fail(std::move(settled.error()));
            if (*settled != 0) co_return *settled;
            continue;
        }
        if (!is_doubtful(answer.error())) co_return fail(std::move(answer.error()));
        doubtful = true;
        presence_.doubt();
        if (c_.clock.steady_now() >= deadline) {
            co_return fail(Code::kUnavailable,
                           "etcd has not answered, or has no quorum ({}); the change may be stored all the same: look "
                           "before you repeat it",
                           answer.error().to_string());
        }
        Signal pause(c_.loop);
        co_await pause.wait(c_.clock.steady_now() + kRetryPause);
        // The watch may know what the answer would have said.
        attempt -= presence_.obstacle() ? 0 : 1;
    }
    if (const auto seen = follower_.seen(id)) co_return *seen;
    if (doubtful) {
        co_return fail(Code::kUnavailable,
                       "etcd has no quorum or is out of reach; the change may be stored all the same: look before you "
                       "repeat it");
    }
    co_return fail(Code::kAborted, "what it touches changes faster than it can be stored; try again");
}

// 0: the copy was behind and has caught up, again.
Awaitable<Result<Revision>> ReplicatedStore::settle(const Mapped& mapped, EtcdTxnAnswer answer, std::string id,
                                                    SteadyTime deadline) {
    const bool changed = answer.succeeded && mapped.changes();
    Revision head = changed ? answer.revision : 0;
    if (!changed && !answer.reads.empty() && !answer.reads.back().empty()) {
        head = answer.reads.back().front().mod_revision;
    }
    // What somebody without a stamp changed, by hand.
    for (const auto actual : answer.actual) head = std::max(head, actual);
    const bool caught_up = co_await follower_.wait_for(head, deadline);
    if (const auto seen = follower_.seen(id)) co_return *seen;
    if (answer.succeeded && !caught_up) {
        co_return fail(Code::kDeadlineExceeded,
                       "it is stored at revision {}, but this server's copy has not followed in time; see \"show "
                       "replication\"",
                       head);
    }
    if (answer.succeeded) co_return std::max<Revision>(head, 1);
    for (std::size_t i = 0; i < answer.actual.size() && i < mapped.about.size(); ++i) {
        const auto& about = mapped.about[i];
        const auto expected = mapped.txn.compares[i].mod_revision;
        if (!about.asked || answer.actual[i] == expected) continue;
        co_return fail(Code::kAborted, "{} \"{}\" has revision {}, expected {}; read it again", about.kind, about.key,
                       answer.actual[i], expected);
    }
    if (caught_up) co_return Revision{0};
    co_return fail(Code::kUnavailable, "this server's copy is behind and does not follow; see \"show replication\"");
}

}  // namespace nett::replication
