// nodes.yaml: what an operator wants to be registered, and how its machines get their image. The format is described in
// talos-fabric-builder(1) and by nodes.schema.json, which is installed with the package.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "builder/nodes/problems.hpp"

namespace nett::builder {

// A secret, or where it is. Inline ones are taken with a warning.
struct SecretReference {
    enum class From { kNone, kInline, kEnvironment, kFile, kCommand };
    From from = From::kNone;
    std::string value;                 // the secret, the variable's name, the file's path
    std::vector<std::string> command;  // a program and its arguments; the first line that it prints is the secret
    int line = 0;
};

// A patch of a machine config: a file, or the YAML text that stands in nodes.yaml.
struct PatchReference {
    std::string file;
    std::string text;
    int line = 0;
};

// How a node's machine config is made. What is not set is taken from the tenant's.
struct TalosSettings {
    std::string version;       // "v1.13.9"; empty: the artifact set's
    std::string controlplane;  // files of "talosctl gen config"
    std::string worker;
    std::vector<std::string> pod_subnets;
    std::vector<std::string> service_subnets;
    std::string bgp;                 // native, bird2, none; empty: by the version
    std::vector<std::string> links;  // fabric links, such as eth0
    std::optional<std::uint32_t> asn;
    std::string router_id;
    std::string install_disk;
    std::string encryption;  // tpm, none; empty: none
    std::vector<PatchReference> patches;
    int line = 0;                      // 0: there is no such mapping
    std::map<std::string, int> lines;  // of the keys that it has
};

struct ImageWishes {
    std::string certificate;  // PEM files
    std::string key;
    std::string root;
    std::vector<std::string> ipxe;  // for x86, arm64, or both
    std::string usb;                // outputs; usb is usb-TENANT.img when a node needs it
    std::string iso;
    int line = 0;
};

struct TenantEntry {
    std::string name;
    std::vector<std::string> common_names;
    std::vector<std::string> common_name_suffixes;
    std::vector<std::string> organizational_units;
    std::uint32_t machine_quota = 0;
    std::optional<ImageWishes> image;
    TalosSettings talos;
    int line = 0;
};

struct ArtifactEntry {
    std::string name;
    std::string version;
    std::string architecture;
    std::string schematic;
    std::string kernel;  // files
    std::string initramfs;
    std::string command_line;
    std::string extension_layers;  // a file; empty: none
    int line = 0;
};

struct ProfileEntry {
    std::string tenant;  // empty: of every tenant
    std::string name;
    std::string artifact_set;
    std::string rescue_set;
    std::string erase_set;
    std::string kernel_args;
    std::string prefix_pool;
    std::string delivery;                                              // empty: not set
    std::string confirm;                                               // api, fabric, config-fetched
    std::map<std::string, std::string> templates;                      // "install" → file
    std::map<std::string, std::uint32_t> deadlines;                    // "provisioning" → seconds
    std::optional<std::pair<std::uint32_t, std::uint32_t>> boot_loop;  // boots, minutes
    int line = 0;
};

struct PoolEntry {
    std::string name;
    std::string tenant;
    std::string prefix;
    std::uint32_t length = 0;
    int line = 0;
};

struct BmcEntry {
    std::string endpoint;
    std::string username;
    SecretReference password;
    std::string system_path;
    std::string ca_file;
    std::string pinned_sha256;
    int line = 0;
};

// How its image gets to it: through its BMC, on a stick, or in a way that is not this tool's.
enum class BootWay { kRedfish, kUsb, kOther };

enum class ProductionFrom { kNone, kStatic, kPool, kNetbox };

struct NodeEntry {
    std::string name;
    std::string tenant;
    std::string uuid;  // canonical, or empty
    std::vector<std::string> macs;
    std::string serial;
    std::vector<std::pair<std::string, std::string>> ports;  // "tor-a/swp7", "2001:db8:b000:6::/64" or ""
    std::string role;                                        // controlplane, worker
    std::string profile;
    std::string artifact_set;
    std::string kernel_args;
    std::string delivery;
    ProductionFrom production = ProductionFrom::kNone;
    std::string production_value;  // the prefix, or the pool's name
    std::optional<BmcEntry> bmc;
    BootWay boot = BootWay::kUsb;
    std::string config;  // a file that is registered as it is
    TalosSettings talos;
    int line = 0;
    std::map<std::string, int> lines;  // of the keys that it has
};

struct NodesFile {
    std::string path;    // as it was given
    std::string folder;  // relative paths in it start here
    std::vector<TenantEntry> tenants;
    std::vector<ArtifactEntry> artifacts;
    std::vector<ProfileEntry> profiles;
    std::vector<PoolEntry> pools;
    std::vector<NodeEntry> nodes;
    std::vector<std::string> warnings;  // "file:line: ..."
};

// Pure: reads the text of nodes.yaml, and checks each value and that they fit together. Paths in it that are relative
// are made so to the file's folder. When there are problems the result is not to be used.
NodesFile parse_nodes(std::string_view text, const std::string& path, Problems& problems);

// The keys that each object of the file may have, by the object's name in nodes.schema.json: "file", "tenant", "node".
const std::map<std::string, std::vector<std::string_view>>& nodes_file_keys();

// The JSON Schema, as it is installed.
std::string_view nodes_schema();

}  // namespace nett::builder
