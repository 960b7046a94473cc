#include "builder/talos/node_config.hpp"

#include <algorithm>

#include "agent/sdk/address.hpp"
#include "agent/sdk/strings.hpp"
#include "builder/talos/strategic_merge.hpp"
#include "builder/talos/yaml_text.hpp"

namespace nett::builder {
namespace {

constexpr TalosVersion kOldest{1, 12};
constexpr TalosVersion kNativeBgp{1, 14};  // BGPInstanceConfig, SysctlConfig, UnattendedInstallConfig
// RFC 6996: private AS numbers of 32 bits.
constexpr std::uint32_t kFirstAsn = 4'200'000'000;
constexpr std::uint32_t kAsns = 94'967'294;
constexpr unsigned kHostLength = 128;

// 32 bits that a name decides.
std::uint32_t number_of(std::string_view name, std::string_view purpose) {
    const std::string digest = sha256_hex(std::string(purpose) + "/" + std::string(name));
    return static_cast<std::uint32_t>(std::stoul(digest.substr(0, 8), nullptr, 16));
}

std::string list_of(const std::vector<std::string>& values, std::string_view indent) {
    std::string out;
    for (const std::string& value : values) out += fmt::format("{}- {}\n", indent, value);
    return out;
}

// Which documents the base has: newer ones move parts of the v1alpha1 document into documents of their own.
struct Base {
    std::vector<std::string> kinds;
    bool has_install = false;  // machine.install
    bool has(std::string_view kind) const { return std::find(kinds.begin(), kinds.end(), kind) != kinds.end(); }
};

Result<Base> look_at(const std::string& text) {
    Base base;
    bool has_machine = false;
    for (std::string& part : split_documents(text)) {
        const auto document = YamlText::parse(std::move(part));
        if (!document) return fail(document.error());
        const YAML::Node kind = document->find({"kind"});
        if (kind.IsDefined() && kind.IsScalar()) base.kinds.push_back(kind.Scalar());
        if (kind.IsDefined()) continue;
        has_machine |= document->find({"machine"}).IsDefined();
        base.has_install |= document->find({"machine", "install"}).IsDefined();
    }
    if (has_machine) return base;
    return fail(Code::kInvalidArgument,
                "there is no \"machine:\" in it; give the controlplane.yaml or worker.yaml of talosctl gen config");
}

std::string document(std::string_view kind, std::string_view rest) {
    return fmt::format("---\napiVersion: v1alpha1\nkind: {}\n{}", kind, rest);
}

// The address that goes on lo: a /128's own, else the first of the prefix.
std::string loopback_address(const Prefix6& prefix) {
    const Address6 address = prefix.length() == kHostLength ? prefix.address() : prefix.host(1);
    return address.to_string() + "/128";
}

// The part for the v1alpha1 document, and documents that take its place where the base has them.
std::string machine_part(const NodeConfigRequest& request, const Base& base) {
    const TalosSettings& settings = request.settings;
    std::string machine;
    if (request.version < kNativeBgp && !settings.links.empty()) {
        machine += "    sysctls:\n";
        for (const std::string& link : settings.links)
            machine += fmt::format("        net/ipv6/conf/{}/accept_ra: \"0\"\n", link);
    }
    if (!request.prefix.empty() && !base.has("KubeNodeConfig"))
        machine +=
            "    kubelet:\n        nodeIP:\n            validSubnets:\n                - " + request.prefix + "\n";
    const bool own_install = request.version >= kNativeBgp && !base.has_install;
    if (!settings.install_disk.empty() && !own_install && !base.has("UnattendedInstallConfig"))
        machine += "    install:\n        disk: " + settings.install_disk + "\n";
    std::string cluster;
    if (!base.has("KubeNetworkConfig")) {
        if (!settings.pod_subnets.empty())
            cluster += "        podSubnets:\n" + list_of(settings.pod_subnets, "            ");
        if (!settings.service_subnets.empty())
            cluster += "        serviceSubnets:\n" + list_of(settings.service_subnets, "            ");
    }
    std::string out;
    if (!machine.empty()) out += "machine:\n" + machine;
    if (!cluster.empty()) out += "cluster:\n    network:\n" + cluster;
    return out;
}

std::string kubernetes_documents(const NodeConfigRequest& request, const Base& base) {
    const TalosSettings& settings = request.settings;
    std::string out;
    if (!request.prefix.empty() && base.has("KubeNodeConfig"))
        out += document("KubeNodeConfig", "nodeIP:\n    validSubnets:\n        - " + request.prefix + "\n");
    if (base.has("KubeNetworkConfig") && !(settings.pod_subnets.empty() && settings.service_subnets.empty())) {
        std::string subnets;
        if (!settings.pod_subnets.empty()) subnets += "podSubnets:\n" + list_of(settings.pod_subnets, "    ");
        if (!settings.service_subnets.empty())
            subnets += "serviceSubnets:\n" + list_of(settings.service_subnets, "    ");
        out += document("KubeNetworkConfig", subnets);
    }
    return out;
}

std::string disk_documents(const NodeConfigRequest& request, const Base& base) {
    std::string out;
    const std::string& disk = request.settings.install_disk;
    const bool own_install = request.version >= kNativeBgp && !base.has_install;
    if (!disk.empty() && (own_install || base.has("UnattendedInstallConfig"))) {
        out +=
            document("UnattendedInstallConfig",
                     fmt::format("provisioning:\n    diskSelector:\n        match: disk.dev_path == \"{}\"\n", disk));
    }
    if (request.settings.encryption != "tpm") return out;
    for (const std::string_view volume : {"STATE", "EPHEMERAL"}) {
        out += document(
            "VolumeConfig",
            fmt::format(
                "name: {}\nencryption:\n    provider: luks2\n    keys:\n        - slot: 0\n          tpm: {{}}\n",
                volume));
    }
    return out;
}

std::string link_documents(const NodeConfigRequest& request, const std::optional<Prefix6>& prefix) {
    std::string out = document("HostnameConfig", fmt::format("auto: \"off\"\nhostname: {}\n", request.node->name));
    if (prefix)
        out +=
            document("LinkConfig", fmt::format("name: lo\naddresses:\n    - address: {}\n", loopback_address(*prefix)));
    // A link that is configured gets no DHCP, which Talos tries on all others.
    for (const std::string& link : request.settings.links)
        out += document("LinkConfig", fmt::format("name: {}\nup: true\n", link));
    if (request.version >= kNativeBgp && !request.settings.links.empty()) {
        std::string sysctls = "params:\n";
        for (const std::string& link : request.settings.links)
            sysctls += fmt::format("    net/ipv6/conf/{}/accept_ra: \"0\"\n", link);
        out += document("SysctlConfig", sysctls);
    }
    return out;
}

std::string native_bgp(const NodeConfigRequest& request) {
    std::string out =
        fmt::format("name: fabric\nlocalASN: {}\nrouterID: {}\nadvertise:\n    - lo\nmultipath: true\nneighbors:\n",
                    asn_of(*request.node, request.settings), router_id_of(*request.node, request.settings));
    for (const std::string& link : request.settings.links) out += fmt::format("    - link: {}\n", link);
    return document("BGPInstanceConfig", out);
}

// BIRD has no sessions without addresses: it answers the switch's (RFC 4271 passive), which finds the node by the
// router advertisements that BIRD sends (default lifetime 0: nobody may take the node for a router).
std::string bird_configuration(const NodeConfigRequest& request, const std::optional<Prefix6>& prefix) {
    std::string out = fmt::format("log stderr all;\nrouter id {};\nprotocol device {{ scan time 5; }}\n",
                                  router_id_of(*request.node, request.settings));
    out += "protocol kernel { ipv6 { import none; export where source = RTS_BGP; }; merge paths yes; }\n";
    const std::string announced = prefix ? prefix->to_string() : "";
    if (prefix) {
        out += fmt::format("protocol static production {{ ipv6; route {} {}; }}\n", announced,
                           prefix->length() == kHostLength ? "via \"lo\"" : "unreachable");
    }
    out += "protocol radv {\n";
    for (const std::string& link : request.settings.links)
        out +=
            fmt::format("  interface \"{}\" {{ min ra interval 3; max ra interval 10; default lifetime 0; }};\n", link);
    out += "}\n";
    std::size_t number = 0;
    for (const std::string& link : request.settings.links) {
        out += fmt::format(
            "protocol bgp fabric{0} {{\n  interface \"{1}\";\n  local as {2};\n  neighbor range fe80::/10 external;\n"
            "  dynamic name \"fabric{0}_\";\n  ipv6 {{ import all; export {3}; next hop self; }};\n}}\n",
            ++number, link, asn_of(*request.node, request.settings), prefix ? "where proto = \"production\"" : "none");
    }
    return out;
}

std::string bird_document(const NodeConfigRequest& request, const std::optional<Prefix6>& prefix) {
    std::string content;
    const std::string configuration = bird_configuration(request, prefix);
    for (const std::string_view line : split(trim(configuration), '\n')) content += fmt::format("          {}\n", line);
    return document("ExtensionServiceConfig", "name: bird2\nconfigFiles:\n    - content: |\n" + content +
                                                  "      mountPath: /usr/local/etc/bird.conf\n");
}

Result<void> check_subnets(const std::string& config) {
    for (std::string& part : split_documents(config)) {
        const auto document = YamlText::parse(std::move(part));
        if (!document) return fail(document.error());
        for (const YamlPath& path :
             {YamlPath{"cluster", "network", "podSubnets"}, YamlPath{"cluster", "network", "serviceSubnets"},
              YamlPath{"podSubnets"}, YamlPath{"serviceSubnets"}}) {
            const YAML::Node subnets = document->find(path);
            for (std::size_t i = 0; subnets.IsDefined() && subnets.IsSequence() && i < subnets.size(); ++i) {
                if (subnets[i].IsScalar() && Prefix6::parse(subnets[i].Scalar())) continue;
                return fail(Code::kInvalidArgument,
                            "{} has {}, and the fabric has IPv6 only: give \"pod-subnets\" and \"service-subnets\" "
                            "under \"talos\"",
                            to_string(path), subnets[i].IsScalar() ? subnets[i].Scalar() : "something else");
            }
        }
    }
    return {};
}

}  // namespace

Result<TalosVersion> parse_talos_version(std::string_view text) {
    std::string_view rest = text;
    if (rest.starts_with('v')) rest.remove_prefix(1);
    const auto parts = split(rest, '.');
    const auto major =
        parts.size() < 2 ? Result<std::int64_t>(fail(Code::kInvalidArgument, "")) : parse_integer(parts[0], 0, 99);
    const auto minor = parts.size() < 2 ? Result<std::int64_t>(fail(Code::kInvalidArgument, ""))
                                        : parse_integer(parts[1].substr(0, parts[1].find('-')), 0, 999);
    if (!major || !minor) return fail(Code::kInvalidArgument, "\"{}\" is no version of Talos, such as v1.13.9", text);
    const TalosVersion version{static_cast<unsigned>(*major), static_cast<unsigned>(*minor)};
    if (version >= kOldest) return version;
    return fail(
        Code::kInvalidArgument,
        "configs are made for Talos {}.{} and newer, not for {}: make the config yourself and give it as \"config\"",
        kOldest.major, kOldest.minor, text);
}

TalosSettings effective_talos(const NodesFile& file, const NodeEntry& node) {
    TalosSettings out = node.talos;
    const auto tenant = std::find_if(file.tenants.begin(), file.tenants.end(),
                                     [&](const auto& one) { return one.name == node.tenant; });
    if (tenant != file.tenants.end()) {
        const TalosSettings& from = tenant->talos;
        for (const auto text :
             {&TalosSettings::version, &TalosSettings::controlplane, &TalosSettings::worker, &TalosSettings::bgp,
              &TalosSettings::router_id, &TalosSettings::install_disk, &TalosSettings::encryption}) {
            if ((out.*text).empty()) out.*text = from.*text;
        }
        for (const auto list : {&TalosSettings::pod_subnets, &TalosSettings::service_subnets, &TalosSettings::links}) {
            if ((out.*list).empty()) out.*list = from.*list;
        }
        if (!out.asn) out.asn = from.asn;
        out.patches.insert(out.patches.begin(), from.patches.begin(), from.patches.end());
        if (out.line == 0) out.line = from.line;
    }
    if (!out.version.empty()) return out;
    const auto set_of = [&](const std::string& name) {
        const auto set = std::find_if(file.artifacts.begin(), file.artifacts.end(),
                                      [&](const auto& one) { return one.name == name; });
        return set == file.artifacts.end() ? std::string() : set->version;
    };
    out.version = set_of(node.artifact_set);
    for (const auto& profile : file.profiles) {
        if (out.version.empty() && profile.name == node.profile &&
            (profile.tenant.empty() || profile.tenant == node.tenant))
            out.version = set_of(profile.artifact_set);
    }
    return out;
}

std::string speaker_of(const TalosSettings& settings, TalosVersion version) {
    if (!settings.bgp.empty()) return settings.bgp;
    return version >= kNativeBgp ? "native" : "bird2";
}

std::uint32_t asn_of(const NodeEntry& node, const TalosSettings& settings) {
    return settings.asn.value_or(kFirstAsn + number_of(node.name, "asn") % kAsns);
}

std::string router_id_of(const NodeEntry& node, const TalosSettings& settings) {
    if (!settings.router_id.empty()) return settings.router_id;
    const std::uint32_t number = number_of(node.name, "router-id");
    return fmt::format("10.{}.{}.{}", number >> 16U & 0xffU, number >> 8U & 0xffU, number & 0xffU);
}

Result<std::string> fabric_patch(const NodeConfigRequest& request) {
    const auto base = look_at(request.base);
    if (!base) return fail(base.error());
    std::optional<Prefix6> prefix;
    if (!request.prefix.empty()) {
        const auto parsed = Prefix6::parse(request.prefix);
        if (!parsed) return fail(parsed.error());
        prefix = *parsed;
    }
    const std::string speaker = speaker_of(request.settings, request.version);
    if (speaker == "native" && request.version < kNativeBgp)
        return fail(Code::kInvalidArgument,
                    "Talos {}.{} has no BGP of its own: say \"bgp: bird2\", with that extension in the image",
                    request.version.major, request.version.minor);
    if (speaker == "native" && prefix && prefix->length() != kHostLength)
        return fail(Code::kInvalidArgument,
                    "Talos' own BGP announces addresses (/128), not {}: give a /128, or say \"bgp: bird2\"",
                    request.prefix);
    std::string patch = machine_part(request, *base) + kubernetes_documents(request, *base) +
                        link_documents(request, prefix) + disk_documents(request, *base);
    if (speaker == "native") patch += native_bgp(request);
    if (speaker == "bird2") patch += bird_document(request, prefix);
    return patch;
}

Result<std::string> make_node_config(const NodeConfigRequest& request) {
    const auto patch = fabric_patch(request);
    if (!patch) return fail(patch.error());
    auto config = strategic_merge(request.base, *patch);
    for (std::size_t i = 0; config && i < request.patches.size(); ++i)
        config = strategic_merge(*config, request.patches[i]);
    if (!config) return config;
    NETT_TRY(check_subnets(*config));
    return config;
}

}  // namespace nett::builder
