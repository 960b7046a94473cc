// The management API's client side: connections to the agents, calls with a deadline, gRPC statuses as Errors.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <grpcpp/grpcpp.h>

#include "agent/sdk/result.hpp"
#include "builder/outcome.hpp"
#include "nett.grpc.pb.h"

namespace nett::builder {

inline constexpr std::chrono::seconds kCallDeadline{15};

// Who we are, to agents that are reached over TCP: PEM files. An agent on a Unix socket sees the peer's user instead.
struct ClientIdentity {
    std::string certificate;
    std::string private_key;
    std::string ca;           // roots of the agents' certificates
    std::string server_name;  // in an agent's certificate; empty: the address that it is reached at
};
// For every Server that is made from then on. Once, before the first; the error names the file or the missing option.
// `targets` are those that will be used.
Result<void> use_identity(const ClientIdentity& identity, const std::vector<std::string>& targets);

// One agent. Thread-safe, as gRPC's stubs are.
struct Server {
    explicit Server(const std::string& server_target);

    std::string target;
    std::unique_ptr<v1::Inventory::Stub> inventory;
    std::unique_ptr<v1::Artifacts::Stub> artifacts;
    std::unique_ptr<v1::System::Stub> system;
    std::unique_ptr<v1::Jobs::Stub> jobs;
};

// A failed status as Error, with the agent as context; kUnavailable says how to find out why.
Error error_of(const grpc::Status& status, const std::string& target);

// reply = call(server.target, *server.inventory, &v1::Inventory::Stub::PutTenant, request)
template <typename Stub, typename Request, typename Reply>
Result<Reply> call(const std::string& target, Stub& stub,
                   grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Reply*), const Request& request) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + kCallDeadline);
    Reply reply;
    const grpc::Status status = (stub.*method)(&context, request, &reply);
    if (!status.ok()) return fail(error_of(status, target));
    return reply;
}

// Makes the same change on every agent of `targets`. One that cannot be reached does not stop the others; its error is
// in the outcome, and running the command again is safe: every change is a "put". `what` is for the text: "machine
// node-1".
Outcome change_everywhere(const std::vector<std::string>& targets, const std::string& what,
                          const std::function<Result<v1::MutationReply>(Server&)>& change);

}  // namespace nett::builder
