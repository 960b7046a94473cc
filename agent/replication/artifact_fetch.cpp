#include "agent/replication/artifact_fetch.hpp"

#include <cerrno>

#include <sys/statvfs.h>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace nett::replication {

namespace {

using Import = std::shared_ptr<ArtifactImport>;

Result<void> check_room(const std::string& path, std::uint64_t bytes) {
    struct statvfs found {};
    const auto folder = directory_of(path);
    if (::statvfs(folder.c_str(), &found) != 0) return fail(errno_error(errno, "cannot look at", folder));
    const auto free = static_cast<std::uint64_t>(found.f_bavail) * found.f_frsize;
    if (free >= bytes + kRoomLeft) return {};
    return fail(Error{
        Code::kResourceExhausted,
        fmt::format("{} MiB are free, {} MiB are needed: make room", free >> 20U, (bytes + kRoomLeft) >> 20U), folder});
}

// The four below run on the disk's threads.

Result<Import> begin(const ArtifactFiles& files, const ArtifactFile& file, ArrivingCopy& copy) {
    auto offset = files.received_of(file.sha256);
    if (offset > file.size) offset = 0;  // no part of this file
    NETT_TRY(check_room(files.path_of(file.sha256), file.size - offset));
    auto import = files.resume_import(file.sha256, offset);
    if (!import) return fail(std::move(import.error()));
    auto reader = import->reader();
    if (!reader) return fail(std::move(reader.error()));
    copy.attach(std::move(*reader), import->size());
    return std::make_shared<ArtifactImport>(std::move(*import));
}

Awaitable<Result<Import>> begin_on_disk(const ArtifactFiles& files, const ArtifactFile& file, ArrivingCopy& copy) {
    co_return begin(files, file, copy);
}

Awaitable<Result<void>> finish_on_disk(ArtifactImport& import, const ArtifactFile& file) {
    auto stored = import.finish(file.sha256, file.size);
    if (!stored) co_return fail(std::move(stored.error()));
    co_return Result<void>{};
}

// `fault`: what this server could not do, as against the peer.
Result<void> take(const FetchTools& tools, ArtifactImport& import, ArrivingCopy& copy, std::string_view bytes,
                  std::string& fault) {
    if (bytes.size() > copy.size() - import.size()) return fail(Code::kDataLoss, "it sends more than the file has");
    auto written = import.append(bytes);
    if (!written) {
        fault = written.error().to_string();
        return written;
    }
    tools.fetched_bytes.add(bytes.size());
    copy.grew(import.size());
    return {};
}

}  // namespace

Awaitable<FetchResult> fetch_from(FetchTools tools, ArtifactFile file, std::string endpoint,
                                  std::shared_ptr<ArrivingCopy> copy) {
    using Kind = FetchResult::Kind;
    auto beginning = begin_on_disk(tools.files, file, *copy);
    auto begun = co_await asio::co_spawn(tools.disk, std::move(beginning), asio::use_awaitable);
    if (!begun) co_return FetchResult{Kind::kHere, begun.error().to_string()};
    const Import import = std::move(*begun);
    const auto resumed_at = import->size();
    if (resumed_at < file.size) {
        std::string fault;
        ByteTaker taker = [&](std::string_view bytes) { return take(tools, *import, *copy, bytes, fault); };
        auto came = co_await tools.downloader.download(endpoint, file.sha256, resumed_at, std::move(taker));
        if (!fault.empty()) co_return FetchResult{Kind::kHere, fault, resumed_at};
        if (!came) {
            const auto kind = came.error().code == Code::kNotFound ? Kind::kAbsent : Kind::kPeer;
            co_return FetchResult{kind, came.error().to_string(), resumed_at};
        }
        if (import->size() < file.size) {
            auto reason = fmt::format("its copy has {} bytes, not {}", import->size(), file.size);
            co_return FetchResult{Kind::kPeer, std::move(reason), resumed_at};
        }
    }
    auto finishing = finish_on_disk(*import, file);
    auto finished = co_await asio::co_spawn(tools.disk, std::move(finishing), asio::use_awaitable);
    if (finished) {
        copy->complete();
        co_return FetchResult{Kind::kDone, "", resumed_at};
    }
    const auto kind = finished.error().code == Code::kDataLoss ? Kind::kContent : Kind::kHere;
    co_return FetchResult{kind, finished.error().to_string(), resumed_at};
}

}  // namespace nett::replication
