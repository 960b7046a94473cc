#include "builder/artifact_upload.hpp"

#include <algorithm>
#include <cerrno>
#include <functional>

#include <fcntl.h>
#include <openssl/evp.h>
#include <unistd.h>

#include "agent/sdk/strings.hpp"
#include "builder/file.hpp"
#include "builder/openssl.hpp"

namespace nett::builder {
namespace {

constexpr std::size_t kChunkBytes = 256 * 1024;
constexpr std::size_t kMaxFileName = 128;
// A stuck agent is given up; a slow disk is not: at least 1 MB/s.
constexpr std::uint64_t kSlowestBytesPerSecond = 1'000'000;

using DigestPtr = std::unique_ptr<EVP_MD_CTX, OpensslFree<EVP_MD_CTX_free>>;

// Calls `take` with every chunk; a false answer ends reading early.
Result<void> read_chunks(const std::string& path, const std::function<bool(std::string_view)>& take) {
    const Descriptor file(path, O_RDONLY);
    if (file.get() < 0) return fail(system_error(path));
    std::string buffer(kChunkBytes, '\0');
    for (;;) {
        const ssize_t size = ::read(file.get(), buffer.data(), buffer.size());
        if (size < 0 && errno == EINTR) continue;
        if (size < 0) return fail(system_error(path));
        if (size == 0 || !take(std::string_view(buffer.data(), static_cast<std::size_t>(size)))) return {};
    }
}

bool is_url_name(std::string_view name) {
    return !name.empty() && name.size() <= kMaxFileName && name.front() != '.' &&
           std::all_of(name.begin(), name.end(), [](unsigned char c) {
               return std::isalnum(c) != 0 || c == '.' || c == '_' || c == '+' || c == '-';
           });
}

}  // namespace

Result<LocalFile> describe_file(const std::string& path) {
    LocalFile file{path, path.substr(path.rfind('/') + 1), {}, 0};
    if (!is_url_name(file.name)) {
        return fail(
            Error{Code::kInvalidArgument,
                  "its name becomes part of a URL: use letters, digits, '.', '_', '+' and '-', not starting with a dot",
                  path});
    }
    const DigestPtr digest(EVP_MD_CTX_new());
    EVP_DigestInit_ex(digest.get(), EVP_sha256(), nullptr);
    NETT_TRY(read_chunks(path, [&](std::string_view chunk) {
        file.size += chunk.size();
        return EVP_DigestUpdate(digest.get(), chunk.data(), chunk.size()) == 1;
    }));
    if (file.size == 0) return fail(Error{Code::kInvalidArgument, "is empty", path});
    unsigned char bytes[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    EVP_DigestFinal_ex(digest.get(), bytes, &size);
    file.sha256 = to_hex(std::string_view(reinterpret_cast<const char*>(bytes), size));
    return file;
}

Result<bool> upload(Server& server, const LocalFile& file) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + kCallDeadline +
                         std::chrono::seconds(file.size / kSlowestBytesPerSecond));
    v1::UploadReply reply;
    const auto writer = server.artifacts->Upload(&context, &reply);
    v1::UploadRequest header;
    header.mutable_header()->set_sha256(file.sha256);
    header.mutable_header()->set_size(file.size);
    // A false Write means that the agent has answered already; Finish says what.
    bool open = writer->Write(header);
    const auto read = !open ? Result<void>{} : read_chunks(file.path, [&](std::string_view chunk) {
        v1::UploadRequest part;
        part.set_chunk(chunk.data(), chunk.size());
        open = writer->Write(part);
        return open;
    });
    if (!read) context.TryCancel();
    if (open) writer->WritesDone();
    const grpc::Status status = writer->Finish();
    if (!read) return fail(read.error());
    if (!status.ok()) return fail(error_of(status, server.target).in(file.path));
    if (reply.sha256() != file.sha256) {
        return fail(
            Error{Code::kDataLoss,
                  fmt::format("the agent stored {} instead of {}; did the file change?", reply.sha256(), file.sha256),
                  file.path});
    }
    return reply.existed();
}

}  // namespace nett::builder
