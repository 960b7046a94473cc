// FRR's northbound over gRPC. Rules, each found by experiment with FRR 10.3:
//  - A fresh candidate for every commit, always deleted: candidates are full snapshots, a stale one reverts other
//  people's changes.
//  - Only Commit(ALL): PREPARE followed by DeleteCandidate kills a daemon with the stock module.
//  - Never an empty Get path (kills the stock module's daemon), and only paths that match at most one node.
//  - ABORTED means "nothing changed", which is success.
//  - Generous deadlines: a call cut off by one ends the stock module's server until the daemon restarts.
//  - All interfaces cost zebra 36 ms to print at 512 ports, its counters of configuration changes 0.2 ms: the former
//  are read when the latter have moved.
#include <mutex>

#include <grpcpp/grpcpp.h>

#include "agent/frr/backend.hpp"
#include "agent/frr/ra_yang.hpp"
#include "frr_northbound.grpc.pb.h"

namespace nett {
namespace {

constexpr std::chrono::seconds kReadDeadline{10};
constexpr std::chrono::seconds kCommitDeadline{30};
// Every so many reads are whole ones though no counter has moved: in case that a change is not counted.
constexpr int kReadsTrusted = 30;
// How a backend client of mgmtd (zebra, from FRR 10.2 on) counts what is committed to it, by whomever: the version of
// its running configuration, and mgmtd's edits and commits.
constexpr const char* kChangeCountersPath = "/frr-backend:clients";
constexpr int kMinBackoffMs = 100;
constexpr int kMaxBackoffMs = 500;
constexpr int kMaxMessageBytes = 64 * 1024 * 1024;  // CONFIG of 512 interfaces is about 300 kB

// The hardened module (packaging/frr-grpc) appends this to frr_version.
constexpr std::string_view kHardenedMark = "+nett";

Error error_of(const grpc::Status& status, std::string_view call) {
    Error error{Code::kInternal, status.error_message(), std::string(call)};
    switch (status.error_code()) {
        case grpc::StatusCode::UNAVAILABLE:
        case grpc::StatusCode::CANCELLED:
            error.code = Code::kUnavailable;
            break;
        case grpc::StatusCode::DEADLINE_EXCEEDED:
            error.code = Code::kDeadlineExceeded;
            break;
        case grpc::StatusCode::INVALID_ARGUMENT:
            error.code = Code::kInvalidArgument;
            break;
        case grpc::StatusCode::NOT_FOUND:
            error.code = Code::kNotFound;
            break;
        case grpc::StatusCode::RESOURCE_EXHAUSTED:
            error.code = Code::kResourceExhausted;
            break;
        case grpc::StatusCode::FAILED_PRECONDITION:
            error.code = Code::kFailedPrecondition;
            break;
        case grpc::StatusCode::UNIMPLEMENTED:
            error.code = Code::kUnimplemented;
            break;
        default:
            break;
    }
    return error;
}

class GrpcBackend final : public FrrBackend {
public:
    explicit GrpcBackend(const std::string& target) {
        grpc::ChannelArguments arguments;
        arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, kMinBackoffMs);
        arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, kMinBackoffMs);
        arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, kMaxBackoffMs);
        arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
        arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
        arguments.SetMaxReceiveMessageSize(kMaxMessageBytes);
        channel_ = grpc::CreateCustomChannel(target, grpc::InsecureChannelCredentials(), arguments);
        stub_ = frr::Northbound::NewStub(channel_);
    }

    std::string_view name() const override { return "grpc"; }

    Result<bool> probe_hardened() override {
        last_.reset();
        counts_changes_ = true;
        auto answer = call<frr::GetCapabilitiesResponse>(
            "GetCapabilities", kReadDeadline,
            [&](auto* context, auto* response) { return stub_->GetCapabilities(context, {}, response); });
        if (!answer) return fail(std::move(answer.error()));
        return answer->frr_version().find(kHardenedMark) != std::string::npos;
    }

    // The channel goes idle within milliseconds of the daemon's end.
    bool connection_lost() const override { return channel_->GetState(false) != GRPC_CHANNEL_READY; }

    Result<RaTable> read_ra() override {
        if (connection_lost()) last_.reset();
        // Before the configuration: what is changed in between is seen the next time.
        auto counters = change_counters();
        if (!counters) return fail(std::move(counters.error()));
        if (last_ && !counters->empty() && last_->counters == *counters && ++last_->reused < kReadsTrusted)
            return last_->table;
        last_.reset();
        auto json = get(std::string(kInterfaceLibPath), frr::GetRequest::CONFIG);
        if (!json) return fail(std::move(json.error()));
        auto table = parse_ra(*json);
        if (table) last_ = LastRead{std::move(*counters), *table};
        return table;
    }

    Result<void> apply_ra(const RaChange& change) override {
        last_.reset();
        return commit(delete_paths(change), merge_json(change), "nett: router advertisements");
    }

    Result<PrefixListTable> read_prefix_lists(const std::set<std::string>& lists) override {
        PrefixListTable table;
        for (const std::string& list : lists) {
            auto json = get(prefix_list_path(list), frr::GetRequest::CONFIG);
            if (!json) return fail(std::move(json.error()));
            NETT_TRY(parse_prefix_list(*json, table));
        }
        return table;
    }

    Result<void> apply_prefix_lists(const PrefixListChange& change) override {
        return commit(delete_paths(change), merge_json(change), "nett: prefix lists");
    }

    void cancel() override {
        std::lock_guard lock(mutex_);
        cancelled_ = true;
        if (context_ != nullptr) context_->TryCancel();
    }

