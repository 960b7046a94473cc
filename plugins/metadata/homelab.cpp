#include "plugins/metadata/homelab.hpp"

#include <algorithm>
#include <utility>

#include "agent/sdk/identity.hpp"
#include "agent/sdk/strings.hpp"
#include "plugins/metadata/limits.hpp"
#include "plugins/metadata/route.hpp"

namespace nett::metadata {

namespace {

constexpr std::string_view kRoot = "/talos/";

// ${netX} is the card over which this script came. Three tries, because a switch port may need a while; then the disk,
// as without nett. `exit 1` makes UEFI go on with its boot order; a BIOS does so either way.
constexpr std::string_view kScript = R"(#!ipxe
set tries:int32 0
:ask
chain --autofree --timeout {} http://{}/talos/boot/${{netX/mac:hexhyp}} && goto disk ||
iseq ${{errno}} 0x2d0c618e && goto disk ||
iseq ${{errno}} 0x2d0c613b && goto disk ||
inc tries
iseq ${{tries}} 3 && goto disk || goto ask
:disk
echo LOCALBOOT ${{errno}}
exit 1
)";

bool is_architecture(std::string_view text) {
    return text == "amd64" || text == "arm64";
}

std::string hyphens(std::string mac) {
    std::replace(mac.begin(), mac.end(), ':', '-');
    return mac;
}

std::optional<std::string> mac_of(std::string_view text) {
    auto mac = canonical_mac(text);
    return mac ? std::optional(std::move(*mac)) : std::nullopt;
}

// The value of a query's parameter; empty when it is not there.
std::string_view parameter(std::string_view query, std::string_view name) {
    for (const auto pair : split(query, '&')) {
        const auto equals = pair.find('=');
        if (equals != std::string_view::npos && pair.substr(0, equals) == name) return pair.substr(equals + 1);
    }
    return {};
}

std::optional<HomelabRoute> file_route(std::string_view name, std::string_view query) {
    HomelabRoute route;
    constexpr std::string_view kKernel = "vmlinuz-";
    constexpr std::string_view kInitramfs = "initramfs-";
    constexpr std::string_view kPacked = ".xz";
    if (name.starts_with(kKernel)) {
        route.kind = HomelabRoute::Kind::kKernel;
        route.architecture = name.substr(kKernel.size());
    } else if (name.starts_with(kInitramfs) && name.ends_with(kPacked)) {
        route.kind = HomelabRoute::Kind::kInitramfs;
        name.remove_suffix(kPacked.size());
        route.architecture = name.substr(kInitramfs.size());
    }
    if (!is_architecture(route.architecture)) return std::nullopt;
    route.set = parameter(query, "set");
    if (!route.set.empty() && !is_plain_name(route.set)) return std::nullopt;
    return route;
}

Response not_found() {
    return plain(404, Outcome::kNotFound, "not found");
}

}  // namespace

Result<boost::asio::ip::tcp::endpoint> parse_homelab_endpoint(std::string_view text) {
    namespace ip = boost::asio::ip;
    if (text.starts_with('[')) return parse_endpoint6(text);
    const auto colon = text.rfind(':');
    boost::system::error_code error;
    const auto address = ip::make_address_v4(std::string(text.substr(0, colon)), error);
    const auto port = colon == std::string_view::npos ? Result<std::int64_t>(fail(Code::kInvalidArgument, "no port"))
                                                      : parse_integer(text.substr(colon + 1), 1, 65535);
    if (error || !port) {
        return fail(Code::kInvalidArgument,
                    "\"{}\" is no address and port; write e.g. 192.168.0.66:8080 or [fd00::1]:8080", text);
    }
    return ip::tcp::endpoint(ip::make_address_v6(ip::v4_mapped, address), static_cast<std::uint16_t>(*port));
}

bool is_global(const Address6& address) {
    static const std::vector<Prefix6> kLocal = [] {
        std::vector<Prefix6> out;
        for (const auto* text :
             {"::1/128", "fc00::/7", "fe80::/10", "::ffff:10.0.0.0/104", "::ffff:172.16.0.0/108",
              "::ffff:192.168.0.0/112", "::ffff:169.254.0.0/112", "::ffff:127.0.0.0/104", "::ffff:100.64.0.0/106"}) {
            out.push_back(Prefix6::parse(text).value());
        }
        return out;
    }();
    return std::none_of(kLocal.begin(), kLocal.end(), [&](const auto& prefix) { return prefix.contains(address); });
}

