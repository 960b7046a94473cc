// A tenant's boot media: one iPXE with the platform's trust anchor and the tenant's client certificate, the same for
// every machine of the tenant, as USB image, ISO and bare files.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <boost/asio/ip/tcp.hpp>

#include "agent/sdk/clock.hpp"
#include "agent/sdk/result.hpp"
#include "builder/ipxe_source.hpp"
#include "builder/secure_boot.hpp"

namespace nett::builder {

// How iPXE gets the tenant's script, certificates and key.
//
// binary: from an iPXE that a distribution has built. Its one trust anchor is replaced, the rest is in autoexec.ipxe
// beside it. source: built in by iPXE's own make in a tree that the operator has; for BIOS too.
struct ImageRequest {
    std::vector<std::string> ipxe_files;  // binary: Debian's ipxe-amd64.efi, ipxe-arm64.efi, or both
    std::optional<SourceTree> source;     // source: then ipxe_files is empty
    std::string certificate_file;         // PEM: the tenant's certificate, then intermediates if any
    std::string key_file;
    std::string root_file;  // PEM: the one root that the metadata servers' certificates chain to
    std::optional<SigningKey> secure_boot;
    boost::asio::ip::tcp::endpoint server;
    std::string usb;  // outputs; empty: not wanted
    std::string iso;
    std::string efi_folder;  // the ESP's EFI/BOOT files as they are
    SystemTime now{};
};

struct ImageOutput {
    std::string path;
    std::uint64_t size = 0;
    std::string sha256;
};

struct ImageReport {
    std::string tenant_subject;
    SystemTime certificate_expires{};
    std::string ipxe_version;
    std::string trust_anchor;  // hex
    std::vector<ImageOutput> outputs;
    std::vector<std::string> warnings;
};

// Checks that certificate, key, root and iPXE fit together, makes every output beside its final name and renames them
// only when all are there. Outputs are readable by their owner alone, since the tenant's key is inside.
Result<ImageReport> make_images(const ImageRequest& request);

}  // namespace nett::builder
