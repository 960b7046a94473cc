// A tenant's boot media: one iPXE with the platform's trust anchor and the tenant's client certificate, the same for
// every machine of the tenant, as USB image, ISO and bare files.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <boost/asio/ip/tcp.hpp>

#include "agent/sdk/clock.hpp"
#include "agent/sdk/result.hpp"

namespace nett::builder {

struct ImageRequest {
    std::string ipxe_file;         // Debian's ipxe-amd64.efi or ipxe-arm64.efi
    std::string certificate_file;  // PEM: the tenant's certificate, then intermediates if any
    std::string key_file;
    std::string root_file;  // PEM: the one root that the metadata servers' certificates chain to
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
