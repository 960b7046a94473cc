#include "builder/values.hpp"

#include <algorithm>

#include <yaml-cpp/yaml.h>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include "agent/sdk/address.hpp"
#include "agent/sdk/strings.hpp"
#include "builder/boot_script.hpp"

namespace nett::builder {
namespace {

constexpr std::size_t kMaxName = 63;
constexpr unsigned kPortPrefixLength = 64;  // RFC 4862: SLAAC needs a /64
constexpr int kMaxYamlDepth = 16;

bool is_name_start(char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}
bool is_name_character(char c) {
    return is_name_start(c) || c == '-' || c == '.';
}

// Talos' layer metadata are strings throughout, so a version such as 1.0 stays the text "1.0".
boost::json::value to_json(const YAML::Node& node, int depth) {
    if (depth > kMaxYamlDepth) throw YAML::RepresentationException(node.Mark(), "nested too deeply");
    if (node.IsMap()) {
        boost::json::object object;
        for (const auto& member : node) object[member.first.as<std::string>()] = to_json(member.second, depth + 1);
        return object;
    }
    if (node.IsSequence()) {
        boost::json::array array;
        for (const auto& item : node) array.push_back(to_json(item, depth + 1));
        return array;
    }
    return node.IsScalar() ? boost::json::value(node.Scalar()) : boost::json::value(nullptr);
}

Result<std::string> layers_to_json(const YAML::Node& document) {
    const YAML::Node layers = document.IsMap() ? document["layers"] : document;
    if (!layers.IsDefined() || !layers.IsSequence()) {
        return fail(Code::kInvalidArgument, "expected a list of layers, or a mapping with the list \"layers\"");
    }
    for (const auto& layer : layers) {
        if (!layer.IsMap() || !layer["image"].IsDefined()) {
            return fail(Code::kInvalidArgument, "line {}: a layer is a mapping with \"image\"", layer.Mark().line + 1);
        }
    }
    return boost::json::serialize(to_json(layers, 0));
}

}  // namespace

Result<void> check_name(std::string_view name) {
    if (!name.empty() && name.size() <= kMaxName && is_name_start(name.front()) &&
        std::all_of(name.begin(), name.end(), is_name_character)) {
        return {};
    }
    return fail(Code::kInvalidArgument,
                "\"{}\" is no name: use 1 to {} lower-case letters, digits, '-' and '.', starting with a letter "
                "or a digit",
                name, kMaxName);
}

Result<PortBinding> parse_port_binding(std::string_view text) {
    const std::size_t equals = text.find('=');
    const std::string_view port = text.substr(0, equals);
    const std::size_t slash = port.find('/');
    if (slash == std::string_view::npos || slash == 0 || slash + 1 == port.size()) {
        return fail(Code::kInvalidArgument,
                    "\"{}\": expected SWITCH/PORT or SWITCH/PORT=PREFIX, such as tor-a/swp1=2001:db8:b000:1::/64",
                    text);
    }
    if (equals == std::string_view::npos) return PortBinding{std::string(port), {}};
    auto prefix = Prefix6::parse(text.substr(equals + 1));
    if (!prefix) return fail(std::move(prefix.error()));
    if (prefix->length() != kPortPrefixLength) {
        return fail(Code::kInvalidArgument,
                    "\"{}\": a port's prefix is a /64, since machines make their addresses by SLAAC", text);
    }
    return PortBinding{std::string(port), *prefix};
}

Result<boost::asio::ip::tcp::endpoint> parse_metadata_server(std::string_view text) {
    if (text.starts_with('[') && !text.ends_with(']')) return parse_endpoint6(text);
    if (text.starts_with('[')) text = text.substr(1, text.size() - 2);
    auto address = parse_address6(text);
    if (!address) return fail(std::move(address.error()));
    if (address->is_link_local() || address->is_unspecified() || address->is_multicast()) {
        return fail(Code::kInvalidArgument,
                    "\"{}\" cannot be in a URL of iPXE: give the metadata servers' global (anycast) address", text);
    }
    return boost::asio::ip::tcp::endpoint(*address, kHttpsPort);
}

Result<std::string> parse_server_target(std::string_view text) {
    constexpr std::string_view kUnix = "unix:";
    if (text.starts_with('/')) return std::string(kUnix) + std::string(text);
    if (text.starts_with(kUnix) && text.size() > kUnix.size()) return std::string(text);
    if (const auto endpoint = parse_endpoint6(text)) return to_string(*endpoint);
    return fail(Code::kInvalidArgument,
                "\"{}\": expected unix:PATH, such as unix:/run/nett/nettd.sock, or [ADDRESS]:PORT", text);
}

Result<std::string> parse_bmc_endpoint(std::string_view text) {
    constexpr std::string_view kScheme = "https://";
    const auto malformed = [&] {
        return fail(Code::kInvalidArgument,
                    "\"{}\": expected https://[ADDRESS] or https://[ADDRESS]:PORT with an IPv6 address and no path",
                    text);
    };
    if (!text.starts_with(kScheme)) return malformed();
    std::string_view authority = text.substr(kScheme.size());
    if (authority.ends_with('/')) authority.remove_suffix(1);
    if (!authority.starts_with('[')) return malformed();
    if (authority.ends_with(']')) {
        const auto address = parse_address6(authority.substr(1, authority.size() - 2));
        if (!address) return malformed();
        return fmt::format("https://[{}]", address->to_string());
    }
    const auto endpoint = parse_endpoint6(authority);
    if (!endpoint) return malformed();
    return std::string(kScheme) + to_string(*endpoint);
}

Result<std::string> parse_pin(std::string_view text) {
    constexpr std::size_t kSha256Digits = 64;
    std::string digest = to_lower(text);
    std::erase(digest, ':');
    if (digest.size() == kSha256Digits && digest.find_first_not_of("0123456789abcdef") == std::string::npos)
        return digest;
    return fail(Code::kInvalidArgument, "expected the SHA-256 of the certificate's DER, 64 hex digits");
}

Result<std::string> parse_extension_layers(std::string_view text) {
    try {
        return layers_to_json(YAML::Load(std::string(text)));
    } catch (const YAML::Exception& error) {
        return fail(Code::kInvalidArgument, "line {}: {}", error.mark.line + 1, error.msg);
    }
}

}  // namespace nett::builder
