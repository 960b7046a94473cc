#include "agent/replication/follower.hpp"

#include <algorithm>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

#include "agent/replication/rules.hpp"

namespace nett::replication {

namespace {

constexpr std::chrono::milliseconds kFirstPause{200};
constexpr std::chrono::milliseconds kLongestPause{3000};
// The file's revision is brought forward over revisions that changed nothing, so that a restart does not begin at one
// that etcd has compacted.
constexpr Revision kStoredBehind = 1000;
constexpr std::size_t kSnapshotPage = 64;  // records; configs of 100 kB make 6 MiB

}  // namespace

Follower::Follower(const Context& context) : c_(context), pause_(context.loop), ended_(context.loop) {}

void Follower::start() {
    applied_ = stored_ = c_.file.revision();
    running_ = true;
    asio::co_spawn(c_.loop, run(), asio::detached);  // stop() waits for it
}

Awaitable<void> Follower::stop() {
    stopping_ = true;
    if (watch_) watch_->cancel();
    pause_.notify();
    for (const auto& [revision, waiter] : waiters_) waiter->signal.notify();
    while (running_) co_await ended_.wait(SteadyTime::max());
}

Awaitable<void> Follower::run() {
    auto pause = kFirstPause;
    while (!stopping_) {
        doing_ = "joining";
        auto done = co_await join();
        if (done) {
            if (!trouble_.empty()) log_.info("following the shared state", {{"member", c_.etcd.endpoint()}});
            trouble_.clear();
            pause = kFirstPause;
            doing_ = "following";
            done = co_await follow();
        }
        if (stopping_) break;
        doing_ = "waiting";
        if (!done) {
            if (trouble_ != done.error().message) {
                log_.warning("the shared state is not followed; trying on", {{"error", done.error()}});
            }
            trouble_ = done.error().message;
        }
        co_await pause_.wait(c_.clock.steady_now() + pause);
        pause = std::min(pause * 2, kLongestPause);
    }
    watch_.reset();
    running_ = false;
    ended_.notify();
}

Awaitable<Result<std::optional<EtcdKeyValue>>> Follower::read_meta(Revision& newest) {
    EtcdRange range{c_.layout.meta(), ""};
    auto page = co_await c_.etcd.range(std::move(range), 0, 1);
    if (!page) co_return fail(std::move(page.error()));
    newest = page->revision;
    if (page->entries.empty()) co_return std::optional<EtcdKeyValue>();
    co_return std::optional<EtcdKeyValue>(std::move(page->entries.front()));
}

Result<void> Follower::check_proof(const Meta& meta) const {
    const auto opened = c_.secrets.open(meta.proof, kProofContext);
    if (opened && *opened == kProofText) return {};
    return fail(Code::kFailedPrecondition,
                "this server's secret key is not the cluster's: copy the file of \"secret-key file\" from another "
                "server, 0600, and restart nettd");
}

Awaitable<Result<void>> Follower::join() {
    Revision newest = 0;
    auto found = co_await read_meta(newest);
    if (!found) co_return fail(std::move(found.error()));
    std::optional<Meta> meta;
    if (*found) {
        auto decoded = decode_meta((*found)->value);
        if (!decoded) co_return fail(std::move(decoded.error()));
        meta = std::move(*decoded);
    }
    const auto file = c_.file.replica_state();
    if (!file) co_return fail(Error(file.error()));
    auto how = decide_join(meta, *file, newest);
    if (how && meta && !meta->importing) {
        if (auto proven = check_proof(*meta); !proven) how = fail(std::move(proven.error()));
    }
    if (busy_) how = fail(Code::kUnavailable, "this server's state is being moved into etcd");
    if (!how) {
        refused_ = how.error();
        co_return fail(std::move(how.error()));
    }
    if (*how == Join::kMake) {
        co_return co_await make_cluster();
    }
    if (*how == Join::kAdopt) {
        NETT_CO_TRY(co_await take_snapshot(meta->cluster));
    }
    refused_.reset();
    co_return Result<void>{};
}

Awaitable<Result<void>> Follower::take_snapshot(std::uint64_t cluster) {
    doing_ = "taking a snapshot";
    const auto records = c_.layout.records();
    EtcdRange rest = records;
    Revision revision = 0;
    bool first = true;
    for (bool more = true; more;) {
        auto page = co_await c_.etcd.range(rest, revision, kSnapshotPage);
        if (!page) co_return fail(std::move(page.error()));
        if (revision == 0) revision = page->revision;
        more = page->more && !page->entries.empty();
        if (more) rest.begin = page->entries.back().key + '\0';
        std::vector<ReplicaPut> puts;
        std::vector<std::string> damaged;
        for (auto& entry : page->entries) {
            auto place = c_.layout.parse(entry.key);
            auto text = decode_record_text(entry.value);
            if (place.sort != StateKey::Sort::kRecord || !text) {
                damaged.push_back(entry.key);
                continue;
            }
            puts.push_back({std::move(place.kind), std::move(place.key), std::move(text->value), entry.mod_revision,
                            std::move(text->indexes)});
        }
        tell_of_damage(damaged);
        auto staged = co_await c_.file.stage(std::move(puts), cluster, first);
        if (!staged) co_return fail(std::move(staged.error()));
        first = false;
    }
    auto adopted = co_await c_.file.adopt(cluster, revision);
    if (!adopted) co_return fail(std::move(adopted.error()));
    ++snapshots_;
    log_.info("took a snapshot of the shared state", {{"revision", revision}});
    applied_ = 0;  // a new cluster's numbers may be smaller
    advance(revision);
    stored_ = revision;
    doing_ = "following";
    co_return Result<void>{};
}

Awaitable<Result<void>> Follower::follow() {
    Assembler assembler(c_.layout);
    watch_ = c_.etcd.watch(c_.layout.state(), applied_ + 1);
    while (!stopping_) {
        auto events = co_await watch_->next();
        if (!events) {
            watch_.reset();
            if (events.error().code != Code::kDataLoss) co_return fail(std::move(events.error()));
            log_.info("etcd has compacted what comes next; taking a snapshot", {{"applied", applied_}});
            const auto file = c_.file.replica_state();
            if (!file) co_return fail(Error(file.error()));
            co_return co_await take_snapshot(file->cluster);
        }
        auto whole = assembler.add(*events);
        auto applied = co_await apply(std::move(whole));
        if (!applied) {
            watch_.reset();
            co_return applied;
        }
    }
    co_return Result<void>{};
}

Awaitable<Result<void>> Follower::apply(Assembler::Whole whole) {
    tell_of_damage(whole.damaged);
    if (whole.complete_to <= applied_) co_return Result<void>{};
    if (!whole.revisions.empty() || whole.complete_to - stored_ >= kStoredBehind) {
        auto stored = co_await c_.file.follow(std::move(whole.revisions), whole.complete_to);
        if (!stored) co_return fail(std::move(stored.error()).in("writing the local copy"));
        stored_ = whole.complete_to;
    }
    for (const auto& [id, revision] : whole.ids) {
        if (const auto expected = expected_.find(id); expected != expected_.end()) expected->second = revision;
    }
    advance(whole.complete_to);
    co_return Result<void>{};
}

void Follower::advance(Revision revision) {
    applied_ = std::max(applied_, revision);
    for (auto waiter = waiters_.begin(); waiter != waiters_.end() && waiter->first <= applied_; ++waiter) {
        waiter->second->due = true;
        waiter->second->signal.notify();
    }
}

std::optional<Revision> Follower::seen(const std::string& id) const {
    const auto found = expected_.find(id);
    if (found == expected_.end() || found->second == 0) return std::nullopt;
    return found->second;
}

Awaitable<bool> Follower::wait_for(Revision revision, SteadyTime deadline) {
    if (revision <= applied_) co_return true;
    Waiter waiter{Signal(c_.loop)};
    const auto place = waiters_.emplace(revision, &waiter);
    while (!waiter.due && !stopping_ && co_await waiter.signal.wait(deadline)) {
    }
    waiters_.erase(place);
    co_return revision <= applied_;
}

void Follower::kick() {
    c_.etcd.rotate();
    if (watch_) watch_->cancel();
    pause_.notify();
}

void Follower::tell_of_damage(const std::vector<std::string>& keys) const {
    for (const auto& key : keys) {
        log_.error("a key of the shared state is not readable and left out; was it changed by hand?", {{"key", key}});
    }
}

}  // namespace nett::replication
