// Configuration: commands as data, and the tree that a parsed configuration is.
//
// One grammar serves /etc/nett/nett.conf, the shell's `configure terminal`, `?`, Tab, `show running-config` and the
// manual. Plugins contribute their commands as ConfigCommand values; the agent (agent/core/config) parses, merges,
// prints and diffs.
//
// Pattern language: words separated by one blank. A plain word is a keyword. `{name:type}` is an argument:
//   {x:word}               no blanks                       {x:text}      the rest of the line
//   {x:int:LO..HI}         decimal integer in the range    {x:choice:a|b|c}
//   {x:prefix6}            2001:db8:b000::/56              {x:address6}  2001:db8::1
//   {x:ifaddress6}         2001:db8::1/64                  {x:endpoint6} [2001:db8::1]:443
//   {x:path}               absolute file path              {x:interfaces} swp1-48,swp50 or Ethernet0-188 step 4 (kept
//   as text) {x:word:@machines}     a word whose completions come from a live source of that name
// Units belong into the argument's name: {seconds:int:1..1800}.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "agent/sdk/address.hpp"
#include "agent/sdk/result.hpp"

namespace nett {

// Help for one token of a pattern: the keyword, or the argument's name.
struct TokenHelp {
    std::string token;
    std::string help;
};

// One configuration command.
struct ConfigCommand {
    std::string node;                    // where it is valid: "" is the top; otherwise the `enters` of another command
    std::string pattern;                 // see above
    std::string help;                    // one line, for `?` and the manual
    std::vector<TokenHelp> tokens = {};  // help for each token; a missing one shows `help`
    // Arguments that tell entries of this command apart: `port {range}` with keys {"range"} may stand many times.
    // Empty: the command stands at most once in its node, a second one replaces the first.
    std::vector<std::string> keys = {};
    std::string enters = {};        // not empty: the command opens this node
    std::string default_text = {};  // what holds when the command is absent, for `?` and the manual: "10", "off"
};

// Where an entry was written; file is empty for a line typed into the shell.
struct SourceLocation {
    std::string file;
    unsigned line = 0;
    // "nett.conf:12", or "" when typed.
    std::string to_string() const;
};

class ConfigEntry;

// The entries of one node, in canonical order (the order of the commands' registration, then natural order of the
// keys).
class ConfigNode {
public:
    // `id` is the keywords of a pattern joined by blanks: "router-lifetime", "api listen".
    const ConfigEntry* find(std::string_view id) const;
    std::vector<const ConfigEntry*> all(std::string_view id) const;
    bool has(std::string_view id) const { return find(id) != nullptr; }

    // Argument `arg` of the entry `id`, or the fallback when there is no such entry.
    std::int64_t integer(std::string_view id, std::string_view arg, std::int64_t fallback) const;
    std::string text(std::string_view id, std::string_view arg, std::string_view fallback) const;

    const std::vector<ConfigEntry>& entries() const { return entries_; }
    std::vector<ConfigEntry>& entries() { return entries_; }
    bool empty() const { return entries_.empty(); }

private:
    std::vector<ConfigEntry> entries_;
};

// One line of configuration and, if its command opens a node, what stands in that node. A value; copies are deep.
class ConfigEntry {
public:
    // `args` hold canonical texts, checked against the pattern's types by the parser.
    ConfigEntry(std::string id, std::string line, std::map<std::string, std::string, std::less<>> args,
                SourceLocation where, std::size_t rank);

    const std::string& id() const { return id_; }
    const std::string& line() const { return line_; }  // canonical: "router-lifetime 30"
    const SourceLocation& where() const { return where_; }
    std::size_t rank() const { return rank_; }  // position of the command in the grammar
    const ConfigNode& children() const { return children_; }
    ConfigNode& children() { return children_; }
    // The command opens a node, which may be empty; so the printer closes it.
    bool opens_node() const { return opens_node_; }
    void set_opens_node(bool opens) { opens_node_ = opens; }

    // The accessors below require that the pattern has that argument with that type: the parser made sure.
    bool has_arg(std::string_view name) const { return args_.contains(name); }
    const std::string& arg(std::string_view name) const;
    std::int64_t integer(std::string_view name) const;
    Prefix6 prefix(std::string_view name) const;
    Address6 address(std::string_view name) const;
    boost::asio::ip::tcp::endpoint endpoint(std::string_view name) const;

    // Equal text, whatever the source location.
    bool same_as(const ConfigEntry& other) const;

private:
    std::string id_;
    std::string line_;
    std::map<std::string, std::string, std::less<>> args_;
    SourceLocation where_;
    std::size_t rank_ = 0;
    bool opens_node_ = false;
    ConfigNode children_;
};

// One finding of a check of the configuration. Errors keep the candidate from being committed; warnings are shown.
struct Diagnostic {
    enum class Severity { kError, kWarning };
    Severity severity = Severity::kError;
    SourceLocation where;
    std::string message;  // what is wrong and the remedy

    // "nett.conf:12: error: …"
    std::string to_string() const;
};

Diagnostic error_at(const ConfigEntry& entry, std::string message);
Diagnostic warning_at(const ConfigEntry& entry, std::string message);

// What a check may know of the host besides the configuration text.
struct CheckEnvironment {
    std::vector<std::string> interfaces;  // names of the links that exist
    // At boot ports may come up later than the agent: a range that matches nothing is then a warning, not an error.
    bool ports_may_be_missing = false;
};

// Resolves "swp1-48", "Ethernet0-188 step 4", "swp1,swp3-4,!swp2" against the links that exist. `text` is checked for
// syntax even when `existing` is empty. The result is in natural order (swp2 before swp10), without duplicates.
Result<std::vector<std::string>> resolve_interfaces(std::string_view text, const std::vector<std::string>& existing);
// Syntax only.
Result<void> check_interfaces(std::string_view text);
// swp2 < swp10; for sorting names that end in numbers.
bool natural_less(std::string_view a, std::string_view b);

}  // namespace nett
