#include "agent/core/store/writer.hpp"

#include <sqlite3.h>
#include <boost/asio/post.hpp>

namespace nett {

StoreWriter::StoreWriter(std::string path, std::unique_ptr<SQLite::Database> database, asio::any_io_executor loop,
                         std::shared_ptr<std::atomic<Revision>> revision, std::shared_ptr<WatchHub> watchers)
    : path_(std::move(path)),
      database_(std::move(database)),
      loop_(std::move(loop)),
      revision_(std::move(revision)),
      watchers_(std::move(watchers)),
      applier_(*database_),
      log_(*database_),
      replica_(*database_, applier_, log_),
      set_revision_(*database_, "UPDATE meta SET value = ? WHERE name = 'revision'"),
      thread_([this] { run(); }) {}

StoreWriter::~StoreWriter() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    wake_.notify_one();
    thread_.join();
}

void StoreWriter::submit(Transaction transaction, asio::any_io_executor executor, Handler handler) {
    auto tracked = asio::prefer(executor, asio::execution::outstanding_work.tracked);
    enqueue({std::move(transaction), {}, std::move(tracked), std::move(handler)});
}

void StoreWriter::submit(StoreTask task, asio::any_io_executor executor, Handler handler) {
    auto tracked = asio::prefer(executor, asio::execution::outstanding_work.tracked);
    enqueue({{}, std::move(task), std::move(tracked), std::move(handler)});
}

void StoreWriter::enqueue(Pending pending) {
    {
        const std::lock_guard lock(mutex_);
        if (queue_.size() < kMaxQueuedCommits) {
            queue_.push_back(std::move(pending));
            wake_.notify_one();
            return;
        }
    }
    complete(std::move(pending), fail(Code::kResourceExhausted,
                                      "{} changes are waiting for the disk already; try again", kMaxQueuedCommits));
}

void StoreWriter::complete(Pending pending, Result<Revision> result) {
    auto executor = pending.executor;
    asio::post(executor, [handler = std::move(pending.handler), result = std::move(result),
                          work = std::move(pending.executor)]() mutable { std::move(handler)(std::move(result)); });
}

void StoreWriter::run() {
    for (;;) {
        auto group = take_group();
        if (group.empty()) return;
        if (group.front().task) {
            run_task(std::move(group.front()));
        } else {
            commit_group(std::move(group));
        }
    }
}

// Waits; empty when the store closes and nothing is left. A task is alone.
std::vector<StoreWriter::Pending> StoreWriter::take_group() {
    std::unique_lock lock(mutex_);
    wake_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
    std::vector<Pending> group;
    while (!queue_.empty() && group.size() < kMaxGroupedCommits) {
        const bool apart = static_cast<bool>(queue_.front().task);
        if (!group.empty() && (apart || group.front().task)) break;
        group.push_back(std::move(queue_.front()));
        queue_.pop_front();
    }
    return group;
}

void StoreWriter::commit_group(std::vector<Pending> group) {
    auto outcome = try_group(group);
    if (outcome) return publish(std::move(group), std::move(*outcome));
    if (group.size() == 1) return complete(std::move(group.front()), fail(std::move(outcome.error())));
    // SQLite gave the whole group up (a full disk does that): only those that fail by themselves shall fail.
    for (auto& pending : group) {
        std::vector<Pending> alone;
        alone.push_back(std::move(pending));
        commit_group(std::move(alone));
    }
}

// An error means that nothing of the group is in the database.
Result<StoreWriter::Outcome> StoreWriter::try_group(const std::vector<Pending>& group) {
    auto result = guard_sqlite(path_, [&]() -> Result<Outcome> {
        Outcome outcome;
        outcome.local = replica_.active();
        const Revision before = outcome.local ? replica_.local_revision() : revision_->load(std::memory_order_relaxed);
        outcome.revision = before;
        database_->exec("BEGIN IMMEDIATE");
        for (const auto& pending : group) {
            const std::size_t changes_before = outcome.changes.size();
            auto applied = apply_in_savepoint(pending.transaction, outcome.revision + 1, outcome.changes);
            if (!applied) {
                outcome.changes.resize(changes_before);
                outcome.results.push_back(fail(std::move(applied.error())));
                continue;
            }
            if (outcome.changes.size() != changes_before) ++outcome.revision;
            outcome.results.emplace_back(outcome.revision);
        }
        if (outcome.revision == before) {
            database_->exec("ROLLBACK");
            return outcome;
        }
        number(outcome);
        database_->exec("COMMIT");
        return outcome;
    });
    if (result) return result;
    auto undone = roll_back();
    if (!undone) return fail(std::move(undone.error()));
    return result;
}

void StoreWriter::number(const Outcome& outcome) {
    if (outcome.local) return replica_.set_local_revision(outcome.revision);
    log_.append(outcome.changes);
    log_.trim();
    const StatementScope scope(set_revision_);
    bind_integer(set_revision_, 1, outcome.revision);
    set_revision_.exec();
}

Result<void> StoreWriter::roll_back() {
    return guard_sqlite(path_, [&]() -> Result<void> {
        if (sqlite3_get_autocommit(database_->getHandle()) == 0) database_->exec("ROLLBACK");
        log_.recount();
        replica_.reload();
        return {};
    });
}

void StoreWriter::run_task(Pending pending) {
    auto outcome = guard_sqlite(path_, [&]() -> Result<TaskOutcome> {
        database_->exec("BEGIN IMMEDIATE");
        auto done = pending.task(replica_);
        if (!done) return done;
        database_->exec("COMMIT");
        return done;
    });
    if (!outcome) {
        auto undone = roll_back();
        return complete(std::move(pending), fail(undone ? std::move(outcome.error()) : std::move(undone.error())));
    }
    if (outcome->revision) revision_->store(*outcome->revision, std::memory_order_release);
    if (outcome->renumbered || !outcome->changes.empty()) {
        asio::post(loop_, [watchers = watchers_, done = *outcome] {
            if (done.renumbered) watchers->forget_revisions();
            watchers->deliver(done.changes, done.to_all ? WatchHub::To::kAll : WatchHub::To::kLater);
        });
    }
    complete(std::move(pending), outcome->answer);
}

// Throws when SQLite gave up more than this transaction.
Result<void> StoreWriter::apply_in_savepoint(const Transaction& transaction, Revision revision,
                                             std::vector<Change>& changes) {
    if (replica_.active()) NETT_TRY(ReplicaTables::check_local(transaction));
    database_->exec("SAVEPOINT one");
    auto applied = applier_.apply(transaction, revision, changes);
    if (!applied) database_->exec("ROLLBACK TO one");
    database_->exec("RELEASE one");
    return applied;
}

// Durable: readers, then watchers, then the committers.
void StoreWriter::publish(std::vector<Pending> group, Outcome outcome) {
    if (!outcome.local) revision_->store(outcome.revision, std::memory_order_release);
    if (!outcome.changes.empty()) {
        // Local revisions cannot be compared with those that a watcher began at.
        const auto to = outcome.local ? WatchHub::To::kAll : WatchHub::To::kLater;
        asio::post(loop_, [watchers = watchers_, changes = std::move(outcome.changes), to] {
            watchers->deliver(changes, to);
        });
    }
    for (std::size_t i = 0; i < group.size(); ++i) complete(std::move(group[i]), std::move(outcome.results[i]));
}

}  // namespace nett
