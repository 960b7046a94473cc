// Etcd over gRPC. gRPC's threads only post to the loop and count calls; every decision is made on the loop.
#include <atomic>
#include <condition_variable>
#include <map>
#include <mutex>

#include <grpcpp/grpcpp.h>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "agent/replication/etcd.hpp"
#include "agent/sdk/clock.hpp"
#include "agent/sdk/log.hpp"
#include "agent/sdk/strings.hpp"
#include "etcd.grpc.pb.h"

namespace nett::replication {

namespace {

namespace pb = etcdserverpb;

constexpr std::chrono::seconds kCallTime{2};   // a member that is well answers in milliseconds
constexpr std::chrono::seconds kPageTime{15};  // a page of a snapshot is megabytes
constexpr int kKeepaliveMs = 10'000;           // etcd refuses pings more often than every 5 s
constexpr int kKeepaliveTimeoutMs = 3'000;
constexpr int kMaxMessageBytes = 64 << 20;  // a page of a snapshot; etcd's own parts of a watch have 2 MiB
constexpr std::size_t kMaxPemFile = 1U << 20U;

Error error_of(const grpc::Status& status, const std::string& endpoint) {
    const std::string& text = status.error_message();
    const auto says = [&](const char* words) { return text.find(words) != std::string::npos; };
    const std::string place = "etcd member " + endpoint;
    switch (status.error_code()) {
        case grpc::StatusCode::OUT_OF_RANGE:
            return {Code::kDataLoss, text, place};
        case grpc::StatusCode::DEADLINE_EXCEEDED:
            return {Code::kDeadlineExceeded, "does not answer", place};
        case grpc::StatusCode::PERMISSION_DENIED:
        case grpc::StatusCode::UNAUTHENTICATED:
            return {Code::kPermissionDenied, text, place};
        case grpc::StatusCode::INVALID_ARGUMENT:
            if (says("too many operations")) {
                return {Code::kInvalidArgument,
                        "too many changes at once for etcd: send fewer, or run each member with --max-txn-ops=8192",
                        place};
            }
            if (says("too large")) {
                return {Code::kInvalidArgument,
                        "too large for etcd: send less at once, or run each member with --max-request-bytes=8388608",
                        place};
            }
            return {Code::kInvalidArgument, text, place};
        case grpc::StatusCode::RESOURCE_EXHAUSTED:
            if (says("larger than max")) {
                return {Code::kInvalidArgument,
                        "too large for etcd: send less at once, or run each member with --max-request-bytes=8388608",
                        place};
            }
            return {Code::kResourceExhausted,
                    text + "; compact and defragment etcd, then \"etcdctl alarm disarm\": docs/replication.md", place};
        default:
            return {Code::kUnavailable, text, place};
    }
}

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

    void start(pb::Watch::Stub& stub, const EtcdRange& range, Revision from) {
        auto* create = request_.mutable_create_request();
        create->set_key(range.begin);
        create->set_range_end(range.end);
        create->set_start_revision(static_cast<std::int64_t>(from));
        create->set_progress_notify(true);
        create->set_fragment(true);
        self_ = shared_from_this();
        stub.async()->Watch(&context_, this);
        AddHold();  // reads are begun from outside of gRPC's callbacks
        calls_->enter(this, [this] { cancel(); });
        StartCall();
        StartWrite(&request_);
    }

    // False: the stream has ended, see status().
    Awaitable<bool> read() {
        if (released_.load()) co_return false;
        read_ = Read::kUnderWay;
        const auto self = shared_from_this();
        StartRead(&response_);
        while (read_ == Read::kUnderWay || (read_ == Read::kFailed && !done_)) {
            boost::system::error_code ignored;
            co_await signal_.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
        }
        co_return read_ == Read::kGood;
    }
    const pb::WatchResponse& response() const { return response_; }
    const grpc::Status& status() const { return status_; }

    // Any thread; idempotent.
    void cancel() {
        context_.TryCancel();
        if (!released_.exchange(true)) RemoveHold();
    }

