#include "agent/sdk/identity.hpp"

#include <algorithm>
#include <array>

#include "agent/sdk/strings.hpp"

namespace nett {

namespace {

constexpr std::string_view kNameCharacters = "abcdefghijklmnopqrstuvwxyz0123456789.-";
// Words that follow `machine` in the shell, where a machine's name may stand too.
constexpr std::array<std::string_view, 6> kReservedNames{"provision", "power", "media", "boot", "inventory", "check"};
// Left in the board by the vendor: seen on many machines each. Those of GLPI's and FusionInventory's lists, and samples
// from boards' tools; each also with its first three fields as SMBIOS stores them.
constexpr std::array<std::string_view, 8> kSharedUuids{
    "03000200-0400-0500-0006-000700080009", "00020003-0004-0005-0006-000700080009",  // AMI's sample DMI data
    "6ab5b300-538d-1014-9fb5-b0684d007b53", "00b3b56a-8d53-1410-9fb5-b0684d007b53",
    "12345678-1234-5678-90ab-cddeefaabbcc", "78563412-3412-7856-90ab-cddeefaabbcc",
    "00112233-4455-6677-8899-aabbccddeeff", "33221100-5544-7766-8899-aabbccddeeff",
};
constexpr std::size_t kUuidDigits = 32;
constexpr std::size_t kMacDigits = 12;

bool is_hex(char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

bool all_hex(std::string_view text) {
    return std::all_of(text.begin(), text.end(), is_hex);
}

// Removes the separators of a MAC when they stand where they may; empty when the shape is none of a MAC's.
std::string mac_digits(std::string_view text) {
    if (text.size() == kMacDigits && all_hex(text)) return std::string(text);
    const auto take = [&](char separator, std::size_t group) {
        std::string digits;
        for (const auto part : split(text, separator)) {
            if (part.size() != group || !all_hex(part)) return std::string();
            digits += part;
        }
        return digits.size() == kMacDigits ? digits : std::string();
    };
    for (const char separator : {':', '-'}) {
        if (auto digits = take(separator, 2); !digits.empty()) return digits;
    }
    return take('.', 4);
}

std::string uuid_digits(std::string_view text) {
    if (text.size() == kUuidDigits && all_hex(text)) return std::string(text);
    const auto parts = split(text, '-');
    constexpr std::array<std::size_t, 5> kGroups{8, 4, 4, 4, 12};
    if (parts.size() != kGroups.size()) return {};
    std::string digits;
    for (std::size_t i = 0; i < kGroups.size(); ++i) {
        if (parts[i].size() != kGroups[i] || !all_hex(parts[i])) return {};
        digits += parts[i];
    }
    return digits;
}

}  // namespace

Result<void> check_name(std::string_view what, std::string_view name) {
    const bool good = !name.empty() && name.size() <= kMaxName && name.front() != '.' && name.front() != '-' &&
                      name.find_first_not_of(kNameCharacters) == std::string_view::npos;
    if (!good) {
        return fail(Code::kInvalidArgument,
                    "\"{}\" is not a name for a {}; lower-case letters, digits, dot and dash are, at most {}, a letter "
                    "or digit "
                    "first",
                    name, what, kMaxName);
    }
    if (std::find(kReservedNames.begin(), kReservedNames.end(), name) != kReservedNames.end())
        return fail(Code::kInvalidArgument, "\"{}\" is a word of the shell, not a name", name);
    return {};
}

Result<std::string> canonical_uuid(std::string_view text) {
    const std::string digits = to_lower(uuid_digits(text));
    if (digits.empty()) {
        return fail(Code::kInvalidArgument, "\"{}\" is not a UUID; write e.g. 4c4c4544-0042-3510-8051-b7c04f4d3432",
                    text);
    }
    return fmt::format("{}-{}-{}-{}-{}", digits.substr(0, 8), digits.substr(8, 4), digits.substr(12, 4),
                       digits.substr(16, 4), digits.substr(20));
}

Result<std::string> canonical_mac(std::string_view text) {
    const std::string digits = to_lower(mac_digits(text));
    if (digits.empty()) {
        return fail(Code::kInvalidArgument, "\"{}\" is not a MAC address; write e.g. 52:54:00:12:34:56", text);
    }
    std::string out;
    for (std::size_t i = 0; i < kMacDigits; i += 2) {
        if (i != 0) out += ':';
        out += digits.substr(i, 2);
    }
    return out;
}

bool is_usable_uuid(std::string_view canonical) {
    // All zero, all F, 01010101-…: every byte the same.
    const auto filler = fmt::format("{0}{0}{0}{0}-{0}{0}-{0}{0}-{0}{0}-{0}{0}{0}{0}{0}{0}", canonical.substr(0, 2));
    if (canonical == filler) return false;
    return std::find(kSharedUuids.begin(), kSharedUuids.end(), canonical) == kSharedUuids.end();
}

bool is_usable_serial(std::string_view serial) {
    // What vendors leave in the board, lower case.
    constexpr std::array<std::string_view, 9> kShared{"none",
                                                      "n/a",
                                                      "unknown",
                                                      "oem",
                                                      "not specified",
                                                      "default string",
                                                      "empty",
                                                      "system serial number",
                                                      "to be filled by o.e.m."};
    const auto text = to_lower(trim(serial));
    if (text.find_first_not_of("0. -") == std::string::npos) return false;
    return std::find(kShared.begin(), kShared.end(), text) == kShared.end();
}

Result<MachineId> parse_machine_id(std::string_view text) {
    if (const auto uuid = canonical_uuid(text)) {
        MachineId id;
        if (is_usable_uuid(*uuid)) id.uuid = *uuid;
        return id;
    }
    if (const auto mac = canonical_mac(text)) return MachineId{std::nullopt, *mac};
    return fail(Code::kInvalidArgument, "\"{}\" is neither a UUID nor a MAC address", text);
}

}  // namespace nett
