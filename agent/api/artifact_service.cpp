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
        if (auto taken = take(request_); !taken) {
            import_.reset();
            return Finish(to_status(taken.error()));
        }
        StartRead(&request_);
    }

    Result<void> take(const v1::UploadRequest& request) {
        if (request.has_header()) {
            if (import_) return fail(Code::kInvalidArgument, "the header comes once, first");
            expected_ = request.header();
            auto begun = begin();
            if (!begun) return fail(std::move(begun.error()));
            import_.emplace(std::move(*begun));
            return {};
        }
        if (!import_) return fail(Code::kInvalidArgument, "the first message of an upload is its header");
        return import_->append(request.chunk());
    }

    // Two that upload the same at the same time do not disturb each other: the second just cannot be resumed.
    Result<ArtifactImport> begin() {
        if (expected_.sha256().empty() || expected_.size() == 0) {
            if (expected_.offset() == 0) return files_.begin_import();
            return fail(Code::kInvalidArgument, "an upload that goes on at an offset names its digest and its size");
        }
        auto begun = files_.resume_import(expected_.sha256(), expected_.offset());
        if (!begun && begun.error().code == Code::kAborted && expected_.offset() == 0) return files_.begin_import();
        return begun;
    }

    void complete() {
        // A connection that broke looks like an end, and gRPC may tell later which it was: a client that announces the
        // digest never has half a file stored; what arrived waits for the next upload.
        if (cancelled_) return Finish(grpc::Status::CANCELLED);
        if (!import_)
            return Finish({grpc::StatusCode::INVALID_ARGUMENT, "the first message of an upload is its header"});
        auto stored = import_->finish(expected_.sha256(), expected_.size());
        import_.reset();  // who is told may begin the next one at once
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

grpc::ServerUnaryReactor* ArtifactService::GetUpload(grpc::CallbackServerContext* context,
                                                     const v1::GetUploadRequest* request, v1::GetUploadReply* reply) {
    const ArtifactFiles& files = inventory_.artifact_files();
    auto* reactor = context->DefaultReactor();
    if (!ArtifactFiles::is_digest(request->sha256())) {
        reactor->Finish({grpc::StatusCode::INVALID_ARGUMENT, "sha256: 64 lower-case hex digits are expected"});
        return reactor;
    }
    reply->set_stored(files.size_of(request->sha256()).has_value());
    if (!reply->stored()) reply->set_received(files.received_of(request->sha256()));
    reactor->Finish(grpc::Status::OK);
    return reactor;
}

grpc::ServerWriteReactor<v1::DownloadChunk>* ArtifactService::Download(grpc::CallbackServerContext* context,
                                                                       const v1::DownloadRequest* request) {
    return downloads_.start(api_, context, *request);
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
