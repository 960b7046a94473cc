// An etcd in memory, for unit tests: revisions, transactions, watches, leases, compaction, and faults on demand.
// Several clients share one FakeCluster.
#pragma once

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "agent/replication/etcd.hpp"

namespace nett::test {

// What etcd's members have on their disks. Loop thread only.
class FakeCluster {
public:
    using Event = replication::EtcdEvent;

    Revision revision = 1;
    Revision compacted = 0;
    std::map<std::string, replication::EtcdKeyValue> keys;
    std::vector<Event> history;
    std::map<const void*, std::function<void()>> watchers;

    bool inside(const replication::EtcdRange& range, const std::string& key) const {
        return range.end.empty() ? key == range.begin : key >= range.begin && key < range.end;
    }
    std::vector<replication::EtcdKeyValue> read(const replication::EtcdRange& range) const {
        std::vector<replication::EtcdKeyValue> out;
        for (const auto& [key, entry] : keys) {
            if (inside(range, key)) out.push_back(entry);
        }
        return out;
    }
    replication::EtcdTxnAnswer apply(const replication::EtcdTxn& txn) {
        replication::EtcdTxnAnswer answer;
        answer.succeeded = true;
        for (const auto& compare : txn.compares) {
            const auto found = keys.find(compare.key);
            answer.actual.push_back(found == keys.end() ? 0 : found->second.mod_revision);
            if (answer.actual.back() != compare.mod_revision) answer.succeeded = false;
        }
        if (answer.succeeded) change(txn);
        answer.revision = revision;
        for (const auto& range : txn.reads) answer.reads.push_back(read(range));
        return answer;
    }
    void compact() {
        compacted = revision;
        std::erase_if(history, [&](const Event& event) { return event.entry.mod_revision <= compacted; });
    }
    void remove(const std::string& key) {
        replication::EtcdTxn txn;
        txn.deletes.push_back({key, ""});
        apply(txn);
    }

private:
    void change(const replication::EtcdTxn& txn) {
        const auto next = revision + 1;
        std::vector<Event> events;
        for (const auto& range : txn.deletes) {
            for (const auto& entry : read(range)) {
                keys.erase(entry.key);
                events.push_back({true, {entry.key, "", next}});
            }
        }
        for (const auto& put : txn.puts) {
            keys[put.key] = {put.key, put.value, next};
            events.push_back({false, keys[put.key]});
        }
        if (events.empty()) return;
        revision = next;
        history.insert(history.end(), events.begin(), events.end());
        const auto listeners = watchers;
        for (const auto& [owner, wake] : listeners) wake();
    }
};

class FakeWatch final : public replication::EtcdWatch {
public:
    FakeWatch(asio::any_io_executor loop, FakeCluster& cluster, const bool& reachable, replication::EtcdRange range,
              Revision start)
        : cluster_(cluster), reachable_(reachable), range_(std::move(range)), next_(start), timer_(loop) {
        cluster_.watchers[this] = [this] { timer_.cancel(); };
    }
    ~FakeWatch() override { cluster_.watchers.erase(this); }

    Awaitable<Result<replication::EtcdEvents>> next() override {
        for (;;) {
            if (cancelled_ || !reachable_) co_return fail(Code::kUnavailable, "the stream has ended");
            if (next_ <= cluster_.compacted) co_return fail(Code::kDataLoss, "compacted");
            replication::EtcdEvents out;
            for (const auto& event : cluster_.history) {
                if (event.entry.mod_revision < next_ || !cluster_.inside(range_, event.entry.key)) continue;
                // One revision a message.
                if (!out.events.empty() && out.events.back().entry.mod_revision != event.entry.mod_revision) break;
                out.events.push_back(event);
                out.complete_to = event.entry.mod_revision;
            }
            if (!out.events.empty() && !cluster_silent) {
                next_ = out.complete_to + 1;
                co_return out;
            }
            timer_.expires_after(std::chrono::hours(1));
            boost::system::error_code ignored;
            co_await timer_.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
        }
    }
    void cancel() override {
        cancelled_ = true;
        timer_.cancel();
    }

    // All watches hold their events back: a copy that lags.
    static inline bool cluster_silent = false;

private:
    FakeCluster& cluster_;
    const bool& reachable_;
    replication::EtcdRange range_;
    Revision next_;
    asio::steady_timer timer_;
    bool cancelled_ = false;
};

class FakeEtcd final : public replication::Etcd {
public:
    FakeEtcd(asio::any_io_executor loop, FakeCluster& cluster) : loop_(loop), cluster_(cluster) {}

    bool reachable = true;
    // The next transaction of this kind is done, but its answer gets lost.
    bool lose_next_answer = false;
    // Called before a transaction is decided: a test can let somebody else win.
    std::function<void()> before_txn;
    std::size_t transactions = 0;

    Awaitable<Result<replication::EtcdTxnAnswer>> txn(replication::EtcdTxn txn) override {
        co_await asio::post(loop_, asio::use_awaitable);
        if (!reachable) co_return fail(Code::kUnavailable, "no member answers");
        const bool beat = txn.compares.size() == 1 && txn.compares[0].key.find("/server/") != std::string::npos &&
                          txn.puts.size() == 1;
        if (!beat) ++transactions;
        if (!beat && before_txn) std::exchange(before_txn, nullptr)();
        auto answer = cluster_.apply(txn);
        co_await asio::post(loop_, asio::use_awaitable);
        if (!beat && std::exchange(lose_next_answer, false)) co_return fail(Code::kDeadlineExceeded, "does not answer");
        co_return answer;
    }
    Awaitable<Result<replication::EtcdPage>> range(replication::EtcdRange range, Revision, std::size_t limit) override {
        co_await asio::post(loop_, asio::use_awaitable);
        if (!reachable) co_return fail(Code::kUnavailable, "no member answers");
        replication::EtcdPage page{cluster_.read(range), false, cluster_.revision};
        page.more = page.entries.size() > limit;
        if (page.more) page.entries.resize(limit);
        co_return page;
    }
    std::unique_ptr<replication::EtcdWatch> watch(replication::EtcdRange range, Revision start) override {
        return std::make_unique<FakeWatch>(loop_, cluster_, reachable, std::move(range), start);
    }
    Awaitable<Result<std::int64_t>> grant_lease(std::chrono::seconds) override {
        if (!reachable) co_return fail(Code::kUnavailable, "no member answers");
        co_return 7;
    }
    Awaitable<Result<void>> revoke_lease(std::int64_t) override { co_return Result<void>{}; }
    std::string endpoint() const override { return "[::1]:2379"; }
    void rotate() override {}
    void stop() override {}
    // What the network does when a link goes: streams end.
    void cut(bool away) {
        reachable = !away;
        for (const auto& [owner, wake] : std::map(cluster_.watchers)) wake();
    }

private:
    asio::any_io_executor loop_;
    FakeCluster& cluster_;
};

}  // namespace nett::test
