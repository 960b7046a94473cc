#include "agent/api/archive_call.hpp"

#include <optional>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>

namespace nett {

// Owns itself until gRPC is done with it; the worker holds it besides while it runs.
class ArchiveMaker::Call final : public grpc::ServerWriteReactor<v1::BackupChunk>,
                                 public OpenStream,
                                 public std::enable_shared_from_this<ArchiveMaker::Call> {
public:
    static std::shared_ptr<Call> make() {
        auto call = std::make_shared<Call>();
        call->self_ = call;
        return call;
    }

    // Worker thread: waits until the chunk before this one is on its way.
    Result<void> send(std::string_view bytes) {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [this] { return !writing_ || ended_; });
        if (ended_) return fail(Code::kAborted, "the caller went away");
        chunk_.set_data(bytes.data(), bytes.size());
        writing_ = true;
        lock.unlock();
        StartWrite(&chunk_);
        return {};
    }

    // Once, after the last send().
    void complete(grpc::Status status) {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [this] { return !writing_; });
        if (stopped_) status = *stopped_;
        lock.unlock();
        Finish(status);
    }

    // The server stops.
    void finish(grpc::Status status) override {
        const std::lock_guard lock(mutex_);
        if (!ended_) stopped_ = std::move(status);
        end();
    }

    void OnWriteDone(bool ok) override {
        const std::lock_guard lock(mutex_);
        writing_ = false;
        if (!ok) ended_ = true;
        changed_.notify_all();
    }
    void OnCancel() override {
        const std::lock_guard lock(mutex_);
        end();
    }
    void OnDone() override { self_.reset(); }

private:
    void end() {
        ended_ = true;
        changed_.notify_all();
    }

    std::mutex mutex_;
    std::condition_variable changed_;
    v1::BackupChunk chunk_;
    bool writing_ = false;
    bool ended_ = false;
    std::optional<grpc::Status> stopped_;
    std::shared_ptr<Call> self_;
};

grpc::ServerWriteReactor<v1::BackupChunk>* ArchiveMaker::start(
    const ApiContext& api, std::function<Awaitable<Result<ArchiveWork>>()> prepare) {
    auto call = Call::make();
    auto* const reactor = call.get();
    if (busy_.exchange(true)) {
        reactor->Finish(
            {grpc::StatusCode::RESOURCE_EXHAUSTED, "another archive is being made; try again when it is done"});
        return reactor;
    }
    auto kept = std::make_shared<std::function<Awaitable<Result<ArchiveWork>>()>>(std::move(prepare));
    asio::post(api.loop, [this, &api, call, kept] {
        api.streams.add(call);
        asio::co_spawn(api.loop, (*kept)(),
                       [this, call, kept](const std::exception_ptr& error, Result<ArchiveWork> work) {
                           const auto end = [this, call](grpc::Status status) {
                               busy_ = false;
                               call->complete(std::move(status));
                           };
                           if (error) return end(status_of(error));
                           if (!work) return end(to_status(work.error()));
                           asio::post(worker_, [call, end, work = std::move(*work)] {
                               const auto made = work([call](std::string_view bytes) { return call->send(bytes); });
                               end(made ? grpc::Status::OK : to_status(made.error()));
                           });
                       });
    });
    return reactor;
}

}  // namespace nett
