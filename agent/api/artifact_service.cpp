#include "agent/api/artifact_service.hpp"

#include <atomic>
#include <optional>

#include "agent/api/convert.hpp"
#include "agent/api/lists.hpp"
#include "agent/api/mutations.hpp"

namespace nett {

namespace {

// One upload: header, then chunks, then the verified file. Owns itself until OnDone. The next chunk is read when the
// last one is on its way to the disk, so one call does one thing at a time.
class UploadCall final : public grpc::ServerReadReactor<v1::UploadRequest> {
public:
    UploadCall(asio::any_io_executor disk, const ArtifactFiles& files, v1::UploadReply* reply)
        : disk_(std::move(disk)), files_(files), reply_(reply) {
        StartRead(&request_);
    }

    void OnReadDone(bool ok) override {
        asio::post(disk_, [this, ok] { ok ? step() : complete(); });
    }
    void OnCancel() override { cancelled_ = true; }
    void OnDone() override { delete this; }

private:
    void step() {
        if (auto taken = take(request_); !taken) return Finish(to_status(taken.error()));
        StartRead(&request_);
    }

    Result<void> take(const v1::UploadRequest& request) {
        if (request.has_header()) {
            if (import_) return fail(Code::kInvalidArgument, "the header comes once, first");
            expected_ = request.header();
            auto begun = files_.begin_import();
            if (!begun) return fail(std::move(begun.error()));
            import_.emplace(std::move(*begun));
            return {};
        }
        if (!import_) return fail(Code::kInvalidArgument, "the first message of an upload is its header");
        return import_->append(request.chunk());
    }

    void complete() {
        // A connection that broke looks like an end, and gRPC may tell later which it was: a client that announces the
        // digest never has half a file kept.
        if (cancelled_) return Finish(grpc::Status::CANCELLED);
        if (!import_)
            return Finish({grpc::StatusCode::INVALID_ARGUMENT, "the first message of an upload is its header"});
        auto stored = import_->finish(expected_.sha256(), expected_.size());
        if (!stored) return Finish(to_status(stored.error()));
        reply_->set_sha256(stored->sha256);
        reply_->set_size(stored->size);
        reply_->set_existed(stored->existed);
        Finish(grpc::Status::OK);
    }

    asio::any_io_executor disk_;
    const ArtifactFiles& files_;
    v1::UploadReply* reply_;
    v1::UploadRequest request_;
    v1::UploadHeader expected_;
    std::optional<ArtifactImport> import_;
    std::atomic<bool> cancelled_ = false;
};

}  // namespace

grpc::ServerReadReactor<v1::UploadRequest>* ArtifactService::Upload(grpc::CallbackServerContext*,
                                                                    v1::UploadReply* reply) {
    return new UploadCall(disk_.get_executor(), inventory_.artifact_files(), reply);
}

grpc::ServerUnaryReactor* ArtifactService::PutArtifactSet(grpc::CallbackServerContext* context,
                                                          const v1::PutArtifactSetRequest* request,
                                                          v1::MutationReply* reply) {
    return mutate(api_, context, inventory_, *request, &v1::Mutation::mutable_put_artifact_set, reply);
}

grpc::ServerUnaryReactor* ArtifactService::DeleteArtifactSet(grpc::CallbackServerContext* context,
                                                             const v1::NameRequest* request, v1::MutationReply* reply) {
    return mutate(api_, context, inventory_, *request, &v1::Mutation::mutable_delete_artifact_set, reply);
}

grpc::ServerUnaryReactor* ArtifactService::ListArtifactSets(grpc::CallbackServerContext* context,
                                                            const v1::ListRequest* request,
                                                            v1::ListArtifactSetsReply* reply) {
    return list(
        api_, context, inventory_.store(), list_limit(*request), reply,
        [this, request] { return inventory_.artifact_sets(request->after(), list_limit(*request)); },
        [](v1::ListArtifactSetsReply& out, const auto& item) { *out.add_sets() = to_proto(item.value); },
        [](const auto& item) { return item.value.name; });
}

}  // namespace nett
