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
    bool rejoin = false;
    bool detach = false;
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

std::string shared_state(const nett::StateOrigin& origin) {
    return fmt::format(
        "its state is a copy, at revision {}, of one that several servers share in etcd (cluster {:016x})",
        origin.revision, origin.cluster);
}

// What becomes of a state that is a cluster's copy is the operator's to say: one of the two loses something.
nett::Result<void> check_choice(const Options& options, const nett::VerifiedBackup& backup) {
    const bool shared = backup.origin.cluster != 0;
    const bool chosen = options.rejoin || options.detach;
    if (shared && !chosen) {
        return nett::fail(nett::Code::kFailedPrecondition,
                          "{}. Say which you want:\n"
                          "  --rejoin  this server was lost, the cluster lives: the server comes back and takes the "
                          "cluster's state, whatever is in the archive\n"
                          "  --detach  the cluster was lost: the archive's state becomes this server's own; \"state "
                          "migrate in\" makes a cluster of it",
                          shared_state(backup.origin));
    }
    if (!shared && chosen) {
        return nett::fail(nett::Code::kInvalidArgument, "its state is one server's own; leave {} out",
                          options.rejoin ? "--rejoin" : "--detach");
    }
    return {};
}

// What nettd will do with a state that is a cluster's copy.
void describe_future(const Options& options, const nett::StateOrigin& origin) {
    if (origin.cluster == 0) return;
    if (options.rejoin) {
        fmt::print(
            "When nettd starts it joins cluster {:016x} again and takes its state: what changed since revision {} "
            "comes from there.\nWithout that cluster it does not join, and \"show replication\" says why.\n",
            origin.cluster, origin.revision);
    } else if (options.detach) {
        fmt::print(
            "The state of revision {} is this server's own now. Say \"state migrate in\" to make a cluster of it in an "
            "empty etcd, or remove \"state etcd\".\nMove the state files of the lost cluster's other servers away "
            "before they start: they join with none.\n",
            origin.revision);
    } else {
        fmt::print("{}: choose --rejoin or --detach\n", shared_state(origin));
    }
}

int restore(const Options& options) {
    std::error_code error;
    const auto scratch = std::filesystem::temp_directory_path(error);
    const auto backup = nett::verify_backup(options.archive, error ? "/tmp" : scratch.string());
    if (!backup) return refuse(backup.error());
    describe(*backup, options.root);
    const auto chosen = check_choice(options, *backup);
    if (!chosen && !options.dry_run) return refuse(chosen.error());
    if (options.dry_run) {
        describe_future(options, backup->origin);
        fmt::print("Nothing was changed (--dry-run).\n");
        return EXIT_SUCCESS;
    }
    const auto restored = nett::restore_backup(*backup, options.root, std::chrono::system_clock::now(), options.detach);
    if (!restored) return refuse(restored.error());
    for (const auto& file : *restored) {
        if (file.already) continue;
        fmt::print("restored {}{}\n", file.path, file.kept.empty() ? "" : "; the former one is " + file.kept);
    }
    describe_future(options, backup->origin);
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
    auto* rejoin = app.add_flag("--rejoin", options.rejoin,
                                "The state is a cluster's, which lives: this server takes the cluster's state");
    app.add_flag("--detach", options.detach, "The state is a cluster's, which is lost: it becomes this server's own")
        ->excludes(rejoin);
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        const int status = app.exit(error);
        return status == 0 ? EXIT_SUCCESS : kUsageStatus;
    }
    return restore(options);
}
