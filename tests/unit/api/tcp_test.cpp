// The API over TCP: mutual TLS, roles by the certificate's common name, tenants' own records.
#include <fstream>

#include <google/protobuf/descriptor.h>
#include <grpcpp/ext/proto_server_reflection_plugin.h>

#include "agent/api/artifact_client.hpp"
#include "agent/api/artifact_download.hpp"
#include "agent/sdk/strings.hpp"
#include "tests/unit/api/api_fixture.hpp"
#include "tests/unit/metadata/test_pki.hpp"

namespace nett::test {
namespace {

using metadata::test::Identity;
using metadata::test::make_ca;
using metadata::test::make_client;
using metadata::test::PemFiles;

Identity make_agent(const Identity& ca, long valid_for = 365L * 24 * 3600) {
    return Identity({{{"CN", "host-a"}},
                     {{NID_subject_alt_name, "IP:::1"}, {NID_ext_key_usage, "serverAuth,clientAuth"}},
                     -3600,
                     valid_for},
                    &ca);
}

class ApiTcpTest : public ApiTest {
protected:
    ApiTcpTest() {
        write_identity(make_agent(ca_));
        files_.write("ca.pem", ca_.certificate_pem());
        settings_.listen = {free_endpoint()};
        settings_.certificates = {files_.path("agent.pem"), files_.path("agent.key"), files_.path("ca.pem")};
        settings_.grants = {{"root.example", {Role::kAdmin}},
                            {"ops.example", {Role::kOperator}},
                            {"eyes.example", {Role::kViewer}},
                            {"compute-a.example", {Role::kViewer, Scope::kTenant, "tenant-a"}},
                            {"tor-a", {Role::kViewer, Scope::kFabric}}};
    }

    void write_identity(const Identity& identity) {
        files_.write("agent.key", identity.key_pem());
        files_.write("agent.pem", identity.certificate_pem());
    }
    // The kernel's choice; it is free until somebody takes it.
    std::string free_endpoint() {
        asio::ip::tcp::acceptor probe(loop_, {asio::ip::make_address("::1"), 0});
        return fmt::format("[::1]:{}", probe.local_endpoint().port());
    }
    void serve() {
        std::promise<void> done;
        asio::co_spawn(loop_, server_->serve_tcp(settings_), [&](const std::exception_ptr&) { done.set_value(); });
        done.get_future().wait();
    }
    std::shared_ptr<grpc::Channel> as(const Identity& identity) {
        grpc::SslCredentialsOptions options;
        options.pem_root_certs = ca_.certificate_pem();
        options.pem_cert_chain = identity.certificate_pem();
        options.pem_private_key = identity.key_pem();
        grpc::ChannelArguments arguments;
        arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
        return grpc::CreateCustomChannel(settings_.listen[0], grpc::SslCredentials(options), arguments);
    }
    std::shared_ptr<grpc::Channel> as(const std::string& common_name) { return as(make_client(ca_, common_name)); }

