// One job being worked on: feeds the state machine with answers, commits its progress, waits.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include <boost/asio/steady_timer.hpp>

#include "agent/sdk/clock.hpp"
#include "agent/sdk/event.hpp"
#include "agent/sdk/health.hpp"
#include "agent/sdk/log.hpp"
#include "agent/sdk/model.hpp"
#include "agent/sdk/secret.hpp"
#include "agent/sdk/store.hpp"
#include "plugins/redfish/job_machine.hpp"
#include "plugins/redfish/ownership.hpp"
#include "plugins/redfish/session.hpp"

namespace nett::redfish {

inline constexpr const char* kActor = "plugin:redfish";

// What of the host this plugin uses.
struct Services {
    asio::any_io_executor loop;
    const Clock& clock;
    EventBus& events;
    HealthRegistry& health;
    Store& store;
    const SecretBox& secrets;
    std::string server = {};  // this agent's name among the servers that share the state
};

// What a run starts with.
struct JobOrder {
    std::string id;
    std::string machine;
    Bmc bmc;
    Origin origin;
    std::string password;
    std::string profile;  // the operator's choice; empty: detected
    Goal goal;
    Progress progress;
    std::chrono::seconds boot_deadline{1800};
    std::vector<MediaGrant> grants = {};  // to be stored before it begins
    Fence fence = {};                     // this server's claim of the BMC
};

// How a run gives its place among the running ones away while it has nothing to ask of the BMC, and gets one back. The
// owner answers `wants_place` with JobRun::grant(), at once or later.
struct Turnstile {
    std::function<void()> leave;
    std::function<void()> wants_place;
};

// What the machine's and the job's records say now.
JobView view_job(const Store& store, const Clock& clock, const std::string& job, const std::string& machine);

// Writes state, message and progress to the job's record, whatever else changed in it meanwhile. kPermissionDenied: the
// claim of the BMC is lost, and nothing was written.
Awaitable<Result<void>> save_job(Store& store, const Clock& clock, std::string id, Progress progress, Fence fence = {});

// Loop thread only. `services` outlive it. The owner keeps it until run() has ended.
class JobRun {
public:
    JobRun(const Services& services, JobOrder order, std::unique_ptr<Transport> transport, Turnstile turnstile);

    // Before run().
    void set_fence(Fence fence) { order_.fence = std::move(fence); }
    // Works until the job is at rest, its record is gone, or stop() was called.
    Awaitable<void> run();
    // The machine's or the job's record changed: look again.
    void wake();
    // It has a place among the running ones again.
    void grant();
    // Ends run() after the request that is in flight; the job goes on at the next start of the plugin.
    void stop();
    // Ends the request in flight as well.
    void abort();

    const JobOrder& order() const { return order_; }
    const Progress& progress() const { return state_.progress; }
    bool credentials_refused() const { return session_.credentials_refused(); }
    // Another server drives the BMC now, and the job.
    bool lost_bmc() const { return lost_bmc_; }

private:
    JobView view();
    Login make_login();
    Awaitable<Result<void>> pin(std::string sha256);
    // False when the run must end: the record is gone or the agent stops.
    Awaitable<bool> save();
    Awaitable<void> wait_until(SystemTime until);
    Awaitable<void> regain_place();
    Awaitable<Reply> record(MachineFacts facts);
    Awaitable<std::optional<Reply>> act(Action action);
    void publish_step();

    const Services& services_;
    JobOrder order_;
    std::unique_ptr<Transport> transport_;
    Turnstile turnstile_;
    Session session_;
    JobState state_;
    Progress saved_;
    asio::steady_timer timer_;
    Logger log_{"redfish"};
    bool has_place_ = true;
    bool lost_bmc_ = false;
    bool woken_ = false;
    bool stopping_ = false;
};

}  // namespace nett::redfish
