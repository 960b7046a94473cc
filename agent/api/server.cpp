#include "agent/api/server.hpp"

#include <cerrno>
#include <cstring>
#include <utility>

#include <fcntl.h>
#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/server_posix.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <boost/asio/detached.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "agent/api/artifact_service.hpp"
#include "agent/api/inventory_service.hpp"
#include "agent/api/job_service.hpp"
#include "agent/api/shell_service.hpp"
#include "agent/sdk/log.hpp"

namespace nett {

namespace local = asio::local;

namespace {

constexpr std::size_t kMaxSocketPath = sizeof(sockaddr_un::sun_path) - 1;  // unix(7)
constexpr mode_t kSocketMode = 0660;  // root and the group of the socket's directory

// Removes a socket file that an earlier agent left; refuses when somebody listens on it or when it is no socket.
Result<void> clear_stale_socket(asio::io_context& probe, const std::string& path) {
    struct stat info {};
    if (::lstat(path.c_str(), &info) != 0) return {};
    if (!S_ISSOCK(info.st_mode)) {
        return fail(
            Error{Code::kAlreadyExists, "is there and is not a socket; remove it or configure \"api socket\"", path});
    }
    local::stream_protocol::socket socket(probe);
    boost::system::error_code error;
    socket.connect(local::stream_protocol::endpoint(path), error);
    if (!error) {
        return fail(
            Error{Code::kAlreadyExists, "another nettd serves this socket; stop it or configure \"api socket\"", path});
    }
    ::unlink(path.c_str());
    return {};
}

}  // namespace

struct ApiServer::Impl {
    explicit Impl(ApiDependencies d)
        : dependencies(std::move(d)),
          api{dependencies.loop, peers},
          shell(api, dependencies.shell),
          system(api, dependencies.version, dependencies.health, dependencies.events),
          inventory(api, dependencies.inventory, dependencies.store),
          artifacts(api, dependencies.inventory),
          jobs(api, dependencies.inventory),
          acceptor(dependencies.loop) {}

    void accept(const std::shared_ptr<Impl>& self) {
        acceptor.async_accept([self](const boost::system::error_code& error, local::stream_protocol::socket socket) {
            if (error == asio::error::operation_aborted || !self->server) return;
            if (!error) self->hand_over(std::move(socket));
            self->accept(self);
        });
    }

    void hand_over(local::stream_protocol::socket socket) {
        boost::system::error_code error;
        const int fd = socket.release(error);
        if (error) return;
        ::fcntl(fd, F_SETFD, FD_CLOEXEC);
        ::fcntl(fd, F_SETFL, O_NONBLOCK);
        if (const auto known = peers.remember(fd); !known) {
            log.warning("a connection without credentials is refused", {{"error", known.error()}});
            ::close(fd);
            return;
        }
        grpc::AddInsecureChannelFromFd(server.get(), fd);  // owns fd from here
    }

    Logger log{"api"};
    ApiDependencies dependencies;
    PeerNames peers;
    ApiContext api;
    ShellService shell;
    SystemService system;
    InventoryService inventory;
    ArtifactService artifacts;
    JobService jobs;
    std::string socket_path;
    local::stream_protocol::acceptor acceptor;
    std::unique_ptr<grpc::Server> server;
    asio::thread_pool stopper{1};  // Shutdown() blocks, and the calls it waits for need the loop
};

ApiServer::ApiServer(ApiDependencies dependencies) : impl_(std::make_shared<Impl>(std::move(dependencies))) {}
ApiServer::~ApiServer() = default;

Result<void> ApiServer::start(const std::string& socket_path) {
    if (socket_path.size() > kMaxSocketPath) {
        return fail(Error{Code::kInvalidArgument,
                          fmt::format("a socket's path has at most {} characters", kMaxSocketPath), socket_path});
    }
    asio::io_context probe;
    NETT_TRY(clear_stale_socket(probe, socket_path));

    grpc::reflection::InitProtoReflectionServerBuilderPlugin();
    grpc::ServerBuilder builder;
    builder.SetMaxReceiveMessageSize(kMaxApiMessage);
    builder.RegisterService(&impl_->shell);
    builder.RegisterService(&impl_->system);
    builder.RegisterService(&impl_->inventory);
    builder.RegisterService(&impl_->artifacts);
    builder.RegisterService(&impl_->jobs);
    impl_->server = builder.BuildAndStart();
    if (!impl_->server) return fail(Code::kInternal, "the gRPC server cannot be started");

    boost::system::error_code error;
    const local::stream_protocol::endpoint endpoint(socket_path);
    impl_->acceptor.open(endpoint.protocol(), error);
    if (!error) impl_->acceptor.bind(endpoint, error);
    if (!error && ::chmod(socket_path.c_str(), kSocketMode) != 0) error.assign(errno, boost::system::system_category());
    if (!error) impl_->acceptor.listen(local::stream_protocol::acceptor::max_listen_connections, error);
    if (error) {
        impl_->server->Shutdown();
        impl_->server.reset();
        return fail(Error{Code::kUnavailable, fmt::format("cannot be served: {}", error.message()), socket_path});
    }
    impl_->socket_path = socket_path;
    impl_->accept(impl_);
    return {};
}

Awaitable<void> ApiServer::stop(SteadyTime deadline) {
    if (!impl_->server) co_return;
    boost::system::error_code ignored;
    impl_->acceptor.close(ignored);
    ::unlink(impl_->socket_path.c_str());
    const auto remaining = deadline - std::chrono::steady_clock::now();
    auto shut_down = [server = impl_->server.get(), remaining]() -> Awaitable<void> {
        server->Shutdown(std::chrono::system_clock::now() + remaining);
        co_return;
    };
    auto work = shut_down();
    co_await asio::co_spawn(impl_->stopper, std::move(work), asio::use_awaitable);
    impl_->server.reset();
}

}  // namespace nett
