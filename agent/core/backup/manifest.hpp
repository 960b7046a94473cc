// The first member of a backup: what is in it, and where it belongs. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "agent/sdk/result.hpp"

namespace nett {

inline constexpr std::string_view kManifestName = "manifest.json";
inline constexpr std::int64_t kManifestFormat = 1;  // a reader refuses a higher one

// Roles: configuration, state, secret-key, certificate, file, artifact, image.
struct BackupFile {
    std::string name;  // of the member
    std::string role;
    std::string path;    // where it belongs, absolute; empty: nowhere, it only rides along
    std::string sha256;  // 64 hex digits
    std::uint64_t size = 0;
    unsigned mode = 0600;
};

struct BackupManifest {
    std::string nett_version;
    std::string created;  // RFC 3339
    std::string hostname;
    std::vector<BackupFile> files;  // in the order of the members
};

// {format, nett_version, created, hostname, files: [{name, role, path, sha256, size, mode}]}; mode as "0600".
std::string to_json_text(const BackupManifest& manifest);
// kDataLoss for what is not a manifest, kFailedPrecondition for a newer format. Paths are absolute and have no "..",
// names are unique and relative.
Result<BackupManifest> parse_manifest(std::string_view text);

}  // namespace nett
