// What one can do with tenants, machines, artifact sets, BMCs and jobs: the use cases behind the management API and the
// shell.
//
// Each mutation validates, commits one transaction to the store, and publishes an event once it is durable. References
// hold: a machine's tenant and artifact set exist, and neither can be deleted while a machine names it; so
// registrations take turns.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/core/inventory/artifact_files.hpp"
#include "agent/core/inventory/async_mutex.hpp"
#include "agent/sdk/clock.hpp"
#include "agent/sdk/event.hpp"
#include "agent/sdk/lifecycle.hpp"
#include "agent/sdk/model.hpp"
#include "agent/sdk/records.hpp"
#include "agent/sdk/secret.hpp"
#include "agent/sdk/store.hpp"

namespace nett {

inline constexpr std::size_t kMaxListed = 1000;         // records of one answer
inline constexpr std::size_t kKeptJobs = 1000;          // numbers of jobs; ended ones that are older go
inline constexpr std::size_t kMaxMutations = 250;       // of a plan; each is a few of a transaction's 1000 parts
inline constexpr std::size_t kMaxIdempotencyKey = 128;  // a UUID is 36

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

// A pool with how much of it is given.
struct PoolView {
    PrefixPool value;
    std::uint64_t allocated = 0;
    std::uint64_t capacity = 0;  // saturates at 2^32
    Revision revision = 0;
};

class Inventory;

// One change of a plan: a call of an Inventory's method. Called on a draft, and again when the draft has to be made
// anew.
using Mutation = std::function<Awaitable<Result<Revision>>(Inventory&, By)>;

// A record that would be added (no `before`), changed or removed (no `after`), as JSON without secrets.
struct PlannedChange {
    std::string kind;
    std::string key;
    std::string before;
    std::string after;
};
struct Refusal {
    std::size_t mutation = 0;  // its place in the list
    Error error;
};
struct Plan {
    std::vector<PlannedChange> changes;  // in order of kind and key
    std::vector<Refusal> refusals;
};

// A mutation that is done once, however often it is asked for.
struct OnceKey {
    std::string key;
    std::string method;          // "PutMachine"
    std::string request_sha256;  // of all that the request says
};
struct Once {
    Revision revision = 0;  // of the first time
    std::string answer;     // what the mutation answered
};
using OnceMutation = std::function<Awaitable<Result<std::string>>(Inventory&, By)>;

// A record's JSON without its secrets: members whose name begins with "sealed" are left out.
std::string public_text(const std::string& json_text);

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
    // What an operator or the compute layer orders. Decommissioning gives a pool's prefix back.
    Awaitable<Result<Revision>> set_machine_state(std::string name, MachineState state, By by);
    Awaitable<Result<Revision>> set_machine_lock(std::string name, bool locked, By by);
    // Lifts a hold. kFailedPrecondition when it is not held.
    Awaitable<Result<Revision>> release_machine(std::string name, By by);
    // The disks of a machine in Decommission are erased; `proof` is what shows it, in one line.
    Awaitable<Result<Revision>> report_erased(std::string name, std::string proof, By by);
    // What the agent does by itself; each looks again at what is there now, and does nothing if it does not hold any
    // more: the deadline of its state has passed; it is confirmed in the way its profile says.
    Awaitable<Result<Revision>> hold_if_late(std::string name);
    Awaitable<Result<Revision>> confirm_if_wanted(std::string name, ConfirmBy seen, std::string reason);
    // Registers an unknown machine under a name, for the tenant of its certificate.
    Awaitable<Result<Revision>> accept_unknown_machine(std::string id, std::string name, By by);

    // kNotFound: its tenant, a set, its pool.
    Awaitable<Result<Revision>> put_profile(Profile profile, By by);
    // kFailedPrecondition while a machine has it.
    Awaitable<Result<Revision>> delete_profile(std::string tenant, std::string name, By by);
    // kFailedPrecondition: what is given out would not be the pool's any more. kAlreadyExists: another pool overlaps.
    Awaitable<Result<Revision>> put_prefix_pool(PrefixPool pool, By by);
    // kFailedPrecondition while a machine or a profile has it.
    Awaitable<Result<Revision>> delete_prefix_pool(std::string name, By by);

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

