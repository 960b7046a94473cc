#include "agent/core/backup/backup.hpp"

#include <algorithm>
#include <cerrno>
#include <set>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/core/backup/manifest.hpp"
#include "agent/core/backup/sha256.hpp"
#include "agent/core/backup/snapshot.hpp"
#include "agent/core/store/posix_file.hpp"
#include "agent/sdk/model.hpp"
#include "agent/sdk/strings.hpp"

namespace nett {

namespace {

constexpr std::size_t kReadSize = 256 * 1024;
constexpr std::size_t kLargestKey = 4096;
constexpr std::size_t kLargestConfig = 4U << 20U;  // as agent/setup.cpp reads
constexpr unsigned kModeBits = 07777;

// A member with what it is made of: bytes, or a file that is read when its turn comes.
struct Part {
    BackupFile file;
    std::string bytes;
    std::string source;  // not empty: read from there
};

struct FileFacts {
    std::uint64_t size = 0;
    unsigned mode = 0;
    bool regular = false;
};

Result<FileFacts> facts_of(const std::string& path) {
    struct stat info = {};
    if (::stat(path.c_str(), &info) != 0) return fail(errno_error(errno, "cannot read", path));
    return FileFacts{static_cast<std::uint64_t>(info.st_size), info.st_mode & kModeBits, S_ISREG(info.st_mode)};
}

// "certificates" + "/etc/nett/server.pem".
std::string member_name(std::string_view folder, const std::string& path) {
    return std::string(folder) + (path.starts_with('/') ? "" : "/") + path;
}

class Collector {
public:
    // The key is in only where it is asked for, even when a configuration names it.
    Collector(const BackupSource& source, const BackupOptions& options)
        : source_(source), options_(options), taken_{source.secret_key_file, source.state_file} {}

    Result<std::vector<Part>> collect() {
        auto copy = copy_state(source_.state_file);
        if (!copy) return fail(std::move(copy.error()));
        state_ = std::move(*copy);
        auto files = files_of_state(state_.path());
        if (!files) return fail(std::move(files.error()));
        NETT_TRY(small("nett.conf", "configuration", source_.config_file, kLargestConfig));
        NETT_TRY(whole("state.db", "state", state_.path(), source_.state_file));
        if (options_.secrets_key) NETT_TRY(small("secret.key", "secret-key", source_.secret_key_file, kLargestKey));
        for (const auto& named : source_.named) NETT_TRY(add_named(named));
        for (const auto& path : files->bmc_authorities) NETT_TRY(add_named({path}));
        if (!options_.artifacts) return std::move(parts_);
        for (const auto& sha256 : files->artifacts) NETT_TRY(artifact(sha256));
        return std::move(parts_);
    }

private:
    Result<void> small(std::string name, std::string role, const std::string& path, std::size_t limit) {
        auto facts = facts_of(path);
        if (!facts) return fail(std::move(facts.error()));
        auto bytes = read_file(path, limit);
        if (!bytes) return fail(std::move(bytes.error()));
        taken_.insert(path);
        BackupFile file{std::move(name), std::move(role), path, sha256_hex(*bytes), bytes->size(), facts->mode};
        parts_.push_back({std::move(file), std::move(*bytes), {}});
        return {};
    }

    Result<void> whole(std::string name, std::string role, const std::string& from, const std::string& path) {
        auto facts = facts_of(from);
        if (!facts) return fail(std::move(facts.error()));
        auto sha256 = sha256_of_file(from);
        if (!sha256) return fail(std::move(sha256.error()));
        taken_.insert(path);
        parts_.push_back({{std::move(name), std::move(role), path, *sha256, facts->size, facts->mode}, {}, from});
        return {};
    }

    // What the configuration names and is not there now is a health condition of its plugin, no reason to have no
    // backup.
    Result<void> add_named(const NamedFile& named) {
        if (taken_.contains(named.path)) return {};
        const auto facts = facts_of(named.path);
        if (!facts || !facts->regular || (facts->mode & (S_IXUSR | S_IXGRP | S_IXOTH)) != 0) return {};
        if (named.image) {
            return options_.artifacts ? whole(member_name("images", named.path), "image", named.path, named.path)
                                      : Result<void>();
        }
        if (facts->size > kLargestNamedFile) return {};
        NETT_TRY(small(member_name("files", named.path), "file", named.path, kLargestNamedFile));
        auto& part = parts_.back();
        if (part.bytes.find("-----BEGIN ") != std::string::npos) {
            part.file.name = member_name("certificates", named.path);
            part.file.role = "certificate";
        }
        return {};
    }

