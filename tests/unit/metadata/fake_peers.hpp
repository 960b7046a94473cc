// Other servers' files, in memory, for tests: they come as far as a test lets them.
#pragma once

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "agent/sdk/artifact_peers.hpp"

namespace nett::metadata::test {

// Grows by `step` bytes a wait, up to `limit`; then it fails.
class FakeArriving final : public ArrivingFile {
public:
    explicit FakeArriving(std::string bytes, std::size_t step, std::size_t limit = SIZE_MAX)
        : bytes_(std::move(bytes)), step_(step), limit_(limit) {}

    Result<std::size_t> read_at(std::uint64_t offset, char* buffer, std::size_t length) const override {
        if (offset >= here_) return fail(Code::kUnavailable, "not yet");
        const auto count = std::min<std::size_t>(length, here_ - offset);
        std::copy_n(bytes_.data() + offset, count, buffer);
        return count;
    }
    Awaitable<Result<void>> wait(std::uint64_t offset) override {
        while (offset >= here_) {
            if (here_ >= std::min(limit_, bytes_.size())) co_return fail(Code::kUnavailable, "nobody sends it");
            ++waits;
            here_ = std::min({here_ + step_, limit_, bytes_.size()});
            co_await asio::post(asio::use_awaitable);
        }
        co_return Result<void>{};
    }
    int waits = 0;

private:
    std::string bytes_;
    std::size_t step_;
    std::size_t limit_;
    std::size_t here_ = 0;
};

class FakePeers final : public ArtifactPeers {
public:
    bool have(const std::string& sha256) const override { return files.contains(sha256); }
    std::shared_ptr<ArrivingFile> fetch(const std::string& sha256, std::uint64_t) override {
        fetched.push_back(sha256);
        const auto found = files.find(sha256);
        return found == files.end() ? nullptr : found->second;
    }
    void interrupt() override { ++interrupts; }

    std::map<std::string, std::shared_ptr<FakeArriving>> files;
    std::vector<std::string> fetched;
    int interrupts = 0;
};

}  // namespace nett::metadata::test
