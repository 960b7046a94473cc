#include "plugins/metadata/recorder.hpp"

#include <algorithm>

#include <boost/asio/post.hpp>

#include "agent/sdk/enrol.hpp"
#include "agent/sdk/records.hpp"
#include "plugins/metadata/limits.hpp"

namespace nett::metadata {

namespace {
constexpr const char* kActor = "plugin:metadata";

// Several requests of one boot count once in what the boot-loop limit looks at.
BootHistory counted(BootHistory history, const BootRecord& boot) {
    const auto before = history.recent;
    const bool same = !before.empty() && boot.time - before.back() < kSameBoot;
    history = with_boot(std::move(history), boot);
    if (same) history.recent = before;
    return history;
}

// What earlier requests of the same tenant's clients said; the latest one says the rest.
void add_earlier(UnknownMachine& seen, const UnknownMachine& earlier) {
    seen.first_seen = earlier.first_seen;
    seen.requests += earlier.requests;
    if (seen.uuid.empty()) seen.uuid = earlier.uuid;
    if (seen.serial.empty()) seen.serial = earlier.serial;
    for (const auto& mac : earlier.macs) {
        const bool known = std::find(seen.macs.begin(), seen.macs.end(), mac) != seen.macs.end();
        if (!known && seen.macs.size() < kMaxMacsOfUnknown) seen.macs.push_back(mac);
    }
}
}  // namespace

Recorder::Recorder(Store& store, asio::any_io_executor loop, const Clock& clock)
    : store_(store),
      loop_(loop),
      clock_(clock),
      tasks_(loop, log_),
      signal_(std::make_shared<asio::steady_timer>(loop)) {}

Result<void> Recorder::start() {
    auto records = store_.list(kUnknownMachineKind);
    if (!records) return fail(std::move(records.error()));
    known_.clear();
    for (const auto& record : *records) {
        auto machine = decode<UnknownMachine>(record.value);
        if (!machine) return fail(std::move(machine.error()).in("unknown machine " + record.key));
        known_[record.key] = {std::move(*machine), record.revision};
    }
    watch_ = store_.watch(std::string(kUnknownMachineKind), [this](const Change& change) { follow(change); });
    stopping_ = false;
    tasks_.spawn(run());
    return {};
}

Awaitable<void> Recorder::stop() {
    stopping_ = true;
    signal_->cancel();
    co_await tasks_.join();
    watch_.reset();
}

void Recorder::follow(const Change& change) {
    if (!change.value) {
        known_.erase(change.key);
    } else if (auto machine = decode<UnknownMachine>(*change.value)) {
        known_[change.key] = {std::move(*machine), change.revision};
    }
}

// A client that asks in a loop is one boot for kSameBoot: what counts is when it began, what shows is the latest.
void Recorder::PendingBoots::add(BootRecord boot) {
    ++count;
    const auto repeats = [&](const BootRecord& one) {
        return one.outcome == boot.outcome && one.source == boot.source && boot.time - one.time < kSameBoot;
    };
    const auto size = last.size();
    if (size >= 2 && repeats(last[size - 1]) && repeats(last[size - 2])) {
        last.back() = std::move(boot);
        return;
    }
    last.push_back(std::move(boot));
    if (last.size() > kBootHistoryLength) last.erase(last.begin());
}

void Recorder::note_boot(const std::string& key, BootRecord boot) {
    bool first = false;
    {
        const std::lock_guard lock(mutex_);
        if (pending_.boots.size() >= kMaxPendingBoots && !pending_.boots.contains(key)) {
            ++dropped_;
            return;
        }
        first = pending_.empty();
        pending_.boots[key].add(std::move(boot));
    }
    if (first) wake();
}

void Recorder::note_unknown(UnknownMachine seen) {
    bool first = false;
    {
        const std::lock_guard lock(mutex_);
        auto key = unknown_machine_key(seen.tenant, seen.id);
        if (pending_.unknown.size() >= kMaxPendingUnknown && !pending_.unknown.contains(key)) {
            ++dropped_;
            return;
        }
        first = pending_.empty();
        const auto [entry, fresh] = pending_.unknown.try_emplace(std::move(key));
        if (!fresh) add_earlier(seen, entry->second);
        entry->second = std::move(seen);
    }
    if (first) wake();
}

std::uint64_t Recorder::dropped() const {
    const std::lock_guard lock(mutex_);
    return dropped_;
}

void Recorder::wake() {
    // The writer takes all there is before it waits, both on the loop thread: no wake-up is lost, and the first of a
    // round is enough.
    asio::post(loop_, [signal = signal_] { signal->cancel(); });
}

Recorder::Pending Recorder::take() {
    const std::lock_guard lock(mutex_);
    return std::exchange(pending_, {});
}

Awaitable<void> Recorder::run() {
    for (;;) {
        auto pending = take();
        if (pending.empty()) {
            if (stopping_) co_return;
            signal_->expires_at(asio::steady_timer::time_point::max());
            co_await signal_->async_wait(asio::as_tuple(asio::use_awaitable));
            continue;
        }
        co_await write_boots(std::move(pending.boots));
        co_await write_unknown(std::move(pending.unknown));
        const auto end = std::chrono::steady_clock::now() + kRecordInterval;
        while (!stopping_ && std::chrono::steady_clock::now() < end) {
            signal_->expires_at(end);
            co_await signal_->async_wait(asio::as_tuple(asio::use_awaitable));
        }
    }
}

Result<Transaction::Put> Recorder::history_put(const std::string& key, const PendingBoots& boots,
                                               const std::optional<Record>& record) {
    BootHistory history;
    if (record) {
        auto stored = decode<BootHistory>(record->value);
        if (!stored) return fail(std::move(stored.error()));
        history = std::move(*stored);
    }
    history.machine = key;
    for (const auto& boot : boots.last) history = counted(std::move(history), boot);
    history.boots += boots.count - boots.last.size();
    return put_of(history);
}

// A thousand machines that boot at once are twenty transactions, not a thousand.
Awaitable<void> Recorder::write_boots(std::map<std::string, PendingBoots> boots) {
    BootBatch batch;
    for (auto& [key, entry] : boots) {
        const auto machine = store_.get(kMachineKind, key);
        if (machine && !*machine) continue;  // deleted meanwhile
        batch.emplace_back(key, std::move(entry));
        if (batch.size() < kBootsAtOnce) continue;
        BootBatch full = std::exchange(batch, {});
        co_await write_batch(std::move(full));
    }
    if (!batch.empty()) co_await write_batch(std::move(batch));
}

Awaitable<void> Recorder::write_batch(BootBatch batch) {
    Transaction transaction;
    transaction.actor = kActor;
    transaction.reason = "boot request";
    for (const auto& [key, entry] : batch) {
        const auto record = store_.get(kBootHistoryKind, key);
        auto put = record ? history_put(key, entry, *record) : fail(Error(record.error()));
        if (!put) {
            log_.warning("a boot was not recorded", {{"machine", key}, {"error", put.error()}});
            continue;
        }
        transaction.compares.push_back(unchanged(kBootHistoryKind, key, *record ? (*record)->revision : 0));
        transaction.puts.push_back(std::move(*put));
    }
    if (transaction.puts.empty()) co_return;
    const auto together = co_await store_.commit(std::move(transaction));
    if (together) co_return;
    if (together.error().code == Code::kUnavailable && !stopping_) {
        for (auto& [key, entry] : batch) put_back(key, std::move(entry));
        co_return;
    }
    // One of them was written by somebody else, or cannot be: the others shall not suffer.
    for (const auto& [key, entry] : batch) {
        RecordEdit edit = [&entry = entry,
                           &key = key](const std::optional<Record>& record) -> Result<std::optional<Transaction::Put>> {
            auto put = history_put(key, entry, record);
            if (!put) return fail(std::move(put.error()));
            return std::optional(std::move(*put));
        };
        std::string kind(kBootHistoryKind);
        auto written = co_await update_record(store_, std::move(kind), key, kActor, "boot request", std::move(edit));
        if (written) continue;
        if (written.error().code == Code::kUnavailable && !stopping_) {
            put_back(key, entry);
            continue;
        }
        log_.warning("a boot was not recorded", {{"machine", key}, {"error", written.error()}});
    }
}

// The servers' common state cannot be changed now: the boots are counted when it can. They are older than what has come
// since.
void Recorder::put_back(const std::string& key, PendingBoots earlier) {
    const std::lock_guard lock(mutex_);
    if (pending_.boots.size() >= kMaxPendingBoots && !pending_.boots.contains(key)) {
        ++dropped_;
        return;
    }
    auto& entry = pending_.boots[key];
    earlier.count += entry.count;
    earlier.last.insert(earlier.last.end(), entry.last.begin(), entry.last.end());
    while (earlier.last.size() > kBootHistoryLength) earlier.last.erase(earlier.last.begin());
    entry = std::move(earlier);
}

Awaitable<void> Recorder::write_unknown(std::map<std::string, UnknownMachine> unknown) {
    if (unknown.empty()) co_return;
    Transaction transaction;
    transaction.actor = kActor;
    transaction.reason = "unregistered machines asked for a boot decision";
    std::map<std::string, std::size_t> per_tenant;
    for (const auto& [key, known] : known_) ++per_tenant[known.machine.tenant];
    for (auto& [key, seen] : unknown) {
        const auto known = known_.find(key);
        if (known != known_.end()) {
            add_earlier(seen, known->second.machine);
        } else if (++per_tenant[seen.tenant] > kMaxUnknownPerTenant) {
            evict(seen.tenant, transaction);
        }
        transaction.compares.push_back(
            {std::string(kUnknownMachineKind), key, known == known_.end() ? 0 : known->second.revision});
        transaction.puts.push_back(put_of(seen));
    }
    // Evicting what is being updated would delete and put one key.
    std::erase_if(transaction.deletes, [&](const auto& one) { return unknown.contains(one.key); });
    const auto deleted = transaction.deletes;
    auto written = co_await store_.commit(std::move(transaction));
    if (written) {
        for (const auto& one : deleted) known_.erase(one.key);
        for (auto& [key, seen] : unknown) known_[key] = {std::move(seen), *written};
        co_return;
    }
    // Aborted: one of them was registered or forgotten at this moment. They will ask again.
    if (written.error().code != Code::kAborted) {
        log_.warning("unknown machines were not recorded", {{"error", written.error()}});
    }
}

// Deletes the tenant's record that was not seen for longest and is not deleted already.
void Recorder::evict(const std::string& tenant, Transaction& transaction) const {
    const Known* oldest = nullptr;
    for (const auto& [key, known] : known_) {
        if (known.machine.tenant != tenant) continue;
        const bool taken = std::any_of(transaction.deletes.begin(), transaction.deletes.end(),
                                       [&, &key = key](const auto& one) { return one.key == key; });
        if (!taken && (oldest == nullptr || known.machine.last_seen < oldest->machine.last_seen)) oldest = &known;
    }
    if (oldest == nullptr) return;
    transaction.deletes.push_back({std::string(kUnknownMachineKind), unknown_machine_key(tenant, oldest->machine.id)});
}

}  // namespace nett::metadata
