// SQLite connections as the store uses them, and the one place where SQLite's exceptions become Errors.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <type_traits>

#include <SQLiteCpp/SQLiteCpp.h>

#include "agent/core/store/sqlite_store.hpp"

namespace nett {

enum class ConnectionRole { kReader, kWriter };

// How long a connection waits for a lock that another process holds, e.g. somebody's `sqlite3 state.db`.
inline constexpr int kBusyTimeoutMs = 5000;

// By SQLite's result code: FULL kResourceExhausted, CORRUPT and NOTADB kDataLoss, READONLY, PERM, AUTH
// kPermissionDenied, BUSY and LOCKED kUnavailable, else kInternal; with the remedy.
Error sqlite_error(const SQLite::Exception& exception, const std::string& path);

// Runs `body`, which returns a Result, and turns an exception of SQLite into its Error.
template <typename Body>
std::invoke_result_t<Body> guard_sqlite(const std::string& path, Body&& body) {
    try {
        return body();
    } catch (const SQLite::Exception& exception) {
        return fail(sqlite_error(exception, path));
    }
}

// Opens without looking at the content; throws SQLite::Exception.
std::unique_ptr<SQLite::Database> open_connection(const std::string& path, ConnectionRole role);
// The settings of each role, once the content is known to be ours; throws SQLite::Exception.
void configure_connection(SQLite::Database& database, ConnectionRole role, const SqliteOptions& options);

// Takes a statement back to its start when a scope ends: an open SELECT would hold its snapshot, and the log could not
// be checkpointed past it.
class StatementScope {
public:
    explicit StatementScope(SQLite::Statement& statement) : statement_(statement) {}
    StatementScope(const StatementScope&) = delete;
    StatementScope& operator=(const StatementScope&) = delete;
    ~StatementScope() { statement_.tryReset(); }

private:
    SQLite::Statement& statement_;
};

inline void bind_text(SQLite::Statement& statement, int index, std::string_view text) {
    statement.bind(index, std::string(text));
}
inline void bind_integer(SQLite::Statement& statement, int index, std::uint64_t value) {
    statement.bind(index, static_cast<std::int64_t>(value));
}
inline std::uint64_t column_integer(SQLite::Statement& statement, int index) {
    return static_cast<std::uint64_t>(statement.getColumn(index).getInt64());
}
std::string column_text(SQLite::Statement& statement, int index);

}  // namespace nett
