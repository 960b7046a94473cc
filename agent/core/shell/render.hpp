// Output to text and to JSON. Pure.
//
// Text never carries control characters but newline and tab, whatever the data holds: a machine's answer cannot drive
// the operator's terminal.
#pragma once

#include <string>
#include <string_view>

#include <boost/json/value.hpp>

#include "agent/sdk/command.hpp"

namespace nett {

// Ends with a newline unless empty. A table has two blanks between its columns; null is "-", a bool "yes" or "no".
std::string render_text(const Output& output);

// Indented by two blanks, members in the order of the data, a newline at the end.
std::string render_json(const boost::json::value& value);

// Control characters but newline and tab as \xNN.
std::string printable(std::string_view text);

}  // namespace nett
