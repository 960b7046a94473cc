// What Tab inserts and what `?` prints. Pure.
#pragma once

#include <string>
#include <string_view>

#include "agent/cli/client.hpp"

namespace nett::cli {

// What Tab adds to the line up to the cursor: the rest of the only insertable word and a blank, or what all of them
// share. Empty: nothing can be added, the list is to be shown.
std::string tab_insertion(std::string_view line, const Suggestions& suggestions);

// The list below the line: "  token   help" each, "  <cr>" when the line is a whole command.
std::string help_text(const Suggestions& suggestions);

}  // namespace nett::cli
