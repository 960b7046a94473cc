// Takes jobs from the store and works on them: oldest first, one for a BMC at a time, so many at once in all and in a
// site.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <boost/json/value.hpp>

#include "agent/sdk/log.hpp"
#include "plugins/redfish/client.hpp"
#include "plugins/redfish/job_run.hpp"
#include "plugins/redfish/places.hpp"
#include "plugins/redfish/settings.hpp"

namespace nett::redfish {

using TransportFactory = std::function<Result<std::unique_ptr<Transport>>(ClientSettings)>;

// Loop thread only. stop() must have ended before it is destroyed.
//
// A job that waits for its machine's boot has no place among the running ones: it takes one again when it goes on,
// before any job that has not begun. Its system stays its own meanwhile, other systems of the same endpoint do not wait
// for it.
class Runner {
public:
    Runner(Services services, TransportFactory factory);

    // Resumes what is unfinished, and watches for more. Errors: the store's.
    Result<void> start(RunnerSettings settings);
    // For jobs that start from now on.
    void configure(RunnerSettings settings);
    Awaitable<void> stop(SteadyTime deadline);

    // {running: [{job, type, machine, bmc, state, since, last_request, last_response}], waiting, queued,
    // needs_operator, concurrency}; waiting: for their machines' boots
    boost::json::value status() const;

private:
    enum class Phase {
        kQueued,
        kRunning,
        kWaiting,    // for its machine's boot; has a run, but no place
        kReturning,  // wants a place again
        kResting     // in NEEDS_OPERATOR
    };
    struct Entry {
        Phase phase = Phase::kQueued;
        std::string machine;
        std::optional<Place> place;  // nullopt: look it up again
        std::unique_ptr<JobRun> run;
        SteadyTime not_before{};  // another server has its BMC, or the claim could not be stored
    };
    using Jobs = std::map<std::string, Entry>;

    void on_job(const Change& change);
    void on_machine(const Change& change);
    void on_bmc(const Change& change);
    void take(const Job& job);
    void set_phase(const std::string& key, Entry& entry, Phase phase);
    static void look_again(Entry& entry);
    bool wants_to_wake(const std::string& key, const Entry& entry) const;
    void pump();
    void launch(const std::string& key, Entry& entry);
    void look_later(const std::string& key);
    void leave_place(const std::string& key);
    Awaitable<void> work(std::string key);
    Result<std::unique_ptr<JobRun>> prepare(const std::string& key);
    // A job that cannot begin, or that is cancelled and cannot be cleaned up.
    Awaitable<void> end_without_bmc(std::string key, Error why);
    void finished(const std::string& key);
    void report_health();

    const Services services_;
    TransportFactory factory_;
    RunnerSettings settings_;
    Logger log_{"redfish"};
    Jobs jobs_;                                        // by the record's key, so the oldest is first
    std::map<Phase, std::set<std::string>> by_phase_;  // keys of jobs_
    Places places_;
    std::size_t runs_ = 0;  // coroutines
    bool stopping_ = false;
    bool pumping_ = false;
    asio::steady_timer all_done_;
    std::shared_ptr<asio::steady_timer> later_;  // when jobs of other servers' BMCs are looked at again
    bool later_armed_ = false;
    Subscription job_watch_;
    Subscription machine_watch_;
    Subscription bmc_watch_;
    Subscription boot_watch_;
};

}  // namespace nett::redfish
