#include "agent/core/backup/snapshot.hpp"

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <set>

#include <fcntl.h>
#include <unistd.h>

#include <SQLiteCpp/Backup.h>

#include "agent/core/store/connection.hpp"
#include "agent/core/store/posix_file.hpp"
#include "agent/core/store/schema.hpp"

namespace nett {

namespace {

constexpr std::string_view kCopySuffix = ".backup-";

// What a backup left that was killed. There is one at a time.
void remove_leftovers(const std::string& state_file) {
    const std::filesystem::path path(state_file);
    const auto prefix = path.filename().string() + std::string(kCopySuffix);
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator(directory_of(state_file), error)) {
        if (entry.path().filename().string().starts_with(prefix)) ::unlink(entry.path().c_str());
    }
}

std::set<std::string> texts(SQLite::Database& database, const char* query) {
    std::set<std::string> out;
    SQLite::Statement statement(database, query);
    while (statement.executeStep()) out.insert(statement.getColumn(0).getString());
    return out;
}

}  // namespace

TemporaryFile& TemporaryFile::operator=(TemporaryFile&& other) noexcept {
    std::swap(path_, other.path_);
    return *this;
}

TemporaryFile::~TemporaryFile() {
    if (!path_.empty()) ::unlink(path_.c_str());
}

Result<TemporaryFile> copy_state(const std::string& state_file) {
    remove_leftovers(state_file);
    std::string path = state_file + std::string(kCopySuffix) + "XXXXXX";
    const UniqueFd made(::mkostemp(path.data(), O_CLOEXEC));
    if (!made) return fail(errno_error(errno, "cannot make a copy beside it", state_file));
    TemporaryFile copy(path);
    NETT_TRY(guard_sqlite(state_file, [&]() -> Result<void> {
        const auto source = open_connection(state_file, ConnectionRole::kReader);
        SQLite::Database target(path, SQLite::OPEN_READWRITE);
        {
            SQLite::Backup backup(target, *source);
            // All pages in one read transaction: a commit in between would make it begin anew.
            backup.executeStep(-1);
        }
        target.exec("PRAGMA journal_mode = DELETE");
        return {};
    }));
    return copy;
}

Result<StateFiles> files_of_state(const std::string& state_file) {
    return guard_sqlite(state_file, [&]() -> Result<StateFiles> {
        SQLite::Database database(state_file, SQLite::OPEN_READONLY);
        const auto artifacts = texts(database,
                                     "SELECT json_extract(file.value, '$.sha256') FROM record, json_each(record.value, "
                                     "'$.files') AS file WHERE record.kind = 'artifact-set'");
        const auto authorities = texts(database,
                                       "SELECT json_extract(value, '$.ca_file') FROM record WHERE kind = 'bmc' AND "
                                       "coalesce(json_extract(value, '$.ca_file'), '') <> ''");
        return StateFiles{{artifacts.begin(), artifacts.end()}, {authorities.begin(), authorities.end()}};
    });
}

Result<StateOrigin> origin_of_state(const std::string& state_file) {
    return guard_sqlite(state_file, [&]() -> Result<StateOrigin> {
        SQLite::Database database(state_file, SQLite::OPEN_READONLY);
        SQLite::Statement query(database, "SELECT name, value FROM meta WHERE name IN ('cluster', 'revision')");
        StateOrigin origin;
        while (query.executeStep()) {
            const auto value = static_cast<std::uint64_t>(query.getColumn(1).getInt64());
            (query.getColumn(0).getString() == "cluster" ? origin.cluster : origin.revision) = value;
        }
        return origin.cluster == 0 ? StateOrigin{} : origin;
    });
}

Result<void> detach_state(const std::string& state_file) {
    return guard_sqlite(state_file, [&]() -> Result<void> {
        SQLite::Database database(state_file, SQLite::OPEN_READWRITE);
        SQLite::Transaction transaction(database);
        // Revisions only grow, whichever of the two had counted further.
        database.exec(
            "UPDATE meta SET value = (SELECT max(value) FROM meta WHERE name IN ('revision', 'local_revision'))"
            " WHERE name = 'revision'");
        database.exec("UPDATE meta SET value = 0 WHERE name = 'cluster'");
        transaction.commit();
        return {};
    });
}

Result<int> check_state(const std::string& state_file) {
    return guard_sqlite(state_file, [&]() -> Result<int> {
        SQLite::Database database(state_file, SQLite::OPEN_READONLY);
        if (database.execAndGet("PRAGMA application_id").getInt() != kApplicationId)
            return fail(Code::kDataLoss, "the archive's state.db is not a state file of nett");
        const int version = database.execAndGet("PRAGMA user_version").getInt();
        const int newest = static_cast<int>(state_migrations().size());
        if (version > newest) {
            return fail(Code::kFailedPrecondition,
                        "the archive's state has schema version {}, this nett knows up to {}; install the nett that "
                        "wrote it, or a newer one, and use its nett-restore",
                        version, newest);
        }
        const auto verdict = database.execAndGet("PRAGMA quick_check(1)").getString();
        if (verdict != "ok")
            return fail(Code::kDataLoss, "the archive's state.db is damaged ({}); take another backup", verdict);
        return version;
    });
}

}  // namespace nett
