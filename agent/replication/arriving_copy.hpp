// A file while it is fetched: written by the fetch, read by those whom it is served to.
#pragma once

#include <list>
#include <mutex>
#include <optional>

#include <boost/asio/any_completion_handler.hpp>

#include "agent/sdk/artifact_peers.hpp"
#include "agent/sdk/unique_fd.hpp"

namespace nett::replication {

// Withheld until the file has its digest. A file that is not larger is served when it is whole.
inline constexpr std::uint64_t kWithheldBytes = 64U << 10U;

// Thread-safe.
class ArrivingCopy final : public ArrivingFile {
public:
    explicit ArrivingCopy(std::uint64_t size) : size_(size) {}

    // `reader` reads what is here so far. Called again when the fetch goes on with another peer.
    void attach(UniqueFd reader, std::uint64_t received);
    void grew(std::uint64_t received);
    // It has its digest.
    void complete();
    // Nothing more will come of this; the first reason stays.
    void give_up(Error reason);
    // Ends the waits of now.
    void interrupt(const Error& reason);

    std::uint64_t received() const;
    std::uint64_t size() const { return size_; }

    Result<std::size_t> read_at(std::uint64_t offset, char* buffer, std::size_t length) const override;
    Awaitable<Result<void>> wait(std::uint64_t offset) override;

private:
    struct Waiter {
        std::uint64_t offset;
        asio::any_io_executor executor;
        asio::any_completion_handler<void(Result<void>)> resume;
    };

    std::uint64_t readable() const;  // under mutex_
    // Under mutex_. nullopt: go on waiting.
    std::optional<Result<void>> verdict(std::uint64_t offset) const;
    void resume_ready();  // under mutex_

    const std::uint64_t size_;
    mutable std::mutex mutex_;  // guards what follows
    UniqueFd reader_;
    std::uint64_t received_ = 0;
    bool whole_ = false;
    std::optional<Error> failure_;
    std::list<Waiter> waiting_;  // Boost 1.81 cannot assign completion handlers
};

}  // namespace nett::replication
