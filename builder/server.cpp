#include "builder/server.hpp"

#include <boost/json/array.hpp>

namespace nett::builder {
namespace {

Code code_of(grpc::StatusCode code) {
    switch (code) {
        case grpc::StatusCode::INVALID_ARGUMENT:
        case grpc::StatusCode::OUT_OF_RANGE:
            return Code::kInvalidArgument;
        case grpc::StatusCode::NOT_FOUND:
            return Code::kNotFound;
        case grpc::StatusCode::ALREADY_EXISTS:
            return Code::kAlreadyExists;
        case grpc::StatusCode::FAILED_PRECONDITION:
            return Code::kFailedPrecondition;
        case grpc::StatusCode::PERMISSION_DENIED:
            return Code::kPermissionDenied;
        case grpc::StatusCode::UNAUTHENTICATED:
            return Code::kUnauthenticated;
        case grpc::StatusCode::RESOURCE_EXHAUSTED:
            return Code::kResourceExhausted;
        case grpc::StatusCode::ABORTED:
            return Code::kAborted;
        case grpc::StatusCode::UNAVAILABLE:
            return Code::kUnavailable;
        case grpc::StatusCode::DEADLINE_EXCEEDED:
            return Code::kDeadlineExceeded;
        case grpc::StatusCode::DATA_LOSS:
            return Code::kDataLoss;
        case grpc::StatusCode::UNIMPLEMENTED:
            return Code::kUnimplemented;
        default:
            return Code::kInternal;
    }
}

}  // namespace

Server::Server(const std::string& server_target) : target(server_target) {
    // A Unix socket needs no TLS: the agent sees the peer's credentials.
    const auto channel = grpc::CreateChannel(target, grpc::InsecureChannelCredentials());
    inventory = v1::Inventory::NewStub(channel);
    artifacts = v1::Artifacts::NewStub(channel);
    system = v1::System::NewStub(channel);
}

Error error_of(const grpc::Status& status, const std::string& target) {
    Error error{code_of(status.error_code()), status.error_message(), target};
    if (error.code == Code::kUnavailable) {
        error.message = "cannot reach the agent (" + error.message +
                        "); is nettd running, is --server its \"api socket\", and may you open it?";
    }
    if (error.code == Code::kDeadlineExceeded)
        error.message = "the agent did not answer in time; try again, or look into its log";
    return error;
}

Outcome change_everywhere(const std::vector<std::string>& targets, const std::string& what,
                          const std::function<Result<v1::MutationReply>(Server&)>& change) {
    Outcome outcome;
    boost::json::array servers;
    for (const std::string& target : targets) {
        Server server(target);
        auto reply = change(server);
        if (!reply) {
            outcome.errors.push_back(std::move(reply.error()));
            continue;
        }
        outcome.text += fmt::format("{}: {}, revision {}\n", target, what, reply->revision());
        servers.push_back({{"server", target}, {"revision", reply->revision()}});
    }
    outcome.json["servers"] = std::move(servers);
    return outcome;
}

}  // namespace nett::builder