std::string homelab_authority(const boost::asio::ip::tcp::endpoint& endpoint) {
    constexpr std::uint16_t kHttpPort = 80;
    const auto address = endpoint.address().to_v6();
    auto text = "[" + address.to_string() + "]";
    if (address.is_v4_mapped()) {
        text = boost::asio::ip::make_address_v4(boost::asio::ip::v4_mapped, address).to_string();
    }
    return endpoint.port() == kHttpPort ? text : fmt::format("{}:{}", text, endpoint.port());
}

std::optional<HomelabRoute> parse_homelab_target(std::string_view target) {
    if (!target.starts_with(kRoot)) return std::nullopt;
    const auto question = target.find('?');
    const auto query = question == std::string_view::npos ? std::string_view() : target.substr(question + 1);
    const auto parts = split(target.substr(kRoot.size(), question - kRoot.size()), '/');
    HomelabRoute route;
    if (parts.size() == 1 && parts[0] == "talos.ipxe") {
        // The MAC in the query makes it the decision at once, for DHCP servers that can put it there.
        const auto asked = parameter(query, "mac");
        if (asked.empty()) return route;
        const auto mac = mac_of(asked);
        if (!mac) return std::nullopt;
        route.kind = HomelabRoute::Kind::kBoot;
        route.mac = *mac;
        return route;
    }
    if (parts.size() == 1) return file_route(parts[0], query);
    const bool boot = parts.size() == 2 && parts[0] == "boot";
    if (!boot && (parts.size() != 2 || parts[0] != "machine-config")) return std::nullopt;
    const auto mac = mac_of(parts[1]);
    if (!mac) return std::nullopt;
    route.kind = boot ? HomelabRoute::Kind::kBoot : HomelabRoute::Kind::kConfig;
    route.mac = *mac;
    return route;
}

std::string render_homelab_script(std::string_view authority) {
    return fmt::format(kScript, kHomelabAskTimeout.count(), authority);
}

void HomelabService::set_settings(HomelabSettings settings) {
    settings_.store(std::make_shared<const HomelabSettings>(std::move(settings)));
}

Result<ArtifactSet> HomelabService::set_of(const HomelabRoute& route) const {
    if (!route.set.empty()) {
        const auto record = store_.get(kArtifactSetKind, route.set);
        if (!record) return fail(Error(record.error()));
        if (!*record) return fail(Code::kNotFound, "no such set");
        auto set = decode<ArtifactSet>((*record)->value);
        if (set && set->architecture != route.architecture) return fail(Code::kNotFound, "of another architecture");
        return set;
    }
    const auto records = store_.list(kArtifactSetKind);
    if (!records) return fail(Error(records.error()));
    std::optional<ArtifactSet> only;
    for (const auto& record : *records) {
        auto set = decode<ArtifactSet>(record.value);
        if (!set || set->architecture != route.architecture) continue;
        if (only) return fail(Code::kNotFound, "several sets of that architecture");
        only = std::move(*set);
    }
    if (!only) return fail(Code::kNotFound, "no set of that architecture");
    return std::move(*only);
}

Result<std::string> HomelabService::inner_target(const HomelabRoute& route) const {
    if (route.kind == HomelabRoute::Kind::kBoot) return "/v1/boot/" + hyphens(route.mac);
    if (route.kind == HomelabRoute::Kind::kConfig) return "/v1/config/" + hyphens(route.mac);
    const auto set = set_of(route);
    if (!set) return fail(Error(set.error()));
    const auto& file = route.kind == HomelabRoute::Kind::kKernel ? set->kernel : set->initramfs;
    return fmt::format("/v1/artifacts/{}/{}", set->name, file);
}

Awaitable<Response> HomelabService::handle(Request request, const Peer& peer, Conversation& conversation) {
    if (request.method == Method::kOther) co_return plain(405, Outcome::kBadRequest, "only GET and HEAD");
    const auto route = parse_homelab_target(request.target);
    if (!route) co_return not_found();
    auto site = std::make_shared<HomelabSite>();
    site->tenant = settings_.load()->tenant;
    site->authority = homelab_authority(peer.local);
    if (route->kind == HomelabRoute::Kind::kScript) {
        auto response = plain(200, Outcome::kNetboot, "");
        response.body = render_homelab_script(site->authority);
        co_return response;
    }
    auto target = inner_target(*route);
    if (!target) {
        if (target.error().code == Code::kNotFound) co_return not_found();
        co_return plain(503, Outcome::kShed, "try again");
    }
    request.target = std::move(*target);
    Peer asked = peer;
    asked.homelab = std::move(site);
    co_return co_await inner_(std::move(request), asked, conversation);
}

}  // namespace nett::metadata
