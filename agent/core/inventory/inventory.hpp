// What one can do with tenants, machines, artifact sets, BMCs and jobs: the use cases behind the management API and the
// shell.
//
// Each mutation validates, commits one transaction to the store, and publishes an event once it is durable. References
// hold: a machine's tenant and artifact set exist, and neither can be deleted while a machine names it; so
// registrations take turns.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/core/inventory/artifact_files.hpp"
#include "agent/core/inventory/async_mutex.hpp"
#include "agent/sdk/clock.hpp"
#include "agent/sdk/event.hpp"
#include "agent/sdk/model.hpp"
#include "agent/sdk/records.hpp"
#include "agent/sdk/secret.hpp"
#include "agent/sdk/store.hpp"

namespace nett {

inline constexpr std::size_t kMaxListed = 1000;  // records of one answer
inline constexpr std::size_t kKeptJobs = 1000;   // ended jobs that are kept to look at

// References outlive the inventory.
struct InventoryDependencies {
    Store& store;
    const SecretBox& secrets;
    EventBus& events;
    const Clock& clock;
};

// Who asks for a change, and why: for the change log and the events.
struct By {
    std::string actor;   // "unix:root"
    std::string reason;  // empty: the use case's own words
};

// A machine with what it booted; the revision is the machine's.
struct MachineView {
    Machine value;
    BootHistory boots;
    Revision revision = 0;
};

// Loop thread only.
class Inventory {
public:
    // kPermissionDenied, kNotFound: the artifact directory cannot be used.
    static Result<std::unique_ptr<Inventory>> open(InventoryDependencies dependencies,
                                                   const std::string& artifact_directory);

    // A subject that another tenant claims is kAlreadyExists.
    Awaitable<Result<Revision>> put_tenant(Tenant tenant, By by);
    // kFailedPrecondition while it has machines.
    Awaitable<Result<Revision>> delete_tenant(std::string name, By by);

    // Registers a machine, or changes its registration: state, lock, boots and, without `config`, the registered config
    // stay. An empty config removes it. kAlreadyExists names the machine that has the UUID or the MAC address.
    Awaitable<Result<Revision>> put_machine(Machine machine, std::optional<std::string> config, By by);
    // kFailedPrecondition while a job of it runs.
    Awaitable<Result<Revision>> delete_machine(std::string name, By by);
    Awaitable<Result<Revision>> set_machine_state(std::string name, MachineState state, By by);
    Awaitable<Result<Revision>> set_machine_lock(std::string name, bool locked, By by);
    // Registers an unknown machine under a name, for the tenant of its certificate.
    Awaitable<Result<Revision>> accept_unknown_machine(std::string id, std::string name, By by);

    // All its files must be stored. kFailedPrecondition names one that is not.
    Awaitable<Result<Revision>> put_artifact_set(ArtifactSet set, By by);
    // kFailedPrecondition while a machine netboots it.
    Awaitable<Result<Revision>> delete_artifact_set(std::string name, By by);

    // Without `password` the stored one stays.
    Awaitable<Result<Revision>> put_bmc(Bmc bmc, std::optional<std::string> password, By by);
    Awaitable<Result<Revision>> delete_bmc(std::string name, By by);

    // A machine has one open job at a time (agent/sdk/model.hpp). kFailedPrecondition: it has one, is locked, has no
    // BMC, or would boot its disk.
    Awaitable<Result<Job>> create_job(std::string type, std::string machine,
                                      std::map<std::string, std::string> parameters, By by);
    // Asks the plugin that runs it to stop; a queued one is cancelled at once. kFailedPrecondition when it has ended.
    Awaitable<Result<Revision>> cancel_job(std::string id, By by);
    // An operator has seen to a job that waits for one: its machine may have the next job. kFailedPrecondition when it
    // does not wait.
    Awaitable<Result<Revision>> acknowledge_job(std::string id, By by);

    // Reads: at most `limit` after `after`, in order of name. kNotFound says where to look.
    Result<std::vector<Stored<Tenant>>> tenants(const std::string& after = "", std::size_t limit = kMaxListed) const;
    Result<std::vector<MachineView>> machines(const std::string& after = "", std::size_t limit = kMaxListed) const;
    Result<std::vector<Stored<UnknownMachine>>> unknown_machines(const std::string& after = "",
                                                                 std::size_t limit = kMaxListed) const;
    Result<std::vector<Stored<ArtifactSet>>> artifact_sets(const std::string& after = "",
                                                           std::size_t limit = kMaxListed) const;
    Result<std::vector<Stored<Bmc>>> bmcs(const std::string& after = "", std::size_t limit = kMaxListed) const;
    // Ascending by number; `after` is a job's id.
    Result<std::vector<Stored<Job>>> jobs(const std::string& after = "", std::size_t limit = kMaxListed) const;
    Result<Stored<Machine>> machine(const std::string& name) const;
    Result<MachineView> machine_view(const std::string& name) const;
    Result<Stored<Job>> job(const std::string& id) const;
    // Keys of all records of a kind, for completion.
    std::vector<std::string> names(std::string_view kind) const;

    const ArtifactFiles& artifact_files() const { return files_; }

private:
    // Builds a transaction from what the store holds now; again when a compare of it failed.
    using Build = std::function<Result<Transaction>()>;

    Inventory(InventoryDependencies dependencies, ArtifactFiles files)
        : store_(dependencies.store),
          secrets_(dependencies.secrets),
          events_(dependencies.events),
          clock_(dependencies.clock),
          files_(std::move(files)) {}

    Awaitable<Result<Revision>> transact(By by, std::string what, Build build);
    Awaitable<Result<Revision>> remove(std::string_view kind, std::string_view word, std::string name, By by);
    Result<Transaction> build_machine(const Machine& wanted, const std::optional<std::string>& config) const;
    Result<void> keep_runtime(Machine& machine, const std::optional<Stored<Machine>>& old,
                              const std::optional<std::string>& config, Transaction& transaction) const;
    Result<void> check_tenant_of(const Machine& machine, bool joins, Transaction& transaction) const;
    Result<void> check_identity(const Machine& machine) const;
    Result<Transaction> build_job(Job& job) const;
    Result<void> check_provision(const Machine& machine) const;
    Result<std::optional<Job>> open_job_of(const std::string& machine) const;
    void publish(std::string type, std::string subject, std::string message, const By& by,
                 std::map<std::string, std::string> fields = {});

    Store& store_;
    const SecretBox& secrets_;
    EventBus& events_;
    const Clock& clock_;
    ArtifactFiles files_;
    AsyncMutex registrations_;
};

}  // namespace nett
