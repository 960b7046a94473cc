// Etcd over gRPC: etcd's messages from and to ours.
#include "agent/replication/grpc_transport.hpp"

namespace nett::replication {

namespace {

constexpr std::chrono::seconds kCallTime{2};   // a member that is well answers in milliseconds
constexpr std::chrono::seconds kPageTime{15};  // a page of a snapshot is megabytes

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
    GrpcEtcd(asio::any_io_executor loop, EtcdSettings settings) : loop_(loop), connection_(std::move(settings)) {}
    ~GrpcEtcd() override {
        calls_->stop();
        calls_->wait();
    }

    Awaitable<Result<EtcdTxnAnswer>> txn(EtcdTxn txn) override {
        auto request = request_of(txn);
        auto start = [](auto& member, auto* context, auto* request, auto* response, auto done) {
            member.kv->async()->Txn(context, request, response, std::move(done));
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
        auto start = [](auto& member, auto* context, auto* request, auto* response, auto done) {
            member.kv->async()->Range(context, request, response, std::move(done));
        };
        auto work = call<pb::RangeRequest, pb::RangeResponse>(std::move(request), kPageTime, std::move(start));
        auto response = co_await std::move(work);
        if (!response) co_return fail(std::move(response.error()));
        EtcdPage page{{}, response->more(), revision_of(response->header())};
        for (const auto& kv : response->kvs()) page.entries.push_back(entry_of(kv));
        co_return page;
    }

    std::unique_ptr<EtcdWatch> watch(EtcdRange range, Revision start) override {
        auto member = connection_.member();
        if (!member) return std::make_unique<BrokenWatch>(std::move(member.error()));
        auto stream = std::make_shared<WatchStream>(loop_, calls_);
        stream->start(*(*member)->watch, range, start);
        auto failed = [this, generation = connection_.generation()] { connection_.leave(generation); };
        return std::make_unique<GrpcWatch>(std::move(stream), endpoint(), std::move(failed));
    }

    Awaitable<Result<std::int64_t>> grant_lease(std::chrono::seconds time_to_live) override {
        pb::LeaseGrantRequest request;
        request.set_ttl(time_to_live.count());
        auto start = [](auto& member, auto* context, auto* request, auto* response, auto done) {
            member.lease->async()->LeaseGrant(context, request, response, std::move(done));
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
        auto start = [](auto& member, auto* context, auto* request, auto* response, auto done) {
            member.lease->async()->LeaseRevoke(context, request, response, std::move(done));
        };
        auto work =
            call<pb::LeaseRevokeRequest, pb::LeaseRevokeResponse>(std::move(request), kCallTime, std::move(start));
        auto response = co_await std::move(work);
        if (!response) co_return fail(std::move(response.error()));
        co_return Result<void>{};
    }

    std::string endpoint() const override { return connection_.endpoint(); }
    void rotate() override { connection_.leave(connection_.generation()); }
    void stop() override { calls_->stop(); }

private:
    template <typename Request, typename Response, typename Start>
    Awaitable<Result<Response>> call(Request request, std::chrono::seconds time, Start start) {
        if (calls_->stopped()) co_return fail(Code::kUnavailable, "the agent stops");
        auto member = connection_.member();
        if (!member) co_return fail(std::move(member.error()));
        const auto call = std::make_shared<Call<Request, Response>>(loop_, time);
        call->request = std::move(request);
        const auto asked = endpoint();
        const auto generation = connection_.generation();
        calls_->enter(call.get(), [context = &call->context] { context->TryCancel(); });
        start(**member, &call->context, &call->request, &call->response, [call, calls = calls_](grpc::Status status) {
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
        const bool silent = error.code == Code::kDeadlineExceeded;
        if (silent || error.code == Code::kUnavailable) connection_.leave(generation, silent);
        co_return fail(std::move(error));
    }

    asio::any_io_executor loop_;
    EtcdConnection connection_;
    std::shared_ptr<CallsInFlight> calls_ = std::make_shared<CallsInFlight>();
};

}  // namespace

std::unique_ptr<Etcd> make_etcd_client(asio::any_io_executor loop, EtcdSettings settings) {
    return std::make_unique<GrpcEtcd>(loop, std::move(settings));
}

}  // namespace nett::replication
