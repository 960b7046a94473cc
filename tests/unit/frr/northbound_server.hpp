// A northbound gRPC server in this process, on a Unix socket in a folder of its own: remembers the calls, keeps
// configurations as a real daemon would where the tests need it.
#pragma once

#include <cstdlib>
#include <mutex>
#include <string>
#include <vector>

#include <grpcpp/grpcpp.h>

#include "frr_northbound.grpc.pb.h"

namespace nett::test {

// Thread-safe: gRPC's threads call it.
class NorthboundServer final : public frr::Northbound::Service {
public:
    NorthboundServer() {
        char folder[] = "/tmp/nett-northbound-XXXXXX";
        folder_ = mkdtemp(folder);
        start();
    }
    ~NorthboundServer() override {
        stop();
        std::system(("rm -rf " + folder_).c_str());
    }

    void start() {
        grpc::ServerBuilder builder;
        builder.AddListeningPort(target(), grpc::InsecureServerCredentials());
        builder.RegisterService(this);
        server_ = builder.BuildAndStart();
    }
    void stop() {
        if (server_) server_->Shutdown(std::chrono::system_clock::now());
        server_.reset();
        unlink((folder_ + "/socket").c_str());
    }

    std::string target() const { return "unix:" + folder_ + "/socket"; }
    std::vector<std::string> calls() {
        std::lock_guard lock(mutex_);
        return calls_;
    }
    void forget_calls() {
        std::lock_guard lock(mutex_);
        calls_.clear();
    }
    void answer_get(std::string json) {
        std::lock_guard lock(mutex_);
        json_ = std::move(json);
    }
    // What the daemon says that changes are counted as; "" as one that does not count.
    void answer_state(std::string json) {
        std::lock_guard lock(mutex_);
        state_ = std::move(json);
    }
    void answer_commit(grpc::Status status) {
        std::lock_guard lock(mutex_);
        commit_ = std::move(status);
    }
    void set_version(std::string version) {
        std::lock_guard lock(mutex_);
        version_ = std::move(version);
    }

private:
    grpc::Status GetCapabilities(grpc::ServerContext*, const frr::GetCapabilitiesRequest*,
                                 frr::GetCapabilitiesResponse* response) override {
        std::lock_guard lock(mutex_);
        response->set_frr_version(version_);
        return grpc::Status::OK;
    }
    grpc::Status Get(grpc::ServerContext*, const frr::GetRequest* request,
                     grpc::ServerWriter<frr::GetResponse>* writer) override {
        std::lock_guard lock(mutex_);
        bool state = request->type() == frr::GetRequest::STATE;
        for (const std::string& path : request->path()) calls_.push_back((state ? "state " : "get ") + path);
        const std::string& json = state ? state_ : json_;
        if (json.empty()) return {grpc::StatusCode::INVALID_ARGUMENT, "Data path not found"};
        frr::GetResponse response;
        response.mutable_data()->set_data(json);
        writer->Write(response);
        return grpc::Status::OK;
    }
    grpc::Status CreateCandidate(grpc::ServerContext*, const frr::CreateCandidateRequest*,
                                 frr::CreateCandidateResponse* response) override {
        std::lock_guard lock(mutex_);
        calls_.push_back("create");
        response->set_candidate_id(7);
        return grpc::Status::OK;
    }
    grpc::Status DeleteCandidate(grpc::ServerContext*, const frr::DeleteCandidateRequest* request,
                                 frr::DeleteCandidateResponse*) override {
        return note("delete " + std::to_string(request->candidate_id()));
    }
    grpc::Status EditCandidate(grpc::ServerContext*, const frr::EditCandidateRequest* request,
                               frr::EditCandidateResponse*) override {
        return note("edit -" + std::to_string(request->delete__size()));
    }
    grpc::Status LoadToCandidate(grpc::ServerContext*, const frr::LoadToCandidateRequest* request,
                                 frr::LoadToCandidateResponse*) override {
        return note(request->type() == frr::LoadToCandidateRequest::MERGE ? "merge" : "replace");
    }
    grpc::Status Commit(grpc::ServerContext*, const frr::CommitRequest* request, frr::CommitResponse*) override {
        std::lock_guard lock(mutex_);
        calls_.push_back(request->phase() == frr::CommitRequest::ALL ? "commit all" : "commit in phases");
        return commit_;
    }

    grpc::Status note(std::string call) {
        std::lock_guard lock(mutex_);
        calls_.push_back(std::move(call));
        return grpc::Status::OK;
    }

    std::string folder_;
    std::unique_ptr<grpc::Server> server_;
    std::mutex mutex_;
    std::vector<std::string> calls_;
    std::string json_;
    std::string state_;
    std::string version_ = "10.3+nett1";
    grpc::Status commit_ = grpc::Status::OK;
};

}  // namespace nett::test
