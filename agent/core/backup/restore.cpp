#include "agent/core/backup/restore.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <optional>
#include <set>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/chrono.h>

#include "agent/core/backup/archive.hpp"
#include "agent/core/backup/sha256.hpp"
#include "agent/core/backup/snapshot.hpp"
#include "agent/core/store/file_lock.hpp"
#include "agent/core/store/posix_file.hpp"

namespace nett {

namespace {

constexpr std::size_t kLargestManifest = 16U << 20U;  // 50,000 files
constexpr mode_t kDirectoryMode = 0755;

struct Staged {
    std::string target;
    TemporaryFile file;  // the new content, beside the target
    bool state = false;
};

// Reads one member into `fd` (none: nowhere) and checks its digest.
Result<void> copy_member(ArchiveReader& archive, const BackupFile& file, const UniqueFd& fd, const std::string& path) {
    Sha256 digest;
    std::uint64_t size = 0;
    for (;;) {
        auto bytes = archive.read();
        if (!bytes) return fail(std::move(bytes.error()));
        if (bytes->empty()) break;
        digest.update(*bytes);
        size += bytes->size();
        if (fd) NETT_TRY(write_all(fd.get(), *bytes, path));
    }
    if (size == file.size && digest.finish() == file.sha256) return {};
    return fail(Error{Code::kDataLoss, "is not what the archive's manifest says; take another backup", file.name});
}

// Calls `each` for every member, which must be those of the manifest in their order.
template <typename Each>
Result<BackupManifest> walk(const std::string& path, Each each) {
    auto archive = ArchiveReader::open(path);
    if (!archive) return fail(std::move(archive.error()));
    auto first = (*archive)->next();
    if (!first) return fail(std::move(first.error()));
    if (!*first || (*first)->name != kManifestName)
        return fail(Error{Code::kDataLoss, "is no backup of nett: its first member is not manifest.json", path});
    auto text = (*archive)->read_all(kLargestManifest);
    if (!text) return fail(std::move(text.error()));
    auto manifest = parse_manifest(*text);
    if (!manifest) return fail(std::move(manifest.error()).in(path));
    for (const auto& file : manifest->files) {
        auto member = (*archive)->next();
        if (!member) return fail(std::move(member.error()));
        if (!*member || (*member)->name != file.name)
            return fail(Error{Code::kDataLoss, fmt::format("lacks {}; take another backup", file.name), path});
        NETT_TRY(each(**archive, file));
    }
    auto more = (*archive)->next();
    if (!more) return fail(std::move(more.error()));
    if (*more)
        return fail(
            Error{Code::kDataLoss, fmt::format("has {}, which its manifest does not name", (*more)->name), path});
    return manifest;
}

const BackupFile* find_role(const BackupManifest& manifest, std::string_view role) {
    const auto found =
        std::find_if(manifest.files.begin(), manifest.files.end(), [&](const auto& file) { return file.role == role; });
    return found == manifest.files.end() ? nullptr : &*found;
}

// The directory and those above it, each owned by whom the one above it is.
Result<void> make_directory(const std::string& path) {
    struct stat info = {};
    if (::stat(path.c_str(), &info) == 0) return {};
    const auto above = directory_of(path);
    if (above != path) NETT_TRY(make_directory(above));
    if (::mkdir(path.c_str(), kDirectoryMode) != 0 && errno != EEXIST)
        return fail(errno_error(errno, "cannot make", path));
    if (::geteuid() == 0 && ::stat(above.c_str(), &info) == 0 && ::chown(path.c_str(), info.st_uid, info.st_gid) != 0)
        return fail(errno_error(errno, "cannot give away", path));
    return {};
}

// Whom `path` belongs to, or its directory while there is no such file.
void take_owner(const std::string& path, int fd) {
    struct stat info = {};
    if (::geteuid() != 0) return;
    if (::stat(path.c_str(), &info) != 0 && ::stat(directory_of(path).c_str(), &info) != 0) return;
    [[maybe_unused]] const int done = ::fchown(fd, info.st_uid, info.st_gid);
}

class Restore {
public:
    Restore(const VerifiedBackup& backup, std::string root, SystemTime now, bool detach)
        : backup_(backup),
          detach_(detach),
          root_(std::move(root)),
          suffix_(fmt::format(".replaced-{:%Y%m%dT%H%M%SZ}", fmt::gmtime(std::chrono::system_clock::to_time_t(now)))) {}

    Result<std::vector<RestoredFile>> run() {
        NETT_TRY(lock());
        auto staged = stage();
        if (!staged) return fail(std::move(staged.error()));
        for (auto& one : staged_) {
            auto exchanged = exchange(one);
            if (exchanged) continue;
            take_back();
            return fail(std::move(exchanged.error()));
        }
        std::set<std::string> directories;
        for (const auto& file : restored_) directories.insert(directory_of(file.path));
        for (const auto& directory : directories) NETT_TRY(sync_directory(directory));
        return std::move(restored_);
    }

private:
    Result<void> lock() {
        const auto* state = find_role(backup_.manifest, "state");
        const auto path = target_of(*state, root_);
        NETT_TRY(make_directory(directory_of(path)));
        auto lock = FileLock::acquire(path, "state file");
        if (!lock) {
            if (lock.error().code != Code::kFailedPrecondition) return fail(std::move(lock.error()));
            return fail(Error{Code::kFailedPrecondition,
                              "nettd runs on it; stop it first (\"systemctl stop nettd\"), then restore", path});
        }
        lock_ = std::move(*lock);
        // The agent's user must be able to lock it again.
        if (auto fd = open_file(path + ".lock", O_RDWR)) take_owner(path, fd->get());
        return {};
    }

