// The way to etcd's members: one gRPC connection to the member in use, calls and a stream that the loop waits for.
// gRPC's threads only post to the loop and count calls; every decision is made on the loop. Included by gRPC's side
// alone.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include <grpcpp/grpcpp.h>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "agent/replication/etcd.hpp"
#include "agent/sdk/clock.hpp"
#include "etcd.grpc.pb.h"

namespace nett::replication {

namespace pb = etcdserverpb;

// What a call's end means to the replication; `endpoint` for people.
Error error_of(const grpc::Status& status, const std::string& endpoint);

// The calls in flight: can be cancelled, and waited for, from any thread.
class CallsInFlight {
public:
    // Any number of times; `cancel` must not call back.
    void enter(const void* call, std::function<void()> cancel) {
        const std::lock_guard lock(mutex_);
        if (stopped_) cancel();
        calls_.emplace(call, std::move(cancel));
    }
    void leave(const void* call) {
        const std::lock_guard lock(mutex_);
        calls_.erase(call);
        left_.notify_all();
    }
    void stop() {
        const std::lock_guard lock(mutex_);
        stopped_ = true;
        for (const auto& [call, cancel] : calls_) cancel();
    }
    bool stopped() const {
        const std::lock_guard lock(mutex_);
        return stopped_;
    }
    // After stop(). What is left ends on gRPC's threads, without the loop.
    void wait() {
        std::unique_lock lock(mutex_);
        left_.wait(lock, [this] { return calls_.empty(); });
    }

private:
    mutable std::mutex mutex_;
    std::condition_variable left_;
    std::map<const void*, std::function<void()>> calls_;
    bool stopped_ = false;
};

// A call that is answered once. `signal` is cancelled, on the loop, when it has ended.
template <typename Request, typename Response>
struct Call {
    Call(asio::any_io_executor loop, std::chrono::seconds time) : signal(loop, SteadyTime::max()) {
        context.set_deadline(std::chrono::system_clock::now() + time);
        context.AddMetadata("hasleader", "true");  // a member without a leader says so at once
    }
    grpc::ClientContext context;
    Request request;
    Response response;
    grpc::Status status;
    asio::steady_timer signal;
    bool ended = false;
};

// Loop thread, but for On…: gRPC's. Keeps itself alive until OnDone.
class WatchStream final : public grpc::ClientBidiReactor<pb::WatchRequest, pb::WatchResponse>,
                          public std::enable_shared_from_this<WatchStream> {
public:
    WatchStream(asio::any_io_executor loop, std::shared_ptr<CallsInFlight> calls)
        : loop_(loop), calls_(std::move(calls)), signal_(loop, SteadyTime::max()) {
        context_.AddMetadata("hasleader", "true");
    }

    void start(pb::Watch::Stub& stub, const EtcdRange& range, Revision from);

    // False: the stream has ended, see status().
    Awaitable<bool> read();
    const pb::WatchResponse& response() const { return response_; }
    const grpc::Status& status() const { return status_; }

    // Any thread; idempotent.
    void cancel();

    void OnReadDone(bool ok) override;
    void OnDone(const grpc::Status& status) override;

private:
    enum class Read { kNone, kUnderWay, kGood, kFailed };

    asio::any_io_executor loop_;
    std::shared_ptr<CallsInFlight> calls_;
    std::shared_ptr<WatchStream> self_;
    grpc::ClientContext context_;
    pb::WatchRequest request_;
    pb::WatchResponse response_;
    grpc::Status status_;
    asio::steady_timer signal_;
    std::atomic<bool> released_{false};
    Read read_ = Read::kNone;
    bool done_ = false;
};

// The connection to one member at a time. Loop thread only.
class EtcdConnection {
public:
    struct Member {
        std::unique_ptr<pb::KV::Stub> kv;
        std::unique_ptr<pb::Watch::Stub> watch;
        std::unique_ptr<pb::Lease::Stub> lease;
    };

    explicit EtcdConnection(EtcdSettings settings) : settings_(std::move(settings)) {}

    // The member in use, connected at its first use. The files are read for each connection: renewed ones are used by
    // the next.
    Result<Member*> member();
    const std::string& endpoint() const { return settings_.endpoints[current_]; }
    // Which connection it is: for leave().
    std::uint64_t generation() const { return generation_; }
    // The member of that time does not serve us: the next one, on a connection of its own. Nothing when somebody has
    // done it. `silent`: it has not answered at all, and is passed over for a while: each try at it costs a call's
    // whole time, while the others choose a leader within one.
    void leave(std::uint64_t generation, bool silent = false);

private:
    std::size_t next() const;

    const EtcdSettings settings_;
    std::size_t current_ = 0;
    std::uint64_t generation_ = 0;
    std::unique_ptr<Member> member_;
    std::map<std::size_t, SteadyTime> silent_until_;  // by the member's place in the settings
};

}  // namespace nett::replication
