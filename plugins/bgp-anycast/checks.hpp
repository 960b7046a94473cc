// Runs the configured checks over and over.
#pragma once

#include <functional>
#include <memory>
#include <random>
#include <vector>

#include <boost/asio/steady_timer.hpp>

#include "agent/sdk/clock.hpp"
#include "agent/sdk/task_group.hpp"
#include "plugins/bgp-anycast/probe.hpp"

namespace nett::anycast {

// One check and what came of it.
struct RunningCheck {
    CheckSettings settings;
    CheckTracker tracker;
    SystemTime last{};   // of the last result; zero: none yet
    SystemTime since{};  // the state is what it is since then
    std::uint64_t runs = 0;
};

// Loop thread only. Between configure() and stop() each check has one task.
class Checks {
public:
    // `changed` is called when a check's state changed.
    Checks(asio::any_io_executor loop, const Clock& clock, ProbeFactory make_probe, std::function<void()> changed);

    // Checks whose settings are as before go on with what they know; the others begin anew.
    void configure(const std::vector<CheckSettings>& settings);
    // Forgets all results and runs every check at once: after a standstill of the agent.
    void reset();
    // Runs every check once, now, one after the other; the results count like any other.
    Awaitable<void> run_all();
    // Ends every task; what is under way is cut off.
    Awaitable<void> stop();

    std::vector<const RunningCheck*> all() const;

private:
    struct Runner : RunningCheck {
        Runner(asio::any_io_executor loop, CheckSettings from)
            : RunningCheck{std::move(from), CheckTracker(1, 1)}, timer(loop) {
            tracker = CheckTracker(settings.rise, settings.fall);
        }
        asio::steady_timer timer;
        std::shared_ptr<Probe> probe;  // of its task, while it runs
        bool ended = false;
    };

    Awaitable<void> run(std::shared_ptr<Runner> runner);
    void take(Runner& runner, CheckResult result);
    static void end(Runner& runner);

    asio::any_io_executor loop_;
    const Clock& clock_;
    ProbeFactory make_probe_;
    std::function<void()> changed_;
    std::minstd_rand random_{std::random_device{}()};
    TaskGroup tasks_;
    std::vector<std::shared_ptr<Runner>> runners_;
};

}  // namespace nett::anycast
