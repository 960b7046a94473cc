#include "agent/core/inventory/plan_store.hpp"

#include <algorithm>

namespace nett {

namespace {

// limit + more, without running over.
std::size_t widened(std::size_t limit, std::size_t more) {
    return limit > SIZE_MAX - more ? SIZE_MAX : limit + more;
}

}  // namespace

Result<std::optional<Record>> PlanStore::get(std::string_view kind, std::string_view key) const {
    const auto found = overlay_.find({std::string(kind), std::string(key)});
    if (found == overlay_.end()) return base_.get(kind, key);
    const auto& [before, now, revision] = found->second;
    if (!now) return std::optional<Record>();
    return std::optional<Record>(Record{now->kind, now->key, now->value, revision});
}

Result<std::optional<Record>> PlanStore::find(std::string_view kind, std::string_view index,
                                              std::string_view value) const {
    const auto planned = index_.find({std::string(kind), std::string(index), std::string(value)});
    if (planned != index_.end()) return get(kind, planned->second);
    auto found = base_.find(kind, index, value);
    if (found && *found && is_overlaid(**found)) return std::optional<Record>();
    return found;
}

std::size_t PlanStore::overlaid(std::string_view kind) const {
    return static_cast<std::size_t>(
        std::count_if(overlay_.begin(), overlay_.end(), [&](const auto& entry) { return entry.first.first == kind; }));
}

Result<std::vector<Record>> PlanStore::list(std::string_view kind, std::string_view after, std::size_t limit) const {
    auto records = base_.list(kind, after, widened(limit, overlaid(kind)));
    if (!records) return records;
    std::erase_if(*records, [&](const Record& record) { return is_overlaid(record); });
    for (auto entry = overlay_.lower_bound({std::string(kind), std::string(after)});
         entry != overlay_.end() && entry->first.first == kind; ++entry) {
        const auto& now = entry->second.now;
        if (now && now->key > after) records->push_back({now->kind, now->key, now->value, entry->second.revision});
    }
    std::sort(records->begin(), records->end(), [](const auto& a, const auto& b) { return a.key < b.key; });
    if (records->size() > limit) records->resize(limit);
    return records;
}

Result<std::vector<Record>> PlanStore::scan(std::string_view kind, std::string_view index, std::string_view prefix,
                                            std::string_view after, std::size_t limit) const {
    auto records = base_.scan(kind, index, prefix, after, widened(limit, overlaid(kind)));
    if (!records) return records;
    std::erase_if(*records, [&](const Record& record) { return is_overlaid(record); });
    const IndexId first{std::string(kind), std::string(index), std::string(prefix)};
    for (auto entry = index_.lower_bound(first); entry != index_.end(); ++entry) {
        const auto& [entry_kind, entry_index, value] = entry->first;
        if (entry_kind != kind || entry_index != index || !value.starts_with(prefix)) break;
        if (value <= after) continue;
        const auto& planned = overlay_.at({entry_kind, entry->second});
        records->push_back({planned.now->kind, planned.now->key, planned.now->value, planned.revision});
    }
    if (records->size() > limit) records->resize(limit);
    return records;
}

Result<std::uint64_t> PlanStore::count(std::string_view kind, std::string_view index, std::string_view prefix) const {
    auto counted = base_.count(kind, index, prefix);
    if (!counted) return counted;
    for (const auto& [id, entry] : overlay_) {
        if (id.first != kind || !entry.before) continue;
        const auto was = base_.find(kind, index, std::string(prefix) + id.second);
        if (!was) return fail(was.error());
        if (*was) --*counted;
    }
    const IndexId first{std::string(kind), std::string(index), std::string(prefix)};
    for (auto entry = index_.lower_bound(first); entry != index_.end(); ++entry) {
        const auto& [entry_kind, entry_index, value] = entry->first;
        if (entry_kind != kind || entry_index != index || !value.starts_with(prefix)) break;
        ++*counted;
    }
    return counted;
}

Result<std::vector<Change>> PlanStore::changes(Revision, std::size_t) const {
    return fail(Code::kUnimplemented, "a plan has no change log");
}

Subscription PlanStore::watch(std::string, std::function<void(const Change&)>) {
    return {};
}

Result<void> PlanStore::check(const Transaction::Compare& compare) {
    const Id id{compare.kind, compare.key};
    const auto planned = overlay_.find(id);
    Revision now = 0;
    if (planned != overlay_.end()) {
        now = planned->second.now ? planned->second.revision : 0;
    } else {
        const auto record = base_.get(compare.kind, compare.key);
        if (!record) return fail(record.error());
        now = *record ? (*record)->revision : 0;
        compares_.emplace(id, now);
    }
    if (now == compare.revision) return {};
    return fail(Code::kAborted, "{} \"{}\" has changed", compare.kind, compare.key);
}

// Whether each index value that is put will have one owner.
Result<void> PlanStore::check_indexes(const Transaction& transaction) const {
    const auto goes = [&](const Record& owner) {
        const auto same = [&](const auto& one) { return one.kind == owner.kind && one.key == owner.key; };
        return std::any_of(transaction.deletes.begin(), transaction.deletes.end(), same) ||
               std::any_of(transaction.puts.begin(), transaction.puts.end(), same);
    };
    for (const auto& put : transaction.puts) {
        for (const auto& entry : put.indexes) {
            const auto owner = find(put.kind, entry.index, entry.value);
            if (!owner) return fail(owner.error());
            if (!*owner || goes(**owner)) continue;
            return fail(Code::kAlreadyExists, "{} \"{}\" has {} {} already; {} \"{}\" cannot have it too", put.kind,
                        (*owner)->key, entry.index, entry.value, put.kind, put.key);
        }
    }
    return {};
}

Result<void> PlanStore::set(const std::string& kind, const std::string& key, std::optional<Transaction::Put> now) {
    const Id id{kind, key};
    auto entry = overlay_.find(id);
    if (entry == overlay_.end()) {
        auto record = base_.get(kind, key);
        if (!record) return fail(std::move(record.error()));
        compares_.emplace(id, *record ? (*record)->revision : 0);
        Overlay fresh;
        fresh.before = std::move(*record);
        entry = overlay_.emplace(id, std::move(fresh)).first;
    }
    if (entry->second.now) {
        for (const auto& old : entry->second.now->indexes) index_.erase({kind, old.index, old.value});
    }
    entry->second.now = std::move(now);
    entry->second.revision = revision() + 1;
    return {};
}

Awaitable<Result<Revision>> PlanStore::commit(Transaction transaction) {
    for (const auto& compare : transaction.compares) NETT_CO_TRY(check(compare));
    NETT_CO_TRY(check_indexes(transaction));
    for (const auto& one : transaction.deletes) {
        const auto there = get(one.kind, one.key);
        if (!there) co_return fail(there.error());
        if (*there) NETT_CO_TRY(set(one.kind, one.key, std::nullopt));
    }
    // All old index entries go before any new one comes: two records may swap their values.
    for (const auto& put : transaction.puts) NETT_CO_TRY(set(put.kind, put.key, put));
    for (const auto& put : transaction.puts) {
        for (const auto& entry : put.indexes) index_[{put.kind, entry.index, entry.value}] = put.key;
    }
    ++commits_;
    co_return revision();
}

std::vector<PlanStore::Touched> PlanStore::touched() const {
    std::vector<Touched> out;
    for (const auto& [id, entry] : overlay_) {
        Touched one{id.first, id.second, std::nullopt, std::nullopt};
        if (entry.before) one.before = entry.before->value;
        if (entry.now) one.after = entry.now->value;
        if (one.before != one.after) out.push_back(std::move(one));
    }
    return out;
}

Transaction PlanStore::merged() const {
    Transaction out;
    for (const auto& [id, revision] : compares_) out.compares.push_back({id.first, id.second, revision});
    for (const auto& [id, entry] : overlay_) {
        if (entry.now && (!entry.before || entry.before->value != entry.now->value)) out.puts.push_back(*entry.now);
        if (!entry.now && entry.before) out.deletes.push_back({id.first, id.second});
    }
    return out;
}

}  // namespace nett
