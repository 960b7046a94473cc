// nett-restore: puts a backup back while nettd does not run.
#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include "agent/core/backup/restore.hpp"
#include "agent/sdk/build_id.hpp"

namespace {

constexpr int kUsageStatus = 2;

struct Options {
    std::string archive;
    std::string root;
    bool dry_run = false;
};

int refuse(const nett::Error& error) {
    std::fprintf(stderr, "nett-restore: %s\nNothing was changed.\n", error.to_string().c_str());
    return EXIT_FAILURE;
}

void describe(const nett::VerifiedBackup& backup, const std::string& root) {
    const auto& manifest = backup.manifest;
    fmt::print("backup of {}, made {} by nett {}, state schema {}: every digest is right\n", manifest.hostname,
               manifest.created, manifest.nett_version, backup.schema);
    for (const auto& file : manifest.files) {
        if (!file.path.empty()) {
            fmt::print("  {:<13} {:>12} bytes  {}\n", file.role, file.size, nett::target_of(file, root));
        } else {
            fmt::print("  {:<13} {:>12} bytes  (in the archive only) {}\n", file.role, file.size, file.name);
        }
    }
}

int restore(const Options& options) {
    std::error_code error;
    const auto scratch = std::filesystem::temp_directory_path(error);
    const auto backup = nett::verify_backup(options.archive, error ? "/tmp" : scratch.string());
    if (!backup) return refuse(backup.error());
    describe(*backup, options.root);
    if (options.dry_run) {
        fmt::print("Nothing was changed (--dry-run).\n");
        return EXIT_SUCCESS;
    }
    const auto restored = nett::restore_backup(*backup, options.root, std::chrono::system_clock::now());
    if (!restored) return refuse(restored.error());
    for (const auto& file : *restored) {
        if (file.already) continue;
        fmt::print("restored {}{}\n", file.path, file.kept.empty() ? "" : "; the former one is " + file.kept);
    }
    fmt::print("Start nettd now.\n");
    return EXIT_SUCCESS;
}

}  // namespace

int main(int argc, char** argv) {
    Options options;
    CLI::App app("nett-restore: puts a backup of \"nettsh -c 'backup FILE'\" back. nettd must not run.",
                 "nett-restore");
    app.set_version_flag("--version", fmt::format("nett-restore {}", nett::kVersion));
    app.add_option("archive", options.archive, "The backup")->required()->type_name("ARCHIVE");
    app.add_option("--root", options.root, "Restore below this directory instead of /")->type_name("DIR");
    app.add_flag("--dry-run", options.dry_run, "Check the archive, say what would be done, change nothing");
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        const int status = app.exit(error);
        return status == 0 ? EXIT_SUCCESS : kUsageStatus;
    }
    return restore(options);
}
