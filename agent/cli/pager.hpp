// Output that is longer than the screen goes through a pager.
#pragma once

#include <optional>
#include <string_view>

namespace nett::cli {

// Prints `text`; through $PAGER (else less, else as it is) when it has more lines than the screen: `length`, else as
// many as the terminal on stdout has. A length of 0: as it is. Requires that stdout is a terminal.
void print_paged(std::string_view text, std::optional<unsigned> length);

}  // namespace nett::cli
