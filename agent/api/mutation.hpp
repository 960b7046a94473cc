// What all services do alike with mutations and lists.
#pragma once

#include <algorithm>

#include "agent/api/call.hpp"
#include "agent/core/inventory/inventory.hpp"
#include "nett.grpc.pb.h"

namespace nett {

// Runs a mutation of the inventory and answers with its revision. `run` gets who asks.
inline grpc::ServerUnaryReactor* mutate(const ApiContext& api, grpc::CallbackServerContext* context, std::string reason,
                                        v1::MutationReply* reply, std::function<Awaitable<Result<Revision>>(By)> run) {
    By by{caller_of(api, *context).actor, std::move(reason)};
    return answer<v1::MutationReply>(
        api, context, reply, [run = std::move(run), by = std::move(by)]() -> Awaitable<Result<v1::MutationReply>> {
            auto revision = co_await run(by);
            if (!revision) co_return fail(std::move(revision.error()));
            v1::MutationReply out;
            out.set_revision(*revision);
            co_return out;
        });
}

// The limit of a list: what was asked for, at most kMaxListed.
inline std::size_t list_limit(const v1::ListRequest& request) {
    return request.limit() == 0 ? kMaxListed : std::min<std::size_t>(request.limit(), kMaxListed);
}

// Answers a list: reads with `read`, and puts each item into the reply with `add`.
template <typename Reply, typename Read, typename Add>
grpc::ServerUnaryReactor* list(const ApiContext& api, grpc::CallbackServerContext* context, Reply* reply, Read read,
                               Add add) {
    return answer<Reply>(api, context, reply, [read, add]() -> Awaitable<Result<Reply>> {
        auto found = read();
        if (!found) co_return fail(std::move(found.error()));
        Reply out;
        for (const auto& item : *found) add(out, item);
        co_return out;
    });
}

}  // namespace nett
