#include "agent/replication/artifact_fetch.hpp"

#include <deque>
#include <functional>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "agent/sdk/strings.hpp"
#include "tests/unit/store/store_fixture.hpp"

namespace nett::replication {
namespace {

using Kind = FetchResult::Kind;

// A peer in memory: sends `bytes` from the offset on in pieces, and stops after `limit` of them.
class FakePeer final : public ArtifactDownloader {
public:
    Awaitable<Result<void>> download(std::string, std::string, std::uint64_t offset, ByteTaker take) override {
        offsets.push_back(offset);
        constexpr std::size_t kPiece = 1000;
        for (std::size_t at = offset; at < bytes.size();) {
            if (sent >= limit) co_return fail(Code::kUnavailable, "the peer went away");
            const auto piece = std::string_view(bytes).substr(at, kPiece);
            auto taken = take(piece);
            if (!taken) co_return taken;
            at += piece.size();
            sent += piece.size();
            if (after_piece) after_piece();
            co_await asio::post(asio::use_awaitable);
        }
        co_return Result<void>{};
    }
    void stop() override {}

    std::string bytes;
    std::size_t sent = 0;
    std::size_t limit = SIZE_MAX;
    std::vector<std::uint64_t> offsets;
    std::function<void()> after_piece;
};

class ArtifactFetchTest : public testing::Test {
protected:
    ArtifactFetchTest() {
        for (int i = 0; bytes_.size() < 3 * kWithheldBytes; ++i) bytes_ += fmt::format("{} ", i);
        peer_.bytes = bytes_;
        file_.sha256 = sha256_hex(bytes_);
        file_.size = bytes_.size();
        copy_ = std::make_shared<ArrivingCopy>(file_.size);
    }

    FetchResult fetch() {
        FetchTools tools{files_, peer_, context_.get_executor(), counter_};
        FetchResult out;
        auto work = fetch_from(tools, file_, "peer", copy_);
        asio::co_spawn(context_, std::move(work), [&](const std::exception_ptr& failure, FetchResult result) {
            EXPECT_FALSE(failure);
            out = std::move(result);
        });
        context_.restart();
        context_.run();
        return out;
    }
    std::string stored() const { return read_file(files_.path_of(file_.sha256), 1U << 20U).value_or("(none)"); }
    // What a client that waits for `offset` is told: "" when nothing yet.
    std::string& wait(std::uint64_t offset) {
        auto& out = answers_.emplace_back();
        asio::co_spawn(context_, copy_->wait(offset), [&out](const std::exception_ptr&, Result<void> result) {
            out = result ? "there" : result.error().message;
        });
        return out;
    }
    std::string read(std::uint64_t offset, std::size_t length) const {
        std::string out(length, '\0');
        const auto got = copy_->read_at(offset, out.data(), length);
        if (!got) return std::string(to_string(got.error().code));
        out.resize(*got);
        return out;
    }

