// A Store in memory, for unit tests: revisions, compares, indexes and watches as SqliteStore's, and faults on demand.
#pragma once

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "agent/sdk/store.hpp"

namespace nett::test {

// Thread-safe. Watchers are called by the committer, before commit() returns.
class MemoryStore final : public Store {
public:
    // When set, reads or commits fail with it.
    std::optional<Error> read_fault;
    std::optional<Error> commit_fault;
    // What commit_fault refused: a write whose answer was lost may be stored later, by land().
    std::vector<Transaction> refused;
    // Called by each commit before it compares: a test can let somebody else win.
    std::function<void()> before_commit;
    // Every change so far, with actor and reason.
    std::vector<Change> log;

    // Stores without waiting; the transaction must fit.
    Revision put(Transaction::Put put) {
        Transaction transaction;
        transaction.puts.push_back(std::move(put));
        return apply(std::move(transaction)).value();
    }

    // Stores what commit_fault refused, as far as its compares hold.
    void land() {
        for (auto& one : std::exchange(refused, {})) static_cast<void>(apply(std::move(one)));
    }

    Result<std::optional<Record>> get(std::string_view kind, std::string_view key) const override {
        if (read_fault) return fail(Error(*read_fault));
        const std::lock_guard lock(mutex_);
        const auto found = records_.find({std::string(kind), std::string(key)});
        if (found == records_.end()) return std::nullopt;
        return found->second.record;
    }

    Result<std::optional<Record>> find(std::string_view kind, std::string_view index,
                                       std::string_view value) const override {
        if (read_fault) return fail(Error(*read_fault));
        const std::lock_guard lock(mutex_);
        for (const auto& [id, entry] : records_) {
            if (id.first == kind && claims(entry, index, value)) return entry.record;
        }
        return std::nullopt;
    }

    Result<std::vector<Record>> list(std::string_view kind, std::string_view after = "",
                                     std::size_t limit = SIZE_MAX) const override {
        if (read_fault) return fail(Error(*read_fault));
        const std::lock_guard lock(mutex_);
        std::vector<Record> out;
        for (const auto& [id, entry] : records_) {
            if (id.first == kind && id.second > after && out.size() < limit) out.push_back(entry.record);
        }
        return out;
    }

    Result<std::vector<Record>> scan(std::string_view kind, std::string_view index, std::string_view prefix,
                                     std::string_view after = "", std::size_t limit = SIZE_MAX) const override {
        if (read_fault) return fail(Error(*read_fault));
        const std::lock_guard lock(mutex_);
        std::map<std::string, Record> found;
        for (const auto& [id, entry] : records_) {
            if (id.first != kind) continue;
            for (const auto& one : entry.indexes) {
                if (one.index == index && one.value.starts_with(prefix) && one.value > after)
                    found[one.value] = entry.record;
            }
        }
        std::vector<Record> out;
        for (auto& [value, record] : found) {
            if (out.size() < limit) out.push_back(std::move(record));
        }
        return out;
    }

    Result<std::uint64_t> count(std::string_view kind, std::string_view index, std::string_view prefix) const override {
        auto found = scan(kind, index, prefix);
        if (!found) return fail(std::move(found.error()));
        return found->size();
    }

    Result<std::vector<Change>> changes(Revision since, std::size_t limit) const override {
        const std::lock_guard lock(mutex_);
        std::vector<Change> out;
        for (const auto& change : log) {
            if (change.revision > since && out.size() < limit) out.push_back(change);
        }
        return out;
    }

    Revision revision() const override {
        const std::lock_guard lock(mutex_);
        return revision_;
    }

    Awaitable<Result<Revision>> commit(Transaction transaction) override {
        if (before_commit) before_commit();
        if (commit_fault) {
            refused.push_back(std::move(transaction));
            co_return fail(Error(*commit_fault));
        }
        co_return apply(std::move(transaction));
    }

    [[nodiscard]] Subscription watch(std::string kind, std::function<void(const Change&)> observer) override {
        auto watcher = std::make_shared<Watcher>(Watcher{std::move(kind), std::move(observer)});
        watchers_.push_back(watcher);
        return Subscription([this, watcher] { std::erase(watchers_, watcher); });
    }

private:
    using Id = std::pair<std::string, std::string>;
    struct Entry {
        Record record;
        std::vector<IndexEntry> indexes;
    };
    struct Watcher {
        std::string kind;
        std::function<void(const Change&)> observer;
    };

    static bool claims(const Entry& entry, std::string_view index, std::string_view value) {
        return std::any_of(entry.indexes.begin(), entry.indexes.end(),
                           [&](const auto& one) { return one.index == index && one.value == value; });
    }

    Result<Revision> check(const Transaction& transaction) const {
        for (const auto& compare : transaction.compares) {
            const auto found = records_.find({compare.kind, compare.key});
            const Revision now = found == records_.end() ? 0 : found->second.record.revision;
            if (now != compare.revision)
                return fail(Code::kAborted, "{} \"{}\" has changed", compare.kind, compare.key);
        }
        for (const auto& put : transaction.puts) {
            for (const auto& [id, entry] : records_) {
                if (id.first != put.kind || id.second == put.key) continue;
                for (const auto& index : put.indexes) {
                    if (!claims(entry, index.index, index.value)) continue;
                    return fail(Code::kAlreadyExists, "{} {} is \"{}\"'s", index.index, index.value, id.second);
                }
            }
        }
        return revision_ + 1;
    }

    Result<Revision> apply(Transaction transaction) {
        std::vector<Change> done;
        {
            const std::lock_guard lock(mutex_);
            auto next = check(transaction);
            if (!next) return next;
            revision_ = *next;
            for (auto& one : transaction.deletes) {
                records_.erase({one.kind, one.key});
                done.push_back({revision_, one.kind, one.key, std::nullopt, transaction.actor, transaction.reason});
            }
            for (auto& put : transaction.puts) {
                done.push_back({revision_, put.kind, put.key, put.value, transaction.actor, transaction.reason});
                Record record{put.kind, put.key, std::move(put.value), revision_};
                records_[{put.kind, put.key}] = {std::move(record), std::move(put.indexes)};
            }
            log.insert(log.end(), done.begin(), done.end());
        }
        for (const auto& change : done) {
            for (const auto& watcher : std::vector(watchers_)) {
                if (watcher->kind.empty() || watcher->kind == change.kind) watcher->observer(change);
            }
        }
        return done.empty() ? revision() : done.front().revision;
    }

    mutable std::mutex mutex_;
    std::map<Id, Entry> records_;
    Revision revision_ = 0;
    std::vector<std::shared_ptr<Watcher>> watchers_;
};

}  // namespace nett::test
