// The state file's schema as a list of steps, each from one user_version to the next.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include <SQLiteCpp/SQLiteCpp.h>

#include "agent/sdk/result.hpp"

namespace nett {

// PRAGMA application_id of a state file: "nett".
inline constexpr std::int32_t kApplicationId = 0x6e657474;

// The step that makes version N stands at place N-1. Steps are never changed once released: a file may be at any of
// them.
struct Migration {
    const char* what;
    const char* sql;
};
std::span<const Migration> state_migrations();

// Refuses what is not nett's or newer than the last step, then runs the missing steps, each in a transaction of its
// own. Nothing is written to a file that is refused. Throws SQLite::Exception.
Result<void> migrate(SQLite::Database& database, const std::string& path, std::span<const Migration> steps);

}  // namespace nett
