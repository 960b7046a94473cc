#include "agent/part_settings.hpp"

#include <fmt/format.h>

#include "agent/sdk/address.hpp"

namespace nett {

FrrSettings frr_settings(const FrrTargets& targets) {
    return {targets.vtysh_backend,
            targets.zebra,
            targets.bgpd,
            targets.vtysh_path,
            {"--vty_socket", targets.vtysh_socket_directory}};
}

ApiCertificates certificates(const ApiAccessSettings& access) {
    return {access.certificate, access.private_key, access.client_ca};
}

FabricSettings fabric_settings(const ApiAccessSettings& access) {
    FabricSettings out{access.stable_time, {}, {}};
    for (const auto& upstream : access.upstreams) out.upstreams.push_back({upstream.endpoint, upstream.server_name});
    out.identity = fmt::format("{} {} {}", access.certificate, access.private_key, access.client_ca);
    return out;
}

replication::Settings replication_settings(const StateSettings& state) {
    return {{state.etcd, state.certificate, state.private_key, state.server_ca, state.server_name},
            state.prefix,
            state.max_lag};
}

std::string endpoint_for_servers(const std::vector<std::string>& listen) {
    for (const auto& endpoint : listen) {
        const auto parsed = parse_endpoint6(endpoint);
        if (parsed && !parsed->address().is_loopback()) return endpoint;
    }
    return "";
}

}  // namespace nett
