#include "agent/replication/mapping.hpp"

#include <algorithm>
#include <set>

namespace nett::replication {

namespace {

using Id = std::pair<std::string, std::string>;                   // kind, key
using Claim = std::tuple<std::string, std::string, std::string>;  // kind, index, value

class Mapper {
public:
    Mapper(const Layout& layout, const Transaction& transaction, const LocalCopy& copy)
        : layout_(layout), transaction_(transaction), copy_(copy) {}

    Result<Mapped> map(const Stamp& stamp) {
        for (const auto& compare : transaction_.compares) ask(compare);
        for (const auto& deletion : transaction_.deletes) NETT_TRY(remove(deletion));
        for (const auto& put : transaction_.puts) NETT_TRY(this->put(put));
        for (const auto& put : transaction_.puts) NETT_TRY(claim(put));
        for (const auto& [kind, index, value] : released_) {
            out_.txn.deletes.push_back({layout_.index(kind, {index, value}), ""});
        }
        if (out_.changes()) out_.txn.puts.push_back({layout_.last(), encode(stamp)});
        return std::move(out_);
    }

private:
    void ask(const Transaction::Compare& compare) {
        const bool server = compare.kind == kServerKind;
        compared_.insert({compare.kind, compare.key});
        out_.txn.compares.push_back(
            {server ? layout_.server(compare.key) : layout_.record(compare.kind, compare.key), compare.revision});
        out_.about.push_back({compare.kind, compare.key, true});
    }

    void imply(const std::string& kind, const std::string& key, Revision revision) {
        if (!compared_.insert({kind, key}).second) return;
        out_.txn.compares.push_back({layout_.record(kind, key), revision});
        out_.about.push_back({kind, key, false});
    }

    // What it claimed is free, unless somebody in this transaction takes it.
    void release(const std::string& kind, const std::string& key, const std::vector<IndexEntry>& indexes) {
        for (const auto& entry : indexes) {
            if (is_claim(entry, key)) released_.insert({kind, entry.index, entry.value});
        }
    }

    Result<void> remove(const Transaction::Delete& deletion) {
        const auto known = copy_.record(deletion.kind, deletion.key);
        if (!known) return fail(known.error());
        imply(deletion.kind, deletion.key, known->revision);
        if (known->revision == 0) return {};
        out_.txn.deletes.push_back({layout_.record(deletion.kind, deletion.key), ""});
        release(deletion.kind, deletion.key, known->indexes);
        return {};
    }

    Result<void> put(const Transaction::Put& put) {
        const auto known = copy_.record(put.kind, put.key);
        if (!known) return fail(known.error());
        const auto claims = [&](const IndexEntry& entry) { return is_claim(entry, put.key); };
        const bool old_claims = std::any_of(known->indexes.begin(), known->indexes.end(), claims);
        const bool new_claims = std::any_of(put.indexes.begin(), put.indexes.end(), claims);
        if (old_claims || new_claims) imply(put.kind, put.key, known->revision);
        release(put.kind, put.key, known->indexes);
        out_.txn.puts.push_back({layout_.record(put.kind, put.key), encode_record(put.value, put.indexes)});
        return {};
    }

    Result<void> claim(const Transaction::Put& put) {
        for (const auto& entry : put.indexes) {
            if (!is_claim(entry, put.key)) continue;
            const Claim claim{put.kind, entry.index, entry.value};
            const auto [taken, fresh] = claimed_.emplace(claim, put.key);
            if (!fresh && taken->second == put.key) continue;  // listed twice
            if (!fresh) return refuse(put, entry, taken->second);
            const auto owner = copy_.owner(put.kind, entry);
            if (!owner) return fail(owner.error());
            const bool given_up = released_.erase(claim) != 0;
            if (*owner == put.key) continue;  // as before: its own comparison guards it
            if (*owner && !given_up) return refuse(put, entry, **owner);
            const auto key = layout_.index(put.kind, entry);
            // From another record of this transaction: that one's comparison guards it.
            if (!*owner) {
                out_.txn.compares.push_back({key, 0});
                out_.about.push_back({put.kind, put.key, false});
            }
            out_.txn.puts.push_back({key, put.key});
        }
        return {};
    }

    static tl::unexpected<Error> refuse(const Transaction::Put& put, const IndexEntry& entry,
                                        const std::string& owner) {
        return fail(Code::kAlreadyExists, "{} \"{}\" has {} {} already; {} \"{}\" cannot have it too", put.kind, owner,
                    entry.index, entry.value, put.kind, put.key);
    }

    const Layout& layout_;
    const Transaction& transaction_;
    const LocalCopy& copy_;
    Mapped out_;
    std::set<Id> compared_;
    std::set<Claim> released_;
    std::map<Claim, std::string> claimed_;
};

}  // namespace

Result<Mapped> map_transaction(const Layout& layout, const Transaction& transaction, const LocalCopy& copy,
                               const Stamp& stamp) {
    return Mapper(layout, transaction, copy).map(stamp);
}

void Assembler::add_event(const EtcdEvent& event, Whole& whole) {
    const auto revision = event.entry.mod_revision;
    const auto place = layout_.parse(event.entry.key);
    auto& open = open_[revision];
    open.revision = revision;
    auto& transaction = open.transaction;
    if (place.sort == StateKey::Sort::kLast && !event.deleted) {
        const auto stamp = decode_stamp(event.entry.value);
        if (!stamp) return whole.damaged.push_back(event.entry.key);
        transaction.actor = stamp->actor;
        transaction.reason = stamp->reason;
        ids_[revision] = stamp->id;
        return;
    }
    if (place.sort == StateKey::Sort::kOther) return whole.damaged.push_back(event.entry.key);
    if (place.sort != StateKey::Sort::kRecord) return;
    if (event.deleted) return transaction.deletes.push_back({place.kind, place.key});
    auto text = decode_record_text(event.entry.value);
    if (!text) return whole.damaged.push_back(event.entry.key);
    transaction.puts.push_back({place.kind, place.key, std::move(text->value), std::move(text->indexes)});
}

Assembler::Whole Assembler::add(const EtcdEvents& events) {
    Whole whole;
    whole.complete_to = events.complete_to;
    for (const auto& event : events.events) add_event(event, whole);
    while (!open_.empty() && open_.begin()->first <= events.complete_to) {
        whole.revisions.push_back(std::move(open_.begin()->second));
        open_.erase(open_.begin());
    }
    while (!ids_.empty() && ids_.begin()->first <= events.complete_to) {
        whole.ids.emplace_back(std::move(ids_.begin()->second), ids_.begin()->first);
        ids_.erase(ids_.begin());
    }
    return whole;
}

}  // namespace nett::replication