    grpc::Status version(const std::shared_ptr<grpc::Channel>& channel) {
        v1::Version reply;
        const auto stub = v1::System::NewStub(channel);
        return call(*stub, &v1::System::Stub::GetVersion, v1::GetVersionRequest(), &reply);
    }
    grpc::Status set_state(const std::shared_ptr<grpc::Channel>& channel, const std::string& machine) {
        v1::SetMachineStateRequest request;
        request.set_name(machine);
        request.set_state(v1::MACHINE_STATE_MAINTENANCE);
        v1::MutationReply reply;
        const auto stub = v1::Inventory::NewStub(channel);
        return call(*stub, &v1::Inventory::Stub::SetMachineState, request, &reply);
    }
    grpc::Status put_machine(const std::shared_ptr<grpc::Channel>& channel, const std::string& name,
                             const std::string& tenant, const std::string& bmc = "") {
        v1::PutMachineRequest request;
        request.mutable_machine()->set_name(name);
        request.mutable_machine()->set_tenant(tenant);
        request.mutable_machine()->add_macs(fmt::format("52:54:00:00:00:{:02x}", std::hash<std::string>()(name) % 256));
        request.mutable_machine()->set_bmc(bmc);
        v1::MutationReply reply;
        const auto stub = v1::Inventory::NewStub(channel);
        return call(*stub, &v1::Inventory::Stub::PutMachine, request, &reply);
    }
    grpc::Status get_machine(const std::shared_ptr<grpc::Channel>& channel, const std::string& name) {
        v1::NameRequest request;
        request.set_name(name);
        v1::Machine reply;
        const auto stub = v1::Inventory::NewStub(channel);
        return call(*stub, &v1::Inventory::Stub::GetMachine, request, &reply);
    }
    std::vector<std::string> machines(const std::shared_ptr<grpc::Channel>& channel, const std::string& after = "",
                                      std::uint32_t limit = 0) {
        v1::ListRequest request;
        request.set_after(after);
        request.set_limit(limit);
        v1::ListMachinesReply reply;
        const auto stub = v1::Inventory::NewStub(channel);
        EXPECT_TRUE(call(*stub, &v1::Inventory::Stub::ListMachines, request, &reply).ok());
        std::vector<std::string> names;
        for (const auto& machine : reply.machines()) names.push_back(machine.name());
        return names;
    }
    std::string health(const std::string& name) {
        return on_loop([&] {
            for (const auto& condition : health_.conditions()) {
                if (condition.component == "api" && condition.name == name)
                    return std::string(to_string(condition.state)) + (condition.message.empty() ? "" : ": ") +
                           condition.message;
            }
            return std::string("absent");
        });
    }

