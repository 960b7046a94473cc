#include "agent/core/store/secret_box.hpp"

#include <fstream>
#include <iterator>
#include <thread>

#include <sys/stat.h>

#include "tests/unit/store/store_fixture.hpp"

namespace nett::test {
namespace {

class SecretBoxTest : public ::testing::Test {
protected:
    void SetUp() override {
        auto opened = open_secret_box(path());
        ASSERT_TRUE(opened) << opened.error().to_string();
        box_ = std::move(*opened);
    }
    std::string path() const { return directory_ / "secret.key"; }
    std::string key_text() const {
        std::ifstream file(path());
        return {std::istreambuf_iterator<char>(file), {}};
    }
    void write_key(const std::string& text, mode_t mode = 0600) {
        std::ofstream(path(), std::ios::trunc) << text;
        ::chmod(path().c_str(), mode);
    }

    TemporaryDirectory directory_;
    std::unique_ptr<SecretBox> box_;
};

TEST_F(SecretBoxTest, OpensWhatItSealed) {
    for (const auto& secret :
         {std::string(), std::string("hunter2"), std::string("\0\xff\n", 3), std::string(100'000, 'x')}) {
        const auto sealed = box_->seal(secret, "bmc/node-1/password").value();
        EXPECT_TRUE(sealed.starts_with("v1:"));
        EXPECT_EQ(box_->open(sealed, "bmc/node-1/password").value(), secret);
        EXPECT_TRUE(secret.empty() || sealed.find(secret) == std::string::npos);
    }
    EXPECT_NE(box_->seal("x", "c").value(), box_->seal("x", "c").value()) << "a nonce is never used twice";
}

TEST_F(SecretBoxTest, AnotherPlaceDoesNotOpenIt) {
    const auto sealed = box_->seal("hunter2", "bmc/node-1/password").value();
    const auto moved = box_->open(sealed, "bmc/node-2/password");
    ASSERT_FALSE(moved);
    EXPECT_EQ(moved.error().code, Code::kDataLoss);
    EXPECT_EQ(moved.error().message.find("hunter2"), std::string::npos);
}

TEST_F(SecretBoxTest, EveryChangedByteIsNoticed) {
    // Three lengths: their base64 ends in no, one and two padding characters.
    for (const auto* secret : {"hunter", "hunter2", "hunter22"}) {
        const auto sealed = box_->seal(secret, "c").value();
        for (std::size_t i = 0; i < sealed.size(); ++i) {
            auto changed = sealed;
            for (const char other : {'A', 'B', 'Q', '=', ' '}) {
                if (sealed[i] == other) continue;
                changed[i] = other;
                EXPECT_FALSE(box_->open(changed, "c")) << secret << " " << i << " " << other;
            }
            EXPECT_FALSE(box_->open(sealed.substr(0, i), "c")) << secret << " " << i;
        }
        EXPECT_FALSE(box_->open(sealed + "\n", "c"));
    }
    EXPECT_FALSE(box_->open("", "c"));
    EXPECT_FALSE(box_->open("v1:====", "c"));
}

TEST_F(SecretBoxTest, KeyFileIsPrivateAndReused) {
    struct stat info {};
    ASSERT_EQ(::stat(path().c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777U, 0600U);
    EXPECT_EQ(key_text().size(), 65U);
    const auto sealed = box_->seal("hunter2", "c").value();
    EXPECT_EQ(open_secret_box(path()).value()->open(sealed, "c").value(), "hunter2");
    EXPECT_EQ(std::distance(std::filesystem::directory_iterator(directory_.path()), {}), 1)
        << "no temporary file is left";
}

TEST_F(SecretBoxTest, AnotherKeyDoesNotOpenIt) {
    const auto sealed = box_->seal("hunter2", "c").value();
    write_key(std::string(64, 'a') + "\n");
    EXPECT_FALSE(open_secret_box(path()).value()->open(sealed, "c"));
}

TEST_F(SecretBoxTest, KeyOpenToOthersIsRefused) {
    for (const mode_t mode : {0644U, 0640U, 0604U, 0620U}) {
        ::chmod(path().c_str(), mode);
        const auto opened = open_secret_box(path());
        ASSERT_FALSE(opened);
        EXPECT_EQ(opened.error().code, Code::kPermissionDenied);
        EXPECT_NE(opened.error().message.find("chmod 600"), std::string::npos);
    }
}

TEST_F(SecretBoxTest, MalformedKeyIsRefusedAndKept) {
    for (const std::string text : {"", "abc", "zz", "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcde",
                                   "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdefff",
                                   "g123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"}) {
        write_key(text);
        const auto opened = open_secret_box(path());
        ASSERT_FALSE(opened) << text;
        EXPECT_EQ(opened.error().code, Code::kDataLoss);
        EXPECT_EQ(key_text(), text);
    }
}

TEST_F(SecretBoxTest, ManyMakersShareOneKey) {
    ASSERT_EQ(::unlink(path().c_str()), 0);
    std::vector<std::thread> threads;
    std::vector<std::string> sealed(8);
    for (std::size_t i = 0; i < sealed.size(); ++i) {
        threads.emplace_back([&, i] { sealed[i] = open_secret_box(path()).value()->seal("hunter2", "c").value(); });
    }
    for (auto& thread : threads) thread.join();
    const auto box = open_secret_box(path()).value();
    for (const auto& text : sealed) EXPECT_TRUE(box->open(text, "c"));
}

TEST(SecretBoxFaults, MissingDirectory) {
    const TemporaryDirectory directory;
    EXPECT_FALSE(open_secret_box(directory / "absent/secret.key"));
}

}  // namespace
}  // namespace nett::test
