// An answer as a run of bytes that can be produced again from any offset: what a slow reader has not taken yet is not
// kept in memory, but made again (from the file) when its socket has room.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "agent/sdk/clock.hpp"
#include "agent/sdk/result.hpp"
#include "plugins/metadata/http.hpp"

namespace nett::metadata {

class Outgoing {
public:
    // Borrows `response`.
    Outgoing(const Response& response, bool head_only, bool keep_alive, SystemTime now);

    std::uint64_t size() const { return size_; }
    // Up to `capacity` bytes from `offset` < size(); at least one. An error when the file cannot be read: the announced
    // length can then only be broken off by closing.
    Result<std::size_t> fill(std::uint64_t offset, char* buffer, std::size_t capacity) const;

    // After fill() said kUnavailable: ends when it can go on. False: it never will, or the answer is not of a file that
    // arrives.
    Awaitable<bool> arrival(std::uint64_t offset) const;
    // Tells the response (on_sent) which of its file's bytes were among these.
    void report(std::uint64_t offset, std::uint64_t count) const;

private:
    // A run of text or of the file, as the answer has them one after another.
    struct Run {
        std::string_view text;
        ByteRange window;
        std::uint64_t size() const { return text.size() + window.count; }
    };
    std::size_t runs() const;
    Run run(std::size_t index) const;

    const Response& response_;
    std::string head_;
    std::uint64_t size_ = 0;
};

}  // namespace nett::metadata
