#include "builder/server.hpp"

#include <algorithm>

#include <boost/json/array.hpp>

#include "agent/sdk/strings.hpp"

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

constexpr std::size_t kMaxPemFile = 1U << 20U;

bool is_tcp(const std::string& target) {
    return target.starts_with('[');
}

// What use_identity() has read.
struct TcpAccess {
    std::shared_ptr<grpc::ChannelCredentials> credentials;
    std::string server_name;
};
TcpAccess& tcp_access() {
    static TcpAccess access;
    return access;
}

std::shared_ptr<grpc::Channel> channel_to(const std::string& target) {
    // A Unix socket needs no TLS: the agent sees the peer's credentials.
    if (!is_tcp(target)) return grpc::CreateChannel(target, grpc::InsecureChannelCredentials());
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
    if (!tcp_access().server_name.empty()) arguments.SetSslTargetNameOverride(tcp_access().server_name);
    return grpc::CreateCustomChannel("ipv6:" + target, tcp_access().credentials, arguments);
}

}  // namespace

Result<void> use_identity(const ClientIdentity& identity, const std::vector<std::string>& targets) {
    if (std::none_of(targets.begin(), targets.end(), is_tcp)) return {};
    if (identity.certificate.empty() || identity.private_key.empty() || identity.ca.empty()) {
        return fail(Code::kInvalidArgument,
                    "an agent at [ADDRESS]:PORT needs --certificate, --private-key and --ca: it is mutual TLS");
    }
    grpc::SslCredentialsOptions options;
    for (const auto& [path, text] : {std::pair(&identity.certificate, &options.pem_cert_chain),
                                     std::pair(&identity.private_key, &options.pem_private_key),
                                     std::pair(&identity.ca, &options.pem_root_certs)}) {
        auto read = read_file(*path, kMaxPemFile);
        if (!read) return fail(std::move(read.error()));
        *text = std::move(*read);
    }
    tcp_access() = {grpc::SslCredentials(options), identity.server_name};
    return {};
}

Server::Server(const std::string& server_target) : target(server_target) {
    const auto channel = channel_to(target);
    inventory = v1::Inventory::NewStub(channel);
    artifacts = v1::Artifacts::NewStub(channel);
    system = v1::System::NewStub(channel);
    jobs = v1::Jobs::NewStub(channel);
}

Error error_of(const grpc::Status& status, const std::string& target) {
    Error error{code_of(status.error_code()), status.error_message(), target};
    if (error.code == Code::kUnavailable) {
        error.message = "cannot reach the agent (" + error.message +
                        (is_tcp(target) ? "); does it have \"api listen\" there, and do both sides know the other's CA?"
                                        : "); is nettd running, is --server its \"api socket\", and may you open it?");
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
