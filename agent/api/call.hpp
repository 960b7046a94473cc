// How gRPC calls reach the loop thread: every handler runs there as a coroutine; gRPC's threads only post.
#pragma once

#include <exception>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include <grpcpp/grpcpp.h>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>

#include "agent/api/peers.hpp"
#include "agent/api/status.hpp"
#include "agent/api/stream.hpp"
#include "agent/api/tcp.hpp"
#include "agent/core/shell/shell.hpp"
#include "agent/sdk/asio.hpp"
#include "agent/sdk/result.hpp"

namespace nett {

// What every service needs of the server.
struct ApiContext {
    asio::any_io_executor loop;
    PeerNames& peers;
    OpenStreams& streams;
    GrantTable& grants;
};

// The caller of a call. Whoever the socket's file mode admits is an administrator; over TCP the certificate has a role.
// One whose role was taken away since the call began sees nothing.
inline Caller caller_of(const ApiContext& api, const grpc::ServerContextBase& context) {
    const auto common_name = common_name_of(context);
    if (common_name.empty()) return {api.peers.actor_of(context.peer()), Role::kAdmin};
    auto caller = api.grants.caller(common_name);
    return caller ? *caller : Caller{"tls:" + common_name, Role::kViewer, Scope::kTenant};
}

inline grpc::Status status_of(const std::exception_ptr& error) {
    try {
        std::rethrow_exception(error);
    } catch (const std::exception& exception) {
        return {grpc::StatusCode::INTERNAL, exception.what()};
    } catch (...) {
        return {grpc::StatusCode::INTERNAL, "unknown exception"};
    }
}

// Runs `work` on the loop and finishes the unary call with its answer. `work` may use the request and the context: they
// live until then.
template <typename Reply>
grpc::ServerUnaryReactor* answer(const ApiContext& api, grpc::CallbackServerContext* context, Reply* reply,
                                 std::function<Awaitable<Result<Reply>>()> work) {
    auto* reactor = context->DefaultReactor();
    // The function object owns the coroutine's captures: it is kept alive by the completion handler.
    auto kept = std::make_shared<std::function<Awaitable<Result<Reply>>()>>(std::move(work));
    asio::post(api.loop, [loop = api.loop, reactor, reply, kept] {
        asio::co_spawn(loop, (*kept)(), [reactor, reply, kept](const std::exception_ptr& error, Result<Reply> result) {
            if (error) return reactor->Finish(status_of(error));
            if (!result) return reactor->Finish(to_status(result.error()));
            *reply = std::move(*result);
            reactor->Finish(grpc::Status::OK);
        });
    });
    return reactor;
}

}  // namespace nett
