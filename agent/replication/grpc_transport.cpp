#include "agent/replication/grpc_transport.hpp"

#include "agent/sdk/log.hpp"
#include "agent/sdk/strings.hpp"

namespace nett::replication {

namespace {

constexpr std::chrono::seconds kPassedOver{10};  // longer than a write is tried for
constexpr int kKeepaliveMs = 10'000;             // etcd refuses pings more often than every 5 s
constexpr int kKeepaliveTimeoutMs = 3'000;
constexpr int kMaxMessageBytes = 64 << 20;  // a page of a snapshot; etcd's own parts of a watch have 2 MiB
constexpr std::size_t kMaxPemFile = 1U << 20U;

}  // namespace

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
void WatchStream::start(pb::Watch::Stub& stub, const EtcdRange& range, Revision from) {
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

Awaitable<bool> WatchStream::read() {
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

void WatchStream::cancel() {
    context_.TryCancel();
    if (!released_.exchange(true)) RemoveHold();
}

void WatchStream::OnReadDone(bool ok) {
    if (!ok && !released_.exchange(true)) RemoveHold();
    asio::post(loop_, [self = shared_from_this(), ok] {
        self->read_ = ok ? Read::kGood : Read::kFailed;
        self->signal_.cancel();
    });
}

void WatchStream::OnDone(const grpc::Status& status) {
    const auto self = std::move(self_);
    asio::post(loop_, [self, status] {
        self->status_ = status;
        self->done_ = true;
        self->signal_.cancel();
    });
    calls_->leave(this);
}

void EtcdConnection::leave(std::uint64_t generation, bool silent) {
    if (generation != generation_) return;
    ++generation_;
    if (silent) silent_until_[current_] = std::chrono::steady_clock::now() + kPassedOver;
    current_ = next();
    member_.reset();
}

std::size_t EtcdConnection::next() const {
    const auto count = settings_.endpoints.size();
    const auto now = std::chrono::steady_clock::now();
    for (std::size_t step = 1; step < count; ++step) {
        const auto member = (current_ + step) % count;
        const auto silent = silent_until_.find(member);
        if (silent == silent_until_.end() || silent->second <= now) return member;
    }
    return (current_ + 1) % count;
}

Result<EtcdConnection::Member*> EtcdConnection::member() {
    if (member_) return member_.get();
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
    return member_.get();
}

}  // namespace nett::replication