    // Reports take effect behind what the loop does now.
    void expect_health(const std::string& name, const std::string& expected) {
        const auto deadline = std::chrono::steady_clock::now() + kCallDeadline;
        while (health(name) != expected && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
        EXPECT_EQ(health(name), expected);
    }

    Identity ca_ = make_ca("platform root");
    PemFiles files_;
    ApiTcpSettings settings_;
};

TEST_F(ApiTcpTest, ACallerIsTheCertificatesName) {
    serve();
    v1::PutTenantRequest request;
    request.mutable_tenant()->set_name("tenant-a");
    request.mutable_tenant()->add_common_names("a.example");
    v1::MutationReply reply;
    const auto stub = v1::Inventory::NewStub(as("root.example"));
    ASSERT_TRUE(call(*stub, &v1::Inventory::Stub::PutTenant, request, &reply).ok());
    EXPECT_EQ(store_->changes(0, 10).value().at(0).actor, "tls:root.example");
    expect_health("listener " + settings_.listen[0], "ok: serving");
    expect_health("certificate", "ok");
}

TEST_F(ApiTcpTest, OnlyCertificatesOfTheConfiguredRootsAreLetIn) {
    serve();
    const auto other = make_ca("another root");
    EXPECT_EQ(version(as(make_client(other, "root.example"))).error_code(), grpc::StatusCode::UNAVAILABLE);
    // A certificate that is for servers only does not make a client.
    EXPECT_EQ(version(as(make_client(ca_, "root.example", "serverAuth"))).error_code(), grpc::StatusCode::UNAVAILABLE);
    grpc::SslCredentialsOptions anonymous;
    anonymous.pem_root_certs = ca_.certificate_pem();
    EXPECT_FALSE(version(grpc::CreateChannel(settings_.listen[0], grpc::SslCredentials(anonymous))).ok());
    EXPECT_FALSE(version(grpc::CreateChannel(settings_.listen[0], grpc::InsecureChannelCredentials())).ok());
    EXPECT_TRUE(version(as("root.example")).ok());
}

TEST_F(ApiTcpTest, ANameWithoutRoleMayNothing) {
    serve();
    const auto status = version(as("stranger.example"));
    EXPECT_EQ(status.error_code(), grpc::StatusCode::PERMISSION_DENIED);
    EXPECT_NE(status.error_message().find("stranger.example"), std::string::npos);
}

TEST_F(ApiTcpTest, EachRoleMayWhatItSays) {
    ASSERT_TRUE(put_tenant("tenant-a").ok());
    ASSERT_TRUE(put_machine(channel_, "node-1", "tenant-a").ok());
    serve();
    const auto code = [&](const std::string& name, auto what) { return what(as(name)).error_code(); };
    const auto operate = [&](const auto& channel) { return set_state(channel, "node-1"); };
    const auto administer = [&](const auto& channel) {
        v1::NameRequest request;
        request.set_name("tenant-z");
        v1::MutationReply reply;
        const auto stub = v1::Inventory::NewStub(channel);
        return call(*stub, &v1::Inventory::Stub::DeleteTenant, request, &reply);
    };
    using grpc::StatusCode;
    EXPECT_EQ(machines(as("eyes.example")), std::vector<std::string>{"node-1"});
    EXPECT_EQ(code("eyes.example", operate), StatusCode::PERMISSION_DENIED);
    EXPECT_EQ(code("ops.example", operate), StatusCode::OK);
    EXPECT_EQ(code("ops.example", administer), StatusCode::PERMISSION_DENIED);
    EXPECT_EQ(code("root.example", administer), StatusCode::NOT_FOUND);  // let in: there is no such tenant
    EXPECT_EQ(code("tor-a", operate), StatusCode::PERMISSION_DENIED);
    EXPECT_EQ(get_machine(as("tor-a"), "node-1").error_code(), StatusCode::PERMISSION_DENIED);
    EXPECT_TRUE(version(as("tor-a")).ok());
}

TEST_F(ApiTcpTest, TheShellsCommandsAskForTheCallersRole) {
    serve();
    const auto run = [&](const std::string& name, const std::string& line) {
        const auto stub = v1::Shell::NewStub(as(name));
        v1::ExecuteRequest request;
        request.set_session("s-" + name);
        request.set_line(line);
        Context context;
        auto reader = stub->Execute(&context, request);
        v1::ExecuteReply reply;
        std::string error;
        while (reader->Read(&reply)) error += reply.error();
        const auto status = reader->Finish();
        return status.ok() ? error : status.error_message();
    };
    EXPECT_EQ(run("eyes.example", "show machines"), "");
    EXPECT_NE(run("eyes.example", "machine node-1 lock").find("needs the role operator"), std::string::npos);
    EXPECT_EQ(run("ops.example", "machine node-1 lock").find("needs the role"), std::string::npos);
    EXPECT_NE(run("ops.example", "configure terminal").find("needs the role admin"), std::string::npos);
    EXPECT_NE(run("compute-a.example", "show machines").find("needs the role viewer"), std::string::npos);
}

TEST_F(ApiTcpTest, ATenantSeesAndChangesItsOwnMachinesOnly) {
    ASSERT_TRUE(put_tenant("tenant-a").ok());
    ASSERT_TRUE(put_tenant("tenant-b").ok());
    for (const auto* name : {"b-1", "b-2", "b-3", "b-5"}) ASSERT_TRUE(put_machine(channel_, name, "tenant-b").ok());
    for (const auto* name : {"a-1", "b-4", "c-1"}) ASSERT_TRUE(put_machine(channel_, name, "tenant-a").ok());
    serve();
    const auto mine = as("compute-a.example");
    using grpc::StatusCode;
    EXPECT_EQ(machines(mine), (std::vector<std::string>{"a-1", "b-4", "c-1"}));
    // A page is short only when it is the last one.
    EXPECT_EQ(machines(mine, "", 2), (std::vector<std::string>{"a-1", "b-4"}));
    EXPECT_EQ(machines(mine, "b-4", 2), std::vector<std::string>{"c-1"});
    EXPECT_TRUE(get_machine(mine, "a-1").ok());
    const auto hidden = get_machine(mine, "b-1");
    const auto absent = get_machine(mine, "b-9");
    EXPECT_EQ(hidden.error_code(), StatusCode::NOT_FOUND);
    EXPECT_EQ(absent.error_code(), StatusCode::NOT_FOUND);
    EXPECT_EQ(hidden.error_message(), "no machine \"b-1\"; see \"show machines\"");
    EXPECT_EQ(absent.error_message(), "no machine \"b-9\"; see \"show machines\"");
    EXPECT_TRUE(set_state(mine, "a-1").ok());
    EXPECT_EQ(set_state(mine, "b-1").error_code(), StatusCode::NOT_FOUND);
    EXPECT_TRUE(put_machine(mine, "a-2", "tenant-a").ok());
    EXPECT_EQ(put_machine(mine, "a-3", "tenant-b").error_code(), StatusCode::PERMISSION_DENIED);
    EXPECT_EQ(put_machine(mine, "b-1", "tenant-a").error_code(), StatusCode::ALREADY_EXISTS);
    EXPECT_EQ(put_machine(mine, "a-2", "tenant-a", "bmc-of-b").error_code(), StatusCode::PERMISSION_DENIED);
    EXPECT_EQ(on_loop([&] { return inventory_->machine("b-1")->value.tenant; }), "tenant-b");
}

TEST_F(ApiTcpTest, ATenantSeesItsOwnTenantAndJobsOnly) {
    ASSERT_TRUE(put_tenant("tenant-a").ok());
    ASSERT_TRUE(put_tenant("tenant-b").ok());
    ASSERT_TRUE(put_machine(channel_, "b-1", "tenant-b").ok());
    serve();
    const auto mine = as("compute-a.example");
    v1::ListTenantsReply tenants;
    const auto inventory = v1::Inventory::NewStub(mine);
    ASSERT_TRUE(call(*inventory, &v1::Inventory::Stub::ListTenants, v1::ListRequest(), &tenants).ok());
    ASSERT_EQ(tenants.tenants_size(), 1);
    EXPECT_EQ(tenants.tenants(0).name(), "tenant-a");
    v1::CreateJobRequest request;
    request.set_type("provision");
    request.set_machine("b-1");
    v1::Job job;
    const auto jobs = v1::Jobs::NewStub(mine);
    EXPECT_EQ(call(*jobs, &v1::Jobs::Stub::CreateJob, request, &job).error_code(), grpc::StatusCode::NOT_FOUND);
}

TEST_F(ApiTcpTest, ARoleThatIsTakenAwayEndsAtOnceOnOpenConnections) {
    serve();
    const auto channel = as("ops.example");
    ASSERT_TRUE(version(channel).ok());
    settings_.grants.erase("ops.example");
    serve();
    EXPECT_EQ(version(channel).error_code(), grpc::StatusCode::PERMISSION_DENIED);
}

TEST_F(ApiTcpTest, ANewCertificateIsServedWithoutARestart) {
    serve();
    const auto open = as("ops.example");
    ASSERT_TRUE(version(open).ok());
    const auto next = make_ca("next root");
    write_identity(make_agent(next));
    grpc::SslCredentialsOptions options;
    options.pem_root_certs = next.certificate_pem();
    const auto mine = make_client(ca_, "ops.example");
    options.pem_cert_chain = mine.certificate_pem();
    options.pem_private_key = mine.key_pem();
    const auto deadline = std::chrono::steady_clock::now() + kCallDeadline;
    grpc::Status status;
    do {
        grpc::ChannelArguments arguments;
        arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
        status = version(grpc::CreateCustomChannel(settings_.listen[0], grpc::SslCredentials(options), arguments));
    } while (!status.ok() && std::chrono::steady_clock::now() < deadline);
    EXPECT_TRUE(status.ok()) << status.error_message();
    EXPECT_TRUE(version(open).ok());
}

TEST_F(ApiTcpTest, WhatIsWrongWithTheFilesIsAHealthCondition) {
    files_.write("agent.key", make_agent(ca_).key_pem());
    serve();
    expect_health("certificate",
                  fmt::format("failed: {}: is not the key of {}", files_.path("agent.key"), files_.path("agent.pem")));
    write_identity(make_agent(ca_, 3 * 24 * 3600));
    settings_.listen = {free_endpoint()};
    serve();
    expect_health("certificate", "degraded: expires in 70 hours");
}

TEST_F(ApiTcpTest, AnEndpointThatIsTakenIsAHealthConditionAndTheOtherServes) {
    asio::ip::tcp::acceptor taken(loop_, {asio::ip::make_address("::1"), 0});
    const auto endpoint = fmt::format("[::1]:{}", taken.local_endpoint().port());
    settings_.listen.push_back(endpoint);
    serve();
    expect_health("listener " + endpoint, "failed: cannot be bound; trying again");
    EXPECT_TRUE(version(as("ops.example")).ok());
    settings_.listen.pop_back();
    serve();
    expect_health("listener " + endpoint, "absent");
}

class DownloadTest : public ApiTcpTest {
protected:
    DownloadTest() {
        settings_.grants["host-a"] = {Role::kViewer, Scope::kServer};  // the agent itself plays the other server
        for (int i = 0; content_.size() < 3 * kDownloadChunk; ++i) content_ += fmt::format("{} ", i);
        digest_ = sha256_hex(content_);
        auto import = inventory_->artifact_files().begin_import().value();
        EXPECT_TRUE(import.append(content_));
        EXPECT_TRUE(import.finish("", 0));
    }
    ~DownloadTest() override {
        on_loop([this] { downloader_->stop(); });
    }

