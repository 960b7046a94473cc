// Output that is longer than the screen goes through a pager.
#pragma once

#include <string_view>

namespace nett::cli {

// Prints `text`; through $PAGER (else less, else as it is) when it has more lines than the terminal on stdout. Requires
// that stdout is a terminal.
void print_paged(std::string_view text);

}  // namespace nett::cli
