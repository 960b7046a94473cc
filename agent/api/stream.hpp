// Calls that answer with a stream.
#pragma once

#include <deque>
#include <functional>
#include <list>
#include <memory>
#include <string>
#include <utility>

#include <grpcpp/grpcpp.h>
#include <boost/asio/post.hpp>

#include "agent/sdk/asio.hpp"

namespace nett {

// What the server can do with a stream whatever it carries. Loop thread only.
class OpenStream {
public:
    virtual ~OpenStream() = default;
    virtual void finish(grpc::Status status) = 0;
};

// The streams that are open, so that the server need not wait for their clients when it stops. Loop thread only.
class OpenStreams {
public:
    void add(const std::shared_ptr<OpenStream>& stream) {
        if (stopping_) return stream->finish(stop_status());
        std::erase_if(streams_, [](const auto& known) { return known.expired(); });
        streams_.push_back(stream);
    }
    // Ends them all, and those that come later.
    void stop() {
        stopping_ = true;
        for (const auto& known : streams_) {
            if (const auto stream = known.lock()) stream->finish(stop_status());
        }
        streams_.clear();
    }

private:
    static grpc::Status stop_status() { return {grpc::StatusCode::UNAVAILABLE, "the agent is stopping; call again"}; }

    std::list<std::weak_ptr<OpenStream>> streams_;
    bool stopping_ = false;
};

// A stream of replies, fed on the loop thread. Owns itself: goes when the call is done and its feeder lets go.
template <typename Reply>
class Stream final : public grpc::ServerWriteReactor<Reply>,
                     public OpenStream,
                     public std::enable_shared_from_this<Stream<Reply>> {
public:
    // Replies that wait for a slow reader; a batch of changes with the largest transaction fits. One more ends the call
    // with RESOURCE_EXHAUSTED and `too_slow` as the remedy, after those that wait.
    static constexpr std::size_t kMaxPending = 2048;

    // Any thread. `streams` outlives the stream.
    static std::shared_ptr<Stream> make(asio::any_io_executor loop, OpenStreams& streams, std::string too_slow) {
        auto stream = std::shared_ptr<Stream>(new Stream(std::move(loop), std::move(too_slow)));
        stream->self_ = stream;
        stream->post([&streams, raw = stream.get()] { streams.add(raw->shared_from_this()); });
        return stream;
    }

    // The methods below: loop thread.

    // Tells the client that it is listened for: what happens from now on will be written. Once, before the first write.
    void open() {
        if (!ending_) this->StartSendInitialMetadata();
    }
    // Ignored after the end.
    void write(Reply reply) {
        if (ending_) return;
        if (pending_.size() >= kMaxPending) return finish({grpc::StatusCode::RESOURCE_EXHAUSTED, too_slow_});
        pending_.push_back(std::move(reply));
        if (pending_.size() == 1) this->StartWrite(&pending_.front());
    }
    // What is pending is still sent, as long as the client is there.
    void finish(grpc::Status status) override {
        if (ending_) return;
        ending_ = true;
        status_ = std::move(status);
        if (pending_.empty()) this->Finish(status_);
    }
    bool ended() const { return ending_; }
    bool idle() const { return pending_.empty(); }

    // Called each time the last pending reply has been sent, until the end.
    void on_idle(std::function<void()> handler) { idle_handler_ = std::move(handler); }
    // Called once, when the client went away.
    void on_cancel(std::function<void()> handler) {
        if (cancelled_) return handler();
        cancel_handler_ = std::move(handler);
    }

    void OnWriteDone(bool ok) override {
        post([this, ok] {
            pending_.pop_front();
            if (!ok || cancelled_) pending_.clear();
            if (!pending_.empty()) return this->StartWrite(&pending_.front());
            if (ending_) return this->Finish(status_);
            // A copy: the handler may replace itself.
            if (const auto handler = idle_handler_) handler();
        });
    }
    void OnCancel() override {
        post([this] {
            cancelled_ = true;
            if (auto handler = std::exchange(cancel_handler_, nullptr)) handler();
            finish(grpc::Status::CANCELLED);
        });
    }
    void OnDone() override {
        post([this] {
            ending_ = true;
            // They may own whoever feeds this.
            cancel_handler_ = nullptr;
            idle_handler_ = nullptr;
            self_.reset();
        });
    }

private:
    Stream(asio::any_io_executor loop, std::string too_slow) : loop_(std::move(loop)), too_slow_(std::move(too_slow)) {}

    void post(std::function<void()> work) {
        asio::post(loop_, [keep = this->shared_from_this(), work = std::move(work)] { work(); });
    }

    asio::any_io_executor loop_;
    std::string too_slow_;
    std::deque<Reply> pending_;  // the front one is being written
    std::function<void()> cancel_handler_;
    std::function<void()> idle_handler_;
    std::shared_ptr<Stream> self_;
    grpc::Status status_;
    bool ending_ = false;
    bool cancelled_ = false;
};

}  // namespace nett