    // Named by its digest; checked while it is copied.
    Result<void> artifact(const std::string& sha256) {
        const auto path = source_.artifact_directory + "/sha256/" + sha256;
        auto facts = facts_of(path);
        if (!facts) {
            return fail(Error{facts.error().code,
                              facts.error().message + "; an artifact set names it: import the set again", path});
        }
        BackupFile file{"artifacts/sha256/" + sha256, "artifact", path, sha256, facts->size, facts->mode};
        parts_.push_back({std::move(file), {}, path});
        return {};
    }

    const BackupSource& source_;
    const BackupOptions& options_;
    TemporaryFile state_;
    std::set<std::string> taken_;
    std::vector<Part> parts_;
};

Result<void> copy_file(ArchiveWriter& archive, const Part& part) {
    auto fd = open_file(part.source, O_RDONLY);
    if (!fd) return fail(std::move(fd.error()));
    NETT_TRY(archive.begin({part.file.name, part.file.size, part.file.mode}));
    Sha256 digest;
    std::string buffer(kReadSize, '\0');
    std::uint64_t left = part.file.size;
    while (left > 0) {
        const auto size = ::read(fd->get(), buffer.data(), std::min<std::uint64_t>(buffer.size(), left));
        if (size < 0 && errno == EINTR) continue;
        if (size < 0) return fail(errno_error(errno, "cannot read", part.source));
        if (size == 0) break;
        const std::string_view bytes(buffer.data(), static_cast<std::size_t>(size));
        digest.update(bytes);
        left -= bytes.size();
        NETT_TRY(archive.append(bytes));
    }
    if (left == 0 && digest.finish() == part.file.sha256) return {};
    return fail(Error{Code::kDataLoss,
                      part.file.role == "artifact" ? "its content is not what its name says; import its set again"
                                                   : "changed while it was read; take the backup again",
                      part.source});
}

void find_paths(const Grammar& grammar, const ConfigNode& node, std::vector<NamedFile>& out) {
    for (const auto& entry : node.entries()) {
        for (const auto& token : grammar.command(entry.rank()).pattern.tokens()) {
            if (token.kind != TokenKind::kPath || !entry.has_arg(token.name)) continue;
            out.push_back({entry.arg(token.name), entry.id().ends_with("image")});
        }
        find_paths(grammar, entry.children(), out);
    }
}

}  // namespace

std::vector<NamedFile> named_files(const Grammar& grammar, const ConfigNode& root) {
    std::vector<NamedFile> out;
    find_paths(grammar, root, out);
    return out;
}

Result<void> write_backup(const BackupSource& source, const BackupOptions& options, SystemTime now, ByteSink sink) {
    Collector collector(source, options);
    auto parts = collector.collect();
    if (!parts) return fail(std::move(parts.error()));
    BackupManifest manifest{source.version, to_rfc3339(now), source.hostname, {}};
    for (const auto& part : *parts) manifest.files.push_back(part.file);
    auto archive = ArchiveWriter::make(std::move(sink), Compression::kNone, now);
    if (!archive) return fail(std::move(archive.error()));
    NETT_TRY((*archive)->add(std::string(kManifestName), 0600, to_json_text(manifest)));
    for (const auto& part : *parts) {
        NETT_TRY(part.source.empty() ? (*archive)->add(part.file.name, part.file.mode, part.bytes)
                                     : copy_file(**archive, part));
    }
    return (*archive)->finish();
}

Result<void> write_support_archive(const std::vector<SupportFile>& files, SystemTime now, ByteSink sink) {
    auto archive = ArchiveWriter::make(std::move(sink), Compression::kGzip, now);
    if (!archive) return fail(std::move(archive.error()));
    for (const auto& file : files) NETT_TRY((*archive)->add("tech-support/" + file.name, 0600, file.text));
    return (*archive)->finish();
}

}  // namespace nett