    // Every file that is not there yet, beside its place.
    Result<BackupManifest> stage() {
        return walk(backup_.archive, [this](ArchiveReader& archive, const BackupFile& file) -> Result<void> {
            if (file.path.empty()) return copy_member(archive, file, UniqueFd(), file.name);
            const auto target = target_of(file, root_);
            const bool state = file.role == "state";
            if (const auto known = sha256_of_file(target); !state && known && *known == file.sha256) {
                restored_.push_back({target, {}, true});
                return copy_member(archive, file, UniqueFd(), file.name);
            }
            NETT_TRY(make_directory(directory_of(target)));
            std::string path = target + ".restore-XXXXXX";
            UniqueFd fd(::mkostemp(path.data(), O_CLOEXEC));
            if (!fd) return fail(errno_error(errno, "cannot make a file beside it", target));
            staged_.push_back({target, TemporaryFile(path), state});
            NETT_TRY(copy_member(archive, file, fd, path));
            if (state && detach_) NETT_TRY(detach_state(path));
            take_owner(target, fd.get());
            if (::fchmod(fd.get(), file.mode) != 0) return fail(errno_error(errno, "cannot set the mode", path));
            return sync_file(fd.get(), path);
        });
    }

    Result<void> move(const std::string& from, const std::string& to) {
        if (::rename(from.c_str(), to.c_str()) != 0) return fail(errno_error(errno, "cannot replace", from));
        moved_.push_back({from, to});
        return {};
    }

    // The former file keeps a second name before its first one goes to the new content in one step.
    Result<void> exchange(Staged& one) {
        RestoredFile done{one.target, {}, false};
        struct stat info = {};
        if (::lstat(one.target.c_str(), &info) == 0) {
            done.kept = one.target + suffix_;
            if (S_ISDIR(info.st_mode)) {
                return fail(Error{Code::kAlreadyExists, "is a directory; move it away and restore again", one.target});
            }
            if (::link(one.target.c_str(), done.kept.c_str()) != 0)
                return fail(errno_error(errno, "cannot keep the former file", one.target));
            kept_.push_back({one.target, done.kept});
            // A log that is left would be played into the new database; with the old one it stays of use.
            if (one.state) NETT_TRY(move_logs(one.target, done.kept));
        }
        if (::rename(one.file.path().c_str(), one.target.c_str()) != 0)
            return fail(errno_error(errno, "cannot replace", one.target));
        placed_.push_back(one.target);
        restored_.push_back(std::move(done));
        return {};
    }

    Result<void> move_logs(const std::string& state, const std::string& kept) {
        for (const auto* log : {"-wal", "-shm"}) {
            std::error_code ignored;
            if (std::filesystem::exists(state + log, ignored)) NETT_TRY(move(state + log, kept + log));
        }
        return {};
    }

    // Best effort: each step was possible a moment ago.
    void take_back() {
        for (const auto& path : placed_) ::unlink(path.c_str());
        for (const auto& [path, kept] : kept_) {
            ::rename(kept.c_str(), path.c_str());
            ::unlink(kept.c_str());  // where both still named one file, rename(2) left both
        }
        for (const auto& [from, to] : moved_) ::rename(to.c_str(), from.c_str());
    }

    const VerifiedBackup& backup_;
    const bool detach_;
    std::string root_;
    std::string suffix_;
    FileLock lock_;
    std::vector<Staged> staged_;
    std::vector<std::pair<std::string, std::string>> kept_;   // path, second name
    std::vector<std::pair<std::string, std::string>> moved_;  // from, to
    std::vector<std::string> placed_;
    std::vector<RestoredFile> restored_;
};

}  // namespace

Result<VerifiedBackup> verify_backup(const std::string& archive, const std::string& scratch) {
    TemporaryFile state;
    auto manifest = walk(archive, [&](ArchiveReader& reader, const BackupFile& file) -> Result<void> {
        if (file.role != "state") return copy_member(reader, file, UniqueFd(), file.name);
        std::string path = scratch + "/nett-restore-XXXXXX";
        const UniqueFd fd(::mkostemp(path.data(), O_CLOEXEC));
        if (!fd) return fail(errno_error(errno, "cannot make a temporary file", path));
        state = TemporaryFile(path);
        return copy_member(reader, file, fd, path);
    });
    if (!manifest) return fail(std::move(manifest.error()));
    const auto* file = find_role(*manifest, "state");
    if (file == nullptr || file->path.empty())
        return fail(Error{Code::kDataLoss, "has no state; it is no whole backup", archive});
    auto schema = check_state(state.path());
    if (!schema) return fail(std::move(schema.error()).in(archive));
    auto origin = origin_of_state(state.path());
    if (!origin) return fail(std::move(origin.error()).in(archive));
    return VerifiedBackup{archive, std::move(*manifest), *schema, *origin};
}

std::string target_of(const BackupFile& file, const std::string& root) {
    auto base = root;
    while (base.ends_with('/')) base.pop_back();
    return base + file.path;
}

Result<std::vector<RestoredFile>> restore_backup(const VerifiedBackup& backup, const std::string& root, SystemTime now,
                                                 bool detach) {
    return Restore(backup, root, now, detach).run();
}

}  // namespace nett
