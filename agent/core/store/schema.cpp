#include "agent/core/store/schema.hpp"

#include <array>

namespace nett {

namespace {

constexpr std::array kSteps{
    Migration{
        "records, index entries, change log",
        // record: rowid tables, because values are large; SQLite advises WITHOUT ROWID for rows of a few bytes only.
        // change.value is NULL for a deleted record. change.size is what the row counts for in kChangeLogBytes.
        // meta: 'revision' is that of the last commit, 'compacted' the last one that fell out of the change log.
        R"sql(
CREATE TABLE record (
    kind     TEXT NOT NULL,
    key      TEXT NOT NULL,
    value    TEXT NOT NULL,
    revision INTEGER NOT NULL,
    PRIMARY KEY (kind, key)
);
CREATE TABLE index_entry (
    kind  TEXT NOT NULL,
    name  TEXT NOT NULL,
    value TEXT NOT NULL,
    key   TEXT NOT NULL,
    PRIMARY KEY (kind, name, value),
    FOREIGN KEY (kind, key) REFERENCES record (kind, key) ON DELETE CASCADE
) WITHOUT ROWID;
CREATE INDEX index_entry_of_record ON index_entry (kind, key);
CREATE TABLE change (
    id       INTEGER PRIMARY KEY,
    revision INTEGER NOT NULL,
    time     INTEGER NOT NULL,
    kind     TEXT NOT NULL,
    key      TEXT NOT NULL,
    value    TEXT,
    actor    TEXT NOT NULL,
    reason   TEXT NOT NULL,
    size     INTEGER NOT NULL
);
CREATE INDEX change_by_revision ON change (revision);
CREATE TABLE meta (
    name  TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) WITHOUT ROWID;
INSERT INTO meta (name, value) VALUES ('revision', 0), ('compacted', 0);
)sql"},
    Migration{"configs and boots apart from machines, grouping indexes",
              // The shapes are those of agent/sdk/model.hpp at the time of this step. Serials may be there twice: the
              // first machine has it in the index. The change log starts anew at a new revision, because records
              // changed: whoever follows it lists again, and no sealed config stays in it.
              R"sql(
INSERT INTO record (kind, key, value, revision)
    SELECT 'machine-config', key,
           json_object('version', 1, 'machine', key, 'sealed', json_extract(value, '$.sealed_config'),
                       'sha256', json_extract(value, '$.config_sha256'), 'size', json_extract(value, '$.config_size')),
           (SELECT value + 1 FROM meta WHERE name = 'revision')
    FROM record WHERE kind = 'machine' AND coalesce(json_extract(value, '$.sealed_config'), '') <> '';
INSERT INTO record (kind, key, value, revision)
    SELECT 'boot-history', key,
           json_object('version', 1, 'machine', key, 'boots', coalesce(json_extract(value, '$.boots'), 0),
                       'last_boot_time', coalesce(json_extract(value, '$.last_boot_time'), ''),
                       'last_boot_source', coalesce(json_extract(value, '$.last_boot_source'), ''),
                       'last_boot_outcome', coalesce(json_extract(value, '$.last_boot_outcome'), '')),
           (SELECT value + 1 FROM meta WHERE name = 'revision')
    FROM record WHERE kind = 'machine' AND coalesce(json_extract(value, '$.boots'), 0) <> 0;
UPDATE record
    SET value = json_remove(value, '$.sealed_config', '$.boots', '$.last_boot_time', '$.last_boot_source',
                            '$.last_boot_outcome'),
        revision = (SELECT value + 1 FROM meta WHERE name = 'revision')
    WHERE kind = 'machine';
INSERT OR IGNORE INTO index_entry (kind, name, value, key)
    SELECT kind, 'serial', json_extract(value, '$.serial'), key FROM record
    WHERE kind = 'machine' AND coalesce(json_extract(value, '$.serial'), '') <> '';
INSERT INTO index_entry (kind, name, value, key)
    SELECT record.kind, names.value,
           json_extract(record.value, '$.' || replace(names.value, '-', '_')) || '/' || record.key, record.key
    FROM record, json_each('["tenant", "artifact-set", "bmc"]') AS names
    WHERE record.kind = 'machine' AND coalesce(json_extract(record.value, '$.' || replace(names.value, '-', '_')), '') <> '';
INSERT INTO index_entry (kind, name, value, key)
    SELECT kind, 'tenant', json_extract(value, '$.tenant') || '/' || key, key FROM record
    WHERE kind = 'unknown-machine' AND coalesce(json_extract(value, '$.tenant'), '') <> '';
INSERT INTO index_entry (kind, name, value, key)
    SELECT kind,
           CASE WHEN json_extract(value, '$.state') IN ('DONE', 'FAILED', 'CANCELLED')
                THEN 'ended-job' ELSE 'open-job' END,
           CASE WHEN json_extract(value, '$.state') IN ('DONE', 'FAILED', 'CANCELLED')
                THEN '' ELSE json_extract(value, '$.machine') END || '/' || key,
           key
    FROM record WHERE kind = 'job';
UPDATE meta SET value = value + 1 WHERE name = 'revision' AND EXISTS (SELECT 1 FROM record);
DELETE FROM change;
UPDATE meta SET value = (SELECT value FROM meta WHERE name = 'revision') WHERE name = 'compacted';
)sql"},
    Migration{"unknown machines by tenant and id",
              // Their keys become "<tenant>/<id>". Index entries go first, because they refer to the keys.
              R"sql(
DELETE FROM index_entry WHERE kind = 'unknown-machine';
UPDATE record
    SET key = coalesce(json_extract(value, '$.tenant'), '') || '/' || key,
        revision = (SELECT value + 1 FROM meta WHERE name = 'revision')
    WHERE kind = 'unknown-machine';
INSERT INTO index_entry (kind, name, value, key)
    SELECT kind, 'tenant', json_extract(value, '$.tenant') || '/' || key, key FROM record
    WHERE kind = 'unknown-machine' AND coalesce(json_extract(value, '$.tenant'), '') <> '';
INSERT INTO index_entry (kind, name, value, key)
    SELECT kind, 'id', json_extract(value, '$.id') || '/' || key, key FROM record WHERE kind = 'unknown-machine';
UPDATE meta SET value = value + 1
    WHERE name = 'revision' AND EXISTS (SELECT 1 FROM record WHERE kind = 'unknown-machine');
DELETE FROM change;
UPDATE meta SET value = (SELECT value FROM meta WHERE name = 'revision') WHERE name = 'compacted';
)sql"},
};

int pragma(SQLite::Database& database, const char* name) {
    return database.execAndGet(std::string("PRAGMA ") + name).getInt();
}

bool is_empty(SQLite::Database& database) {
    return database.execAndGet("SELECT count(*) FROM sqlite_schema").getInt() == 0;
}

}  // namespace

std::span<const Migration> state_migrations() {
    return kSteps;
}

Result<void> migrate(SQLite::Database& database, const std::string& path, std::span<const Migration> steps) {
    const bool fresh = is_empty(database);
    const int application = pragma(database, "application_id");
    if (!fresh && application != kApplicationId) {
        return fail(Error{Code::kFailedPrecondition,
                          "a SQLite database of another program; give this agent another `state file`", path});
    }
    const int version = pragma(database, "user_version");
    const int newest = static_cast<int>(steps.size());
    if (version < 0 || version > newest) {
        return fail(Error{
            Code::kFailedPrecondition,
            fmt::format("its schema has version {}, this nettd knows up to {}; run the newer nettd that wrote it, "
                        "or restore a backup",
                        version, newest),
            path});
    }
    for (int at = version; at < newest; ++at) {
        SQLite::Transaction transaction(database, SQLite::TransactionBehavior::IMMEDIATE);
        database.exec(steps[static_cast<std::size_t>(at)].sql);
        database.exec("PRAGMA application_id = " + std::to_string(kApplicationId));
        database.exec("PRAGMA user_version = " + std::to_string(at + 1));
        transaction.commit();
    }
    return {};
}

}  // namespace nett
