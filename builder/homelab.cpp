#include "builder/homelab.hpp"

#include <algorithm>
#include <array>
#include <filesystem>

#include "agent/sdk/strings.hpp"
#include "builder/file.hpp"
#include "builder/values.hpp"

namespace nett::builder {

namespace {

constexpr std::size_t kMaxIpxeBytes = 16 << 20;  // an all-drivers iPXE has about one
constexpr unsigned kShortestNetwork = 16;        // dnsmasq and PXE ROMs expect a home's network
constexpr unsigned kLongestNetwork = 30;
constexpr std::size_t kMaxInterfaceName = 15;  // IFNAMSIZ

// What a kind of firmware boots by TFTP: its name in the folder, as the homelab's notes have them, and where Debian's
// package ipxe has it, newest layout first. The types are dnsmasq's names for DHCP option 93 (RFC 4578 section 2.1).
struct Firmware {
    const char* what;
    const char* file;
    std::array<const char*, 3> sources;
    std::array<const char*, 2> types;
};
constexpr std::array<Firmware, 3> kFirmware{
    {{"BIOS", "undionly.kpxe", {"undionly.kpxe", "undionly.kpxe", "undionly.kpxe"}, {"x86PC", ""}},
     {"UEFI amd64", "ipxe.efi", {"ipxe-amd64.efi", "ipxe.efi", "snponly.efi"}, {"x86-64_EFI", "BC_EFI"}},
     {"UEFI arm64", "ipxe-arm64.efi", {"ipxe-arm64.efi", "ipxe-arm64.efi", "ipxe-arm64.efi"}, {"ARM64_EFI", ""}}}};

std::string dnsmasq_service(std::string_view tag, std::string_view type, std::string_view text, std::string_view file) {
    return fmt::format("pxe-service=tag:{},{},\"{}\",{}\n", tag, type, text, file);
}

bool is_interface_name(std::string_view name) {
    return !name.empty() && name.size() <= kMaxInterfaceName && std::all_of(name.begin(), name.end(), [](char c) {
        return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
               std::string_view("._-").find(c) != std::string_view::npos;
    });
}

std::string script_url(const HomelabRequest& request) {
    return fmt::format("http://{}:{}/talos/talos.ipxe", request.server.address().to_string(), request.server.port());
}

Result<void> check(const HomelabRequest& request) {
    if (!is_interface_name(request.interface)) {
        return fail(Code::kInvalidArgument, "\"{}\" is no name of a network interface", request.interface);
    }
    NETT_TRY(check_name(request.tenant));
    const auto network =
        boost::asio::ip::make_network_v4(request.server.address().to_v4(), request.network.prefix_length());
    if (network.canonical() == request.network) return {};
    return fail(Code::kInvalidArgument,
                "the homelab listener {} is not in {}: machines that have no router yet could not reach it",
                request.server.address().to_string(), request.network.to_string());
}

Result<std::vector<NewFile>> boot_files(const HomelabRequest& request, HomelabReport& report) {
    std::vector<NewFile> files;
    for (const auto& firmware : kFirmware) {
        const auto found = std::find_if(firmware.sources.begin(), firmware.sources.end(),
                                        [&](const char* name) { return file_exists(request.ipxe + "/" + name); });
        if (found == firmware.sources.end()) {
            report.warnings.push_back(fmt::format("{} has no {}: {} machines get no boot file", request.ipxe,
                                                  firmware.sources.front(), firmware.what));
            continue;
        }
        auto bytes = read_file(request.ipxe + "/" + *found, kMaxIpxeBytes);
        if (!bytes) return fail(std::move(bytes.error()));
        files.push_back({request.output + "/tftp/talos/" + firmware.file, std::move(*bytes), kPublicMode});
    }
    if (!files.empty()) return files;
    return fail(Code::kNotFound,
                "{} has none of iPXE's binaries; install Debian's package ipxe or give its folder with --ipxe",
                request.ipxe);
}

}  // namespace

Result<boost::asio::ip::network_v4> parse_homelab_network(std::string_view text) {
    boost::system::error_code error;
    const auto network = boost::asio::ip::make_network_v4(std::string(text), error);
    if (error || network.prefix_length() < kShortestNetwork || network.prefix_length() > kLongestNetwork) {
        return fail(Code::kInvalidArgument, "\"{}\" is no IPv4 network of a homelab; write e.g. 192.168.0.0/24", text);
    }
    if (network.canonical() != network) {
        return fail(Code::kInvalidArgument, "\"{}\" has bits set behind its length; the network is {}", text,
                    network.canonical().to_string());
    }
    return network;
}

Result<boost::asio::ip::tcp::endpoint> parse_homelab_server(std::string_view text) {
    const auto colon = text.rfind(':');
    boost::system::error_code error;
    const auto address = boost::asio::ip::make_address_v4(std::string(text.substr(0, colon)), error);
    const auto port = colon == std::string_view::npos ? Result<std::int64_t>(fail(Code::kInvalidArgument, "no port"))
                                                      : parse_integer(text.substr(colon + 1), 1, 65535);
    if (error || !port || address.is_unspecified() || address.is_multicast() || address.is_loopback()) {
        return fail(Code::kInvalidArgument,
                    "\"{}\" is no address and port of a homelab listener; write e.g. 192.168.0.66:8080", text);
    }
    return boost::asio::ip::tcp::endpoint(address, static_cast<std::uint16_t>(*port));
}

std::string render_dnsmasq(const HomelabRequest& request, const std::vector<std::string>& boot_files) {
    std::string out =
        fmt::format(R"(# Network boot beside the DHCP server that is there: addresses stay its business (proxy-DHCP).
# Written by talos-fabric-builder homelab. Start: dnsmasq --conf-file={0}/dnsmasq.conf

# No DNS.
port=0
# Only the network whose machines boot from it.
interface={1}
bind-dynamic
dhcp-range={2},proxy,{3}
log-dhcp

# iPXE by TFTP. It says option 175 when it asks again, and is then sent to nett.
enable-tftp
tftp-root={0}/tftp
dhcp-match=set:ipxe,175
)",
                    request.output, request.interface, request.network.network().to_string(),
                    request.network.netmask().to_string());
    for (const auto& firmware : kFirmware) {
        const bool exists = std::find(boot_files.begin(), boot_files.end(), firmware.file) != boot_files.end();
        for (const std::string_view type : firmware.types) {
            if (type.empty()) continue;
            if (exists) {
                out += dnsmasq_service("!ipxe", type, fmt::format("iPXE ({})", firmware.what),
                                       fmt::format("talos/{}", firmware.file));
            }
            // An iPXE that the machine has in its network card comes without ours.
            out += dnsmasq_service("ipxe", type, "Talos", script_url(request));
        }
    }
    return out;
}

