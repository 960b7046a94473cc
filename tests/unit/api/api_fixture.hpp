// The vocabulary of the API's tests: a whole server on a Unix socket in a temporary directory, and a client of it.
#pragma once

#include <thread>

#include <grpcpp/grpcpp.h>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>

#include "agent/api/server.hpp"
#include "agent/core/host/event_bus.hpp"
#include "agent/core/host/health_registry.hpp"
#include "agent/core/inventory/commands.hpp"
#include "agent/core/store/secret_box.hpp"
#include "nett.grpc.pb.h"
#include "tests/unit/store/store_fixture.hpp"

namespace nett::test {

// Long enough for a slow machine; nothing waits for it when all is well.
inline constexpr std::chrono::seconds kCallDeadline{20};

class ApiTest : public ::testing::Test {
protected:
    ApiTest() {
        store_ = SqliteStore::open(directory_ / "state.db", loop_.get_executor()).value();
        secrets_ = open_secret_box(directory_ / "secret.key").value();
        inventory_ = Inventory::open({*store_, *secrets_, events_, clock_}, directory_ / "artifacts").value();
        config_.set_running({}, "test");
        EXPECT_TRUE(shell_.add_commands(inventory_commands(*inventory_)));
        server_ = make_server();
        EXPECT_TRUE(server_->start(socket_path()));
        thread_ = std::thread([this] { loop_.run(); });
        channel_ = connect();
    }
    ~ApiTest() override {
        stop_server();
        work_.reset();
        thread_.join();
        server_.reset();
    }

    std::unique_ptr<ApiServer> make_server() {
        return std::make_unique<ApiServer>(ApiDependencies{loop_.get_executor(), shell_, *inventory_, *store_, events_,
                                                           health_, VersionInfo{"1.2.3", "build", "host-a", {"ra"}}});
    }
    std::string socket_path() const { return directory_ / "nettd.sock"; }
    std::shared_ptr<grpc::Channel> connect() {
        return grpc::CreateChannel("unix:" + socket_path(), grpc::InsecureChannelCredentials());
    }
    // Runs `work` on the loop thread and waits for it.
    template <typename F>
    auto on_loop(F work) {
        std::packaged_task<decltype(work())()> task(std::move(work));
        auto result = task.get_future();
        asio::post(loop_, [&task] { task(); });
        return result.get();
    }
    void stop_server(std::chrono::seconds grace = std::chrono::seconds(5)) {
        std::promise<void> stopped;
        asio::co_spawn(loop_, server_->stop(std::chrono::steady_clock::now() + grace),
                       [&stopped](const std::exception_ptr&) { stopped.set_value(); });
        stopped.get_future().wait();
    }

    struct Context : grpc::ClientContext {
        Context() { set_deadline(std::chrono::system_clock::now() + kCallDeadline); }
    };
    // call(stub, &Stub::PutTenant, request, &reply)
    template <typename Stub, typename Request, typename Reply>
    grpc::Status call(Stub& stub, grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Reply*),
                      const Request& request, Reply* reply) {
        Context context;
        return (stub.*method)(&context, request, reply);
    }
    grpc::Status put_tenant(const std::string& name) {
        v1::PutTenantRequest request;
        request.mutable_tenant()->set_name(name);
        request.mutable_tenant()->add_common_names(name + ".example");
        request.set_reason("a test");
        v1::MutationReply reply;
        const auto stub = v1::Inventory::NewStub(channel_);
        return call(*stub, &v1::Inventory::Stub::PutTenant, request, &reply);
    }

    TemporaryDirectory directory_;
    RealClock clock_;
    asio::io_context loop_{1};
    asio::executor_work_guard<asio::io_context::executor_type> work_{loop_.get_executor()};
    LoopEventBus events_{loop_.get_executor(), clock_};
    LoopHealthRegistry health_{loop_.get_executor(), clock_, events_};
    std::unique_ptr<SqliteStore> store_;
    std::unique_ptr<SecretBox> secrets_;
    std::unique_ptr<Inventory> inventory_;
    Grammar grammar_ = Grammar::build({}).value();
    ConfigManager config_{grammar_, clock_, directory_ / "nett.conf", ConfigActions{}};
    Shell shell_{grammar_, config_, clock_, ShellSettings{[] { return std::string("host-a"); }}};
    std::unique_ptr<ApiServer> server_;
    std::thread thread_;
    std::shared_ptr<grpc::Channel> channel_;
};

}  // namespace nett::test
