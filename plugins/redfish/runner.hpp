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
#include "plugins/redfish/image.hpp"
#include "plugins/redfish/job_run.hpp"

namespace nett::redfish {

// What an operator says of one BMC beyond its registration.
struct BmcSettings {
    std::string site;     // its jobs share this site's limit; empty: none
    std::string profile;  // empty: found out
};

struct RunnerSettings {
    std::size_t concurrency = 32;
    std::vector<Prefix6> allowed;  // where BMCs may be; empty: nowhere
    ImageSettings image;
    std::chrono::seconds boot_deadline{1800};
    std::map<std::string, BmcSettings> bmcs = {};   // by name
    std::map<std::string, std::size_t> sites = {};  // limits of sites; one that is not here has only the common limit
};

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
    // What a job occupies.
    struct Place {
        std::string bmc;
        std::string endpoint;  // one request at a time
        std::string system;    // endpoint and path: one job from its beginning to its end
        std::string site;
    };
    struct Entry {
        Phase phase = Phase::kQueued;
        std::string machine;
        std::optional<Place> place;  // nullopt: look it up again
        std::unique_ptr<JobRun> run;
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
    bool may_run(const Place& place, bool owns_system) const;
    BmcSettings settings_of(const std::string& bmc) const;
    Place find_place(const std::string& machine) const;
    void occupy(const Place& place);
    void vacate(const Place& place);
    void launch(const std::string& key, Entry& entry);
    void leave_place(const std::string& key);
    Awaitable<void> work(std::string key);
    Result<std::unique_ptr<JobRun>> prepare(const std::string& key);
    Result<JobOrder> make_order(const Job& job) const;
    Result<void> take_image(const Job& job, const Machine& machine, JobOrder& order) const;
    // Grants come before the URLs that they are for are used, and go with the job.
    Awaitable<Result<void>> store_grants(std::vector<MediaGrant> grants);
    Result<Bmc> usable_bmc(const Machine& machine) const;
    // What became of the BMC, for the next job and for people.
    Awaitable<void> remember(const JobRun& run);
    // A job that cannot begin, or that is cancelled and cannot be cleaned up.
    Awaitable<void> end_without_bmc(std::string key, Error why);
    Awaitable<void> conclude(std::string key, Step step, std::string message);
    void finished(const std::string& key);
    void report_health();

    const Services services_;
    TransportFactory factory_;
    RunnerSettings settings_;
    Logger log_{"redfish"};
    Jobs jobs_;                                        // by the record's key, so the oldest is first
    std::map<Phase, std::set<std::string>> by_phase_;  // keys of jobs_
    std::map<std::string, std::size_t> site_places_;   // places in use
    std::set<std::string> busy_endpoints_;
    std::set<std::string> owned_systems_;
    std::size_t places_ = 0;
    std::size_t runs_ = 0;  // coroutines
    bool stopping_ = false;
    bool pumping_ = false;
    asio::steady_timer all_done_;
    Subscription job_watch_;
    Subscription machine_watch_;
    Subscription bmc_watch_;
    Subscription boot_watch_;
};

}  // namespace nett::redfish