    // What came, and what became of it.
    std::pair<std::string, Result<void>> download(const std::string& digest, std::uint64_t offset = 0,
                                                  std::size_t refuse_after = SIZE_MAX) {
        std::string bytes;
        std::promise<Result<void>> ended;
        ByteTaker take = [&](std::string_view more) -> Result<void> {
            if (bytes.size() >= refuse_after) return fail(Code::kResourceExhausted, "the disk is full");
            bytes += more;
            return {};
        };
        asio::co_spawn(loop_, downloader_->download(settings_.listen[0], digest, offset, std::move(take)),
                       [&](const std::exception_ptr&, Result<void> result) { ended.set_value(std::move(result)); });
        auto result = ended.get_future().get();
        return {std::move(bytes), std::move(result)};
    }

    std::string content_;
    std::string digest_;
    std::unique_ptr<ArtifactDownloader> downloader_ =
        make_artifact_downloader(loop_.get_executor(), [this] { return settings_.certificates; });
};

TEST_F(DownloadTest, AServerFetchesAFileFromAnyOffsetOn) {
    serve();
    for (const std::uint64_t offset : {std::uint64_t{0}, std::uint64_t{1}, content_.size() - 1, content_.size()}) {
        const auto [bytes, result] = download(digest_, offset);
        EXPECT_TRUE(result) << result.error().to_string();
        EXPECT_EQ(sha256_hex(bytes), sha256_hex(content_.substr(offset))) << offset;
    }
}

TEST_F(DownloadTest, WhatIsMissingOrDamagedSendsNoByte) {
    serve();
    EXPECT_EQ(download(std::string(64, 'a')).second.error().code, Code::kNotFound);
    EXPECT_EQ(download("../../secret.key").second.error().code, Code::kInvalidArgument);
    ASSERT_TRUE(download(digest_).second);
    // The same size: only its times tell that it is to be hashed again.
    std::fstream(inventory_->artifact_files().path_of(digest_), std::ios::in | std::ios::out).put('#');
    const auto [bytes, result] = download(digest_);
    EXPECT_EQ(result.error().code, Code::kDataLoss);
    EXPECT_EQ(bytes, "");
}

TEST_F(DownloadTest, ATakerThatRefusesEndsItWithItsError) {
    serve();
    const auto [bytes, result] = download(digest_, 0, 1);
    EXPECT_EQ(result.error().message, "the disk is full");
    EXPECT_LE(bytes.size(), kDownloadChunk);
}

TEST_F(DownloadTest, OnlyAServerOrAnOperatorMayFetch) {
    for (const Grant& grant : {Grant{Role::kViewer}, Grant{Role::kViewer, Scope::kTenant, "tenant-a"},
                               Grant{Role::kViewer, Scope::kFabric}}) {
        settings_.grants["host-a"] = grant;
        serve();
        EXPECT_EQ(download(digest_).second.error().code, Code::kPermissionDenied);
    }
    settings_.grants["host-a"] = {Role::kOperator};
    serve();
    EXPECT_TRUE(download(digest_).second);
}

// Whoever adds a method has to say who may call it.
TEST(ApiNeeds, EveryMethodIsListed) {
    const auto* file = v1::Version::descriptor()->file();
    for (int s = 0; s < file->service_count(); ++s) {
        const auto* service = file->service(s);
        for (int m = 0; m < service->method_count(); ++m) {
            const auto method = fmt::format("/{}/{}", service->full_name(), service->method(m)->name());
            EXPECT_TRUE(is_listed(method)) << method << ": add it to agent/core/access/access.cpp";
        }
    }
}

}  // namespace
}  // namespace nett::test
