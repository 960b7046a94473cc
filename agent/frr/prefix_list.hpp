// Prefix-list entries: desired against actual, and as YANG data (frr-filter.yang, JSON as of RFC 7951). Pure.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "agent/sdk/frr.hpp"
#include "agent/sdk/result.hpp"

namespace nett {

using EntryKey = std::pair<std::string, std::uint32_t>;  // list, sequence

// What bgpd has. nullopt: an entry that is not a plain prefix ("any", ge or le).
using PrefixListTable = std::map<EntryKey, std::optional<PrefixListEntry>>;

// One batch for bgpd, committed together; removals first.
struct PrefixListChange {
    std::vector<PrefixListEntry> put;
    std::vector<EntryKey> remove;
    bool empty() const { return put.empty() && remove.empty(); }
};

using DeclaredEntries = std::map<EntryKey, PrefixListEntry>;

// `unwanted` are entries that were declared once and no longer are.
PrefixListChange plan_prefix_lists(const DeclaredEntries& declared, const std::set<EntryKey>& unwanted,
                                   const PrefixListTable& actual);

// The data path of one list, for Get; exactly one node matches, or none.
std::string prefix_list_path(std::string_view list);
// Adds what CONFIG Get of prefix_list_path() answered; kDataLoss when it is not what the schema says.
Result<void> parse_prefix_list(std::string_view json, PrefixListTable& table);

std::string merge_json(const PrefixListChange& change);
std::vector<std::string> delete_paths(const PrefixListChange& change);

}  // namespace nett
