// nodes.yaml from its text: shapes and single values. How they fit together is nodes_check.cpp's.
#include <array>

#include "agent/sdk/address.hpp"
#include "agent/sdk/identity.hpp"
#include "agent/sdk/strings.hpp"
#include "builder/nodes/nodes_check.hpp"
#include "builder/nodes/nodes_file.hpp"
#include "builder/nodes/yaml_reader.hpp"
#include "builder/values.hpp"

namespace nett::builder {
namespace {

using Keys = std::vector<std::string_view>;

constexpr std::array<std::string_view, 3> kDeliveries{"embedded", "token", "url"};
constexpr std::array<std::string_view, 3> kConfirmations{"api", "fabric", "config-fetched"};
constexpr std::array<std::string_view, 2> kRoles{"controlplane", "worker"};
constexpr std::array<std::string_view, 2> kArchitectures{"amd64", "arm64"};
constexpr std::array<std::string_view, 3> kBootWays{"redfish", "usb", "other"};
constexpr std::array<std::string_view, 3> kSpeakers{"native", "bird2", "none"};
constexpr std::array<std::string_view, 2> kEncryptions{"none", "tpm"};
constexpr std::int64_t kMaxAsn = 4'294'967'294;  // RFC 7300: the last number is reserved
constexpr std::int64_t kMaxSeconds = 365LL * 24 * 3600;
constexpr std::int64_t kMaxLoop = 1440;
constexpr std::int64_t kMaxQuota = 1'000'000;

const Keys& keys(const std::string& object) {
    return nodes_file_keys().at(object);
}

class Parser {
public:
    Parser(NodesFile& file, Problems& problems) : file_(file), problems_(problems) {}
    void read(const YAML::Node& root);

private:
    MapReader map(const YAML::Node& node, const std::string& what) {
        return MapReader(node, what, keys(what), problems_);
    }
    template <typename Entry>
    void list(MapReader& from, std::string_view key, std::vector<Entry>& to,
              Entry (Parser::*read_one)(const YAML::Node&));

    TenantEntry tenant(const YAML::Node& node);
    ImageWishes image(const YAML::Node& node);
    TalosSettings talos(const YAML::Node& node);
    void patches(MapReader& in, TalosSettings& settings);
    ArtifactEntry artifact(const YAML::Node& node);
    ProfileEntry profile(const YAML::Node& node);
    PoolEntry pool(const YAML::Node& node);
    NodeEntry machine(const YAML::Node& node);
    void identity(MapReader& in, NodeEntry& entry);
    void production(MapReader& in, NodeEntry& entry);
    BmcEntry bmc(const YAML::Node& node);
    SecretReference secret(MapReader& in, std::string_view key);

    std::string name(MapReader& in, std::string_view key, bool needed);
    std::string file(MapReader& in, std::string_view key);
    std::string prefix(MapReader& in, std::string_view key);
    template <typename T>
    std::optional<T> value(int line, Result<T> parsed) {
        if (parsed) return std::move(*parsed);
        problems_.add(line, parsed.error());
        return std::nullopt;
    }
    std::string at(const std::string& path) const {
        return path.empty() || path.starts_with('/') || file_.folder.empty() ? path : file_.folder + "/" + path;
    }

