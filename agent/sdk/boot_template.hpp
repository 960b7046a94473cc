// Templates of the iPXE scripts that machines are answered with: mustache, as a profile carries them. Pure.
//
// A script line and a kernel command line are the strictest of all quoting contexts: iPXE expands ${…}, splits at
// blanks and knows "||", "&&", ";" and "#"; a kernel knows quotes. So values are never escaped but held against a
// whitelist: one that does not fit is an error, never a changed script. `{{x}}` and `{{{x}}}` are the same here.
//
// Tags: {{name}}, {{{name}}}, {{#name}}…{{/name}} (when there is such a value, or the flag is set), {{^name}}…{{/name}}
// (when not) and {{! comments }}. Partials and other delimiters are refused.
#pragma once

#include <cstddef>
#include <map>
#include <set>
#include <string>
#include <string_view>

#include "agent/sdk/result.hpp"

namespace nett {

// A script is a few hundred bytes; this leaves room for menus and comments.
inline constexpr std::size_t kMaxBootTemplateBytes = 16 * 1024;

// Texts by name, as in boot_template_names(); absent and empty are the same. Flags are names that are set.
struct BootTemplateValues {
    std::map<std::string, std::string, std::less<>> texts;
    std::set<std::string, std::less<>> flags;
};

// Whether a profile's template of this kind ("install", "wipe", "rescue", "erase") can be registered.
// kInvalidArgument with "line N: …" and the remedy: an unknown kind or name, an unclosed tag, no "#!ipxe" in the first
// line, other than printable ASCII, too large; an install or wipe template without {{{arguments}}}; a wipe argument
// spelled out in a template that would then wipe at every boot.
Result<void> check_boot_template(std::string_view kind, std::string_view text);

// The script. kInvalidArgument with "line N: …": a value that the template uses and a script cannot carry, or what
// check_boot_template() says of tags.
Result<std::string> render_boot_template(std::string_view text, const BootTemplateValues& values);

// The names that a template may use, comma-separated, for messages and the manual.
std::string boot_template_names();

// One word of a script and one argument of a kernel command line: letters, digits and "._,:=/@+-%[]~?", not starting
// with a hyphen.
bool is_boot_word(std::string_view text);

}  // namespace nett
