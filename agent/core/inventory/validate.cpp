#include "agent/core/inventory/validate.hpp"

#include <algorithm>
#include <set>

#include <boost/json/parse.hpp>

#include "agent/sdk/address.hpp"
#include "agent/sdk/identity.hpp"
#include "agent/sdk/strings.hpp"

namespace nett {

namespace {

constexpr std::string_view kFileNameCharacters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._+-";
constexpr std::size_t kSha256Digits = 64;

bool is_printable(std::string_view text) {
    return std::all_of(text.begin(), text.end(), [](char c) { return c >= ' ' && c <= '~'; });
}

Result<void> check_subjects(std::string_view what, const std::vector<std::string>& subjects) {
    if (subjects.size() > kMaxSubjects) {
        return fail(Code::kInvalidArgument, "a tenant has at most {} {}s", kMaxSubjects, what);
    }
    for (const auto& subject : subjects) {
        if (trim(subject).empty()) return fail(Code::kInvalidArgument, "a {} must not be empty", what);
        NETT_TRY(check_text(what, subject, kMaxSubject));
    }
    return {};
}

Result<void> canonicalize_identity(Machine& machine) {
    if (!machine.uuid.empty()) {
        auto uuid = canonical_uuid(machine.uuid);
        if (!uuid) return fail(std::move(uuid.error()));
        if (!is_usable_uuid(*uuid)) {
            return fail(Code::kInvalidArgument,
                        "UUID {} is shared by many machines; register this one by its MAC addresses", *uuid);
        }
        machine.uuid = std::move(*uuid);
    }
    if (machine.macs.size() > kMaxMacs)
        return fail(Code::kInvalidArgument, "a machine has at most {} MAC addresses", kMaxMacs);
    std::vector<std::string> macs;
    for (const auto& text : machine.macs) {
        auto mac = canonical_mac(text);
        if (!mac) return fail(std::move(mac.error()));
        if (std::find(macs.begin(), macs.end(), *mac) == macs.end()) macs.push_back(std::move(*mac));
    }
    machine.macs = std::move(macs);
    if (machine.uuid.empty() && machine.macs.empty()) {
        return fail(Code::kInvalidArgument,
                    "a machine needs a UUID or a MAC address; nothing else tells which one asks");
    }
    return {};
}

Result<void> check_ports(const std::vector<PortBinding>& ports) {
    if (ports.size() > kMaxPorts) return fail(Code::kInvalidArgument, "a machine has at most {} ports", kMaxPorts);
    std::set<std::string> seen;
    for (const auto& binding : ports) {
        const auto parts = split(binding.port, '/');
        const bool shaped = parts.size() >= 2 && !parts[0].empty() && !parts[1].empty();
        if (!shaped || !is_printable(binding.port) || binding.port.size() > kMaxText) {
            return fail(Code::kInvalidArgument,
                        "\"{}\" is not a port; write the switch and its interface, e.g. tor-a/swp7", binding.port);
        }
        const bool is_open = binding.prefix == Prefix6();  // whichever the switch advertises at the port
        if (!is_open && binding.prefix.length() != kPortPrefixLength) {
            return fail(Code::kInvalidArgument, "port {} has prefix {}; a port's prefix is a /{} (SLAAC)", binding.port,
                        binding.prefix.to_string(), kPortPrefixLength);
        }
        if (!seen.insert(binding.port).second)
            return fail(Code::kInvalidArgument, "port {} is there twice", binding.port);
    }
    return {};
}

Result<void> check_production(ProductionPrefix& production) {
    if (production.mode != ProductionMode::kPool) production.pool.clear();
    if (production.mode == ProductionMode::kPool) NETT_TRY(check_name("prefix pool", production.pool));
    if (production.mode != ProductionMode::kStatic) {
        production.prefix.clear();  // not a registration's to say
        return {};
    }
    const auto prefix = Prefix6::parse(production.prefix);
    if (!prefix) return fail(Error(prefix.error()).in("production prefix"));
    production.prefix = prefix->to_string();
    return {};
}

Result<void> check_set_file(ArtifactFile& file) {
    const bool good = !file.name.empty() && file.name.size() <= kMaxFileName && file.name.front() != '.' &&
                      file.name.find_first_not_of(kFileNameCharacters) == std::string::npos;
    if (!good) {
        return fail(Code::kInvalidArgument,
                    "\"{}\" is not a file name of a set; letters, digits and ._+- are, at most {}, no dot first",
                    file.name, kMaxFileName);
    }
    auto digest = canonical_sha256(file.sha256);
    if (!digest) return fail(std::move(digest.error()).in(file.name));
    file.sha256 = std::move(*digest);
    return {};
}

Result<void> check_layers(const std::string& text) {
    if (text.empty()) return {};
    boost::json::error_code error;
    const auto layers = boost::json::parse(text, error);
    if (!error && layers.is_array()) return {};
    return fail(Code::kInvalidArgument, "extension layers must be a JSON array of layer objects");
}

// "https://[2001:db8:bc::1]:8443", canonical; what is behind an origin is the plugin's business.
Result<std::string> canonical_origin(std::string_view text) {
    constexpr std::string_view kScheme = "https://";  // never http: the password would cross the wire in the clear
    auto authority = text.starts_with(kScheme) ? text.substr(kScheme.size()) : std::string_view();
    if (authority.ends_with('/')) authority.remove_suffix(1);
    if (authority.starts_with('[') && authority.ends_with(']')) {
        if (auto address = parse_address6(authority.substr(1, authority.size() - 2))) {
            return fmt::format("{}[{}]", kScheme, address->to_string());
        }
    } else if (auto endpoint = parse_endpoint6(authority)) {
        return std::string(kScheme) + to_string(*endpoint);
    }
    return fail(
        Code::kInvalidArgument,
        "\"{}\" is not a BMC's endpoint; write https://[ADDRESS] or https://[ADDRESS]:PORT, IPv6 and without a path",
        text);
}

}  // namespace

Result<void> check_text(std::string_view what, std::string_view text, std::size_t limit) {
    if (text.size() > limit)
        return fail(Code::kInvalidArgument, "{} has {} bytes; at most {} fit", what, text.size(), limit);
    if (is_printable(text)) return {};
    return fail(Code::kInvalidArgument, "{} must be printable ASCII on one line", what);
}

Result<void> check_kernel_args(std::string_view what, std::string_view args) {
    NETT_TRY(check_text(what, args, kMaxKernelArgs));
    // iPXE expands ${…} in what it is served, the kernel does not.
    if (args.find("${") == std::string_view::npos) return {};
    return fail(Code::kInvalidArgument, "{} must not contain \"${{\": iPXE would expand it", what);
}

Result<std::string> canonical_sha256(std::string_view text) {
    std::string digits = to_lower(text);
    std::erase(digits, ':');  // as OpenSSL prints fingerprints
    if (digits.size() == kSha256Digits && digits.find_first_not_of("0123456789abcdef") == std::string::npos)
        return digits;
    return fail(Code::kInvalidArgument, "\"{}\" is not a SHA-256 of {} hex digits", text, kSha256Digits);
}

Result<void> check_tenant(const Tenant& tenant) {
    NETT_TRY(check_name("tenant", tenant.name));
    NETT_TRY(check_subjects("common name", tenant.common_names));
    NETT_TRY(check_subjects("common name suffix", tenant.common_name_suffixes));
    NETT_TRY(check_subjects("organizational unit", tenant.organizational_units));
    if (tenant.common_names.empty() && tenant.common_name_suffixes.empty() && tenant.organizational_units.empty()) {
        return fail(
            Code::kInvalidArgument,
            "a tenant needs a common name, a suffix or an organizational unit; no certificate would belong to \"{}\"",
            tenant.name);
    }
    return {};
}

Result<Machine> check_machine(Machine machine) {
    NETT_TRY(check_name("machine", machine.name));
    NETT_TRY(check_name("tenant", machine.tenant));
    NETT_TRY(canonicalize_identity(machine));
    NETT_TRY(check_text("the serial number", machine.serial));
    NETT_TRY(check_kernel_args("the kernel arguments", machine.kernel_args));
    if (!machine.artifact_set.empty()) NETT_TRY(check_name("artifact set", machine.artifact_set));
    if (!machine.bmc.empty()) NETT_TRY(check_name("BMC", machine.bmc));
    NETT_TRY(check_ports(machine.ports));
    if (!machine.profile.empty()) NETT_TRY(check_name("profile", machine.profile));
    NETT_TRY(check_production(machine.production));
    return machine;
}

Result<ArtifactSet> check_artifact_set(ArtifactSet set) {
    NETT_TRY(check_name("artifact set", set.name));
    NETT_TRY(check_text("the version", set.version));
    NETT_TRY(check_text("the schematic", set.schematic));
    NETT_TRY(check_kernel_args("the command line", set.command_line));
    NETT_TRY(check_layers(set.extension_layers));
    if (set.architecture != "amd64" && set.architecture != "arm64") {
        return fail(Code::kInvalidArgument, "\"{}\" is not an architecture; amd64 and arm64 are", set.architecture);
    }
    if (set.files.size() > kMaxSetFiles)
        return fail(Code::kInvalidArgument, "a set has at most {} files", kMaxSetFiles);
    std::set<std::string> names;
    for (auto& file : set.files) {
        NETT_TRY(check_set_file(file));
        if (!names.insert(file.name).second)
            return fail(Code::kInvalidArgument, "file \"{}\" is there twice", file.name);
    }
    for (const auto& [role, name] : {std::pair("kernel", set.kernel), std::pair("initramfs", set.initramfs)}) {
        if (names.contains(name)) continue;
        return fail(Code::kInvalidArgument, "the set's {} is \"{}\", which is none of its files", role, name);
    }
    return set;
}

Result<Bmc> check_bmc(Bmc bmc) {
    NETT_TRY(check_name("BMC", bmc.name));
    auto origin = canonical_origin(bmc.endpoint);
    if (!origin) return fail(std::move(origin.error()));
    bmc.endpoint = std::move(*origin);
    NETT_TRY(check_text("the user name", bmc.username));
    NETT_TRY(check_text("the system's path", bmc.system_path));
    if (!bmc.system_path.empty() && !bmc.system_path.starts_with('/')) {
        return fail(Code::kInvalidArgument, "the system's path is \"{}\"; write e.g. /redfish/v1/Systems/1",
                    bmc.system_path);
    }
    NETT_TRY(check_text("the CA file", bmc.ca_file));
    if (!bmc.ca_file.empty() && !bmc.ca_file.starts_with('/')) {
        return fail(Code::kInvalidArgument, "the CA file is \"{}\"; write an absolute path on the agent's host",
                    bmc.ca_file);
    }
    if (!bmc.pinned_sha256.empty()) {
        auto pin = canonical_sha256(bmc.pinned_sha256);
        if (!pin) return fail(std::move(pin.error()).in("pinned certificate"));
        bmc.pinned_sha256 = std::move(*pin);
    }
    return bmc;
}

}  // namespace nett
