// Checks of profiles, prefix pools and auto-enrol rules.
#include <algorithm>

#include "agent/core/inventory/validate.hpp"
#include "agent/sdk/boot_template.hpp"
#include "agent/sdk/strings.hpp"

namespace nett {

namespace {

constexpr std::size_t kMacText = 17;  // aa:bb:cc:dd:ee:ff

// "52:54:00" from 52-54-00, 5254.00 and the like: whole octets.
Result<std::string> canonical_mac_prefix(std::string_view text) {
    std::string digits = to_lower(text);
    std::erase_if(digits, [](char c) { return c == ':' || c == '-' || c == '.'; });
    const bool good = !digits.empty() && digits.size() % 2 == 0 && digits.size() <= 12 &&
                      digits.find_first_not_of("0123456789abcdef") == std::string::npos;
    if (!good)
        return fail(Code::kInvalidArgument, "\"{}\" is not the start of a MAC address; write e.g. 52:54:00", text);
    std::string out;
    for (std::size_t i = 0; i < digits.size(); i += 2) out += (i == 0 ? "" : ":") + digits.substr(i, 2);
    return out.size() == kMacText ? out : out + ":";
}

Result<void> check_enrol_port(const std::string& port) {
    NETT_TRY(check_text("a port", port));
    const auto slash = port.find('/');
    const auto star = port.find('*');
    const bool shaped = slash != std::string::npos && slash != 0 && slash + 1 < port.size();
    if (shaped && (star == std::string::npos || star == port.size() - 1)) return {};
    return fail(Code::kInvalidArgument, "\"{}\" is not a port; write e.g. tor-a/swp7, or tor-a/* for all of a switch",
                port);
}

Result<void> check_name_pattern(std::string_view pattern) {
    std::string sample(pattern);
    bool tells_apart = false;
    for (const std::string_view place : {"{mac}", "{uuid}", "{serial}", "{port}"}) {
        for (auto at = sample.find(place); at != std::string::npos; at = sample.find(place)) {
            sample.replace(at, place.size(), "0");
            tells_apart = true;
        }
    }
    if (!tells_apart) {
        return fail(Code::kInvalidArgument,
                    "the name pattern \"{}\" gives every machine one name; write e.g. node-{{mac}}, or use {{uuid}}, "
                    "{{serial}}, {{port}}",
                    pattern);
    }
    return check_name("machine", sample);
}

}  // namespace

Result<std::vector<AutoEnrolRule>> check_auto_enrol(std::vector<AutoEnrolRule> rules) {
    if (rules.size() > kMaxEnrolRules)
        return fail(Code::kInvalidArgument, "a tenant has at most {} auto-enrol rules", kMaxEnrolRules);
    for (auto& rule : rules) {
        if (rule.ports.size() + rule.uuids.size() + rule.mac_prefixes.size() > kMaxEnrolValues)
            return fail(Code::kInvalidArgument, "an auto-enrol rule has at most {} values", kMaxEnrolValues);
        if (rule.ports.empty() && rule.uuids.empty() && rule.mac_prefixes.empty()) {
            return fail(
                Code::kInvalidArgument,
                "an auto-enrol rule needs ports, UUIDs or MAC prefixes: it would accept every machine that asks");
        }
        for (const auto& port : rule.ports) NETT_TRY(check_enrol_port(port));
        for (auto& uuid : rule.uuids) {
            auto canonical = canonical_uuid(uuid);
            if (!canonical) return fail(std::move(canonical.error()));
            uuid = std::move(*canonical);
        }
        for (auto& prefix : rule.mac_prefixes) {
            auto canonical = canonical_mac_prefix(prefix);
            if (!canonical) return fail(std::move(canonical.error()));
            prefix = std::move(*canonical);
        }
        if (!rule.profile.empty()) NETT_TRY(check_name("profile", rule.profile));
        NETT_TRY(check_name_pattern(rule.name_pattern));
    }
    return rules;
}

Result<void> check_profile(const Profile& profile) {
    NETT_TRY(check_name("profile", profile.name));
    if (!profile.tenant.empty()) NETT_TRY(check_name("tenant", profile.tenant));
    for (const auto* set : {&profile.artifact_set, &profile.rescue_set, &profile.erase_set}) {
        if (!set->empty()) NETT_TRY(check_name("artifact set", *set));
    }
    if (!profile.prefix_pool.empty()) NETT_TRY(check_name("prefix pool", profile.prefix_pool));
    NETT_TRY(check_kernel_args("the kernel arguments", profile.kernel_args));
    for (const auto& [kind, text] : profile.templates) {
        const auto good = check_boot_template(kind, text);
        if (!good) return fail(Error(good.error()).in(fmt::format("template {}", kind)));
    }
    for (const auto& [state, limit] : profile.deadlines) {
        if (state == MachineState::kActive) {
            return fail(Code::kInvalidArgument,
                        "Active has no deadline: a machine may be active for as long as it likes");
        }
        if (limit.count() > 0 && limit <= kMaxDeadline) continue;
        return fail(Code::kInvalidArgument, "the deadline of {} is {} s; write 1 s to {} days", to_string(state),
                    limit.count(), kMaxDeadline.count() / 24);
    }
    if (profile.boot_loop.boots > kBootHistoryLength) {
        return fail(Code::kInvalidArgument, "{} boots are no boot loop; at most {} are counted",
                    profile.boot_loop.boots, kBootHistoryLength);
    }
    const auto minutes = profile.boot_loop.minutes;
    if (profile.boot_loop.boots != 0 && (minutes == 0 || minutes > kMaxLoopMinutes)) {
        return fail(Code::kInvalidArgument, "a boot loop is seen within 1 to {} minutes, not {}", kMaxLoopMinutes,
                    minutes);
    }
    return {};
}

Result<void> check_prefix_pool(const PrefixPool& pool) {
    NETT_TRY(check_name("prefix pool", pool.name));
    if (!pool.tenant.empty()) NETT_TRY(check_name("tenant", pool.tenant));
    if (pool.length >= pool.prefix.length() && pool.length <= 128 && pool.prefix.length() != 0) return {};
    return fail(Code::kInvalidArgument, "pool {} cannot be given out in parts of /{}; write e.g. /64 or /128",
                pool.prefix.to_string(), pool.length);
}

}  // namespace nett
