#include "agent/api/server.hpp"

#include <cerrno>
#include <cstring>
#include <mutex>
#include <utility>

#include <grpc/grpc.h>
#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/server_posix.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <boost/asio/detached.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "agent/api/artifact_service.hpp"
#include "agent/api/audit.hpp"
#include "agent/api/inventory_service.hpp"
#include "agent/api/job_service.hpp"
#include "agent/api/shell_service.hpp"
#include "agent/sdk/log.hpp"

namespace nett {

namespace local = asio::local;

namespace {

constexpr std::size_t kMaxSocketPath = sizeof(sockaddr_un::sun_path) - 1;  // unix(7)
constexpr std::chrono::milliseconds kAcceptPause{200};  // out of descriptors: some are free again soon
constexpr mode_t kSocketMode = 0660;                    // root and the group of the socket's directory

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
    if (error != asio::error::connection_refused) {
        return fail(
            Error{Code::kUnavailable, fmt::format("cannot tell whether it is in use: {}", error.message()), path});
    }
    ::unlink(path.c_str());
    return {};
}

}  // namespace

struct ApiServer::Impl {
    explicit Impl(ApiDependencies d)
        : dependencies(std::move(d)),
          api{dependencies.loop, peers, streams, grants},
          shell(api, dependencies.shell),
          system(api, dependencies.version, dependencies.health, dependencies.events, dependencies.archives),
          inventory(api, dependencies.inventory, dependencies.store),
          artifacts(api, dependencies.inventory),
          jobs(api, dependencies.inventory),
          fabric(api, dependencies.receive_fabric),
          acceptor(dependencies.loop),
          pause(dependencies.loop),
          tcp(
              dependencies.loop, dependencies.health, grants,
              [this](grpc::ServerBuilder& builder) { add_services(builder); }, record_refusals(dependencies.audit)) {}

    void add_services(grpc::ServerBuilder& builder) {
        if (dependencies.audit != nullptr) add_audit(builder, api, *dependencies.audit);
        builder.RegisterService(&shell);
        builder.RegisterService(&system);
        builder.RegisterService(&inventory);
        builder.RegisterService(&artifacts);
        builder.RegisterService(&jobs);
        builder.RegisterService(&fabric);
    }

    void accept(const std::shared_ptr<Impl>& self) {
        acceptor.async_wait(local::stream_protocol::acceptor::wait_read,
                            [self](const boost::system::error_code& error) {
                                if (error || !self->server) return;
                                self->accept_one(self);
                            });
    }

    // By accept4(2): Asio's own accept() leaves the descriptor open to a child that another thread starts meanwhile.
    void accept_one(const std::shared_ptr<Impl>& self) {
        const int fd = ::accept4(acceptor.native_handle(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd >= 0) {
            hand_over(fd);
        } else if (errno != EAGAIN && errno != ECONNABORTED && errno != EINTR) {
            // The connection stays in the queue, so without a pause this would spin.
            log.warning("a connection cannot be accepted; trying again", {{"error", std::strerror(errno)}});
            pause.expires_after(kAcceptPause);
            pause.async_wait([self](const boost::system::error_code& error) {
                if (!error) self->accept(self);
            });
            return;
        }
        accept(self);
    }

    void hand_over(int fd) {
        if (const auto known = peers.remember(fd); !known) {
            log.warning("a connection without credentials is refused", {{"error", known.error()}});
            ::close(fd);
            return;
        }
        grpc::AddInsecureChannelFromFd(server.get(), fd);  // owns fd from here
    }

    // A listening socket that children do not inherit.
    boost::system::error_code listen(const std::string& path) {
        boost::system::error_code error;
        const local::stream_protocol::endpoint endpoint(path);
        const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0) return {errno, boost::system::system_category()};
        acceptor.assign(endpoint.protocol(), fd, error);
        if (!error) acceptor.bind(endpoint, error);
        if (!error && ::chmod(path.c_str(), kSocketMode) != 0) error.assign(errno, boost::system::system_category());
        if (!error) acceptor.listen(local::stream_protocol::acceptor::max_listen_connections, error);
        return error;
    }

    Logger log{"api"};
    ApiDependencies dependencies;
    PeerNames peers;
    OpenStreams streams;
    GrantTable grants;
    ApiContext api;
    ShellService shell;
    SystemService system;
    InventoryService inventory;
    ArtifactService artifacts;
    JobService jobs;
    FabricService fabric;
    std::string socket_path;
    local::stream_protocol::acceptor acceptor;
    asio::steady_timer pause;
    ApiTcp tcp;
    std::unique_ptr<grpc::Server> server;
    asio::thread_pool stopper{1};  // Shutdown() blocks, and the calls it waits for need the loop
};

namespace {

// Whoever lets go of the last gRPC object cleans gRPC up, and that joins a thread of its own that may poll for ten
// seconds more (gRPC 1.51, Executor::ShutdownAll): an agent that has stopped would not end. One reference that nobody
// gives back leaves that to the end of the process.
void keep_grpc() {
    static std::once_flag once;
    std::call_once(once, grpc_init);
}

}  // namespace

ApiServer::ApiServer(ApiDependencies dependencies) : impl_(std::make_shared<Impl>(std::move(dependencies))) {}
ApiServer::~ApiServer() = default;

Result<void> ApiServer::start(const std::string& socket_path) {
    if (socket_path.size() > kMaxSocketPath) {
        return fail(Error{Code::kInvalidArgument,
                          fmt::format("a socket's path has at most {} characters", kMaxSocketPath), socket_path});
    }
    asio::io_context probe;
    NETT_TRY(clear_stale_socket(probe, socket_path));

    keep_grpc();
    grpc::reflection::InitProtoReflectionServerBuilderPlugin();
    grpc::ServerBuilder builder;
    builder.SetMaxReceiveMessageSize(kMaxApiMessage);
    impl_->add_services(builder);
    impl_->server = builder.BuildAndStart();
    if (!impl_->server) return fail(Code::kInternal, "the gRPC server cannot be started");

    if (const auto error = impl_->listen(socket_path)) {
        boost::system::error_code ignored;
        impl_->acceptor.close(ignored);
        impl_->server->Shutdown();
        impl_->server.reset();
        return fail(Error{Code::kUnavailable, fmt::format("cannot be served: {}", error.message()), socket_path});
    }
    impl_->socket_path = socket_path;
    impl_->accept(impl_);
    return {};
}

Awaitable<void> ApiServer::serve_tcp(ApiTcpSettings settings) {
    auto served = impl_->tcp.apply(std::move(settings));
    co_await std::move(served);
}

Awaitable<void> ApiServer::stop(SteadyTime deadline) {
    if (!impl_->server) co_return;
    boost::system::error_code ignored;
    impl_->acceptor.close(ignored);
    impl_->pause.cancel();
    impl_->streams.stop();
    ::unlink(impl_->socket_path.c_str());
    auto tcp_stopped = impl_->tcp.stop(deadline);
    co_await std::move(tcp_stopped);
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
