// How gRPC calls reach the loop thread: every handler runs there as a coroutine; gRPC's threads only post.
#pragma once

#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include <grpcpp/grpcpp.h>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>

#include "agent/api/peers.hpp"
#include "agent/api/status.hpp"
#include "agent/core/shell/shell.hpp"
#include "agent/sdk/asio.hpp"
#include "agent/sdk/result.hpp"

namespace nett {

// What every service needs of the server.
struct ApiContext {
    asio::any_io_executor loop;
    PeerNames& peers;
};

// The caller of a call. Whoever the socket's file mode admits is an administrator.
inline Caller caller_of(const ApiContext& api, const grpc::ServerContextBase& context) {
    return {api.peers.actor_of(context.peer()), Role::kAdmin};
}

inline grpc::Status status_of(const std::exception_ptr& error) {
    try {
        std::rethrow_exception(error);
    } catch (const std::exception& exception) {
        return {grpc::StatusCode::INTERNAL, exception.what()};
    } catch (...) {
        return {grpc::StatusCode::INTERNAL, "unknown exception"};
    }
}

// Runs `work` on the loop and finishes the unary call with its answer. `work` may use the request and the context: they
// live until then.
template <typename Reply>
grpc::ServerUnaryReactor* answer(const ApiContext& api, grpc::CallbackServerContext* context, Reply* reply,
                                 std::function<Awaitable<Result<Reply>>()> work) {
    auto* reactor = context->DefaultReactor();
    // The function object owns the coroutine's captures: it is kept alive by the completion handler.
    auto kept = std::make_shared<std::function<Awaitable<Result<Reply>>()>>(std::move(work));
    asio::post(api.loop, [loop = api.loop, reactor, reply, kept] {
        asio::co_spawn(loop, (*kept)(), [reactor, reply, kept](const std::exception_ptr& error, Result<Reply> result) {
            if (error) return reactor->Finish(status_of(error));
            if (!result) return reactor->Finish(to_status(result.error()));
            *reply = std::move(*result);
            reactor->Finish(grpc::Status::OK);
        });
    });
    return reactor;
}

// A stream of replies, fed on the loop thread. At most kMaxPending wait for a slow reader; then the call ends with
// RESOURCE_EXHAUSTED and `too_slow` as the remedy. Owns itself: goes when the call is done and the last StreamWriter
// is.
template <typename Reply>
class Stream final : public grpc::ServerWriteReactor<Reply>, public std::enable_shared_from_this<Stream<Reply>> {
public:
    static constexpr std::size_t kMaxPending = 1024;  // a screenful of events a second for a quarter of an hour

    static std::shared_ptr<Stream> make(asio::any_io_executor loop, std::string too_slow) {
        auto stream = std::shared_ptr<Stream>(new Stream(std::move(loop), std::move(too_slow)));
        stream->self_ = stream;
        return stream;
    }

    // Loop thread. Ignored after the end.
    void write(Reply reply) {
        if (ending_ || cancelled_) return;
        if (pending_.size() >= kMaxPending) return finish({grpc::StatusCode::RESOURCE_EXHAUSTED, too_slow_});
        pending_.push_back(std::move(reply));
        if (pending_.size() == 1) this->StartWrite(&pending_.front());
    }

    // Loop thread. What is pending is still sent when the status is OK.
    void finish(grpc::Status status) {
        if (ending_) return;
        ending_ = true;
        status_ = std::move(status);
        if (pending_.empty()) this->Finish(status_);
    }

    // Called on the loop thread when the client went away or the server stops; the owner should finish().
    void on_cancel(std::function<void()> handler) {
        if (cancelled_) return handler();
        cancel_handler_ = std::move(handler);
    }

    void OnWriteDone(bool ok) override {
        post([this, ok] {
            pending_.pop_front();
            if (!ok || (ending_ && !status_.ok())) pending_.clear();
            if (!pending_.empty()) {
                this->StartWrite(&pending_.front());
            } else if (ending_) {
                this->Finish(status_);
            }
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
            cancel_handler_ = nullptr;
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
    std::shared_ptr<Stream> self_;
    grpc::Status status_;
    bool ending_ = false;
    bool cancelled_ = false;
};

}  // namespace nett
