// The loop that keeps one daemon as declared: read, compare, program, again and again.
#pragma once

#include <functional>
#include <memory>
#include <variant>

#include <boost/asio/steady_timer.hpp>
#include <boost/asio/thread_pool.hpp>

#include "agent/frr/backend.hpp"
#include "agent/sdk/asio.hpp"
#include "agent/sdk/frr.hpp"

namespace nett {

struct ReconcileIntervals {
    // How often a daemon in sync is read again, instead of the backend's poll_interval(): an edit by others is repaired
    // within this time plus a few ms. Reading costs zebra 4 ms at 48 interfaces, 26 ms at 512.
    std::optional<std::chrono::milliseconds> in_sync = std::nullopt;
    // How soon an unreachable daemon is tried again; the channel itself backs off 100 to 500 ms.
    std::chrono::milliseconds unreachable{250};
    // How often the connection of a daemon in sync is looked at, which costs nothing: a restart of it is seen at once.
    std::chrono::milliseconds connection{200};
    // A daemon that has not answered for so long is reported as hung; the call goes on, because cutting it off would
    // end the stock module's server. A commit of 512 interfaces takes 0.6 s, several on a busy switch CPU.
    std::chrono::milliseconds slow_read{2000};
    std::chrono::milliseconds slow_commit{6000};
};
// How long stop() waits for what was declared last.
inline constexpr std::chrono::milliseconds kStopFlush{1000};

using FrrActual = std::variant<RaTable, PrefixListTable>;
using FrrRead = std::function<Result<FrrActual>(FrrBackend&)>;  // worker thread
using FrrApply = std::function<Result<void>(FrrBackend&)>;      // worker thread

// What differs between the daemons. Called on the loop thread, or on the worker while stop() waits for it.
class FrrWork {
public:
    struct Plan {
        FrrApply apply = {};               // empty: actual is as declared
        std::vector<FrrDrift> drift = {};  // of what had been programmed before, repaired by it
    };
    virtual ~FrrWork() = default;
    virtual bool wanted() const = 0;  // is anything declared or on its way out?
    virtual FrrRead reader() = 0;
    virtual Plan plan(const FrrActual& actual) = 0;
    // What was declared when `plan` was called last is programmed.
    virtual void settled() = 0;
};

// Loop thread only; blocking calls run on a worker thread of its own, one at a time, so that a stuck daemon holds up no
// other.
class Reconciler : public std::enable_shared_from_this<Reconciler> {
public:
    // `before` is the status before the round that just ended, `repaired` the drift that it found and repaired.
    using Observer = std::function<void(const FrrDaemonStatus& before, const std::vector<FrrDrift>& repaired)>;

    Reconciler(asio::any_io_executor loop, const Clock& clock, FrrWork& work, Observer observer,
               ReconcileIntervals intervals = {});

    // nullptr: this daemon is not used. `reason` says why, for status().
    void use(std::shared_ptr<FrrBackend> backend, std::string reason = {});
    // Something was declared: reconcile at once.
    void declared();
    // Waits at most kStopFlush for what is not programmed yet; then no work is left. Idempotent.
    void stop();

    const FrrDaemonStatus& status() const { return status_; }

private:
    struct Reading {
        std::optional<bool> hardened;
        Result<FrrActual> actual;
    };

    void run();
    void on_read(Reading reading);
    void on_programmed(Result<void> result, const std::vector<FrrDrift>& drift);
    void finish(const Error* error, const std::vector<FrrDrift>& repaired);
    void wait_for_next_round(std::chrono::milliseconds delay);
    void expect_answer_within(std::chrono::milliseconds limit);
    void on_hung(std::chrono::milliseconds limit);
    void flush();

    asio::any_io_executor loop_;
    const Clock& clock_;
    FrrWork& work_;
    Observer observer_;
    ReconcileIntervals intervals_;
    std::shared_ptr<FrrBackend> backend_;
    std::string unusable_reason_;
    asio::steady_timer timer_;  // the next round
    asio::steady_timer patience_;
    asio::thread_pool worker_{1};
    FrrDaemonStatus status_;
    bool probed_ = false;
    bool busy_ = false;
    bool hung_ = false;   // the call under way has been reported as hung
    bool again_ = false;  // declared() while busy
    bool stopped_ = false;
    std::uint64_t generation_ = 0;          // of what is declared
    std::uint64_t planned_generation_ = 0;  // of what the round under way programs
    std::uint64_t settled_generation_ = 0;  // of what was programmed last
};

}  // namespace nett