    // What the mutations would do one after the other, and which would be refused. Touches nothing.
    Awaitable<Result<Plan>> plan(std::vector<Mutation> mutations, By by) const;
    // All of them in one transaction, or none: then the error is that of the first that is refused, and names it.
    // With a key, once.
    Awaitable<Result<Revision>> apply_all(std::vector<Mutation> mutations, By by,
                                          std::optional<OnceKey> key = std::nullopt);
    // For kIdempotencyAge after it was done, the same request of the same actor with the same key is answered as the
    // first time, and another request with it is kInvalidArgument. What is refused may be tried again.
    Awaitable<Result<Once>> once(OnceKey key, OnceMutation mutation, By by);

    // Reads: at most `limit` after `after`, in order of name. kNotFound says where to look.
    Result<std::vector<Stored<Tenant>>> tenants(const std::string& after = "", std::size_t limit = kMaxListed) const;
    Result<std::vector<MachineView>> machines(const std::string& after = "", std::size_t limit = kMaxListed) const;
    Result<std::vector<Stored<UnknownMachine>>> unknown_machines(const std::string& after = "",
                                                                 std::size_t limit = kMaxListed) const;
    // `after` is a profile_key().
    Result<std::vector<Stored<Profile>>> profiles(const std::string& after = "", std::size_t limit = kMaxListed) const;
    Result<std::vector<PoolView>> prefix_pools(const std::string& after = "", std::size_t limit = kMaxListed) const;
    // Of one pool, or of all; `after` is an allocation_key().
    Result<std::vector<Stored<Allocation>>> allocations(const std::string& pool, const std::string& after = "",
                                                        std::size_t limit = kMaxListed) const;
    Result<std::vector<Stored<ArtifactSet>>> artifact_sets(const std::string& after = "",
                                                           std::size_t limit = kMaxListed) const;
    Result<std::vector<Stored<Bmc>>> bmcs(const std::string& after = "", std::size_t limit = kMaxListed) const;
    // Ascending by number; `after` is a job's id.
    Result<std::vector<Stored<Job>>> jobs(const std::string& after = "", std::size_t limit = kMaxListed) const;
    Result<Stored<Machine>> machine(const std::string& name) const;
    Result<MachineView> machine_view(const std::string& name) const;
    Result<Stored<Job>> job(const std::string& id) const;
    // By UUID or MAC in any usual spelling, or "<tenant>/<id>". kFailedPrecondition: clients of several tenants asked.
    Result<Stored<UnknownMachine>> unknown_machine(const std::string& id) const;
    // Keys of all records of a kind, for completion.
    std::vector<std::string> names(std::string_view kind) const;

    const Store& store() const { return store_; }
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

    struct Draft;
    Awaitable<Result<void>> draft(Draft& draft, const std::vector<Mutation>& mutations, By by) const;
    Awaitable<Result<Revision>> commit_draft(Draft& made, const By& by, std::string_view what);
    Result<std::optional<Once>> answered_before(const OnceKey& key, const By& by) const;
    Awaitable<Result<void>> remember(Draft& made, const OnceKey& key, const By& by, std::string answer) const;
    Awaitable<Result<Revision>> transact(By by, std::string what, Build build);
    // What to do with a machine as it is; nullopt: nothing.
    using Decide = std::function<Result<std::optional<LifecycleEvent>>(const Machine&, Cause&)>;
    Awaitable<Result<Revision>> change_state(std::string name, std::string what, By by, Decide decide);
    Awaitable<Result<Revision>> remove(std::string_view kind, std::string_view word, std::string name, By by);
    Result<Transaction> build_machine(const Machine& wanted, const std::optional<std::string>& config) const;
    Result<void> keep_runtime(Machine& machine, const std::optional<Stored<Machine>>& old,
                              const std::optional<std::string>& config, Transaction& transaction) const;
    Result<void> check_tenant_of(const Machine& machine, bool joins, Transaction& transaction) const;
    Result<void> check_identity(const Machine& machine) const;
    Result<void> check_profile_of(const Machine& machine, Transaction& transaction) const;
    Result<void> check_production(Machine& machine, const std::optional<Stored<Machine>>& old,
                                  Transaction& transaction) const;
    Result<void> check_set(const std::string& name, Transaction& transaction) const;
    Result<void> check_pool(const std::string& name, const std::string& tenant, Transaction& transaction) const;
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
