// Looking into boot media: whose they are, until when, and whom they trust. Keys are never shown.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "agent/sdk/clock.hpp"
#include "agent/sdk/result.hpp"
#include "builder/x509.hpp"

namespace nett::builder {

struct ImageFacts {
    std::string medium;  // "usb", "iso" or "efi"
    bool bios = false;   // an ISO that BIOS boots too
    struct Binary {
        std::string name;     // "BOOTX64.EFI"
        std::string version;  // of iPXE; empty: its binary does not say
        bool is_signed = false;
    };
    std::vector<Binary> binaries;
    Certificate tenant;
    std::string server;                // "[2001:db8::1]", with a port if it is not 443
    std::string trust_anchor;          // SHA-256 of the root, hex
    std::string trust_anchor_subject;  // of the root
    SystemTime trust_anchor_expires{};
};

// A USB image, an ISO, an EFI binary or a folder of those with its autoexec.ipxe. kInvalidArgument: the file is no boot
// medium of this tool, and why.
Result<ImageFacts> inspect_image(const std::string& path);

// Where the EFI system partition of a GPT disk image starts (UEFI 2.10 section 5.3); `head` is the file's beginning.
Result<std::uint64_t> find_esp(std::string_view head);

// Every certificate in DER inside `bytes`, in their order, each once.
std::vector<Certificate> find_certificates(std::string_view bytes);

}  // namespace nett::builder
