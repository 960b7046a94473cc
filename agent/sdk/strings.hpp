// Small text helpers that several rooms need.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/sdk/result.hpp"

namespace nett {

// Splits at each `separator`; empty parts are kept.
std::vector<std::string_view> split(std::string_view text, char separator);
std::string_view trim(std::string_view text);
std::string to_lower(std::string_view text);

// Whole text as a decimal number without sign or blanks, within [low, high].
Result<std::int64_t> parse_integer(std::string_view text, std::int64_t low, std::int64_t high);

// Lower-case hex of bytes.
std::string to_hex(std::string_view bytes);
// Lower-case hex SHA-256 of bytes.
std::string sha256_hex(std::string_view bytes);

// A regular file's bytes; kNotFound, kPermissionDenied or kResourceExhausted (larger than `limit`), with the path as
// context.
Result<std::string> read_file(const std::string& path, std::size_t limit);

}  // namespace nett