std::string render_homelab_readme(const HomelabRequest& request) {
    return fmt::format(R"(# Network boot of tenant {4}

1. In `nettsh`, on the host that has {1}:

       configure terminal
       plugin metadata
       homelab listen {1}:{2}
       homelab tenant {4}
       commit
       end
       write memory

2. On a host of the network (the same one will do), as root, with Debian's package `dnsmasq-base`:

       dnsmasq --keep-in-foreground --conf-file={0}/dnsmasq.conf

   Addresses still come from the network's own DHCP server. dnsmasq only adds what to boot, and serves {0}/tftp.

3. Register a machine by its MAC address, and what it boots:

       talos-fabric-builder artifact import talos --version v1.13.9 --kernel vmlinuz-amd64 \
           --initramfs initramfs-amd64.xz --command-line "console=tty0"
       talos-fabric-builder machine add node-1 --tenant {4} --mac 52:54:00:12:34:56 \
           --artifact-set talos --config worker.yaml

4. Set the machine to boot from its network card first. Each boot it asks nett, which answers with Talos while the
   machine is to be installed, and otherwise sends it to its disk. Machines that nobody registered boot their disk and are
   listed by `show unknown`.

What a machine asks for:

    http://{1}:{2}/talos/talos.ipxe
    http://{1}:{2}/talos/boot/aa-bb-cc-dd-ee-ff            the decision: a script, or 404
    http://{1}:{2}/talos/vmlinuz-amd64
    http://{1}:{2}/talos/initramfs-amd64.xz
    http://{1}:{2}/talos/machine-config/aa-bb-cc-dd-ee-ff

This is plain HTTP: whoever is in {3} can read the configs of machines that are being installed, secrets included. Keep
it to a network that you trust, or use the boot images with client certificates.
)",
                       request.output, request.server.address().to_string(), request.server.port(),
                       request.network.to_string(), request.tenant);
}

Result<HomelabReport> write_homelab(const HomelabRequest& given) {
    HomelabRequest request = given;
    NETT_TRY(check(request));
    request.output = std::filesystem::absolute(request.output).lexically_normal().string();
    while (request.output.size() > 1 && request.output.ends_with('/')) request.output.pop_back();
    HomelabReport report;
    auto files = boot_files(request, report);
    if (!files) return fail(std::move(files.error()));
    std::vector<std::string> names;
    for (const auto& file : *files) names.push_back(std::filesystem::path(file.path).filename().string());
    files->push_back({request.output + "/dnsmasq.conf", render_dnsmasq(request, names), kPublicMode});
    files->push_back({request.output + "/README.md", render_homelab_readme(request), kPublicMode});
    NETT_TRY(make_directories(request.output + "/tftp/talos"));
    NETT_TRY(write_files(*files));
    for (const auto& file : *files) report.files.push_back(file.path);
    return report;
}

}  // namespace nett::builder
