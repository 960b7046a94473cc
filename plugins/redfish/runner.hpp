// Takes provision jobs from the store and works on them: oldest first, one for a BMC at a time, so many at once in all.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <boost/json/value.hpp>

#include "agent/sdk/log.hpp"
#include "plugins/redfish/client.hpp"
#include "plugins/redfish/job_run.hpp"

namespace nett::redfish {

struct RunnerSettings {
    std::size_t concurrency = 32;
    std::vector<Prefix6> allowed;  // where BMCs may be; empty: nowhere
    std::string image_url;         // for jobs that name none
    std::chrono::seconds boot_deadline{1800};
};

using TransportFactory = std::function<Result<std::unique_ptr<Transport>>(ClientSettings)>;

// Loop thread only. stop() must have ended before it is destroyed.
class Runner {
public:
    Runner(Services services, TransportFactory factory);

    // Resumes what is unfinished, and watches for more. Errors: the store's.
    Result<void> start(RunnerSettings settings);
    // For jobs that start from now on.
    void configure(RunnerSettings settings);
    Awaitable<void> stop(SteadyTime deadline);

    // {running: [{job, machine, bmc, state, since}], queued, needs_operator, concurrency}
    boost::json::value status() const;

private:
    enum class Phase { kQueued, kRunning, kResting };  // resting: in NEEDS_OPERATOR
    struct Entry {
        Phase phase = Phase::kQueued;
        std::string machine;
        std::string bmc;  // while it runs: what it occupies
        std::unique_ptr<JobRun> run;
    };

    void on_job(const Change& change);
    void on_machine(const Change& change);
    void take(const Job& job);
    bool wants_to_wake(const std::string& key, const Entry& entry) const;
    void pump();
    bool is_busy(const std::string& bmc) const;
    std::string bmc_of(const std::string& machine) const;
    void launch(const std::string& key, Entry& entry);
    Awaitable<void> work(std::string key);
    Result<std::unique_ptr<JobRun>> prepare(const std::string& key) const;
    Result<JobOrder> make_order(const Job& job) const;
    Result<Bmc> usable_bmc(const Machine& machine) const;
    // A job that cannot begin, or that is cancelled and cannot be cleaned up.
    Awaitable<void> end_without_bmc(std::string key, Error why);
    Awaitable<void> conclude(std::string key, Step step, std::string message);
    void finished(const std::string& key);
    void report_health();

    const Services services_;
    TransportFactory factory_;
    RunnerSettings settings_;
    Logger log_{"redfish"};
    std::map<std::string, Entry> jobs_;                       // by the record's key, so the oldest is first
    std::map<std::string, std::string> refused_credentials_;  // BMC → sealed password that it refused
    std::size_t running_ = 0;
    bool stopping_ = false;
    asio::steady_timer all_done_;
    Subscription job_watch_;
    Subscription machine_watch_;
};

}  // namespace nett::redfish