    void OnReadDone(bool ok) override {
        if (!ok && !released_.exchange(true)) RemoveHold();
        asio::post(loop_, [self = shared_from_this(), ok] {
            self->read_ = ok ? Read::kGood : Read::kFailed;
            self->signal_.cancel();
        });
    }
    void OnDone(const grpc::Status& status) override {
        const auto self = std::move(self_);
        asio::post(loop_, [self, status] {
            self->status_ = status;
            self->done_ = true;
            self->signal_.cancel();
        });
        calls_->leave(this);
    }

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

EtcdKeyValue entry_of(const pb::KeyValue& kv) {
    return {kv.key(), kv.value(), static_cast<Revision>(kv.mod_revision())};
}

Revision revision_of(const pb::ResponseHeader& header) {
    return static_cast<Revision>(header.revision());
}

class GrpcWatch final : public EtcdWatch {
public:
    GrpcWatch(std::shared_ptr<WatchStream> stream, std::string endpoint, std::function<void()> failed)
        : stream_(std::move(stream)), endpoint_(std::move(endpoint)), failed_(std::move(failed)) {}
    ~GrpcWatch() override { stream_->cancel(); }

    Awaitable<Result<EtcdEvents>> next() override {
        for (;;) {
            if (!co_await stream_->read()) {
                failed_();
                co_return fail(error_of(stream_->status(), endpoint_));
            }
            const auto& response = stream_->response();
            if (response.compact_revision() != 0) {
                co_return fail(Code::kDataLoss, "etcd keeps changes from revision {} on only",
                               response.compact_revision());
            }
            if (response.canceled()) co_return fail(Code::kUnavailable, "{}", response.cancel_reason());
            if (!response.created()) co_return events_of(response);
        }
    }
    void cancel() override { stream_->cancel(); }

private:
    static EtcdEvents events_of(const pb::WatchResponse& response) {
        EtcdEvents out;
        for (const auto& event : response.events()) {
            out.events.push_back({event.type() == pb::Event::DELETE, entry_of(event.kv())});
        }
        if (out.events.empty()) {
            out.complete_to = revision_of(response.header());
        } else {
            // A part of a large message may end within a revision.
            const auto last = out.events.back().entry.mod_revision;
            out.complete_to = response.fragment() ? last - 1 : last;
        }
        return out;
    }

    std::shared_ptr<WatchStream> stream_;
    std::string endpoint_;
    std::function<void()> failed_;
};

// A watch that could not be begun.
class BrokenWatch final : public EtcdWatch {
public:
    explicit BrokenWatch(Error error) : error_(std::move(error)) {}
    Awaitable<Result<EtcdEvents>> next() override { co_return fail(Error(error_)); }
    void cancel() override {}

private:
    Error error_;
};

void fill(pb::RangeRequest& request, const EtcdRange& range) {
    request.set_key(range.begin);
    request.set_range_end(range.end);
}

pb::TxnRequest request_of(const EtcdTxn& txn) {
    pb::TxnRequest request;
    for (const auto& one : txn.compares) {
        auto* compare = request.add_compare();
        compare->set_target(pb::Compare::MOD);
        compare->set_result(pb::Compare::EQUAL);
        compare->set_key(one.key);
        compare->set_mod_revision(static_cast<std::int64_t>(one.mod_revision));
        auto* actual = request.add_failure()->mutable_request_range();
        actual->set_key(one.key);
        actual->set_keys_only(true);
    }
    for (const auto& one : txn.deletes) {
        auto* deletion = request.add_success()->mutable_request_delete_range();
        deletion->set_key(one.begin);
        deletion->set_range_end(one.end);
    }
    for (const auto& one : txn.puts) {
        auto* put = request.add_success()->mutable_request_put();
        put->set_key(one.key);
        put->set_value(one.value);
        put->set_lease(one.lease);
    }
    for (const auto& one : txn.reads) {
        fill(*request.add_success()->mutable_request_range(), one);
        fill(*request.add_failure()->mutable_request_range(), one);
    }
    return request;
}

EtcdTxnAnswer answer_of(const pb::TxnResponse& response, const EtcdTxn& txn) {
    EtcdTxnAnswer answer;
    answer.succeeded = response.succeeded();
    answer.revision = revision_of(response.header());
    const auto first_read = answer.succeeded ? txn.deletes.size() + txn.puts.size() : txn.compares.size();
    for (std::size_t i = 0; i < static_cast<std::size_t>(response.responses_size()); ++i) {
        const auto& range = response.responses(static_cast<int>(i)).response_range();
        if (i >= first_read) {
            auto& read = answer.reads.emplace_back();
            for (const auto& kv : range.kvs()) read.push_back(entry_of(kv));
        } else if (!answer.succeeded) {
            answer.actual.push_back(range.kvs_size() == 0 ? 0 : static_cast<Revision>(range.kvs(0).mod_revision()));
        }
    }
    return answer;
}

class GrpcEtcd final : public Etcd {
public:
    GrpcEtcd(asio::any_io_executor loop, EtcdSettings settings) : loop_(loop), settings_(std::move(settings)) {}
    ~GrpcEtcd() override {
        calls_->stop();
        calls_->wait();
    }

