#include "agent/api/artifact_download.hpp"

#include <cerrno>
#include <mutex>

#include <unistd.h>
#include <boost/asio/post.hpp>

namespace nett {

// Owns itself until gRPC is done with it; the disk's thread holds it besides while it works. One step at a time: the
// next chunk is read when the last one is on its way.
class ArtifactDownloads::Call final : public grpc::ServerWriteReactor<v1::DownloadChunk>,
                                      public OpenStream,
                                      public std::enable_shared_from_this<ArtifactDownloads::Call> {
public:
    static std::shared_ptr<Call> make(ArtifactDownloads& owner, grpc::CallbackServerContext* context,
                                      const v1::DownloadRequest& request) {
        auto call = std::make_shared<Call>(owner, context, request);
        call->self_ = call;
        return call;
    }
    Call(ArtifactDownloads& owner, grpc::CallbackServerContext* context, const v1::DownloadRequest& request)
        : owner_(owner), context_(context), sha256_(request.sha256()), offset_(request.offset()) {}

    void begin() {
        if (owner_.running_.fetch_add(1) >= kMaxDownloads) {
            return Finish({grpc::StatusCode::RESOURCE_EXHAUSTED, "too many downloads at once; try again later"});
        }
        if (!ArtifactFiles::is_digest(sha256_)) {
            return Finish({grpc::StatusCode::INVALID_ARGUMENT, "sha256: 64 lower-case hex digits are expected"});
        }
        post([this] { open(); });
    }

    // The server stops: a reader that is slow is not waited for.
    void finish(grpc::Status) override {
        const std::lock_guard lock(mutex_);
        if (context_ != nullptr) context_->TryCancel();
    }

    void OnWriteDone(bool ok) override {
        if (!ok) return Finish(grpc::Status::CANCELLED);
        post([this] { send_next(); });
    }
    void OnCancel() override {}
    void OnDone() override {
        --owner_.running_;
        {
            const std::lock_guard lock(mutex_);
            context_ = nullptr;
        }
        self_.reset();
    }

private:
    void post(std::function<void()> work) {
        asio::post(owner_.disk_, [keep = shared_from_this(), work = std::move(work)] { work(); });
    }

    void open() {
        auto file = owner_.files_.open(sha256_);
        if (!file) return Finish(to_status(file.error()));
        file_ = std::move(*file);
        send_next();
    }

    void send_next() {
        std::string& data = *chunk_.mutable_data();
        data.resize(kDownloadChunk);
        ssize_t got = 0;
        do {
            got = ::pread(file_.get(), data.data(), data.size(), static_cast<off_t>(offset_));
        } while (got < 0 && errno == EINTR);
        if (got < 0) return Finish(to_status(errno_error(errno, "cannot read", sha256_)));
        if (got == 0) return Finish(grpc::Status::OK);
        data.resize(static_cast<std::size_t>(got));
        offset_ += static_cast<std::uint64_t>(got);
        StartWrite(&chunk_);
    }

    ArtifactDownloads& owner_;
    std::mutex mutex_;  // guards context_
    grpc::CallbackServerContext* context_;
    const std::string sha256_;
    std::uint64_t offset_;
    UniqueFd file_;
    v1::DownloadChunk chunk_;
    std::shared_ptr<Call> self_;
};

grpc::ServerWriteReactor<v1::DownloadChunk>* ArtifactDownloads::start(const ApiContext& api,
                                                                      grpc::CallbackServerContext* context,
                                                                      const v1::DownloadRequest& request) {
    const auto call = Call::make(*this, context, request);
    asio::post(api.loop, [&api, call] { api.streams.add(call); });
    call->begin();
    return call.get();
}

}  // namespace nett
