// The homelab listener: plain HTTP in the layout that homelab guides have for PXE, with the same decisions as the
// machines' own listener.
//
//   /talos/talos.ipxe                 the script that DHCP names: asks for the next with its own MAC
//   /talos/boot/aa-bb-cc-dd-ee-ff     the decision: a script, or 404 (boot the disk)
//   /talos/vmlinuz-amd64              a set's kernel and initramfs, by architecture; ?set=NAME says of which
//   /talos/initramfs-amd64.xz
//   /talos/machine-config/aa-bb-…     the machine's config, while it netboots
//
// Each is turned into a request of the machines' own URL space and answered by the same code (service.hpp); only who it
// is (the listener's tenant, no certificate) and the URLs in scripts are others.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/sdk/model.hpp"
#include "agent/sdk/store.hpp"
#include "plugins/metadata/http.hpp"
#include "plugins/metadata/http_handler.hpp"
#include "plugins/metadata/shared_value.hpp"

namespace nett::metadata {

struct HomelabSettings {
    std::vector<boost::asio::ip::tcp::endpoint> listen;  // an IPv4 one as its IPv4-mapped address
    std::string tenant;                                  // whose machines boot
};

// "192.168.0.66:8080" or "[fd00::1]:8080". IPv4 because the boot ROMs of network cards have nothing else.
Result<boost::asio::ip::tcp::endpoint> parse_homelab_endpoint(std::string_view text);
// Whether others than a home's own machines may reach it: neither private, link-local nor loopback (RFC 1918, RFC 4193,
// RFC 6598), or every address of the host.
bool is_global(const Address6& address);
// As it stands in URLs: "192.168.0.66:8080", "[fd00::1]".
std::string homelab_authority(const boost::asio::ip::tcp::endpoint& endpoint);

struct HomelabRoute {
    enum class Kind { kScript, kBoot, kKernel, kInitramfs, kConfig };
    Kind kind = Kind::kScript;
    std::string mac;           // canonical; kBoot, kConfig
    std::string architecture;  // "amd64", "arm64"; kKernel, kInitramfs
    std::string set;           // empty: the only one of that architecture
};
std::optional<HomelabRoute> parse_homelab_target(std::string_view target);

// talos.ipxe. A 404 and a server that is gone both end at the machine's disk.
std::string render_homelab_script(std::string_view authority);
// Any thread. `store` and what `inner` needs outlive it.
class HomelabService {
public:
    HomelabService(const Store& store, RequestHandler inner) : store_(store), inner_(std::move(inner)) {}

    void set_settings(HomelabSettings settings);
    Awaitable<Response> handle(Request request, const Peer& peer, Conversation& conversation);

private:
    // The target in the machines' own URL space; kNotFound.
    Result<std::string> inner_target(const HomelabRoute& route) const;
    Result<ArtifactSet> set_of(const HomelabRoute& route) const;

    const Store& store_;
    const RequestHandler inner_;
    SharedValue<HomelabSettings> settings_{std::make_shared<const HomelabSettings>()};
};

}  // namespace nett::metadata
