// Single changes of a configuration tree: where a line belongs, setting and removing an entry. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/core/config/grammar.hpp"
#include "agent/core/config/match.hpp"
#include "agent/sdk/config.hpp"

namespace nett {

// A line and the node that it belongs to.
struct Placement {
    const GrammarCommand* command = nullptr;
    std::size_t depth = 0;  // how many of the entered nodes stay entered
    Match match;
    std::vector<std::string> given;  // for `no`: the arguments that the line has
};

// Why a line belongs nowhere.
struct Misplacement {
    std::string message;
    const GrammarCommand* likely = nullptr;  // what was probably meant
    std::size_t depth = 0;                   // and in which of the entered nodes
    bool unknown = false;                    // not even the first word fits
};

struct PlacementOutcome {
    std::optional<Placement> placement;
    Misplacement misplacement;
};

// Finds the command in the innermost of `nodes` (names, outermost first, without the top) that has it.
PlacementOutcome place_line(const Grammar& grammar, const std::vector<std::string>& nodes, std::string_view line,
                            MatchMode mode);
// The same for what stands behind `no`: arguments that are not keys may be left out from the end.
PlacementOutcome place_removal(const Grammar& grammar, const std::vector<std::string>& nodes, std::string_view line,
                               MatchMode mode);

// The entry that a command with these arguments would replace; nullptr when there is none.
ConfigEntry* find_slot(ConfigNode& node, const GrammarCommand& command, const Arguments& args);
const ConfigEntry* find_slot(const ConfigNode& node, const GrammarCommand& command, const Arguments& args);

// The arguments that tell the entry from others of its command.
Arguments key_arguments(const GrammarCommand& command, const ConfigEntry& entry);

// Puts the entry into its place in canonical order, or into the place of the one that it replaces, whose children it
// takes over.
ConfigEntry& set_entry(ConfigNode& node, const GrammarCommand& command, const Match& match, SourceLocation where);

// Puts a whole entry, children included, into its place; replaces the one with the same keys.
ConfigEntry& put_entry(ConfigNode& node, const GrammarCommand& command, ConfigEntry entry);

// Removes what `no …` names. kNotFound when it is not there, kFailedPrecondition when it has another value.
Result<void> remove_entry(ConfigNode& node, const Placement& removal);

}  // namespace nett
