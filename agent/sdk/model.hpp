// What the state file holds: tenants, machines, artifact sets, BMCs, jobs, with their JSON codecs. Plain values.
//
// from_json refuses unknown schema versions (kDataLoss) and ignores unknown members, so that a newer neighbour may add
// some.
#pragma once

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

// Kinds of records in the store.
inline constexpr std::string_view kTenantKind = "tenant";
inline constexpr std::string_view kMachineKind = "machine";
inline constexpr std::string_view kUnknownMachineKind = "unknown-machine";
inline constexpr std::string_view kArtifactSetKind = "artifact-set";
inline constexpr std::string_view kBmcKind = "bmc";
inline constexpr std::string_view kJobKind = "job";
// Indexes of kMachineKind.
inline constexpr std::string_view kUuidIndex = "uuid";
inline constexpr std::string_view kMacIndex = "mac";

// A tenant is found by its client certificate's subject: the CN equals one of `common_names`, or ends in one of
// `common_name_suffixes` (on a label boundary), or its OU equals one of `organizational_units`.
struct Tenant {
    std::string name;
    std::vector<std::string> common_names;
    std::vector<std::string> common_name_suffixes;
    std::vector<std::string> organizational_units;
    std::uint32_t machine_quota = 0;  // 0: none
};

// The document's table, section 4.4.
enum class MachineState { kNew, kProvisioning, kActive, kReprovision, kMaintenance, kDecommission };
std::string_view to_string(MachineState state);
Result<MachineState> parse_machine_state(std::string_view text);

// How the machine config reaches Talos (facts: stock Talos cannot present a client certificate).
enum class ConfigDelivery { kEmbedded, kToken, kUrl };
std::string_view to_string(ConfigDelivery delivery);
Result<ConfigDelivery> parse_config_delivery(std::string_view text);

// A port this machine is expected behind; its boot requests come from that port's prefix.
struct PortBinding {
    std::string port;  // "tor-a/swp7"
    Prefix6 prefix;    // the port's /64
};

struct BootRecord {
    SystemTime time{};
    std::string source;   // the client's address, text
    std::string outcome;  // "netboot", "localboot", "refused"
};

struct Machine {
    std::string name;
    std::string tenant;
    std::string uuid;               // canonical or empty
    std::vector<std::string> macs;  // canonical
    std::string serial;
    MachineState state = MachineState::kNew;
    SystemTime state_since{};
    bool locked = false;        // no automation changes its state, and it boots its disk
    bool wipe_pending = false;  // a Reprovision whose wipe has not been served yet
    std::string artifact_set;   // name of the set it netboots
    std::string kernel_args;    // appended to the set's command line
    ConfigDelivery delivery = ConfigDelivery::kEmbedded;
    std::string sealed_config;  // SecretBox text, context "machine/<name>/config"; empty: none registered
    std::string config_sha256;  // of the plaintext, 64 hex digits
    std::uint64_t config_size = 0;
    std::vector<PortBinding> ports;  // empty: served to any port
    std::string bmc;                 // key of its Bmc record, usually the machine's name; empty: none
    std::uint64_t boots = 0;         // boot requests since it was registered
    BootRecord last_boot;
};

// A machine that asked and is not registered: recorded, never served.
struct UnknownMachine {
    std::string id;      // uuid or mac; the record's key
    std::string tenant;  // of the certificate it came with
    std::string source;
    SystemTime first_seen{};
    SystemTime last_seen{};
    std::uint64_t requests = 0;
};

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
};
std::string job_key(std::string_view id);

boost::json::value to_json(const Tenant& value);
boost::json::value to_json(const Machine& value);
boost::json::value to_json(const UnknownMachine& value);
boost::json::value to_json(const ArtifactSet& value);
boost::json::value to_json(const Bmc& value);
boost::json::value to_json(const Job& value);

// decode<Machine>(record) parses a record's value.
template <typename T>
Result<T> decode(std::string_view json_text);
template <>
Result<Tenant> decode<Tenant>(std::string_view json_text);
template <>
Result<Machine> decode<Machine>(std::string_view json_text);
template <>
Result<UnknownMachine> decode<UnknownMachine>(std::string_view json_text);
template <>
Result<ArtifactSet> decode<ArtifactSet>(std::string_view json_text);
template <>
Result<Bmc> decode<Bmc>(std::string_view json_text);
template <>
Result<Job> decode<Job>(std::string_view json_text);

// The Put that stores a value, with its index entries (machine: uuid, mac).
Transaction::Put put_of(const Tenant& value);
Transaction::Put put_of(const Machine& value);
Transaction::Put put_of(const UnknownMachine& value);
Transaction::Put put_of(const ArtifactSet& value);
Transaction::Put put_of(const Bmc& value);
Transaction::Put put_of(const Job& value);

// RFC 3339 with milliseconds, UTC: "2026-11-21T11:05:00.000Z"; the epoch is "".
std::string to_rfc3339(SystemTime time);
Result<SystemTime> parse_rfc3339(std::string_view text);

}  // namespace nett
