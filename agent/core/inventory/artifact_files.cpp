#include "agent/core/inventory/artifact_files.hpp"

#include <array>
#include <cerrno>
#include <filesystem>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/sdk/strings.hpp"

namespace nett {

namespace {

constexpr std::string_view kTemporaryPrefix = ".import-";
constexpr std::string_view kPartialPrefix = ".partial-";  // then the digest
constexpr std::size_t kDigestDigits = 64;
constexpr mode_t kDirectoryMode = 0755;
constexpr mode_t kFileMode = 0644;  // nothing secret is in an artifact; other servers of the files may read them
constexpr std::size_t kReadSize = 1U << 20U;

Result<void> make_directory(const std::string& path) {
    if (::mkdir(path.c_str(), kDirectoryMode) == 0 || errno == EEXIST) return {};
    return fail(errno_error(errno, "cannot make the artifact directory", path));
}

// Removes imports that an earlier run did not finish, and after a while those that could have been resumed.
void remove_leftovers(const std::string& directory) {
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator(directory, error)) {
        const auto name = entry.path().filename().string();
        const bool old =
            std::filesystem::file_time_type::clock::now() - entry.last_write_time(error) > kPartialLifetime;
        if (name.starts_with(kTemporaryPrefix) || (name.starts_with(kPartialPrefix) && old))
            ::unlink(entry.path().c_str());
    }
}

std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> start_digest() {
    std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> digest(EVP_MD_CTX_new(), &EVP_MD_CTX_free);
    if (digest && EVP_DigestInit_ex(digest.get(), EVP_sha256(), nullptr) != 1) digest.reset();
    return digest;
}

std::string finish_digest(EVP_MD_CTX* digest) {
    std::array<unsigned char, EVP_MAX_MD_SIZE> bytes{};
    unsigned int size = 0;
    EVP_DigestFinal_ex(digest, bytes.data(), &size);
    return to_hex(std::string_view(reinterpret_cast<const char*>(bytes.data()), size));
}

}  // namespace

ArtifactImport::ArtifactImport(std::string directory, std::string temporary, UniqueFd fd, Digest digest)
    : directory_(std::move(directory)),
      temporary_(std::move(temporary)),
      fd_(std::move(fd)),
      digest_(std::move(digest)) {}

ArtifactImport::~ArtifactImport() {
    if (fd_ && !resumable_) ::unlink(temporary_.c_str());
}

Result<void> ArtifactImport::take_up() {
    std::string buffer(kReadSize, '\0');
    for (;;) {
        const ssize_t got = ::read(fd_.get(), buffer.data(), buffer.size());
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return fail(errno_error(errno, "cannot read", temporary_));
        if (got == 0) return {};
        EVP_DigestUpdate(digest_.get(), buffer.data(), static_cast<std::size_t>(got));
        size_ += static_cast<std::uint64_t>(got);
    }
}

Result<void> ArtifactImport::append(std::string_view bytes) {
    if (bytes.size() > kMaxArtifactSize - size_) {
        return fail(Code::kResourceExhausted, "an artifact has at most {} bytes", kMaxArtifactSize);
    }
    NETT_TRY(write_all(fd_.get(), bytes, temporary_));
    EVP_DigestUpdate(digest_.get(), bytes.data(), bytes.size());
    size_ += bytes.size();
    return {};
}

Result<UniqueFd> ArtifactImport::reader() const {
    return open_file(temporary_, O_RDONLY);
}

Result<ImportedArtifact> ArtifactImport::finish(const std::string& expected_sha256, std::uint64_t expected_size) {
    ImportedArtifact imported{finish_digest(digest_.get()), size_, false};
    if (expected_size != 0 && expected_size != size_) {
        resumable_ = resumable_ && size_ < expected_size;
        return fail(Code::kDataLoss, "{} bytes arrived, {} were announced; send it again", size_, expected_size);
    }
    resumable_ = false;
    if (!expected_sha256.empty() && expected_sha256 != imported.sha256) {
        return fail(Code::kDataLoss, "what arrived has SHA-256 {}, announced was {}; send it again", imported.sha256,
                    expected_sha256);
    }
    NETT_TRY(sync_file(fd_.get(), temporary_));
    const std::string final_path = directory_ + "/" + imported.sha256;
    imported.existed = ::access(final_path.c_str(), F_OK) == 0;
    if (::rename(temporary_.c_str(), final_path.c_str()) != 0) {
        return fail(errno_error(errno, "cannot put the artifact in place", final_path));
    }
    fd_.reset();
    NETT_TRY(sync_directory(directory_));
    return imported;
}

