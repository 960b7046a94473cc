#include "builder/artifact_upload.hpp"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <functional>
#include <thread>

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

// How often, and how fast, an upload is tried while the agent ends the one that broke off: it notices within a second.
constexpr int kResumeAttempts = 10;
constexpr std::chrono::milliseconds kResumePause{300};

using DigestPtr = std::unique_ptr<EVP_MD_CTX, FreeWith<EVP_MD_CTX_free>>;

// Calls `take` with every chunk from `offset` on; a false answer ends reading early.
Result<void> read_chunks(const std::string& path, std::uint64_t offset,
                         const std::function<bool(std::string_view)>& take) {
    const Descriptor file(path, O_RDONLY);
    if (file.get() < 0 || ::lseek(file.get(), static_cast<off_t>(offset), SEEK_SET) < 0)
        return fail(system_error(path));
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

// What the agent has of the file. An agent that does not know the call has nothing that could be gone on with.
Result<v1::GetUploadReply> find_upload(Server& server, const LocalFile& file) {
    v1::GetUploadRequest request;
    request.set_sha256(file.sha256);
    auto reply = call(server.target, *server.artifacts, &v1::Artifacts::Stub::GetUpload, request);
    if (!reply && reply.error().code == Code::kUnimplemented) return v1::GetUploadReply();
    return reply;
}

// The file from `result.resumed` on; counts into `result`.
Result<void> send(Server& server, const LocalFile& file, const UploadProgress& progress, Uploaded& result) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + kCallDeadline +
                         std::chrono::seconds(file.size / kSlowestBytesPerSecond));
    v1::UploadReply reply;
    const auto writer = server.artifacts->Upload(&context, &reply);
    v1::UploadRequest header;
    header.mutable_header()->set_sha256(file.sha256);
    header.mutable_header()->set_size(file.size);
    header.mutable_header()->set_offset(result.resumed);
    // A false Write means that the agent has answered already; Finish says what.
    bool open = writer->Write(header);
    const auto take = [&](std::string_view chunk) {
        v1::UploadRequest part;
        part.set_chunk(chunk.data(), chunk.size());
        open = writer->Write(part);
        if (open) result.sent += chunk.size();
        if (progress) progress(result.resumed + result.sent, file.size);
        return open;
    };
    const auto read = open ? read_chunks(file.path, result.resumed, take) : Result<void>{};
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
    result.existed = reply.existed();
    return {};
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
    NETT_TRY(read_chunks(path, 0, [&](std::string_view chunk) {
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

Result<Uploaded> upload(Server& server, const LocalFile& file, bool again, const UploadProgress& progress) {
    for (int attempt = 1;; ++attempt) {
        const auto found = find_upload(server, file);
        if (!found) return fail(found.error());
        Uploaded result;
        result.existed = found->stored() && !again;
        if (result.existed) return result;
        // More than the whole is an upload of something else under this digest; the agent drops it when we begin anew.
        result.resumed = found->received() <= file.size ? found->received() : 0;
        auto sent = send(server, file, progress, result);
        if (sent) return result;
        // The agent may still be busy with the upload that broke off, and have more of it than it said.
        const Code code = sent.error().code;
        const bool moved = code == Code::kAborted || code == Code::kFailedPrecondition;
        if (!moved || attempt == kResumeAttempts) return fail(std::move(sent.error()));
        std::this_thread::sleep_for(kResumePause);
    }
}

}  // namespace nett::builder