    NodesFile& file_;
    Problems& problems_;
};

template <typename Entry>
void Parser::list(MapReader& from, std::string_view key, std::vector<Entry>& to,
                  Entry (Parser::*read_one)(const YAML::Node&)) {
    const auto found = from.node(key);
    if (!found) return;
    if (!found->IsSequence()) {
        problems_.add(line_of(*found), "\"{}\" is a list", key);
        return;
    }
    for (const auto& item : *found) to.push_back((this->*read_one)(item));
}

void Parser::read(const YAML::Node& root) {
    MapReader in = map(root, "file");
    list(in, "tenants", file_.tenants, &Parser::tenant);
    list(in, "artifacts", file_.artifacts, &Parser::artifact);
    list(in, "profiles", file_.profiles, &Parser::profile);
    list(in, "pools", file_.pools, &Parser::pool);
    list(in, "nodes", file_.nodes, &Parser::machine);
}

std::string Parser::name(MapReader& in, std::string_view key, bool needed) {
    std::string text = needed ? in.required(key) : in.text(key);
    if (!text.empty()) {
        if (const auto good = check_name(text); !good) problems_.add(in.line(key), good.error());
    }
    return text;
}

std::string Parser::file(MapReader& in, std::string_view key) {
    return at(in.text(key));
}

std::string Parser::prefix(MapReader& in, std::string_view key) {
    const std::string text = in.required(key);
    if (text.empty()) return {};
    const auto parsed = value(in.line(key), Prefix6::parse(text));
    return parsed ? parsed->to_string() : std::string();
}

TenantEntry Parser::tenant(const YAML::Node& node) {
    MapReader in = map(node, "tenant");
    TenantEntry entry;
    entry.line = in.line();
    entry.name = name(in, "name", true);
    entry.common_names = in.texts("common-names");
    entry.common_name_suffixes = in.texts("common-name-suffixes");
    entry.organizational_units = in.texts("organizational-units");
    entry.machine_quota = static_cast<std::uint32_t>(in.number("machine-quota", 0, kMaxQuota).value_or(0));
    if (const auto wishes = in.node("image")) entry.image = image(*wishes);
    if (const auto settings = in.node("talos")) entry.talos = talos(*settings);
    return entry;
}

ImageWishes Parser::image(const YAML::Node& node) {
    MapReader in = map(node, "image");
    ImageWishes wishes;
    wishes.line = in.line();
    for (const std::string_view key : {"certificate", "key", "root"}) in.required(key);
    wishes.certificate = file(in, "certificate");
    wishes.key = file(in, "key");
    wishes.root = file(in, "root");
    for (const std::string& path : in.texts("ipxe")) wishes.ipxe.push_back(at(path));
    if (wishes.ipxe.empty()) wishes.ipxe = {"/usr/lib/ipxe/ipxe-amd64.efi"};  // Debian's package ipxe
    wishes.usb = in.text("usb");
    wishes.iso = in.text("iso");
    return wishes;
}

void Parser::patches(MapReader& in, TalosSettings& settings) {
    const auto found = in.node("patches");
    if (!found) return;
    if (!found->IsSequence()) problems_.add(line_of(*found), "\"patches\" is a list of files and patches");
    if (!found->IsSequence()) return;
    for (const auto& item : *found) {
        PatchReference patch;
        patch.line = line_of(item);
        if (item.IsScalar()) patch.file = at(item.Scalar());
        if (item.IsMap()) patch.text = YAML::Dump(item) + "\n";
        if (!item.IsScalar() && !item.IsMap()) problems_.add(patch.line, "a patch is a file's name or a mapping");
        settings.patches.push_back(std::move(patch));
    }
}

TalosSettings Parser::talos(const YAML::Node& node) {
    MapReader in = map(node, "talos");
    TalosSettings settings;
    settings.line = in.line();
    for (const std::string_view key : keys("talos")) {
        if (in.has(key)) settings.lines[std::string(key)] = in.line(key);
    }
    settings.version = in.text("version");
    settings.controlplane = file(in, "controlplane");
    settings.worker = file(in, "worker");
    settings.bgp = in.choice("bgp", kSpeakers, "");
    settings.links = in.texts("links");
    if (const auto asn = in.number("asn", 1, kMaxAsn)) settings.asn = static_cast<std::uint32_t>(*asn);
    settings.router_id = in.text("router-id");
    settings.install_disk = in.text("install-disk");
    settings.encryption = in.choice("encryption", kEncryptions, "");
    for (const auto& [key, to] : {std::pair(std::string_view("pod-subnets"), &settings.pod_subnets),
                                  std::pair(std::string_view("service-subnets"), &settings.service_subnets)}) {
        for (const std::string& text : in.texts(key)) {
            if (const auto parsed = value(in.line(key), Prefix6::parse(text))) to->push_back(parsed->to_string());
        }
    }
    patches(in, settings);
    check_talos(settings, problems_);
    return settings;
}

ArtifactEntry Parser::artifact(const YAML::Node& node) {
    MapReader in = map(node, "artifact");
    ArtifactEntry entry;
    entry.line = in.line();
    entry.name = name(in, "name", true);
    entry.version = in.required("version");
    entry.architecture = in.choice("architecture", kArchitectures, "amd64");
    entry.schematic = in.text("schematic");
    for (const std::string_view key : {"kernel", "initramfs"}) in.required(key);
    entry.kernel = file(in, "kernel");
    entry.initramfs = file(in, "initramfs");
    entry.command_line = std::string(trim(in.text("command-line")));
    entry.extension_layers = file(in, "extension-layers");
    return entry;
}

ProfileEntry Parser::profile(const YAML::Node& node) {
    MapReader in = map(node, "profile");
    ProfileEntry entry;
    entry.line = in.line();
    entry.name = name(in, "name", true);
    entry.tenant = name(in, "tenant", false);
    entry.artifact_set = name(in, "artifact-set", false);
    entry.rescue_set = name(in, "rescue-set", false);
    entry.erase_set = name(in, "erase-set", false);
    entry.prefix_pool = name(in, "prefix-pool", false);
    entry.kernel_args = in.text("kernel-args");
    entry.delivery = in.choice("delivery", kDeliveries, "");
    entry.confirm = in.choice("confirm", kConfirmations, "api");
    if (const auto found = in.node("templates")) {
        MapReader templates = map(*found, "templates");
        for (const std::string_view key : keys("templates")) {
            if (templates.has(key)) entry.templates[std::string(key)] = file(templates, key);
        }
    }
    if (const auto found = in.node("deadlines")) {
        MapReader deadlines = map(*found, "deadlines");
        for (const std::string_view key : keys("deadlines")) {
            if (const auto seconds = deadlines.number(key, 1, kMaxSeconds))
                entry.deadlines[std::string(key)] = static_cast<std::uint32_t>(*seconds);
        }
    }
    if (const auto found = in.node("boot-loop")) {
        MapReader loop = map(*found, "boot-loop");
        for (const std::string_view key : {"boots", "minutes"}) loop.required(key);
        entry.boot_loop.emplace(static_cast<std::uint32_t>(loop.number("boots", 0, kMaxLoop).value_or(0)),
                                static_cast<std::uint32_t>(loop.number("minutes", 1, kMaxLoop).value_or(1)));
    }
    return entry;
}

PoolEntry Parser::pool(const YAML::Node& node) {
    MapReader in = map(node, "pool");
    PoolEntry entry;
    entry.line = in.line();
    entry.name = name(in, "name", true);
    entry.tenant = name(in, "tenant", false);
    entry.prefix = prefix(in, "prefix");
    in.required("length");
    entry.length = static_cast<std::uint32_t>(in.number("length", 1, 128).value_or(0));
    return entry;
}

void Parser::identity(MapReader& in, NodeEntry& entry) {
    const std::string uuid = in.text("uuid");
    if (!uuid.empty()) {
        const auto canonical = value(in.line("uuid"), canonical_uuid(uuid));
        if (canonical && !is_usable_uuid(*canonical))
            problems_.add(in.line("uuid"), "the UUID {} is shared by many machines: give this one's MAC addresses",
                          *canonical);
        entry.uuid = canonical.value_or("");
    }
    for (const std::string& text : in.texts("mac")) {
        if (const auto mac = value(in.line("mac"), canonical_mac(text))) entry.macs.push_back(*mac);
    }
    if (!in.has("uuid") && !in.has("mac"))
        problems_.add(in.line(), "how would the node be known? Give \"uuid\" or \"mac\"");
    for (const std::string& text : in.texts("port")) {
        if (const auto binding = value(in.line("port"), parse_port_binding(text)))
            entry.ports.emplace_back(binding->port, binding->prefix.length() > 0 ? binding->prefix.to_string() : "");
    }
}

void Parser::production(MapReader& in, NodeEntry& entry) {
    const auto found = in.node("production");
    if (!found) return;
    if (found->IsScalar()) {
        if (found->Scalar() == "netbox") entry.production = ProductionFrom::kNetbox;
        if (found->Scalar() != "netbox")
            problems_.add(line_of(*found), "\"production\" is netbox, or a mapping with \"static\" or \"pool\"");
        return;
    }
    MapReader from = map(*found, "production");
    if (from.has("static") == from.has("pool")) {
        problems_.add(from.line(), "a production prefix is \"static\" or from a \"pool\": give one of them");
        return;
    }
    entry.production = from.has("static") ? ProductionFrom::kStatic : ProductionFrom::kPool;
    entry.production_value = from.has("static") ? prefix(from, "static") : name(from, "pool", true);
}

SecretReference Parser::secret(MapReader& in, std::string_view key) {
    SecretReference reference;
    const auto found = in.node(key);
    reference.line = in.line(key);
    if (!found) {
        problems_.add(in.line(), "a BMC needs \"{}\": {{env: VARIABLE}}, {{file: PATH}} or {{command: [PROGRAM, ...]}}",
                      key);
        return reference;
    }
    if (found->IsScalar()) {
        reference = {SecretReference::From::kInline, found->Scalar(), {}, reference.line};
        file_.warnings.push_back(fmt::format(
            "{}:{}: a password stands in this file; whoever reads it has it. Give {{env: VARIABLE}}, {{file: PATH}} or "
            "{{command: [PROGRAM, ...]}}",
            file_.path, reference.line));
        return reference;
    }
    MapReader from = map(*found, "secret");
    const int given = int(from.has("env")) + int(from.has("file")) + int(from.has("command"));
    if (given != 1) problems_.add(from.line(), "a secret is in one of env, file and command");
    using From = SecretReference::From;
    if (from.has("env")) reference.from = From::kEnvironment, reference.value = from.text("env");
    if (from.has("file")) reference.from = From::kFile, reference.value = file(from, "file");
    if (from.has("command")) reference.from = From::kCommand, reference.command = from.texts("command");
    return reference;
}

BmcEntry Parser::bmc(const YAML::Node& node) {
    MapReader in = map(node, "bmc");
    BmcEntry entry;
    entry.line = in.line();
    if (const std::string text = in.required("endpoint"); !text.empty())
        entry.endpoint = value(in.line("endpoint"), parse_bmc_endpoint(text)).value_or("");
    entry.username = in.required("username");
    entry.password = secret(in, "password");
    entry.system_path = in.text("system-path");
    entry.ca_file = in.text("ca-file");
    if (in.has("pin")) entry.pinned_sha256 = value(in.line("pin"), parse_pin(in.text("pin"))).value_or("");
    if (in.has("pin") && in.has("ca-file")) problems_.add(in.line("pin"), "give \"pin\" or \"ca-file\", not both");
    return entry;
}

NodeEntry Parser::machine(const YAML::Node& node) {
    MapReader in = map(node, "node");
    NodeEntry entry;
    entry.line = in.line();
    for (const std::string_view key : keys("node")) {
        if (in.has(key)) entry.lines[std::string(key)] = in.line(key);
    }
    entry.name = name(in, "name", true);
    entry.tenant = name(in, "tenant", false);
    identity(in, entry);
    entry.serial = in.text("serial");
    entry.role = in.choice("role", kRoles, "");
    entry.profile = name(in, "profile", false);
    entry.artifact_set = name(in, "artifact-set", false);
    entry.kernel_args = in.text("kernel-args");
    entry.delivery = in.choice("delivery", kDeliveries, "");
    production(in, entry);
    if (const auto found = in.node("bmc")) entry.bmc = bmc(*found);
    const std::string boot = in.choice("boot", kBootWays, entry.bmc ? "redfish" : "usb");
    entry.boot = boot == "redfish" ? BootWay::kRedfish : boot == "usb" ? BootWay::kUsb : BootWay::kOther;
    if (entry.boot == BootWay::kRedfish && !entry.bmc)
        problems_.add(in.line("boot"), "\"boot: redfish\" needs a \"bmc\"");
    entry.config = file(in, "config");
    if (const auto found = in.node("talos")) entry.talos = talos(*found);
    return entry;
}

}  // namespace

const std::map<std::string, std::vector<std::string_view>>& nodes_file_keys() {
    static const std::map<std::string, Keys> table{
        {"file", {"tenants", "nodes", "artifacts", "profiles", "pools"}},
        {"tenant",
         {"name", "common-names", "common-name-suffixes", "organizational-units", "machine-quota", "image", "talos"}},
        {"image", {"certificate", "key", "root", "ipxe", "usb", "iso"}},
        {"talos",
         {"version", "controlplane", "worker", "pod-subnets", "service-subnets", "bgp", "links", "asn", "router-id",
          "install-disk", "encryption", "patches"}},
        {"artifact",
         {"name", "version", "architecture", "schematic", "kernel", "initramfs", "command-line", "extension-layers"}},
        {"profile",
         {"name", "tenant", "artifact-set", "rescue-set", "erase-set", "kernel-args", "prefix-pool", "delivery",
          "confirm", "templates", "deadlines", "boot-loop"}},
        {"templates", {"install", "wipe", "rescue", "erase"}},
        {"deadlines", {"new", "provisioning", "reprovision", "maintenance", "decommission"}},
        {"boot-loop", {"boots", "minutes"}},
        {"pool", {"name", "tenant", "prefix", "length"}},
        {"node",
         {"name", "tenant", "uuid", "mac", "serial", "port", "role", "profile", "artifact-set", "kernel-args",
          "delivery", "production", "bmc", "boot", "config", "talos"}},
        {"production", {"static", "pool"}},
        {"bmc", {"endpoint", "username", "password", "system-path", "ca-file", "pin"}},
        {"secret", {"env", "file", "command"}},
    };
    return table;
}

NodesFile parse_nodes(std::string_view text, const std::string& path, Problems& problems) {
    NodesFile file;
    file.path = path;
    const auto slash = path.rfind('/');
    file.folder = slash == std::string::npos ? "" : slash == 0 ? "/" : path.substr(0, slash);
    try {
        Parser(file, problems).read(YAML::Load(std::string(text)));
    } catch (const YAML::Exception& error) {
        problems.add(error.mark.line + 1, "{}", error.msg);
        return file;
    }
    check_nodes(file, problems);
    return file;
}

}  // namespace nett::builder