Result<ArtifactFiles> ArtifactFiles::open(const std::string& directory) {
    NETT_TRY(make_directory(directory));
    ArtifactFiles files(directory + "/sha256");
    NETT_TRY(make_directory(files.directory_));
    remove_leftovers(files.directory_);
    return files;
}

Result<ArtifactImport> ArtifactFiles::begin_import() const {
    std::string temporary = directory_ + "/" + std::string(kTemporaryPrefix) + "XXXXXX";
    UniqueFd fd(::mkostemp(temporary.data(), O_CLOEXEC));
    if (!fd) return fail(errno_error(errno, "cannot store an artifact", directory_));
    if (::fchmod(fd.get(), kFileMode) != 0) {
        const int number = errno;
        ::unlink(temporary.c_str());
        return fail(errno_error(number, "cannot store an artifact", directory_));
    }
    auto digest = start_digest();
    ArtifactImport import(directory_, std::move(temporary), std::move(fd), std::move(digest));
    if (!import.digest_) return fail(Code::kInternal, "OpenSSL has no SHA-256");
    return import;
}

Result<ArtifactImport> ArtifactFiles::resume_import(const std::string& sha256, std::uint64_t offset) const {
    if (!is_digest(sha256)) {
        return fail(Code::kInvalidArgument, "\"{}\" is no SHA-256: 64 lower-case hex digits", sha256);
    }
    const std::string path = directory_ + "/" + std::string(kPartialPrefix) + sha256;
    auto fd = open_file(path, O_RDWR | O_CREAT, kFileMode);
    if (!fd) return fail(std::move(fd.error()));
    if (::flock(fd->get(), LOCK_EX | LOCK_NB) != 0) {
        return fail(Code::kAborted, "somebody is uploading the same file now; try again when that is done");
    }
    if (offset == 0 && ::ftruncate(fd->get(), 0) != 0) return fail(errno_error(errno, "cannot empty", path));
    ArtifactImport import(directory_, path, std::move(*fd), start_digest());
    import.resumable_ = true;
    if (!import.digest_) return fail(Code::kInternal, "OpenSSL has no SHA-256");
    NETT_TRY(import.take_up());
    if (import.size_ != offset) {
        return fail(Code::kFailedPrecondition,
                    "{} bytes of it are here, not {}: ask how many (GetUpload) and go on there", import.size_, offset);
    }
    return import;
}

bool ArtifactFiles::is_digest(std::string_view text) {
    return text.size() == kDigestDigits && text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

std::uint64_t ArtifactFiles::received_of(std::string_view sha256) const {
    const auto path = directory_ + "/" + std::string(kPartialPrefix) + std::string(sha256);
    struct stat info {};
    return ::stat(path.c_str(), &info) == 0 ? static_cast<std::uint64_t>(info.st_size) : 0;
}

std::string ArtifactFiles::path_of(std::string_view sha256) const {
    return directory_ + "/" + std::string(sha256);
}

Result<std::uint64_t> ArtifactFiles::size_of(std::string_view sha256) const {
    const auto path = path_of(sha256);
    struct stat info {};
    if (::stat(path.c_str(), &info) != 0) return fail(errno_error(errno, "no such artifact", path));
    if (!S_ISREG(info.st_mode)) return fail(Error{Code::kDataLoss, "not a regular file", path});
    return static_cast<std::uint64_t>(info.st_size);
}

Result<void> ArtifactFiles::verify(const std::string& sha256) const {
    const auto path = path_of(sha256);
    auto fd = open_file(path, O_RDONLY);
    if (!fd) return fail(std::move(fd.error()));
    auto digest = start_digest();
    if (!digest) return fail(Code::kInternal, "OpenSSL has no SHA-256");
    std::string buffer(kReadSize, '\0');
    for (;;) {
        const ssize_t got = ::read(fd->get(), buffer.data(), buffer.size());
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return fail(errno_error(errno, "cannot read", path));
        if (got == 0) break;
        EVP_DigestUpdate(digest.get(), buffer.data(), static_cast<std::size_t>(got));
    }
    const auto found = finish_digest(digest.get());
    if (found == sha256) return {};
    return fail(
        Error{Code::kDataLoss, fmt::format("damaged: its bytes have SHA-256 {}; upload it again", found), path});
}

}  // namespace nett
