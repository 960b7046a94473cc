// The client's side of the management API against a server in this process, on a Unix socket.
#include <gtest/gtest.h>

#include "builder/artifact_upload.hpp"
#include "builder/server.hpp"
#include "tests/unit/builder/support.hpp"

namespace nett::builder {
namespace {

class FakeAgent final : public v1::Artifacts::Service {
public:
    explicit FakeAgent(const std::string& socket) : target("unix:" + socket) {
        grpc::ServerBuilder builder;
        builder.AddListeningPort(target, grpc::InsecureServerCredentials());
        builder.RegisterService(this);
        server_ = builder.BuildAndStart();
    }
    ~FakeAgent() override { server_->Shutdown(); }

    grpc::Status GetUpload(grpc::ServerContext*, const v1::GetUploadRequest* request,
                           v1::GetUploadReply* reply) override {
        reply->set_stored(request->sha256() == known);
        reply->set_received(received.size());
        return grpc::Status::OK;
    }

    grpc::Status Upload(grpc::ServerContext*, grpc::ServerReader<v1::UploadRequest>* reader,
                        v1::UploadReply* reply) override {
        v1::UploadRequest part;
        if (!reader->Read(&part) || !part.has_header()) return {grpc::StatusCode::INVALID_ARGUMENT, "no header"};
        reply->set_sha256(part.header().sha256());
        reply->set_size(part.header().size());
        if (part.header().sha256() == known) {
            reply->set_existed(true);
            return grpc::Status::OK;  // without reading on
        }
        if (busy-- > 0) {
            received += "half";
            return {grpc::StatusCode::ABORTED, "somebody is uploading"};
        }
        if (part.header().offset() != received.size()) return {grpc::StatusCode::FAILED_PRECONDITION, "wrong offset"};
        while (reader->Read(&part)) received += part.chunk();
        reply->set_sha256(sha256_hex(received));
        return grpc::Status::OK;
    }

    const std::string target;
    std::string known;
    std::string received;
    int busy = 0;  // uploads that meet the one that broke off, whose rest comes in meanwhile

private:
    std::unique_ptr<grpc::Server> server_;
};

TEST(Upload, SendsEveryByte) {
    const TemporaryFolder folder;
    FakeAgent agent(folder.at("agent.sock"));
    std::string content;
    for (int i = 0; i < 700'000; ++i) content += static_cast<char>(i * 7);
    put_file(folder.at("vmlinuz"), content);
    const auto file = describe_file(folder.at("vmlinuz"));
    ASSERT_TRUE(file) << file.error().to_string();
    EXPECT_EQ(file->name, "vmlinuz");
    EXPECT_EQ(file->size, content.size());
    EXPECT_EQ(file->sha256, sha256_hex(content));
    Server server(agent.target);
    const auto uploaded = upload(server, *file);
    ASSERT_TRUE(uploaded) << uploaded.error().to_string();
    EXPECT_FALSE(uploaded->existed);
    EXPECT_EQ(uploaded->sent, content.size());
    EXPECT_TRUE(agent.received == content);
}

TEST(Upload, GoesOnWhereAnInterruptedOneStopped) {
    const TemporaryFolder folder;
    FakeAgent agent(folder.at("agent.sock"));
    put_file(folder.at("vmlinuz"), "first half, second half");
    const auto file = describe_file(folder.at("vmlinuz"));
    ASSERT_TRUE(file);
    agent.received = "first half";
    Server server(agent.target);
    std::uint64_t told = 0;
    const auto uploaded = upload(server, *file, false, [&](std::uint64_t done, std::uint64_t) { told = done; });
    ASSERT_TRUE(uploaded) << uploaded.error().to_string();
    EXPECT_EQ(uploaded->resumed, 10U);
    EXPECT_EQ(uploaded->sent, file->size - 10);
    EXPECT_EQ(told, file->size);
    EXPECT_EQ(agent.received, "first half, second half");
}

TEST(Upload, WaitsForTheAgentToEndTheOneThatBrokeOff) {
    const TemporaryFolder folder;
    FakeAgent agent(folder.at("agent.sock"));
    put_file(folder.at("vmlinuz"), "first half, second half");
    const auto file = describe_file(folder.at("vmlinuz"));
    ASSERT_TRUE(file);
    agent.received = "first ";
    agent.busy = 1;
    Server server(agent.target);
    const auto uploaded = upload(server, *file);
    ASSERT_TRUE(uploaded) << uploaded.error().to_string();
    EXPECT_EQ(uploaded->resumed, 10U);
    EXPECT_EQ(agent.received, "first half, second half");
}

TEST(Upload, StopsWhenTheAgentHasTheContent) {
    const TemporaryFolder folder;
    FakeAgent agent(folder.at("agent.sock"));
    put_file(folder.at("initramfs.xz"), std::string(32 << 20, 'x'));
    const auto file = describe_file(folder.at("initramfs.xz"));
    ASSERT_TRUE(file);
    agent.known = file->sha256;
    Server server(agent.target);
    for (const bool again : {false, true}) {  // the second is for an agent whose copy is damaged
        const auto uploaded = upload(server, *file, again);
        ASSERT_TRUE(uploaded) << uploaded.error().to_string();
        EXPECT_TRUE(uploaded->existed);
    }
    EXPECT_TRUE(agent.received.empty());
}

TEST(Upload, AFileThatChangedIsNotMistakenForTheOldOne) {
    const TemporaryFolder folder;
    FakeAgent agent(folder.at("agent.sock"));
    put_file(folder.at("vmlinuz"), "old");
    const auto file = describe_file(folder.at("vmlinuz"));
    ASSERT_TRUE(file);
    put_file(folder.at("vmlinuz"), "new");
    Server server(agent.target);
    const auto uploaded = upload(server, *file);
    ASSERT_FALSE(uploaded);
    EXPECT_EQ(uploaded.error().code, Code::kDataLoss);
}

TEST(Upload, FilesThatCannotBeServedAreRefused) {
    const TemporaryFolder folder;
    put_file(folder.at("empty"), "");
    put_file(folder.at("a b"), "x");
    for (const char* name : {"empty", "a b", "missing"}) {
        const auto file = describe_file(folder.at(name));
        ASSERT_FALSE(file) << name;
        EXPECT_NE(file.error().to_string().find(folder.at(name)), std::string::npos);
    }
}

TEST(Changes, OneUnreachableAgentDoesNotStopTheOthers) {
    const auto outcome = change_everywhere(
        {"unix:/a", "unix:/b", "unix:/c"}, "machine node-1", [](Server& server) -> Result<v1::MutationReply> {
            if (server.target == "unix:/b")
                return fail(error_of({grpc::StatusCode::UNAVAILABLE, "no such file"}, server.target));
            v1::MutationReply reply;
            reply.set_revision(7);
            return reply;
        });
    EXPECT_EQ(outcome.text, "unix:/a: machine node-1, revision 7\nunix:/c: machine node-1, revision 7\n");
    ASSERT_EQ(outcome.errors.size(), 1u);
    EXPECT_EQ(outcome.errors[0].context, "unix:/b");
    EXPECT_NE(outcome.errors[0].message.find("is nettd running"), std::string::npos);
}

TEST(Changes, AnAgentThatIsNotThereIsAnErrorWithARemedy) {
    const TemporaryFolder folder;
    Server server("unix:" + folder.at("nobody.sock"));
    const auto reply = call(server.target, *server.system, &v1::System::Stub::GetVersion, v1::GetVersionRequest());
    ASSERT_FALSE(reply);
    EXPECT_EQ(reply.error().code, Code::kUnavailable);
}

}  // namespace
}  // namespace nett::builder