private:
    // Registers the call's context, so that cancel() reaches it.
    class Call {
    public:
        Call(GrpcBackend& backend, std::chrono::seconds deadline) : backend_(backend) {
            context.set_deadline(std::chrono::system_clock::now() + deadline);
            std::lock_guard lock(backend_.mutex_);
            backend_.context_ = &context;
            if (backend_.cancelled_) context.TryCancel();
        }
        ~Call() {
            std::lock_guard lock(backend_.mutex_);
            backend_.context_ = nullptr;
        }
        grpc::ClientContext context;

    private:
        GrpcBackend& backend_;
    };

    template <typename Response, typename Function>
    Result<Response> call(std::string_view what, std::chrono::seconds deadline, Function&& function) {
        Call scope(*this, deadline);
        Response response;
        grpc::Status status = function(&scope.context, &response);
        if (!status.ok()) return fail(error_of(status, what));
        return response;
    }

    // A text that is another one after each commit; "" when this daemon does not count.
    Result<std::string> change_counters() {
        if (!counts_changes_) return std::string();
        auto counters = get(kChangeCountersPath, frr::GetRequest::STATE);
        if (counters) counts_changes_ = !counters->empty();
        return counters;
    }

    // JSON of the one node at `path`; "" when there is none.
    Result<std::string> get(const std::string& path, frr::GetRequest::DataType type) {
        frr::GetRequest request;
        request.set_type(type);
        request.set_encoding(frr::JSON);
        request.add_path(path);
        Call scope(*this, kReadDeadline);
        auto reader = stub_->Get(&scope.context, request);
        frr::GetResponse response;
        std::string json;
        while (reader->Read(&response)) json = response.data().data();
        grpc::Status status = reader->Finish();
        if (status.error_code() == grpc::StatusCode::INVALID_ARGUMENT) return std::string();
        if (!status.ok()) return fail(error_of(status, "Get " + path));
        return json;
    }

    Result<void> commit(const std::vector<std::string>& deletes, const std::string& merge, const std::string& comment) {
        auto created = call<frr::CreateCandidateResponse>(
            "CreateCandidate", kReadDeadline,
            [&](auto* context, auto* response) { return stub_->CreateCandidate(context, {}, response); });
        if (!created) return fail(std::move(created.error()));
        auto result = fill_and_commit(created->candidate_id(), deletes, merge, comment);
        frr::DeleteCandidateRequest request;
        request.set_candidate_id(created->candidate_id());
        auto deleted = call<frr::DeleteCandidateResponse>(
            "DeleteCandidate", kReadDeadline,
            [&](auto* context, auto* response) { return stub_->DeleteCandidate(context, request, response); });
        if (result && !deleted) return fail(std::move(deleted.error()));
        return result;
    }

    Result<void> fill_and_commit(std::uint32_t candidate, const std::vector<std::string>& deletes,
                                 const std::string& merge, const std::string& comment) {
        if (!deletes.empty()) {
            frr::EditCandidateRequest request;
            request.set_candidate_id(candidate);
            for (const std::string& path : deletes) request.add_delete_()->set_path(path);
            auto edited = call<frr::EditCandidateResponse>(
                "EditCandidate", kReadDeadline,
                [&](auto* context, auto* response) { return stub_->EditCandidate(context, request, response); });
            if (!edited) return fail(std::move(edited.error()));
        }
        if (!merge.empty()) {
            frr::LoadToCandidateRequest request;
            request.set_candidate_id(candidate);
            request.set_type(frr::LoadToCandidateRequest::MERGE);
            request.mutable_config()->set_encoding(frr::JSON);
            request.mutable_config()->set_data(merge);
            auto loaded = call<frr::LoadToCandidateResponse>(
                "LoadToCandidate", kReadDeadline,
                [&](auto* context, auto* response) { return stub_->LoadToCandidate(context, request, response); });
            if (!loaded) return fail(std::move(loaded.error()));
        }
        frr::CommitRequest request;
        request.set_candidate_id(candidate);
        request.set_phase(frr::CommitRequest::ALL);
        request.set_comment(comment);
        Call scope(*this, kCommitDeadline);
        frr::CommitResponse response;
        grpc::Status status = stub_->Commit(&scope.context, request, &response);
        if (status.ok() || status.error_code() == grpc::StatusCode::ABORTED) return {};
        return fail(error_of(status, "Commit"));
    }

    // What zebra had when its counters were last so. By the worker thread alone, as `counts_changes_`.
    struct LastRead {
        std::string counters;
        RaTable table;
        int reused = 0;
    };
    std::optional<LastRead> last_;
    bool counts_changes_ = true;

    std::shared_ptr<grpc::Channel> channel_;
    std::unique_ptr<frr::Northbound::Stub> stub_;
    std::mutex mutex_;  // guards the two below
    grpc::ClientContext* context_ = nullptr;
    bool cancelled_ = false;
};

}  // namespace

std::shared_ptr<FrrBackend> make_grpc_backend(const std::string& target) {
    return std::make_shared<GrpcBackend>(target);
}

}  // namespace nett
