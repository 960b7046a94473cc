#include "agent/core/store/connection.hpp"

#include <sqlite3.h>

namespace nett {

Error sqlite_error(const SQLite::Exception& exception, const std::string& path) {
    constexpr int kPrimaryCode = 0xff;  // the rest of an extended code says where it happened
    const std::string what = exception.what();
    switch (exception.getErrorCode() & kPrimaryCode) {
        case SQLITE_FULL:
            return {Code::kResourceExhausted, what + "; make room on the disk, nothing was changed", path};
        case SQLITE_CORRUPT:
            return {Code::kDataLoss,
                    what + "; the state file is damaged: restore a backup, or move it away to start empty", path};
        case SQLITE_NOTADB:
            return {Code::kDataLoss, "not a state file of nett; restore a backup, or move it away to start empty",
                    path};
        case SQLITE_READONLY:
        case SQLITE_PERM:
        case SQLITE_AUTH:
        case SQLITE_CANTOPEN:
            return {Code::kPermissionDenied, what + "; the agent's user needs to write the file and its directory",
                    path};
        case SQLITE_BUSY:
        case SQLITE_LOCKED:
            return {Code::kUnavailable, what + "; another program has the state file open", path};
        default:
            return {Code::kInternal, what, path};
    }
}

std::unique_ptr<SQLite::Database> open_connection(const std::string& path, ConnectionRole role) {
    // Even readers open it for writing: a reader of a WAL database writes to the shared memory file.
    int flags = SQLite::OPEN_READWRITE | SQLite::OPEN_NOMUTEX;
    if (role == ConnectionRole::kWriter) flags |= SQLite::OPEN_CREATE;
    return std::make_unique<SQLite::Database>(path, flags, kBusyTimeoutMs);
}

void configure_connection(SQLite::Database& database, ConnectionRole role, const SqliteOptions& options) {
    database.exec("PRAGMA foreign_keys = ON");
    if (role == ConnectionRole::kReader) {
        database.exec("PRAGMA query_only = ON");
        return;
    }
    database.exec("PRAGMA journal_mode = WAL");
    // FULL: each commit is synced; NORMAL would lose the last ones in a power cut.
    database.exec("PRAGMA synchronous = FULL");
    if (options.max_pages != 0) database.exec("PRAGMA max_page_count = " + std::to_string(options.max_pages));
}

std::string column_text(SQLite::Statement& statement, int index) {
    const auto column = statement.getColumn(index);
    const char* text = column.getText("");
    return std::string(text, static_cast<std::size_t>(column.getBytes()));
}

}  // namespace nett