    Awaitable<Result<EtcdTxnAnswer>> txn(EtcdTxn txn) override {
        auto request = request_of(txn);
        auto start = [this](auto* context, auto* request, auto* response, auto done) {
            member_->kv->async()->Txn(context, request, response, std::move(done));
        };
        auto work = call<pb::TxnRequest, pb::TxnResponse>(std::move(request), kCallTime, std::move(start));
        auto response = co_await std::move(work);
        if (!response) co_return fail(std::move(response.error()));
        co_return answer_of(*response, txn);
    }

    Awaitable<Result<EtcdPage>> range(EtcdRange range, Revision revision, std::size_t limit) override {
        pb::RangeRequest request;
        fill(request, range);
        request.set_revision(static_cast<std::int64_t>(revision));
        request.set_limit(static_cast<std::int64_t>(limit));
        auto start = [this](auto* context, auto* request, auto* response, auto done) {
            member_->kv->async()->Range(context, request, response, std::move(done));
        };
        auto work = call<pb::RangeRequest, pb::RangeResponse>(std::move(request), kPageTime, std::move(start));
        auto response = co_await std::move(work);
        if (!response) co_return fail(std::move(response.error()));
        EtcdPage page{{}, response->more(), revision_of(response->header())};
        for (const auto& kv : response->kvs()) page.entries.push_back(entry_of(kv));
        co_return page;
    }

    std::unique_ptr<EtcdWatch> watch(EtcdRange range, Revision start) override {
        if (auto connected = connect(); !connected) return std::make_unique<BrokenWatch>(std::move(connected.error()));
        auto stream = std::make_shared<WatchStream>(loop_, calls_);
        stream->start(*member_->watch, range, start);
        auto failed = [this, generation = generation_] { leave_member(generation); };
        return std::make_unique<GrpcWatch>(std::move(stream), endpoint(), std::move(failed));
    }

    Awaitable<Result<std::int64_t>> grant_lease(std::chrono::seconds time_to_live) override {
        pb::LeaseGrantRequest request;
        request.set_ttl(time_to_live.count());
        auto start = [this](auto* context, auto* request, auto* response, auto done) {
            member_->lease->async()->LeaseGrant(context, request, response, std::move(done));
        };
        auto work =
            call<pb::LeaseGrantRequest, pb::LeaseGrantResponse>(std::move(request), kCallTime, std::move(start));
        auto response = co_await std::move(work);
        if (!response) co_return fail(std::move(response.error()));
        co_return response->id();
    }

