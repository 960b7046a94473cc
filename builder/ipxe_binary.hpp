// iPXE's EFI binary as distributions ship it: which one it is, and giving it the platform's trust anchor.
#pragma once

#include <string>
#include <string_view>

#include "agent/sdk/result.hpp"
#include "builder/x509.hpp"

namespace nett::builder {

struct IpxeBinary {
    std::string version;         // "2.0.0+dfsg-5", from its SBAT section; empty when it has none
    std::string removable_name;  // UEFI 2.10 section 3.5.1.1: "BOOTX64.EFI", "BOOTAA64.EFI"
};

// Looks at the PE header and the SBAT section. kInvalidArgument when it is no EFI application of a known machine type.
Result<IpxeBinary> inspect_ipxe(std::string_view binary);

// Whether this iPXE's TLS can use certificates of the family (before 2.0 it knew RSA only; it never learned P-521 or
// Ed25519).
Result<void> check_key_family(const IpxeBinary& ipxe, KeyFamily family);

// SHA-256 of the DER of iPXE's own root CA, which an iPXE built without TRUST= trusts alone.
std::string_view builtin_trust_anchor();

// The binary with its one built-in root fingerprint replaced by `sha256` (32 raw bytes). Refuses a binary that does not
// hold it exactly once: a compressed one, one that was patched before, or one built with another TRUST=.
Result<std::string> replace_trust_anchor(std::string binary, std::string_view sha256);

}  // namespace nett::builder
