#include <fstream>

#include <google/protobuf/util/message_differencer.h>
#include <grpcpp/generic/generic_stub.h>
#include <sys/stat.h>
#include <unistd.h>
#include <boost/asio/local/stream_protocol.hpp>

#include "agent/api/convert.hpp"
#include "agent/api/status.hpp"
#include "agent/sdk/strings.hpp"
#include "tests/unit/api/api_fixture.hpp"

namespace nett::test {
namespace {

TEST_F(ApiTest, MutationIsRecordedWithThePeersUser) {
    ASSERT_TRUE(put_tenant("tenant-a").ok());
    const auto change = store_->changes(0, 10).value().at(0);
    EXPECT_EQ(change.key, "tenant-a");
    EXPECT_EQ(change.reason, "a test");
    EXPECT_TRUE(change.actor.starts_with("unix:")) << change.actor;
    EXPECT_TRUE(::geteuid() != 0 || change.actor == "unix:root") << change.actor;
}

TEST_F(ApiTest, MachineMakesTheRoundTrip) {
    ASSERT_TRUE(put_tenant("tenant-a").ok());
    const auto stub = v1::Inventory::NewStub(channel_);
    v1::PutMachineRequest request;
    auto& machine = *request.mutable_machine();
    machine.set_name("node-1");
    machine.set_tenant("tenant-a");
    machine.set_uuid("4c4c4544-0042-3510-8051-b7c04f4d3432");
    machine.add_macs("52:54:00:00:00:01");
    machine.set_serial("S1");
    machine.set_kernel_args("console=ttyS0");
    machine.set_delivery(v1::CONFIG_DELIVERY_URL);
    auto& port = *machine.add_ports();
    port.set_port("tor-a/swp7");
    port.set_prefix("2001:db8:b000:6::/64");
    machine.set_bmc("node-1");
    machine.mutable_production()->set_mode(v1::PRODUCTION_MODE_STATIC);
    machine.mutable_production()->set_prefix("2001:db8:f::/64");
    const std::string config("machine:\n\0\xff", 11);
    request.set_config(config);
    v1::MutationReply reply;
    ASSERT_TRUE(call(*stub, &v1::Inventory::Stub::PutMachine, request, &reply).ok());
    EXPECT_EQ(reply.revision(), 2U);

    v1::NameRequest name;
    name.set_name("node-1");
    v1::Machine got;
    ASSERT_TRUE(call(*stub, &v1::Inventory::Stub::GetMachine, name, &got).ok());
    EXPECT_EQ(got.state(), v1::MACHINE_STATE_NEW);
    EXPECT_TRUE(got.has_state_since());
    EXPECT_FALSE(got.has_last_boot_time());
    EXPECT_EQ(got.config_sha256(), sha256_hex(config));
    EXPECT_EQ(got.config_size(), config.size());
    EXPECT_EQ(got.revision(), 2U);
    for (const auto* field : {"state", "state_since", "config_sha256", "config_size", "revision"}) {
        got.GetReflection()->ClearField(&got, got.GetDescriptor()->FindFieldByName(field));
    }
    EXPECT_TRUE(google::protobuf::util::MessageDifferencer::Equals(got, machine)) << got.DebugString();
}

TEST_F(ApiTest, ErrorsAreStatusesWithTheRemedy) {
    const auto stub = v1::Inventory::NewStub(channel_);
    v1::NameRequest name;
    name.set_name("node-9");
    v1::Machine machine;
    const auto status = call(*stub, &v1::Inventory::Stub::GetMachine, name, &machine);
    EXPECT_EQ(status.error_code(), grpc::StatusCode::NOT_FOUND);
    EXPECT_EQ(status.error_message(), "no machine \"node-9\"; see \"show machines\"");
    v1::SetMachineStateRequest state;
    v1::MutationReply reply;
    EXPECT_EQ(call(*stub, &v1::Inventory::Stub::SetMachineState, state, &reply).error_code(),
              grpc::StatusCode::INVALID_ARGUMENT);
}

TEST(ApiStatus, CodesMapByName) {
    const std::map<Code, grpc::StatusCode> codes{{Code::kInvalidArgument, grpc::StatusCode::INVALID_ARGUMENT},
                                                 {Code::kNotFound, grpc::StatusCode::NOT_FOUND},
                                                 {Code::kAlreadyExists, grpc::StatusCode::ALREADY_EXISTS},
                                                 {Code::kFailedPrecondition, grpc::StatusCode::FAILED_PRECONDITION},
                                                 {Code::kPermissionDenied, grpc::StatusCode::PERMISSION_DENIED},
                                                 {Code::kUnauthenticated, grpc::StatusCode::UNAUTHENTICATED},
                                                 {Code::kResourceExhausted, grpc::StatusCode::RESOURCE_EXHAUSTED},
                                                 {Code::kAborted, grpc::StatusCode::ABORTED},
                                                 {Code::kUnavailable, grpc::StatusCode::UNAVAILABLE},
                                                 {Code::kDeadlineExceeded, grpc::StatusCode::DEADLINE_EXCEEDED},
                                                 {Code::kDataLoss, grpc::StatusCode::DATA_LOSS},
                                                 {Code::kUnimplemented, grpc::StatusCode::UNIMPLEMENTED},
                                                 {Code::kInternal, grpc::StatusCode::INTERNAL}};
    for (const auto& [code, status] : codes) {
        EXPECT_EQ(to_status(Error{code, "why", "where"}).error_code(), status);
    }
    EXPECT_EQ(to_status(Error{Code::kInternal, "why", "where"}).error_message(), "where: why");
}

TEST_F(ApiTest, ListsAreCutAtTheirLimit) {
    for (const auto* name : {"a", "b", "c"}) ASSERT_TRUE(put_tenant(name).ok());
    const auto stub = v1::Inventory::NewStub(channel_);
    v1::ListRequest request;
    request.set_after("a");
    request.set_limit(1);
    v1::ListTenantsReply reply;
    ASSERT_TRUE(call(*stub, &v1::Inventory::Stub::ListTenants, request, &reply).ok());
    ASSERT_EQ(reply.tenants_size(), 1);
    EXPECT_EQ(reply.tenants(0).name(), "b");
}

TEST_F(ApiTest, TooLargeAMessageIsRefused) {
    const auto stub = v1::Inventory::NewStub(channel_);
    v1::PutMachineRequest request;
    request.set_config(std::string(kMaxApiMessage, 'x'));
    v1::MutationReply reply;
    EXPECT_EQ(call(*stub, &v1::Inventory::Stub::PutMachine, request, &reply).error_code(),
              grpc::StatusCode::RESOURCE_EXHAUSTED);
    EXPECT_TRUE(put_tenant("tenant-a").ok()) << "the server goes on";
}

class UploadTest : public ApiTest {
protected:
    grpc::Status upload(const std::vector<v1::UploadRequest>& parts, v1::UploadReply* reply) {
        Context context;
        const auto stub = v1::Artifacts::NewStub(channel_);
        auto writer = stub->Upload(&context, reply);
        for (const auto& part : parts) {
            if (!writer->Write(part)) break;
        }
        writer->WritesDone();
        return writer->Finish();
    }
    static v1::UploadRequest header(std::string sha256, std::uint64_t size) {
        v1::UploadRequest part;
        part.mutable_header()->set_sha256(std::move(sha256));
        part.mutable_header()->set_size(size);
        return part;
    }
    static v1::UploadRequest chunk(std::string bytes) {
        v1::UploadRequest part;
        part.set_chunk(std::move(bytes));
        return part;
    }
};

TEST_F(UploadTest, StoresAndVerifies) {
    const std::string large(1U << 20U, 'x');
    const auto digest = sha256_hex(large + large + "end");
    v1::UploadReply reply;
    const std::vector<v1::UploadRequest> parts{header(digest, 2 * large.size() + 3), chunk(large), chunk(large),
                                               chunk("end")};
    ASSERT_TRUE(upload(parts, &reply).ok());
    EXPECT_EQ(reply.sha256(), digest);
    EXPECT_EQ(reply.size(), 2 * large.size() + 3);
    EXPECT_FALSE(reply.existed());
    EXPECT_TRUE(inventory_->artifact_files().verify(digest));
    ASSERT_TRUE(upload(parts, &reply).ok());
    EXPECT_TRUE(reply.existed());
}

TEST_F(UploadTest, RefusesWhatIsNotAsAnnounced) {
    v1::UploadReply reply;
    EXPECT_EQ(upload({header(sha256_hex("abc"), 3), chunk("abd")}, &reply).error_code(), grpc::StatusCode::DATA_LOSS);
    EXPECT_EQ(upload({header("", 4), chunk("abd")}, &reply).error_code(), grpc::StatusCode::DATA_LOSS);
    EXPECT_EQ(upload({chunk("abd")}, &reply).error_code(), grpc::StatusCode::INVALID_ARGUMENT);
    EXPECT_EQ(upload({}, &reply).error_code(), grpc::StatusCode::INVALID_ARGUMENT);
    EXPECT_EQ(upload({header("", 0), header("", 0)}, &reply).error_code(), grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_F(UploadTest, WhatAnInterruptedUploadHasLeftIsNotSentAgain) {
    const auto digest = sha256_hex("first half, second half");
    v1::UploadReply reply;
    EXPECT_EQ(upload({header(digest, 23), chunk("first half")}, &reply).error_code(), grpc::StatusCode::DATA_LOSS);
    v1::GetUploadRequest question;
    question.set_sha256(digest);
    v1::GetUploadReply left;
    const auto stub = v1::Artifacts::NewStub(channel_);
    ASSERT_TRUE(call(*stub, &v1::Artifacts::Stub::GetUpload, question, &left).ok());
    EXPECT_FALSE(left.stored());
    EXPECT_EQ(left.received(), 10U);
    auto rest = header(digest, 23);
    rest.mutable_header()->set_offset(9);
    EXPECT_EQ(upload({rest, chunk(", second half")}, &reply).error_code(), grpc::StatusCode::FAILED_PRECONDITION);
    rest.mutable_header()->set_offset(10);
    ASSERT_TRUE(upload({rest, chunk(", second half")}, &reply).ok());
    ASSERT_TRUE(call(*stub, &v1::Artifacts::Stub::GetUpload, question, &left).ok());
    EXPECT_TRUE(left.stored());
    question.set_sha256("../../secret.key");
    EXPECT_EQ(call(*stub, &v1::Artifacts::Stub::GetUpload, question, &left).error_code(),
              grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_F(UploadTest, AClientThatGoesAwayLeavesNothing) {
    {
        Context context;
        v1::UploadReply reply;
        const auto stub = v1::Artifacts::NewStub(channel_);
        auto writer = stub->Upload(&context, &reply);
        ASSERT_TRUE(writer->Write(header(sha256_hex("half and half"), 0)));
        ASSERT_TRUE(writer->Write(chunk("half")));
        context.TryCancel();
        EXPECT_EQ(writer->Finish().error_code(), grpc::StatusCode::CANCELLED);
    }
    stop_server();  // waits for the calls
    EXPECT_TRUE(std::filesystem::is_empty(directory_ / "artifacts/sha256"));
}

class WatchTest : public ApiTest {
protected:
    struct Watch {
        Context context;
        std::unique_ptr<grpc::ClientReader<v1::Change>> reader;
    };
    std::unique_ptr<Watch> watch(std::uint64_t since, std::vector<std::string> kinds = {}) {
        auto watch = std::make_unique<Watch>();
        v1::WatchRequest request;
        request.set_since_revision(since);
        for (auto& kind : kinds) request.add_kinds(std::move(kind));
        watch->reader = v1::Inventory::NewStub(channel_)->Watch(&watch->context, request);
        return watch;
    }
    // Writes straight to the store: `count` transactions.
    void commit(std::string kind, int count) {
        for (int i = 0; i < count; ++i) {
            std::promise<bool> done;
            asio::co_spawn(loop_, store_->commit(put(kind, std::to_string(i), "{}")),
                           [&done](const std::exception_ptr&, const Result<Revision>& result) {
                               done.set_value(result.has_value());
                           });
            ASSERT_TRUE(done.get_future().get());
        }
    }
};

TEST_F(WatchTest, ReplaysThenGoesOnLive) {
    ASSERT_TRUE(put_tenant("a").ok());
    ASSERT_TRUE(put_tenant("b").ok());
    const auto following = watch(1);
    v1::Change change;
    ASSERT_TRUE(following->reader->Read(&change));
    EXPECT_EQ(change.revision(), 2U);
    EXPECT_EQ(change.kind(), "tenant");
    EXPECT_EQ(change.key(), "b");
    EXPECT_FALSE(change.deleted());
    EXPECT_EQ(change.reason(), "a test");
    ASSERT_TRUE(put_tenant("c").ok());
    ASSERT_TRUE(following->reader->Read(&change));
    EXPECT_EQ(change.revision(), 3U);
    following->context.TryCancel();
    EXPECT_EQ(following->reader->Finish().error_code(), grpc::StatusCode::CANCELLED);
}

TEST_F(WatchTest, SlowWatcherMissesNothing) {
    commit("machine", 1);
    const auto following = watch(1, {"machine"});
    commit("machine", 400);
    commit("tenant", 300);
    commit("machine", 1);
    v1::Change change;
    std::uint64_t last = 1;
    for (int i = 0; i < 401; ++i) {
        ASSERT_TRUE(following->reader->Read(&change));
        EXPECT_EQ(change.kind(), "machine");
        EXPECT_GT(change.revision(), last);
        last = change.revision();
    }
    EXPECT_EQ(last, 702U);
    following->context.TryCancel();
    following->reader->Finish();
}

TEST_F(WatchTest, TooOldARevisionIsToldWhereToGoOn) {
    auto large = put("machine", "large", std::string(kMaxValueSize, 'x'));
    for (int i = 0; i < 20; ++i) {
        std::promise<void> done;
        asio::co_spawn(loop_, store_->commit(large),
                       [&done](const std::exception_ptr&, const Result<Revision>&) { done.set_value(); });
        done.get_future().wait();
    }
    const auto following = watch(1);
    v1::Change change;
    EXPECT_FALSE(following->reader->Read(&change));
    const auto status = following->reader->Finish();
    EXPECT_EQ(status.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
    EXPECT_NE(status.error_message().find("go on from revision 20"), std::string::npos) << status.error_message();
}

TEST_F(ApiTest, ShellExecutesAndCompletes) {
    ASSERT_TRUE(put_tenant("tenant-a").ok());
    const auto stub = v1::Shell::NewStub(channel_);
    Context context;
    v1::ExecuteRequest request;
    request.set_session("s1");
    request.set_line("show tenants");
    request.set_json(true);
    auto reader = stub->Execute(&context, request);
    std::string output;
    v1::ExecuteReply reply;
    v1::ExecuteReply last;
    while (reader->Read(&reply)) {
        output += reply.output();
        last = reply;
    }
    ASSERT_TRUE(reader->Finish().ok());
    EXPECT_TRUE(last.done());
    EXPECT_EQ(last.error(), "");
    EXPECT_NE(output.find("tenant-a.example"), std::string::npos) << output;

    v1::CompleteRequest complete;
    complete.set_session("s1");
    complete.set_line("show mach");
    v1::CompleteReply completions;
    ASSERT_TRUE(call(*stub, &v1::Shell::Stub::Complete, complete, &completions).ok());
    ASSERT_GE(completions.completions_size(), 1);
    EXPECT_TRUE(completions.completions(0).token().starts_with("machine"));
}

TEST_F(ApiTest, SystemTellsVersionHealthAndEvents) {
    const auto stub = v1::System::NewStub(channel_);
    v1::Version version;
    ASSERT_TRUE(call(*stub, &v1::System::Stub::GetVersion, v1::GetVersionRequest(), &version).ok());
    EXPECT_EQ(version.version(), "1.2.3");
    EXPECT_EQ(version.hostname(), "host-a");
    health_.report({"metadata", "listener", HealthScope::kLocal, HealthState::kFailed, "not bound", "free the port"});
    v1::Health health;
    ASSERT_TRUE(call(*stub, &v1::System::Stub::GetHealth, v1::GetHealthRequest(), &health).ok());
    EXPECT_EQ(health.state(), "failed");
    ASSERT_EQ(health.conditions_size(), 1);
    EXPECT_EQ(health.conditions(0).remedy(), "free the port");

    Context context;
    v1::StreamEventsRequest request;
    request.set_type_prefix("test.");
    auto reader = stub->StreamEvents(&context, request);
    reader->WaitForInitialMetadata();
    events_.publish({"other.thing", "x", "not wanted", {}});
    events_.publish({"test.thing", "subject", "message", {{"key", "value"}}});
    v1::Event event;
    ASSERT_TRUE(reader->Read(&event));
    EXPECT_EQ(event.type(), "test.thing");
    EXPECT_EQ(event.fields().at("key"), "value");
    context.TryCancel();
    reader->Finish();
}

TEST_F(ApiTest, StopEndsOpenStreamsAtOnce) {
    const auto stub = v1::Inventory::NewStub(channel_);
    ASSERT_TRUE(put_tenant("a").ok());
    Context context;
    v1::WatchRequest request;
    request.set_since_revision(0);
    auto reader = stub->Watch(&context, request);
    reader->WaitForInitialMetadata();
    ASSERT_TRUE(put_tenant("b").ok());
    v1::Change change;
    const auto start = std::chrono::steady_clock::now();
    stop_server(std::chrono::seconds(15));
    EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(10));
    while (reader->Read(&change)) {
    }
    EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::UNAVAILABLE);
    EXPECT_FALSE(std::filesystem::exists(socket_path()));
}

TEST_F(ApiTest, SocketIsPrivateAndALiveOneIsRefused) {
    struct stat info {};
    ASSERT_EQ(::stat(socket_path().c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777U, 0660U);
    auto second = make_server();
    const auto refused = on_loop([&] { return second->start(socket_path()); });
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Code::kAlreadyExists);
    EXPECT_TRUE(put_tenant("tenant-a").ok()) << "the first one goes on";
}

TEST_F(ApiTest, StaleSocketIsReplacedAndAFileIsNot) {
    stop_server();
    {
        asio::io_context other;
        const boost::asio::local::stream_protocol::endpoint endpoint(socket_path());
        const boost::asio::local::stream_protocol::acceptor killed(other, endpoint);
    }
    ASSERT_TRUE(std::filesystem::exists(socket_path()));
    auto next = make_server();
    EXPECT_TRUE(on_loop([&] { return next->start(socket_path()); }));
    server_ = std::move(next);
    channel_ = connect();
    EXPECT_TRUE(put_tenant("tenant-a").ok());
    auto third = make_server();
    const auto file = directory_ / "file";
    std::ofstream(file) << "precious";
    EXPECT_FALSE(on_loop([&] { return third->start(file); }));
    EXPECT_TRUE(std::filesystem::exists(file));
    EXPECT_FALSE(on_loop([&] { return third->start("/" + std::string(200, 'x')); }));
}

// The reflection protocol's own messages are not packaged: one request and its answer, by bytes.
TEST_F(ApiTest, ReflectionListsTheServices) {
    const grpc::Slice list_services(std::string("\x3a\0", 2));  // ServerReflectionRequest.list_services (7): ""
    const grpc::ByteBuffer request(&list_services, 1);
    Context context;
    grpc::GenericStub stub(channel_);
    grpc::CompletionQueue queue;
    const std::string method = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo";
    auto call = stub.PrepareUnaryCall(&context, method, request, &queue);
    call->StartCall();
    grpc::ByteBuffer reply;
    grpc::Status status;
    call->Finish(&reply, &status, nullptr);
    void* tag = nullptr;
    bool ok = false;
    ASSERT_TRUE(queue.Next(&tag, &ok));
    ASSERT_TRUE(status.ok()) << status.error_message();
    std::vector<grpc::Slice> slices;
    ASSERT_TRUE(reply.Dump(&slices).ok());
    std::string bytes;
    for (const auto& slice : slices) bytes.append(slice.begin(), slice.end());
    for (const auto* name :
         {"nett.v1.Shell", "nett.v1.Inventory", "nett.v1.Artifacts", "nett.v1.Jobs", "nett.v1.System"}) {
        EXPECT_NE(bytes.find(name), std::string::npos) << name;
    }
}

TEST_F(ApiTest, ManyConnectionsComeAndGo) {
    for (int i = 0; i < 50; ++i) {
        channel_ = grpc::CreateCustomChannel("unix:" + socket_path(), grpc::InsecureChannelCredentials(), [] {
            grpc::ChannelArguments arguments;
            arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);  // else all channels share one connection
            return arguments;
        }());
        ASSERT_TRUE(put_tenant("tenant-a").ok());
    }
}

}  // namespace
}  // namespace nett::test
