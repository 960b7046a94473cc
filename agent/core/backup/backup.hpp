// A backup of one agent: configuration, state, key, the files that the configuration names, artifacts.
#pragma once

#include <string>
#include <vector>

#include "agent/core/backup/archive.hpp"
#include "agent/core/config/grammar.hpp"
#include "agent/sdk/clock.hpp"
#include "agent/sdk/config.hpp"
#include "agent/sdk/result.hpp"

namespace nett {

// A file that the configuration names.
struct NamedFile {
    std::string path;
    bool image = false;  // of a BMC's virtual media: large, and made anew by the builder
};

// The {x:path} arguments of a configuration. What they name need not be there, nor be a file. Pure.
std::vector<NamedFile> named_files(const Grammar& grammar, const ConfigNode& root);

struct BackupSource {
    std::string version;
    std::string hostname;
    std::string config_file;
    std::string state_file;
    std::string secret_key_file;
    std::string artifact_directory;
    std::vector<NamedFile> named;
};

struct BackupOptions {
    bool artifacts = true;    // and images
    bool secrets_key = true;  // without it sealed configs and passwords of the state cannot be read any more
};

// Larger ones than this that the configuration names are no certificates, tokens or templates.
inline constexpr std::size_t kLargestNamedFile = 1U << 20U;

// Writes the archive; blocking, for minutes when there are many artifacts, on any thread. Consistent: the state is that
// of one revision, and every artifact that it names is there, whole. kDataLoss when an artifact on disk is not what its
// name says. On error what went to `sink` is worthless.
Result<void> write_backup(const BackupSource& source, const BackupOptions& options, SystemTime now, ByteSink sink);

// One text of a support archive.
struct SupportFile {
    std::string name;  // "show-version.txt"
    std::string text;
};
// A gzipped archive with the files in a folder of their own. Blocking; any thread.
Result<void> write_support_archive(const std::vector<SupportFile>& files, SystemTime now, ByteSink sink);

}  // namespace nett
