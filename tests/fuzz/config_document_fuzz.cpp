// Configuration documents: whatever stands in nett.conf, in a restored backup or is typed into the shell. The first
// byte picks the grammar: the management API's commands, or one with every kind of token.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "agent/core/config/candidate.hpp"
#include "agent/core/config/parser.hpp"
#include "agent/core/host/api_settings.hpp"
#include "tests/unit/config/example_commands.hpp"

namespace {

using namespace nett;

void check(bool holds) {
    if (!holds) std::abort();
}

const Grammar& grammar_of(std::uint8_t choice) {
    static const Grammar own = Grammar::build(api_commands()).value();
    static const Grammar example = Grammar::build(test::example_commands()).value();
    return choice % 2 == 0 ? own : example;
}

// Findings say where they are; what was understood prints, and the print reads back as itself.
ConfigNode read_and_print(const Grammar& grammar, std::string_view text) {
    auto parsed = parse_config(grammar, text, "f");
    const auto lines = static_cast<int>(std::count(text.begin(), text.end(), '\n')) + 1;
    for (const auto& finding : parsed.diagnostics) {
        check(finding.where.line >= 1 && finding.where.line <= lines);
        check(!finding.message.empty() && finding.to_string().find('\n') == std::string::npos);
    }
    const auto printed = print_config(parsed.root);
    const auto again = parse_config(grammar, printed, "again");
    check(again.ok() && print_config(again.root) == printed);
    check(diff_config(parsed.root, again.root).empty());
    return std::move(parsed.root);
}

// A line that is refused changes nothing, and the cursor stays on a node that is there.
void type_lines(const Grammar& grammar, std::string_view text) {
    ConfigNode root;
    NodePath path;
    while (!text.empty()) {
        const auto end = std::min(text.find('\n'), text.size());
        const auto before = print_config(root);
        const auto depth = path.size();
        if (!apply_line(grammar, root, path, text.substr(0, end))) {
            check(print_config(root) == before && path.size() == depth);
        }
        check(node_at(root, path) != nullptr);
        text.remove_prefix(std::min(end + 1, text.size()));
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    const auto& grammar = grammar_of(data[0]);
    const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
    const auto root = read_and_print(grammar, text);
    if (data[0] % 2 == 0) {
        validate_api(root);
        read_api_settings(root);
    }
    type_lines(grammar, text.substr(0, 2048));  // printing after each line is quadratic
    return 0;
}