    test::TemporaryDirectory directory_;
    ArtifactFiles files_ = ArtifactFiles::open(directory_.path()).value();
    asio::io_context context_;
    Counter counter_;
    FakePeer peer_;
    std::string bytes_;
    ArtifactFile file_;
    std::shared_ptr<ArrivingCopy> copy_;
    std::deque<std::string> answers_;
};

TEST_F(ArtifactFetchTest, AFileComesWholeAndIsStored) {
    const auto result = fetch();
    EXPECT_EQ(result.kind, Kind::kDone) << result.reason;
    EXPECT_EQ(stored(), bytes_);
    EXPECT_EQ(read(0, bytes_.size()), bytes_);
}

TEST_F(ArtifactFetchTest, WhatCameBeforeACutIsNotFetchedAgain) {
    peer_.limit = 50'000;
    EXPECT_EQ(fetch().kind, Kind::kPeer);
    EXPECT_EQ(stored(), "(none)");
    peer_.limit = SIZE_MAX;
    const auto result = fetch();
    EXPECT_EQ(result.kind, Kind::kDone) << result.reason;
    EXPECT_EQ(result.resumed_at, 50'000U);
    EXPECT_EQ(peer_.offsets, (std::vector<std::uint64_t>{0, 50'000}));
    EXPECT_EQ(counter_.value(), bytes_.size());  // no byte twice
    EXPECT_EQ(stored(), bytes_);
}

TEST_F(ArtifactFetchTest, AWholePartialFileIsOnlyVerified) {
    {
        auto import = files_.resume_import(file_.sha256, 0).value();
        ASSERT_TRUE(import.append(bytes_));
    }
    EXPECT_EQ(fetch().kind, Kind::kDone);
    EXPECT_TRUE(peer_.offsets.empty());
    EXPECT_EQ(stored(), bytes_);
}

TEST_F(ArtifactFetchTest, ADamagedPartialFileIsDroppedAndFetchedAnew) {
    {
        auto import = files_.resume_import(file_.sha256, 0).value();
        ASSERT_TRUE(import.append(std::string(1000, '\0')));
    }
    EXPECT_EQ(fetch().kind, Kind::kContent);
    EXPECT_EQ(stored(), "(none)");
    EXPECT_EQ(files_.received_of(file_.sha256), 0U);
    EXPECT_EQ(fetch().kind, Kind::kDone);
    EXPECT_EQ(peer_.offsets, (std::vector<std::uint64_t>{1000, 0}));
    EXPECT_EQ(stored(), bytes_);
}

TEST_F(ArtifactFetchTest, AWrongCopyIsNeverStoredNorGivenOutWhole) {
    peer_.bytes.back() ^= 1;
    std::string given;
    peer_.after_piece = [&] {
        const auto more = read(given.size(), bytes_.size());
        if (more != to_string(Code::kUnavailable)) given += more;
    };
    EXPECT_EQ(fetch().kind, Kind::kContent);
    EXPECT_EQ(stored(), "(none)");
    EXPECT_EQ(given.size(), bytes_.size() - kWithheldBytes);
    EXPECT_EQ(read(given.size(), 1), to_string(Code::kUnavailable));
}

TEST_F(ArtifactFetchTest, ACopyOfAnotherSizeIsRefused) {
    peer_.bytes += "more";
    EXPECT_EQ(fetch().kind, Kind::kPeer);
    peer_.bytes = bytes_.substr(0, bytes_.size() - 1);
    EXPECT_EQ(fetch().kind, Kind::kPeer);
    peer_.bytes = bytes_;
    EXPECT_EQ(fetch().kind, Kind::kDone);
}

TEST_F(ArtifactFetchTest, AnUploadOfTheSameFileGoesFirst) {
    auto upload = files_.resume_import(file_.sha256, 0).value();
    EXPECT_EQ(fetch().kind, Kind::kHere);
    EXPECT_TRUE(peer_.offsets.empty());
}

TEST_F(ArtifactFetchTest, ADiskWithoutRoomIsNotFilled) {
    file_.size = std::uint64_t{1} << 50U;
    copy_ = std::make_shared<ArrivingCopy>(file_.size);
    const auto result = fetch();
    EXPECT_EQ(result.kind, Kind::kHere);
    EXPECT_NE(result.reason.find("make room"), std::string::npos) << result.reason;
}

TEST_F(ArtifactFetchTest, AReaderHasBytesWhileTheyComeAndTheLastOnesWhenAllAreVerified) {
    const auto& first = wait(0);
    const auto& middle = wait(100'000);
    const auto& last = wait(bytes_.size() - 1);
    bool last_too_early = false;
    peer_.after_piece = [&] {
        last_too_early |= !last.empty();
        if (peer_.sent == 60'000) {
            EXPECT_EQ(first, "there");
            EXPECT_EQ(middle, "");
            EXPECT_EQ(read(59'000, 5000), bytes_.substr(59'000, 1000));
            EXPECT_EQ(read(60'000, 1), to_string(Code::kUnavailable));
        }
    };
    EXPECT_EQ(fetch().kind, Kind::kDone);
    EXPECT_EQ(middle, "there");
    EXPECT_EQ(last, "there");
    EXPECT_FALSE(last_too_early);
    EXPECT_EQ(read(bytes_.size() - 5, 100), bytes_.substr(bytes_.size() - 5));
    EXPECT_EQ(read(bytes_.size(), 1), "");
}

TEST_F(ArtifactFetchTest, AReaderGoesOnWithTheNextPeer) {
    peer_.limit = 10'000;
    EXPECT_EQ(fetch().kind, Kind::kPeer);
    const auto& later = wait(100'000);
    EXPECT_EQ(read(0, 20'000), bytes_.substr(0, 10'000));
    peer_.limit = SIZE_MAX;
    EXPECT_EQ(fetch().kind, Kind::kDone);
    EXPECT_EQ(later, "there");
    EXPECT_EQ(read(0, bytes_.size()), bytes_);
}

TEST_F(ArtifactFetchTest, WhoWaitsIsToldThatNobodySendsIt) {
    const auto& asked = wait(0);
    const auto& interrupted = wait(5);
    context_.poll();  // who waits is work: run() would not end
    copy_->interrupt({Code::kUnavailable, "the service is stopping", {}});
    context_.restart();
    context_.run();
    EXPECT_EQ(interrupted, "the service is stopping");
    EXPECT_EQ(asked, "the service is stopping");
    const auto& again = wait(0);
    copy_->give_up({Code::kUnavailable, "nobody", {}});
    context_.restart();
    context_.run();
    EXPECT_EQ(again, "nobody");
    EXPECT_EQ(read(0, 1), to_string(Code::kUnavailable));
}

}  // namespace
}  // namespace nett::replication
