// A node's machine config: the file that "talosctl gen config" has written for its role, the documents that make it a
// node of this fabric, and the operator's patches. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "agent/sdk/result.hpp"
#include "builder/nodes/nodes_file.hpp"

namespace nett::builder {

struct TalosVersion {
    unsigned major = 0;
    unsigned minor = 0;
    friend auto operator<=>(const TalosVersion&, const TalosVersion&) = default;
};
// "v1.13.9", "1.14.0-rc.1". Before 1.12 (documents for host name and links, embedded configs) is kInvalidArgument.
Result<TalosVersion> parse_talos_version(std::string_view text);

// What holds for a node: its own settings, else its tenant's; patches of both, the tenant's first. The version is the
// artifact set's when nothing says it. `line` is 0 when neither has any.
TalosSettings effective_talos(const NodesFile& file, const NodeEntry& node);

// "native" from 1.14 on, "bird2" before, unless the settings say it.
std::string speaker_of(const TalosSettings& settings, TalosVersion version);

// The settings', else numbers that the node's name decides: a private AS number of 32 bits (RFC 6996), a router ID.
std::uint32_t asn_of(const NodeEntry& node, const TalosSettings& settings);
std::string router_id_of(const NodeEntry& node, const TalosSettings& settings);

struct NodeConfigRequest {
    const NodeEntry* node = nullptr;
    TalosSettings settings;  // effective
    TalosVersion version;
    std::string prefix;                // its production prefix; empty: it has none, or nobody knows it yet
    std::string base;                  // the text of the role's file
    std::vector<std::string> patches;  // texts, in their order
};

// The documents for the fabric, as a patch: host name, production prefix on lo, links, BGP, sysctls, subnets, node IP,
// disk.
Result<std::string> fabric_patch(const NodeConfigRequest& request);

// The whole config. kInvalidArgument names the document or place that does not fit; a result with IPv4 pod or service
// subnets is refused, since the fabric has IPv6 only.
Result<std::string> make_node_config(const NodeConfigRequest& request);

}  // namespace nett::builder
