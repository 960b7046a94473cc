// Tells one upstream what this switch sees, again and again until it knows.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <boost/asio/steady_timer.hpp>

#include "agent/fabric/backoff.hpp"
#include "agent/fabric/view.hpp"
#include "agent/sdk/asio.hpp"
#include "agent/sdk/result.hpp"

namespace nett {

// The whole set of a switch, or the word that it is still the one of `generation`.
struct FabricReport {
    std::string run;               // random, of this run of the agent
    std::uint64_t generation = 0;  // of the set, within the run
    bool full = false;
    std::vector<PortPrefix> prefixes;      // when full
    std::vector<ReportedPort> ports = {};  // when full
};

// The way to an upstream. Loop thread only.
class FabricUplink {
public:
    virtual ~FabricUplink() = default;
    // True: the upstream does not know that generation and wants all of it. Ends in time by itself.
    virtual Awaitable<Result<bool>> report(FabricReport report) = 0;
    // Ends a report that is under way.
    virtual void cancel() = 0;
};

struct UplinkStatus {
    std::string name;
    bool connected = false;
    std::string error;  // of the last attempt
    SystemTime since{};
};

// Level-triggered: there is no queue of events that could be lost or grow. What counts is the set as it is now; it is
// sent when it changed, every kReportInterval at least, and whole after each failure. Loop thread only.
class FabricReporter : public std::enable_shared_from_this<FabricReporter> {
public:
    FabricReporter(asio::any_io_executor loop, const Clock& clock, HealthRegistry& health, std::string name,
                   std::string run, std::unique_ptr<FabricUplink> uplink);

    // Nothing is reported before the first set().
    void set(std::uint64_t generation, std::vector<PortPrefix> prefixes, std::vector<ReportedPort> ports = {});
    // Reports until stop().
    void start();
    // Ends what is under way.
    Awaitable<void> stop();

    const UplinkStatus& status() const { return status_; }

private:
    Awaitable<void> run();
    Awaitable<void> pause(std::chrono::milliseconds time);
    Awaitable<Result<void>> send();
    void note(const Result<void>& sent);

    asio::any_io_executor loop_;
    const Clock& clock_;
    HealthRegistry& health_;
    std::string run_;
    std::unique_ptr<FabricUplink> uplink_;
    std::optional<std::vector<PortPrefix>> prefixes_;
    std::vector<ReportedPort> ports_;
    std::uint64_t generation_ = 0;
    std::optional<std::uint64_t> known_;  // the generation that the upstream has acknowledged
    Backoff backoff_;
    UplinkStatus status_;
    asio::steady_timer timer_;
    asio::steady_timer ended_;
    bool tried_ = false;
    bool running_ = false;
    bool stopping_ = false;
};

}  // namespace nett
