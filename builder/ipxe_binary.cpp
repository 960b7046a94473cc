#include "builder/ipxe_binary.hpp"

#include <optional>

#include "agent/sdk/strings.hpp"

namespace nett::builder {
namespace {

using namespace std::string_view_literals;

std::optional<unsigned> little_endian_at(std::string_view bytes, std::size_t offset, std::size_t size) {
    if (offset > bytes.size() || bytes.size() - offset < size) return std::nullopt;
    unsigned value = 0;
    for (std::size_t i = size; i-- > 0;) value = value << 8 | static_cast<unsigned char>(bytes[offset + i]);
    return value;
}

// Microsoft PE format: e_lfanew at 0x3c leads to "PE\0\0" and the COFF header, whose first field is the machine type.
std::optional<unsigned> pe_machine(std::string_view binary) {
    if (binary.substr(0, 2) != "MZ"sv) return std::nullopt;
    const auto header = little_endian_at(binary, 0x3c, 4);
    if (!header || *header > binary.size() || binary.substr(*header, 4) != "PE\0\0"sv) return std::nullopt;
    return little_endian_at(binary, *header + 4, 2);
}

// The SBAT line "ipxe,1,iPXE,ipxe.efi,<version>,https://ipxe.org".
std::string sbat_version(std::string_view binary) {
    constexpr std::string_view kLine = "\nipxe,1,";
    const std::size_t start = binary.find(kLine);
    if (start == std::string_view::npos) return {};
    const auto fields = split(binary.substr(start + 1, 200), ',');
    return fields.size() > 5 ? std::string(fields[4]) : std::string();
}

bool only_knows_rsa(const IpxeBinary& ipxe) {
    return ipxe.version.starts_with("1.");
}

}  // namespace

Result<IpxeBinary> inspect_ipxe(std::string_view binary) {
    const auto machine = pe_machine(binary);
    if (!machine)
        return fail(Code::kInvalidArgument,
                    "is no EFI application; give Debian's /usr/lib/ipxe/ipxe-amd64.efi (package ipxe)");
    IpxeBinary result;
    result.version = sbat_version(binary);
    if (*machine == 0x8664) {
        result.removable_name = "BOOTX64.EFI";
    } else if (*machine == 0xaa64) {
        result.removable_name = "BOOTAA64.EFI";
    } else {
        return fail(Code::kInvalidArgument, "is for the machine type {:#x}; amd64 and arm64 are supported", *machine);
    }
    return result;
}

Result<void> check_key_family(const IpxeBinary& ipxe, KeyFamily family) {
    if (family == KeyFamily::kOther) {
        return fail(Code::kInvalidArgument,
                    "iPXE's TLS knows RSA, P-256 and P-384 keys; this is another kind: issue a P-256 certificate");
    }
    if (family != KeyFamily::kRsa && only_knows_rsa(ipxe)) {
        return fail(
            Code::kInvalidArgument,
            "iPXE {} knows RSA certificates only and this one is {}: use iPXE 2.0.0 or newer, or an all-RSA PKI",
            ipxe.version, to_string(family));
    }
    return {};
}

std::string_view builtin_trust_anchor() {
    return "\x9f\xaf\x71\x7b\x7f\x8c\xa2\xf9\x3c\x25\x6c\x79\xf8\xac\x55\x91\x89\x5d\x66\xd1\xff\x3b\xee\x63\x97\xa7\x0d\x29\xc6\x5e\xed\x1a"sv;
}

Result<std::string> replace_trust_anchor(std::string binary, std::string_view sha256) {
    const std::string_view builtin = builtin_trust_anchor();
    if (sha256.size() != builtin.size())
        return fail(Code::kInternal, "a trust anchor has {} bytes, not {}", builtin.size(), sha256.size());
    std::size_t count = 0;
    std::size_t place = 0;
    for (std::size_t at = binary.find(builtin); at != std::string::npos; at = binary.find(builtin, at + 1)) {
        place = at;
        ++count;
    }
    if (count == 0) {
        return fail(Code::kInvalidArgument,
                    "does not hold the fingerprint of iPXE's own root: it is compressed, was patched before, has no "
                    "HTTPS (Debian 12's), or was "
                    "built with TRUST=; give the unchanged ipxe-amd64.efi of Debian's package ipxe, 2.0.0 or newer");
    }
    if (count > 1) {
        return fail(Code::kInvalidArgument,
                    "holds the fingerprint of iPXE's own root {} times, so it is not clear which one to replace; give "
                    "the unchanged ipxe-amd64.efi of Debian's package ipxe",
                    count);
    }
    binary.replace(place, sha256.size(), sha256);
    return binary;
}

}  // namespace nett::builder
