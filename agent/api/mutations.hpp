// Every mutation of the API as one message, so that it can be called, planned, applied with others, and done once.
#pragma once

#include <string>

#include "agent/api/call.hpp"
#include "agent/core/inventory/inventory.hpp"
#include "nett.grpc.pb.h"

namespace nett {

// Does it with what the caller may do: the role that its own method asks for, and a tenant's own records only.
// kInvalidArgument when it is empty.
Awaitable<Result<Revision>> run_mutation(Inventory& inventory, const Caller& caller, const v1::Mutation& mutation,
                                         By by);

// The full name of the method that does this alone: "/nett.v1.Inventory/PutTenant"; empty for an empty one.
std::string_view method_of(const v1::Mutation& mutation);

// Of all that a request says, for OnceKey. A BMC's password is left out: its digest could be guessed at.
std::string digest_of(const google::protobuf::Message& request);
std::string digest_of(v1::Mutation mutation);

// Answers a unary call that is this mutation; `key` is its idempotency key or empty.
grpc::ServerUnaryReactor* mutate(const ApiContext& api, grpc::CallbackServerContext* context, Inventory& inventory,
                                 v1::Mutation mutation, std::string reason, std::string key, v1::MutationReply* reply);

// The same for a request with `reason` and `idempotency_key`; `place` gives its place in a Mutation.
template <typename Request>
grpc::ServerUnaryReactor* mutate(const ApiContext& api, grpc::CallbackServerContext* context, Inventory& inventory,
                                 const Request& request, Request* (v1::Mutation::*place)(), v1::MutationReply* reply) {
    v1::Mutation mutation;
    *(mutation.*place)() = request;
    return mutate(api, context, inventory, std::move(mutation), request.reason(), request.idempotency_key(), reply);
}

}  // namespace nett
