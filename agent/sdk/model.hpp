// What the state file holds, with JSON codecs. Plain values.
//
// from_json refuses unknown schema versions (kDataLoss) and ignores unknown members, so that a newer neighbour may add
// some; a member that an older record lacks has its default. Codecs: model_*.cpp, a file a family of records.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <boost/json/value.hpp>

#include "agent/sdk/address.hpp"
#include "agent/sdk/clock.hpp"
#include "agent/sdk/result.hpp"
#include "agent/sdk/store.hpp"

namespace nett {

// Kinds of records in the store; the comment is the key.
inline constexpr std::string_view kTenantKind = "tenant";                   // name
inline constexpr std::string_view kProfileKind = "profile";                 // profile_key()
inline constexpr std::string_view kMachineKind = "machine";                 // name
inline constexpr std::string_view kMachineConfigKind = "machine-config";    // machine's name
inline constexpr std::string_view kBootHistoryKind = "boot-history";        // machine's name
inline constexpr std::string_view kUnknownMachineKind = "unknown-machine";  // unknown_machine_key()
inline constexpr std::string_view kPrefixPoolKind = "prefix-pool";          // name
inline constexpr std::string_view kAllocationKind = "allocation";           // allocation_key()
inline constexpr std::string_view kArtifactSetKind = "artifact-set";        // name
inline constexpr std::string_view kBmcKind = "bmc";                         // name
inline constexpr std::string_view kJobKind = "job";                         // job_key()
inline constexpr std::string_view kBootTokenKind = "boot-token";            // SHA-256 of the token
inline constexpr std::string_view kMediaGrantKind = "media-grant";          // SHA-256 of the token
inline constexpr std::string_view kIdempotencyKind = "idempotency";         // idempotency_key()

// Indexes of kMachineKind: these values find one machine.
inline constexpr std::string_view kUuidIndex = "uuid";
inline constexpr std::string_view kMacIndex = "mac";
inline constexpr std::string_view kSerialIndex = "serial";          // only of usable serials (identity.hpp)
inline constexpr std::string_view kProductionIndex = "production";  // its production prefix
// Index of kAllocationKind: the prefix.
inline constexpr std::string_view kPrefixIndex = "prefix";
// Grouping indexes, for Store::scan() and count(): values are "<group>/<key>", so group_prefix(group) finds the group.
// kMachineKind: by tenant, artifact set, BMC, profile key. kUnknownMachineKind: by tenant. kAllocationKind: by pool.
// kJobKind: those that have not ended by machine, those that have by "". kBootTokenKind, kMediaGrantKind,
// kIdempotencyKind: by expiry, "<RFC 3339>/<key>", oldest first.
inline constexpr std::string_view kTenantIndex = "tenant";
inline constexpr std::string_view kArtifactSetIndex = "artifact-set";
inline constexpr std::string_view kBmcIndex = "bmc";
inline constexpr std::string_view kProfileIndex = "profile";
inline constexpr std::string_view kPoolIndex = "pool";
inline constexpr std::string_view kOpenJobIndex = "open-job";
inline constexpr std::string_view kEndedJobIndex = "ended-job";
inline constexpr std::string_view kExpiryIndex = "expiry";
std::string group_prefix(std::string_view group);

// The document's table, section 4.4.
enum class MachineState { kNew, kProvisioning, kActive, kReprovision, kMaintenance, kDecommission };
std::string_view to_string(MachineState state);
Result<MachineState> parse_machine_state(std::string_view text);

// How the machine config reaches Talos (facts: stock Talos cannot present a client certificate).
enum class ConfigDelivery { kEmbedded, kToken, kUrl };
std::string_view to_string(ConfigDelivery delivery);
Result<ConfigDelivery> parse_config_delivery(std::string_view text);

// Accepts unknown machines of a tenant by itself. Criteria that are given must all fit; at least one is.
struct AutoEnrolRule {
    std::vector<std::string> ports;         // "tor-a/swp7", or "tor-a/*": every port of that switch
    std::vector<std::string> uuids;         // canonical
    std::vector<std::string> mac_prefixes;  // "52:54:00", whole octets
    std::string profile;                    // of the machine; empty: none
    std::string name_pattern;               // {mac}, {uuid}, {serial}, {port} stand for the machine's: "node-{mac}"
};

// A tenant is found by its client certificate's subject: the CN equals one of `common_names`, or ends in one of
// `common_name_suffixes` (on a label boundary), or its OU equals one of `organizational_units`.
struct Tenant {
    std::string name;
    std::vector<std::string> common_names;
    std::vector<std::string> common_name_suffixes;
    std::vector<std::string> organizational_units;
    std::uint32_t machine_quota = 0;        // 0: none
    std::vector<AutoEnrolRule> auto_enrol;  // the first that fits
};

// What turns Provisioning into Active by itself. The API can, whatever is set.
enum class ConfirmBy {
    kApi,
    kFabric,         // the machine's production prefix is seen at a switch's port ("fabric.prefix")
    kConfigFetched,  // the config was fetched
};
std::string_view to_string(ConfirmBy confirm);
Result<ConfirmBy> parse_confirm_by(std::string_view text);

// So many netboots within so many minutes are a loop: the machine is held and boots its disk. 0 boots: off.
struct BootLoopLimit {
    std::uint32_t boots = 5;
    std::uint32_t minutes = 30;
    friend bool operator==(const BootLoopLimit&, const BootLoopLimit&) = default;
};

// What machines of one sort have in common. A machine without a profile uses Profile{}; see effective_profile().
struct Profile {
    std::string tenant;  // empty: for machines of every tenant
    std::string name;
    std::string artifact_set;  // for machines that name none
    std::string rescue_set;    // what Maintenance boots
    std::string erase_set;     // what Decommission boots
    std::string kernel_args;   // between the set's and the machine's
    std::string prefix_pool;   // auto-enrolled machines get their production prefix there; empty: they have none
    std::optional<ConfigDelivery> delivery;
    std::map<std::string, std::string> templates;  // "install", "wipe", "rescue", "erase" → mustache text
    // How long a machine may be in a state before it is held. None for Active: nothing happens there.
    std::map<MachineState, std::chrono::seconds> deadlines{{MachineState::kProvisioning, std::chrono::hours(1)}};
    ConfirmBy confirm = ConfirmBy::kApi;
    BootLoopLimit boot_loop;
};
// "<tenant>/<name>", "/<name>" for every tenant's.
std::string profile_key(std::string_view tenant, std::string_view name);

// A port this machine is expected behind; its boot requests come from that port's prefix.
struct PortBinding {
    std::string port;  // "tor-a/swp7"
    Prefix6 prefix;    // the port's /64; of length 0: whichever the switch advertises there
};

struct BootRecord {
    SystemTime time{};
    std::string source;        // the client's address, text
    std::string outcome;       // "netboot", "localboot", "refused"
    std::string boot_id = {};  // of the request: in its log lines, events and answer
};

// Where the machine's production prefix comes from (document, section 10.2), and what it is.
enum class ProductionMode { kNone, kStatic, kPool, kNetbox };
std::string_view to_string(ProductionMode mode);
Result<ProductionMode> parse_production_mode(std::string_view text);
struct ProductionPrefix {
    ProductionMode mode = ProductionMode::kNone;
    std::string pool;    // kPool: the pool's name
    std::string prefix;  // Prefix6 text; kPool, kNetbox: empty until the first boot
};

// A machine that is held boots its disk until an operator releases it or gives it another state.
struct Hold {
    std::string reason;     // empty: not held
    SystemTime since{};     // when it was
    SystemTime released{};  // the last one was, or somebody gave an order: deadlines and boot loops count from here
};

// How far the erasing of a machine in Decommission is.
struct EraseRecord {
    SystemTime fetched{};   // the erase set was served
    SystemTime reported{};  // somebody said that it is done
    std::string proof;      // in their words, e.g. the eraser's certificate number
};

struct Machine {
    std::string name;
    std::string tenant;
    std::string uuid;               // canonical or empty
    std::vector<std::string> macs;  // canonical
    std::string serial;
    std::string profile;  // name of the tenant's profile, else of every tenant's; empty: the defaults
    MachineState state = MachineState::kNew;
    // Of the last change of state: when, who, why.
    SystemTime state_since{};
    std::string state_actor;
    std::string state_reason;
    bool locked = false;        // no automation changes its state, and it boots its disk
    bool wipe_pending = false;  // a Reprovision whose wipe has not been served yet
    Hold hold;
    EraseRecord erase;
    std::string artifact_set;                             // name of the set it netboots; empty: the profile's
    std::string kernel_args;                              // after the set's and the profile's
    ConfigDelivery delivery = ConfigDelivery::kEmbedded;  // the profile's counts, if it has one
    std::string config_sha256;                            // of the registered config (MachineConfig); empty: none
    std::uint64_t config_size = 0;
    std::vector<PortBinding> ports;  // empty: served to any port
    std::string bmc;                 // key of its Bmc record, usually the machine's name; empty: none
    ProductionPrefix production;
};

// A machine's config. Written and deleted in one transaction with its machine, apart from it so that a boot decision
// and a change of state do not carry 100 kB.
struct MachineConfig {
    std::string machine;
    std::string sealed;  // SecretBox text, context machine_config_context(machine)
    std::string sha256;  // of the plaintext, 64 hex digits
    std::uint64_t size = 0;
};
std::string machine_config_context(std::string_view machine);  // "machine/<name>/config"

// What a machine booted. May lag behind an answer by a moment: nothing that must be exact depends on it.
inline constexpr std::size_t kBootHistoryLength = 16;  // above any sensible boot-loop limit
struct BootHistory {
    std::string machine;
    std::uint64_t boots = 0;  // boot requests since it was registered
    BootRecord last_boot;
    std::vector<SystemTime> recent;  // of the last netboots that were served, newest last, at most kBootHistoryLength
};

// A machine that asked and is not registered: recorded, never served.
struct UnknownMachine {
    std::string id;      // uuid or mac; the record's key
    std::string tenant;  // of the certificate it came with
    std::string source;
    SystemTime first_seen{};
    SystemTime last_seen{};
    std::uint64_t requests = 0;
    // What it said about itself, as far as it did.
    std::string uuid = {};               // canonical
    std::vector<std::string> macs = {};  // canonical
    std::string serial = {};
    std::string port = {};  // "tor-a/swp7" of its source's prefix, or empty
};

// Prefixes to give to machines at their first boot.
struct PrefixPool {
    std::string name;
    std::string tenant;  // empty: for every tenant
    Prefix6 prefix;
    unsigned length = 64;  // of what is given, 64 or 128 usually
};

// A prefix that a machine has from a pool, until it is decommissioned or deleted.
struct Allocation {
    std::string pool;
    std::string machine;
    Prefix6 prefix;
    SystemTime since{};
};
std::string allocation_key(std::string_view pool, std::string_view machine);  // "<pool>/<machine>"

// A file of a set, stored by content.
struct ArtifactFile {
    std::string name;    // as served: "vmlinuz", "initramfs.xz"
    std::string sha256;  // 64 hex digits: its path in the artifact directory, and its strong ETag
    std::uint64_t size = 0;
};

// What a machine netboots: kernel, initramfs and the command line that belongs to them.
struct ArtifactSet {
    std::string name;
    std::string version;       // "v1.13.9"
    std::string architecture;  // "amd64", "arm64"
    std::string schematic;     // Image Factory id or empty
    std::string command_line;  // without talos.platform and talos.config
    std::vector<ArtifactFile> files;
    std::string kernel;     // name of the kernel's file
    std::string initramfs;  // name of the initramfs' file
    // Layers that the initramfs' own /extensions.yaml lists (Image Factory: a "schematic" layer); the appended
    // extensions.yaml repeats them, because it replaces the file. JSON text of an array of layer objects, or empty.
    std::string extension_layers;
};

struct Bmc {
    std::string name;
    std::string endpoint;  // "https://[2001:db8:bc::1]" origin, no path
    std::string username;
    std::string sealed_password;  // context "bmc/<name>/password"
    std::string system_path;      // "/redfish/v1/Systems/1"; empty: the only system
    std::string ca_file;          // PEM bundle that its certificate must chain to; empty: pin
    std::string pinned_sha256;    // of its certificate's DER; empty and no CA: pinned at first use
};

// A job record: written by the API (state "QUEUED") and driven by the plugin that owns its type.
//
// A machine has one open job at a time. A job in NEEDS_OPERATOR is open: it left the BMC in a state that a person has
// to look at, so it keeps a new job off until it is cancelled or acknowledged ("job N acknowledge"). An acknowledged
// one stays as it is for the record, and is superseded by the machine's next job.
struct Job {
    std::string id;    // decimal, ascending, the record's key is zero-padded to 20 digits
    std::string type;  // "provision"
    std::string machine;
    std::string state;    // QUEUED, PROBE, POWER_OFF, … DONE, FAILED, CANCELLED, NEEDS_OPERATOR
    std::string message;  // cause and remedy when it failed or waits
    std::map<std::string, std::string> parameters;  // "image-url"
    std::string progress;  // the owning plugin's own JSON text: attempt, URIs, pre-state, step times
    SystemTime created{};
    SystemTime updated{};
    bool cancel_requested = false;
    bool acknowledged = false;         // an operator has seen to its NEEDS_OPERATOR
    std::string idempotency_key = {};  // what its creator gave; for the creator to find it by
};
std::string job_key(std::string_view id);
// Whether a job's state is its last one: DONE, FAILED, CANCELLED.
bool is_ended(const Job& job);
// Whether a job keeps its machine from having another: it has not ended, nor does it wait acknowledged.
bool is_open(const Job& job);

// Lets one boot fetch the config without a client certificate. The record has only the token's digest.
//
// One boot, one use: `used` is set before the config is answered. The same source may fetch it again within
// kBootTokenRetry of the first time, because an HTTP client retries what broke off; nobody else, and not later.
inline constexpr std::chrono::seconds kBootTokenRetry{60};
struct BootToken {
    std::string token_sha256;  // the record's key
    std::string machine;
    std::string config_sha256;  // of the config it was made for; another one is not served
    SystemTime expires{};
    SystemTime used{};         // epoch: not yet
    std::string used_source;   // the client's address, text
    std::string boot_id = {};  // of the boot request that it was made for
};

// Lets a BMC fetch one image for one job: "<media listener>/m/<token>/<name>.iso". The URL with the token is sealed in
// the job's record; this one has only the token's digest.
struct MediaGrant {
    std::string token_sha256;  // the record's key
    std::string job;           // its id
    std::string machine;
    std::string file;              // absolute path of the image on the agent's host
    std::string sha256;            // of the image
    std::vector<Prefix6> sources;  // who may fetch it; empty: nobody
    SystemTime expires{};
};

// What a mutation with an idempotency key was answered: the same request with the same key gets it again.
inline constexpr std::chrono::hours kIdempotencyAge{24};  // a client that retries for a day has other problems
struct IdempotencyRecord {
    std::string actor;
    std::string key;
    std::string method;          // "PutMachine"
    std::string request_sha256;  // another request with the same key is refused
    std::string answer;          // what it had besides the record's own revision: a job's id, or empty
    SystemTime created{};
};
std::string idempotency_key(std::string_view actor, std::string_view key);  // "<actor>/<key>"

boost::json::value to_json(const Tenant& value);
boost::json::value to_json(const Profile& value);
boost::json::value to_json(const Machine& value);
boost::json::value to_json(const MachineConfig& value);
boost::json::value to_json(const BootHistory& value);
boost::json::value to_json(const UnknownMachine& value);
boost::json::value to_json(const PrefixPool& value);
boost::json::value to_json(const Allocation& value);
boost::json::value to_json(const ArtifactSet& value);
boost::json::value to_json(const Bmc& value);
boost::json::value to_json(const Job& value);
boost::json::value to_json(const BootToken& value);
boost::json::value to_json(const MediaGrant& value);
boost::json::value to_json(const IdempotencyRecord& value);

// decode<Machine>(record.value) parses a record's value.
template <typename T>
Result<T> decode(std::string_view json_text);
template <>
Result<Tenant> decode<Tenant>(std::string_view json_text);
template <>
Result<Profile> decode<Profile>(std::string_view json_text);
template <>
Result<Machine> decode<Machine>(std::string_view json_text);
template <>
Result<MachineConfig> decode<MachineConfig>(std::string_view json_text);
template <>
Result<BootHistory> decode<BootHistory>(std::string_view json_text);
template <>
Result<UnknownMachine> decode<UnknownMachine>(std::string_view json_text);
template <>
Result<PrefixPool> decode<PrefixPool>(std::string_view json_text);
template <>
Result<Allocation> decode<Allocation>(std::string_view json_text);
template <>
Result<ArtifactSet> decode<ArtifactSet>(std::string_view json_text);
template <>
Result<Bmc> decode<Bmc>(std::string_view json_text);
template <>
Result<Job> decode<Job>(std::string_view json_text);
template <>
Result<BootToken> decode<BootToken>(std::string_view json_text);
template <>
Result<MediaGrant> decode<MediaGrant>(std::string_view json_text);
template <>
Result<IdempotencyRecord> decode<IdempotencyRecord>(std::string_view json_text);

// The Put that stores a value, with its index entries.
Transaction::Put put_of(const Tenant& value);
Transaction::Put put_of(const Profile& value);
Transaction::Put put_of(const Machine& value);
Transaction::Put put_of(const MachineConfig& value);
Transaction::Put put_of(const BootHistory& value);
Transaction::Put put_of(const UnknownMachine& value);
Transaction::Put put_of(const PrefixPool& value);
Transaction::Put put_of(const Allocation& value);
Transaction::Put put_of(const ArtifactSet& value);
Transaction::Put put_of(const Bmc& value);
Transaction::Put put_of(const Job& value);
Transaction::Put put_of(const BootToken& value);
Transaction::Put put_of(const MediaGrant& value);
Transaction::Put put_of(const IdempotencyRecord& value);

// RFC 3339 with milliseconds, UTC: "2026-11-21T11:05:00.000Z"; the epoch is "".
std::string to_rfc3339(SystemTime time);
Result<SystemTime> parse_rfc3339(std::string_view text);

}  // namespace nett