    Awaitable<Result<void>> revoke_lease(std::int64_t lease) override {
        pb::LeaseRevokeRequest request;
        request.set_id(lease);
        auto start = [this](auto* context, auto* request, auto* response, auto done) {
            member_->lease->async()->LeaseRevoke(context, request, response, std::move(done));
        };
        auto work =
            call<pb::LeaseRevokeRequest, pb::LeaseRevokeResponse>(std::move(request), kCallTime, std::move(start));
        auto response = co_await std::move(work);
        if (!response) co_return fail(std::move(response.error()));
        co_return Result<void>{};
    }

    std::string endpoint() const override { return settings_.endpoints[current_]; }
    void rotate() override { leave_member(generation_); }
    void stop() override { calls_->stop(); }

private:
    struct Member {
        std::unique_ptr<pb::KV::Stub> kv;
        std::unique_ptr<pb::Watch::Stub> watch;
        std::unique_ptr<pb::Lease::Stub> lease;
    };

    template <typename Request, typename Response, typename Start>
    Awaitable<Result<Response>> call(Request request, std::chrono::seconds time, Start start) {
        if (calls_->stopped()) co_return fail(Code::kUnavailable, "the agent stops");
        if (auto connected = connect(); !connected) co_return fail(std::move(connected.error()));
        const auto call = std::make_shared<Call<Request, Response>>(loop_, time);
        call->request = std::move(request);
        const auto asked = endpoint();
        const auto generation = generation_;
        calls_->enter(call.get(), [context = &call->context] { context->TryCancel(); });
        start(&call->context, &call->request, &call->response, [call, calls = calls_](grpc::Status status) {
            const auto* key = call.get();
            asio::post(call->signal.get_executor(), [call, status = std::move(status)] {
                call->status = status;
                call->ended = true;
                call->signal.cancel();
            });
            calls->leave(key);
        });
        while (!call->ended) {
            boost::system::error_code ignored;
            co_await call->signal.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
        }
        if (call->status.ok()) co_return std::move(call->response);
        auto error = error_of(call->status, asked);
        if (error.code == Code::kUnavailable || error.code == Code::kDeadlineExceeded) leave_member(generation);
        co_return fail(std::move(error));
    }

    // The member of that time does not serve us: the next one, on a connection of its own.
    void leave_member(std::uint64_t generation) {
        if (generation != generation_) return;  // somebody has done it
        ++generation_;
        current_ = (current_ + 1) % settings_.endpoints.size();
        member_.reset();
    }

    // The files are read for each connection: renewed ones are used by the next.
    Result<void> connect() {
        if (member_) return {};
        auto root = read_file(settings_.server_ca, kMaxPemFile);
        if (!root) return fail(std::move(root.error()));
        auto certificate = read_file(settings_.certificate, kMaxPemFile);
        if (!certificate) return fail(std::move(certificate.error()));
        auto key = read_file(settings_.private_key, kMaxPemFile);
        if (!key) return fail(std::move(key.error()));
        grpc::SslCredentialsOptions options{std::move(*root), std::move(*key), std::move(*certificate)};
        grpc::ChannelArguments arguments;
        arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
        arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
        arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, kKeepaliveMs);
        arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, kKeepaliveTimeoutMs);
        arguments.SetMaxReceiveMessageSize(kMaxMessageBytes);
        if (!settings_.server_name.empty()) arguments.SetSslTargetNameOverride(settings_.server_name);
        const auto channel = grpc::CreateCustomChannel("ipv6:" + endpoint(), grpc::SslCredentials(options), arguments);
        member_ = std::make_unique<Member>(
            Member{pb::KV::NewStub(channel), pb::Watch::NewStub(channel), pb::Lease::NewStub(channel)});
        return {};
    }

    asio::any_io_executor loop_;
    EtcdSettings settings_;
    std::size_t current_ = 0;
    std::uint64_t generation_ = 0;
    std::unique_ptr<Member> member_;
    std::shared_ptr<CallsInFlight> calls_ = std::make_shared<CallsInFlight>();
};

}  // namespace

std::unique_ptr<Etcd> make_etcd_client(asio::any_io_executor loop, EtcdSettings settings) {
    return std::make_unique<GrpcEtcd>(loop, std::move(settings));
}

}  // namespace nett::replication
