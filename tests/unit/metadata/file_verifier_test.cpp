#include "plugins/metadata/file_verifier.hpp"

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include "agent/sdk/strings.hpp"
#include "plugins/metadata/limits.hpp"

namespace nett::metadata {
namespace {

class FileVerifierTest : public testing::Test {
protected:
    FileVerifierTest() {
        std::filesystem::remove_all(directory_);
        std::filesystem::create_directories(directory_ + "/sha256");
        write(bytes_);
    }
    ~FileVerifierTest() override { std::filesystem::remove_all(directory_); }

    void write(const std::string& bytes) const { std::ofstream(path_, std::ios::binary) << bytes; }
    // The task's result; everything else that is ready runs too.
    FileVerifier::OpenResult finish(Awaitable<FileVerifier::OpenResult> task) {
        begin(std::move(task));
        context_.restart();
        context_.run();
        return std::move(results_.back());
    }
    void begin(Awaitable<FileVerifier::OpenResult> task) {
        asio::co_spawn(context_, std::move(task), [this](std::exception_ptr failure, FileVerifier::OpenResult result) {
            EXPECT_FALSE(failure);
            results_.push_back(std::move(result));
        });
    }

    const std::string bytes_ = std::string(3 * kHashSliceBytes + 17, 'x');
    const std::string digest_ = sha256_hex(bytes_);
    const std::string directory_ =
        testing::TempDir() + "verifier-" + testing::UnitTest::GetInstance()->current_test_info()->name();
    const std::string path_ = directory_ + "/sha256/" + digest_;
    asio::io_context context_;
    std::vector<FileVerifier::OpenResult> results_;
    std::vector<std::string> reports_;
    FileVerifier verifier_{directory_, [this](const std::string&, bool damaged, const std::string&) {
                               reports_.emplace_back(damaged ? "damaged" : "restored");
                           }};
};

TEST_F(FileVerifierTest, HashesOnceAndThenOnlyLooks) {
    EXPECT_EQ(verifier_.open_known(digest_, bytes_.size()).error().code, Code::kUnavailable);
    EXPECT_TRUE(finish(verifier_.open(digest_, bytes_.size())));
    EXPECT_TRUE(verifier_.open_known(digest_, bytes_.size()));
    EXPECT_TRUE(reports_.empty());
}

TEST_F(FileVerifierTest, ManyWhoWantOneFileWaitForOneHash) {
    for (int i = 0; i < 5; ++i) begin(verifier_.open(digest_, bytes_.size()));
    std::size_t handlers = 0;
    while (context_.run_one() != 0) ++handlers;
    ASSERT_EQ(results_.size(), 5U);
    for (const auto& result : results_) EXPECT_TRUE(result);
    const std::size_t slices = bytes_.size() / kHashSliceBytes;
    EXPECT_LT(handlers, 5 * slices);
}

TEST_F(FileVerifierTest, TellsOnceOfADamageAndOnceOfItsCure) {
    auto bad = bytes_;
    bad[kHashSliceBytes + 1] ^= 1;
    write(bad);
    const auto refused = finish(verifier_.open(digest_, bytes_.size()));
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Code::kDataLoss);
    EXPECT_FALSE(finish(verifier_.open(digest_, bytes_.size())));
    EXPECT_EQ(verifier_.open_known(digest_, bytes_.size()).error().code, Code::kDataLoss);
    EXPECT_EQ(reports_, (std::vector<std::string>{"damaged"}));
    EXPECT_TRUE(verifier_.trouble(digest_, bytes_.size()).has_value());
    write(bytes_);
    EXPECT_TRUE(finish(verifier_.open(digest_, bytes_.size())));
    EXPECT_EQ(reports_, (std::vector<std::string>{"damaged", "restored"}));
    EXPECT_FALSE(verifier_.trouble(digest_, bytes_.size()).has_value());
}

// What is known holds until a new hash says otherwise.
TEST_F(FileVerifierTest, HashingAgainDisturbsNobody) {
    EXPECT_TRUE(finish(verifier_.open(digest_, bytes_.size())));
    begin(verifier_.verify(digest_, bytes_.size()));
    context_.restart();
    context_.run_one();
    EXPECT_TRUE(verifier_.open_known(digest_, bytes_.size()));
    context_.run();
    EXPECT_TRUE(results_.back());
}

TEST_F(FileVerifierTest, AnAbsentFileIsALossAndNotTheClientsMistake) {
    std::filesystem::remove(path_);
    EXPECT_EQ(finish(verifier_.open(digest_, bytes_.size())).error().code, Code::kDataLoss);
    EXPECT_TRUE(verifier_.trouble(digest_, bytes_.size()).has_value());
    EXPECT_EQ(finish(verifier_.open("../../etc/passwd", 1)).error().code, Code::kDataLoss);
    write(bytes_);
    EXPECT_TRUE(finish(verifier_.open(digest_, bytes_.size())));
}

TEST_F(FileVerifierTest, StopsBetweenTwoSlices) {
    begin(verifier_.open(digest_, bytes_.size()));
    context_.run_one();
    verifier_.stop();
    context_.run();
    ASSERT_EQ(results_.size(), 1U);
    EXPECT_EQ(results_.back().error().code, Code::kUnavailable);
    EXPECT_FALSE(verifier_.trouble(digest_, bytes_.size()).has_value());
    verifier_.start();
    EXPECT_TRUE(finish(verifier_.open(digest_, bytes_.size())));
}

}  // namespace
}  // namespace nett::metadata
