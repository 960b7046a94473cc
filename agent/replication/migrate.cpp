// Follower: making a cluster, empty or from this server's records.
#include <openssl/rand.h>

#include "agent/replication/follower.hpp"

namespace nett::replication {

namespace {

// Well below etcd's limits of 128 operations and 1.5 MiB a transaction.
constexpr std::size_t kUploadOperations = 100;
constexpr std::size_t kUploadBytes = 1U << 20U;
constexpr std::size_t kUploadPage = 64;

// Records on their way into etcd, a transaction at a time.
class Upload {
public:
    Upload(const Layout& layout, std::string guard_key, Revision guard)
        : layout_(layout), guard_key_(std::move(guard_key)), guard_(guard) {}

    void add(const ReplicaPut& record) {
        put(layout_.record(record.kind, record.key), encode_record(record.value, record.indexes));
        for (const auto& entry : record.indexes) {
            if (is_claim(entry, record.key)) put(layout_.index(record.kind, entry), record.key);
        }
    }
    bool full() const { return puts_.size() >= kUploadOperations / 2 || bytes_ >= kUploadBytes / 2; }
    bool empty() const { return puts_.empty(); }
    EtcdTxn take() {
        EtcdTxn txn;
        txn.compares.push_back({guard_key_, guard_});
        txn.puts = std::move(puts_);
        puts_.clear();
        bytes_ = 0;
        return txn;
    }

private:
    void put(std::string key, std::string value) {
        bytes_ += key.size() + value.size();
        puts_.push_back({std::move(key), std::move(value)});
    }

    const Layout& layout_;
    const std::string guard_key_;
    const Revision guard_;
    std::vector<EtcdTxn::Put> puts_;
    std::size_t bytes_ = 0;
};

Awaitable<Result<Revision>> guarded(Etcd& etcd, EtcdTxn txn) {
    auto answer = co_await etcd.txn(std::move(txn));
    if (!answer) co_return fail(std::move(answer.error()));
    if (!answer->succeeded) co_return fail(Code::kAborted, "another server was faster");
    co_return answer->revision;
}

}  // namespace

Result<Meta> Follower::new_meta() const {
    auto proof = c_.secrets.seal(kProofText, kProofContext);
    if (!proof) return fail(std::move(proof.error()));
    Meta meta;
    meta.proof = std::move(*proof);
    unsigned char bytes[sizeof meta.cluster];
    if (RAND_bytes(bytes, sizeof bytes) != 1) return fail(Code::kInternal, "OpenSSL has no random bytes");
    for (const auto byte : bytes) meta.cluster = meta.cluster << 8U | byte;
    meta.cluster = (meta.cluster >> 1U) | 1U;  // SQLite's integers are signed
    return meta;
}

Awaitable<Result<void>> Follower::make_cluster() {
    auto meta = new_meta();
    if (!meta) co_return fail(std::move(meta.error()));
    EtcdTxn txn;
    txn.compares.push_back({c_.layout.meta(), 0});
    txn.puts.push_back({c_.layout.meta(), encode(*meta)});
    auto made = co_await guarded(c_.etcd, std::move(txn));
    if (!made) co_return fail(std::move(made.error()));  // another server made it: join() looks again
    log_.info("made a cluster", {{"prefix", c_.layout.meta()}});
    NETT_CO_TRY(co_await take_snapshot(meta->cluster));
    refused_.reset();
    co_return Result<void>{};
}

// Answers how many records went.
Awaitable<Result<std::uint64_t>> Follower::migrate_in() {
    if (busy_) co_return fail(Code::kFailedPrecondition, "that is under way already");
    if (!refused_) co_return fail(Code::kFailedPrecondition, "this server's state is shared already");
    Revision newest = 0;
    auto found = co_await read_meta(newest);
    if (!found) co_return fail(std::move(found.error()));
    if (*found) {
        const auto there = decode_meta((*found)->value);
        if (!there || !there->importing) {
            co_return fail(Code::kFailedPrecondition,
                           "etcd has a cluster's state below this prefix already: give this one another \"state "
                           "prefix\", or move this server's state file away to join that one");
        }
    }
    auto meta = new_meta();
    if (!meta) co_return fail(std::move(meta.error()));
    busy_ = true;
    auto moved = co_await upload(*meta, *found ? (*found)->mod_revision : 0);
    busy_ = false;
    if (moved) refused_.reset();
    kick();
    co_return moved;
}

Awaitable<Result<std::uint64_t>> Follower::upload(const Meta& meta, Revision guard) {
    Meta importing = meta;
    importing.importing = true;
    EtcdTxn begin;
    begin.compares.push_back({c_.layout.meta(), guard});
    begin.deletes.push_back(c_.layout.state());  // of an import that broke off
    begin.puts.push_back({c_.layout.meta(), encode(importing)});
    const auto begun = co_await guarded(c_.etcd, std::move(begin));
    if (!begun) co_return fail(Error(begun.error()));
    Upload upload(c_.layout, c_.layout.meta(), *begun);
    std::uint64_t count = 0;
    std::string kind;
    std::string key;
    for (bool more = true; more;) {
        const auto page = c_.file.shared_records(kind, key, kUploadPage);
        if (!page) co_return fail(Error(page.error()));
        more = page->size() == kUploadPage;
        for (const auto& record : *page) {
            upload.add(record);
            ++count;
            if (!upload.full()) continue;
            auto txn = upload.take();
            auto sent = co_await guarded(c_.etcd, std::move(txn));
            if (!sent) co_return fail(std::move(sent.error()));
        }
        if (!page->empty()) {
            kind = page->back().kind;
            key = page->back().key;
        }
    }
    auto last = upload.take();
    last.puts.push_back({c_.layout.meta(), encode(meta)});
    auto ended = co_await guarded(c_.etcd, std::move(last));
    if (!ended) co_return fail(std::move(ended.error()));
    NETT_CO_TRY(co_await take_snapshot(meta.cluster));
    log_.info("moved this server's state into etcd", {{"records", count}});
    co_return count;
}

}  // namespace nett::replication
