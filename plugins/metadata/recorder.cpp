#include "plugins/metadata/recorder.hpp"

#include <algorithm>

#include <boost/asio/post.hpp>

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

// What earlier requests of the tenant said; the latest one says the rest. What another tenant's clients said is not
// passed on.
void add_earlier(UnknownMachine& seen, const UnknownMachine& earlier) {
    if (seen.tenant != earlier.tenant) return;
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

void Recorder::note_boot(const std::string& key, BootRecord boot) {
    {
        const std::lock_guard lock(mutex_);
        if (pending_.boots.size() >= kMaxPendingBoots && !pending_.boots.contains(key)) {
            ++dropped_;
            return;
        }
        auto& entry = pending_.boots[key];
        ++entry.count;
        entry.last.push_back(std::move(boot));
        if (entry.last.size() > kBootHistoryLength) entry.last.erase(entry.last.begin());
    }
    wake();
}

void Recorder::note_unknown(UnknownMachine seen) {
    {
        const std::lock_guard lock(mutex_);
        if (pending_.unknown.size() >= kMaxPendingUnknown && !pending_.unknown.contains(seen.id)) {
            ++dropped_;
            return;
        }
        const auto [entry, fresh] = pending_.unknown.try_emplace(seen.id);
        if (!fresh) add_earlier(seen, entry->second);
        entry->second = std::move(seen);
    }
    wake();
}

std::uint64_t Recorder::dropped() const {
    const std::lock_guard lock(mutex_);
    return dropped_;
}

void Recorder::wake() {
    // The writer looks for work before it waits, both on the loop thread: no wake-up is lost.
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

Awaitable<void> Recorder::write_boots(std::map<std::string, PendingBoots> boots) {
    for (const auto& [key, entry] : boots) {
        const auto machine = store_.get(kMachineKind, key);
        if (machine && !*machine) continue;  // deleted meanwhile
        RecordEdit edit = [&entry,
                           &key](const std::optional<Record>& record) -> Result<std::optional<Transaction::Put>> {
            BootHistory history;
            if (record) {
                auto stored = decode<BootHistory>(record->value);
                if (!stored) return fail(std::move(stored.error()));
                history = std::move(*stored);
            }
            history.machine = key;
            for (const auto& boot : entry.last) history = counted(std::move(history), boot);
            history.boots += entry.count - entry.last.size();
            return put_of(history);
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
    for (const auto& [id, known] : known_) ++per_tenant[known.machine.tenant];
    for (auto& [id, seen] : unknown) {
        const auto known = known_.find(id);
        if (known != known_.end()) {
            add_earlier(seen, known->second.machine);
        } else if (++per_tenant[seen.tenant] > kMaxUnknownPerTenant) {
            evict(seen.tenant, transaction);
        }
        transaction.compares.push_back(
            {std::string(kUnknownMachineKind), id, known == known_.end() ? 0 : known->second.revision});
        transaction.puts.push_back(put_of(seen));
    }
    // Evicting what is being updated would delete and put one key.
    std::erase_if(transaction.deletes, [&](const auto& one) { return unknown.contains(one.key); });
    const auto deleted = transaction.deletes;
    auto written = co_await store_.commit(std::move(transaction));
    if (written) {
        for (const auto& one : deleted) known_.erase(one.key);
        for (auto& [id, seen] : unknown) known_[id] = {std::move(seen), *written};
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
    for (const auto& [id, known] : known_) {
        if (known.machine.tenant != tenant) continue;
        const bool taken = std::any_of(transaction.deletes.begin(), transaction.deletes.end(),
                                       [&](const auto& one) { return one.key == id; });
        if (!taken && (oldest == nullptr || known.machine.last_seen < oldest->machine.last_seen)) oldest = &known;
    }
    if (oldest != nullptr) transaction.deletes.push_back({std::string(kUnknownMachineKind), oldest->machine.id});
}

}  // namespace nett::metadata
