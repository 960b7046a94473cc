// Archives over the API: whole, at the reader's pace, one at a time, and given up with the reader.
#include <fstream>

#include "agent/core/backup/archive.hpp"
#include "tests/unit/api/api_fixture.hpp"

namespace nett::test {
namespace {

class ArchiveApi : public ApiTest {
protected:
    // A server of its own whose backup and support archive come from this test.
    ArchiveApi() {
        ArchiveSources sources;
        sources.backup = [this] {
            return BackupSource{"1.2.3",
                                "host-a",
                                directory_ / "nett.conf",
                                directory_ / "state.db",
                                directory_ / "secret.key",
                                directory_ / "artifacts",
                                {}};
        };
        sources.support = []() -> Awaitable<std::vector<SupportFile>> {
            std::vector<SupportFile> files{{"show-version.txt", "1.2.3\n"}};
            co_return files;
        };
        std::ofstream(directory_ / "nett.conf") << "hostname a\n";
        own_ = std::make_unique<ApiServer>(ApiDependencies{loop_.get_executor(),
                                                           shell_,
                                                           *inventory_,
                                                           *store_,
                                                           events_,
                                                           health_,
                                                           VersionInfo{"1.2.3", "build", "host-a", {}},
                                                           {},
                                                           nullptr,
                                                           sources});
        EXPECT_TRUE(on_loop([this] { return own_->start(directory_ / "own.sock"); }));
        stub_ = v1::System::NewStub(
            grpc::CreateChannel("unix:" + (directory_ / "own.sock"), grpc::InsecureChannelCredentials()));
    }
    ~ArchiveApi() override { stop_own(); }

    void stop_own() {
        std::promise<void> stopped;
        asio::co_spawn(loop_, own_->stop(std::chrono::steady_clock::now() + std::chrono::seconds(5)),
                       [&stopped](const std::exception_ptr&) { stopped.set_value(); });
        stopped.get_future().wait();
    }

    // An artifact that fills the transport's buffers, so that a call waits for its reader.
    void put_large_artifact() {
        auto import = inventory_->artifact_files().begin_import().value();
        ASSERT_TRUE(import.append(std::string(32U << 20U, 'x')));
        const auto sha256 = import.finish("", 0).value().sha256;
        ArtifactSet set;
        set.name = "s";
        set.architecture = "amd64";
        set.files = {{"vmlinuz", sha256, 0}, {"initramfs.xz", sha256, 0}};
        set.kernel = "vmlinuz";
        set.initramfs = "initramfs.xz";
        std::promise<bool> done;
        asio::co_spawn(loop_, inventory_->put_artifact_set(set, {"test", ""}),
                       [&done](const std::exception_ptr&, Result<Revision> put) { done.set_value(put.has_value()); });
        ASSERT_TRUE(done.get_future().get());
    }
    static v1::BackupRequest everything() {
        v1::BackupRequest request;
        request.set_artifacts(true);
        request.set_secrets_key(true);
        return request;
    }
    // All bytes, and how the call ended.
    template <typename Reader>
    static std::string read_all(Reader& reader, grpc::Status& status) {
        std::string bytes;
        v1::BackupChunk chunk;
        while (reader->Read(&chunk)) bytes += chunk.data();
        status = reader->Finish();
        return bytes;
    }

    std::unique_ptr<ApiServer> own_;
    std::unique_ptr<v1::System::Stub> stub_;
};

TEST_F(ArchiveApi, BackupIsAWholeArchive) {
    Context context;
    auto reader = stub_->Backup(&context, everything());
    grpc::Status status;
    std::ofstream(directory_ / "b.tar", std::ios::binary) << read_all(reader, status);
    ASSERT_TRUE(status.ok()) << status.error_message();
    auto archive = ArchiveReader::open(directory_ / "b.tar").value();
    std::vector<std::string> names;
    while (const auto member = archive->next().value()) names.push_back(member->name);
    EXPECT_EQ(names, (std::vector<std::string>{"manifest.json", "nett.conf", "state.db", "secret.key"}));
}

TEST_F(ArchiveApi, SupportArchiveHasTheFilesThatWereCollected) {
    Context context;
    auto reader = stub_->TechSupport(&context, v1::TechSupportRequest());
    grpc::Status status;
    std::ofstream(directory_ / "s.tgz", std::ios::binary) << read_all(reader, status);
    ASSERT_TRUE(status.ok()) << status.error_message();
    auto archive = ArchiveReader::open(directory_ / "s.tgz").value();
    EXPECT_EQ(archive->next().value()->name, "tech-support/show-version.txt");
    EXPECT_EQ(archive->read_all(100).value(), "1.2.3\n");
}

TEST_F(ArchiveApi, OneAtATimeAndOneThatIsGivenUpMakesRoom) {
    put_large_artifact();
    grpc::ClientContext slow_context;
    auto slow = stub_->Backup(&slow_context, everything());
    v1::BackupChunk chunk;
    ASSERT_TRUE(slow->Read(&chunk));
    grpc::Status status;
    {
        Context context;
        auto second = stub_->Backup(&context, everything());
        EXPECT_EQ(read_all(second, status), "");
        EXPECT_EQ(status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
    }
    slow_context.TryCancel();
    read_all(slow, status);
    EXPECT_EQ(status.error_code(), grpc::StatusCode::CANCELLED);
    // The agent notices by itself; until then the next is refused.
    std::size_t size = 0;
    do {
        Context context;
        auto next = stub_->Backup(&context, everything());
        size = read_all(next, status).size();
    } while (status.error_code() == grpc::StatusCode::RESOURCE_EXHAUSTED);
    EXPECT_TRUE(status.ok()) << status.error_message();
    EXPECT_GT(size, 32U << 20U);
}

TEST_F(ArchiveApi, ServerThatStopsDoesNotWaitForASlowReader) {
    put_large_artifact();
    grpc::ClientContext context;
    auto slow = stub_->Backup(&context, everything());
    v1::BackupChunk chunk;
    ASSERT_TRUE(slow->Read(&chunk));
    stop_own();
    grpc::Status status;
    read_all(slow, status);
    EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAVAILABLE) << status.error_message();
}

}  // namespace
}  // namespace nett::test
