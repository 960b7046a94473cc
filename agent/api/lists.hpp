// What all services do alike with lists.
#pragma once

#include <algorithm>

#include "agent/api/call.hpp"
#include "agent/core/inventory/inventory.hpp"
#include "nett.grpc.pb.h"

namespace nett {

// The limit of a list: what was asked for, at most kMaxListed.
inline std::size_t list_limit(const v1::ListRequest& request) {
    return request.limit() == 0 ? kMaxListed : std::min<std::size_t>(request.limit(), kMaxListed);
}

// Answers a list: reads at most `limit` items with `read`, puts each into the reply with `add`, and says with the `key`
// of the last where to continue. The revision is that of the store before the reading: a watch from there misses
// nothing.
template <typename Reply, typename Read, typename Add, typename Key>
grpc::ServerUnaryReactor* list(const ApiContext& api, grpc::CallbackServerContext* context, const Store& store,
                               std::size_t limit, Reply* reply, Read read, Add add, Key key) {
    return answer<Reply>(api, context, reply, [&store, limit, read, add, key]() -> Awaitable<Result<Reply>> {
        Reply out;
        out.set_revision(store.revision());
        auto found = read();
        if (!found) co_return fail(std::move(found.error()));
        for (const auto& item : *found) add(out, item);
        if (!found->empty() && found->size() >= limit) out.set_next(key(found->back()));
        co_return out;
    });
}

}  // namespace nett
