#include "agent/api/artifact_client.hpp"

#include <atomic>
#include <list>

#include <grpcpp/grpcpp.h>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "agent/api/channel.hpp"
#include "agent/api/status.hpp"
#include "nett.grpc.pb.h"

namespace nett {

namespace {

constexpr std::size_t kTakeThreads = 2;  // they hash and write

// One download. gRPC's threads read, the pool takes, the loop waits for the end.
class Call final : public grpc::ClientReadReactor<v1::DownloadChunk>, public std::enable_shared_from_this<Call> {
public:
    Call(asio::any_io_executor loop, asio::any_io_executor pool, ByteTaker take)
        : done_(loop), pool_(std::move(pool)), take_(std::move(take)) {}

    void begin(std::shared_ptr<grpc::Channel> channel, const std::string& sha256, std::uint64_t offset) {
        self_ = shared_from_this();
        stub_ = v1::Artifacts::NewStub(std::move(channel));
        request_.set_sha256(sha256);
        request_.set_offset(offset);
        stub_->async()->Download(&context_, &request_, this);
        AddHold();  // the next read is begun by the pool
        StartRead(&chunk_);
        StartCall();
    }

    // Loop thread. Cancelled when nothing comes for kTransferStall.
    Awaitable<Result<void>> end() {
        bool stalled = false;
        while (!ended_) {
            const auto before = chunks_.load();
            boost::system::error_code error;
            done_.expires_after(kTransferStall);
            co_await done_.async_wait(asio::redirect_error(asio::use_awaitable, error));
            if (ended_ || error || chunks_.load() != before) continue;
            stalled = true;
            context_.TryCancel();
        }
        if (!taken_) co_return fail(Error(taken_.error()));
        if (stalled) co_return fail(Code::kDeadlineExceeded, "nothing came for {} s", kTransferStall.count());
        if (!status_.ok()) co_return fail(error_of(status_));
        co_return Result<void>{};
    }
    void cancel() { context_.TryCancel(); }

    void OnReadDone(bool ok) override {
        if (!ok) return RemoveHold();
        asio::post(pool_, [self = shared_from_this()] { self->take(); });
    }
    void OnDone(const grpc::Status& status) override {
        asio::post(done_.get_executor(), [self = std::move(self_), status] {
            self->status_ = status;
            self->ended_ = true;
            self->done_.cancel();
        });
    }

private:
    void take() {
        ++chunks_;
        if (taken_) {
            taken_ = take_(chunk_.data());
            if (!taken_) context_.TryCancel();
        }
        StartRead(&chunk_);
    }

    asio::steady_timer done_;  // loop; cancelled at the end
    asio::any_io_executor pool_;
    ByteTaker take_;
    std::unique_ptr<v1::Artifacts::Stub> stub_;
    grpc::ClientContext context_;
    v1::DownloadRequest request_;
    v1::DownloadChunk chunk_;
    Result<void> taken_;  // the pool's until OnDone(), then the loop's
    std::atomic<std::uint64_t> chunks_{0};
    grpc::Status status_;
    bool ended_ = false;
    std::shared_ptr<Call> self_;  // until OnDone()
};

class Downloader final : public ArtifactDownloader {
public:
    Downloader(asio::any_io_executor loop, std::function<ApiCertificates()> certificates)
        : loop_(std::move(loop)), certificates_(std::move(certificates)) {}

    Awaitable<Result<void>> download(std::string endpoint, std::string sha256, std::uint64_t offset,
                                     ByteTaker take) override {
        if (stopping_) co_return fail(Code::kUnavailable, "the agent is stopping");
        auto channel = connect_to_agent(endpoint, "", certificates_());
        if (!channel) co_return fail(std::move(channel.error()));
        const auto call = std::make_shared<Call>(loop_, pool_.get_executor(), std::move(take));
        const auto place = calls_.insert(calls_.end(), call);
        call->begin(std::move(*channel), sha256, offset);
        auto ended = co_await call->end();
        calls_.erase(place);
        co_return ended;
    }

    void stop() override {
        stopping_ = true;
        for (const auto& call : calls_) call->cancel();
    }

private:
    asio::any_io_executor loop_;
    std::function<ApiCertificates()> certificates_;
    std::list<std::shared_ptr<Call>> calls_;
    bool stopping_ = false;
    asio::thread_pool pool_{kTakeThreads};
};

}  // namespace

std::unique_ptr<ArtifactDownloader> make_artifact_downloader(asio::any_io_executor loop,
                                                             std::function<ApiCertificates()> certificates) {
    return std::make_unique<Downloader>(std::move(loop), std::move(certificates));
}

}  // namespace nett
