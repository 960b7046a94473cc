// Two trees compared, and three trees merged.
#include <algorithm>

#include "agent/core/config/candidate.hpp"
#include "agent/core/config/edit.hpp"

namespace nett {

namespace {

void print_side(std::string& out, char sign, const ConfigEntry& entry, std::size_t depth) {
    out += fmt::format("{} {}{}\n", sign, std::string(depth, ' '), entry.line());
    for (const auto& child : entry.children().entries()) print_side(out, sign, child, depth + 1);
}

bool has_line(const ConfigNode& node, const ConfigEntry& entry) {
    return std::any_of(node.entries().begin(), node.entries().end(),
                       [&](const auto& e) { return e.rank() == entry.rank() && e.line() == entry.line(); });
}

std::string diff_nodes(const ConfigNode& from, const ConfigNode& to, std::size_t depth) {
    std::string out;
    auto old = from.entries().begin();
    auto now = to.entries().begin();
    while (old != from.entries().end() || now != to.entries().end()) {
        if (old != from.entries().end() && !has_line(to, *old) &&
            (now == to.entries().end() || old->rank() <= now->rank())) {
            print_side(out, '-', *old++, depth);
        } else if (now != to.entries().end() && !has_line(from, *now)) {
            print_side(out, '+', *now++, depth);
        } else if (old != from.entries().end() && !has_line(to, *old)) {
            print_side(out, '-', *old++, depth);
        } else {
            const auto inner = diff_nodes(old->children(), now->children(), depth + 1);
            if (!inner.empty()) out += fmt::format("  {}{}\n", std::string(depth, ' '), old->line()) + inner;
            ++old;
            ++now;
        }
    }
    return out;
}

// Three-way merge; conflicts are collected by their lines.
class Merge {
public:
    explicit Merge(const Grammar& grammar) : grammar_(grammar) {}

    ConfigNode nodes(const ConfigNode& base, const ConfigNode& mine, const ConfigNode& theirs) {
        ConfigNode out = theirs;
        for (const auto& entry : mine.entries()) {
            const auto& command = grammar_.command(entry.rank());
            const auto keys = key_arguments(command, entry);
            mine_has(out, command, find_slot(base, command, keys), entry, find_slot(theirs, command, keys));
        }
        for (const auto& entry : base.entries()) {
            const auto& command = grammar_.command(entry.rank());
            const auto keys = key_arguments(command, entry);
            if (find_slot(mine, command, keys) == nullptr)
                mine_removed(out, command, entry, find_slot(theirs, command, keys));
        }
        return out;
    }

    const std::vector<std::string>& conflicts() const { return conflicts_; }

private:
    void mine_has(ConfigNode& out, const GrammarCommand& command, const ConfigEntry* base, const ConfigEntry& mine,
                  const ConfigEntry* theirs) {
        if (base != nullptr && base->same_as(mine)) return;
        if (theirs == nullptr) {
            if (base != nullptr) return conflict(mine);
            put_entry(out, command, mine);
            return;
        }
        const bool mine_kept = base != nullptr && base->line() == mine.line();
        const bool theirs_kept = base != nullptr && base->line() == theirs->line();
        if (!mine_kept && !theirs_kept && mine.line() != theirs->line()) return conflict(mine);
        ConfigEntry merged = mine_kept ? *theirs : mine;
        merged.children() =
            nodes(base == nullptr ? ConfigNode() : base->children(), mine.children(), theirs->children());
        put_entry(out, command, std::move(merged));
    }

    void mine_removed(ConfigNode& out, const GrammarCommand& command, const ConfigEntry& base,
                      const ConfigEntry* theirs) {
        if (theirs == nullptr) return;
        if (!theirs->same_as(base)) return conflict(*theirs);
        const auto* slot = find_slot(out, command, key_arguments(command, base));
        out.entries().erase(out.entries().begin() + (slot - out.entries().data()));
    }

    void conflict(const ConfigEntry& entry) { conflicts_.push_back(fmt::format("\"{}\"", entry.line())); }

    const Grammar& grammar_;
    std::vector<std::string> conflicts_;
};

}  // namespace

std::string diff_config(const ConfigNode& from, const ConfigNode& to) {
    return diff_nodes(from, to, 0);
}

Result<ConfigNode> rebase_config(const Grammar& grammar, const ConfigNode& base, const ConfigNode& mine,
                                 const ConfigNode& theirs) {
    Merge merge(grammar);
    auto merged = merge.nodes(base, mine, theirs);
    if (!merge.conflicts().empty()) {
        return fail(Code::kAborted, "another session changed the same lines: {}; \"discard\" drops your changes",
                    fmt::join(merge.conflicts(), ", "));
    }
    return merged;
}

}  // namespace nett
