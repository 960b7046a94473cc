#include <algorithm>

#include "agent/sdk/model.hpp"
#include "agent/sdk/strings.hpp"
#include "builder/bootstrap/bootstrap.hpp"
#include "builder/x509.hpp"

namespace nett::builder {
namespace {

constexpr std::size_t kMaxPem = 1 << 20;

tl::unexpected<Error> refuse(const std::string& path, std::string message) {
    return fail(Error{Code::kInvalidArgument, std::move(message), path});
}

Result<std::vector<Certificate>> certificates_in(const std::string& path) {
    const auto pem = read_file(path, kMaxPem);
    if (!pem) return fail(pem.error());
    auto all = parse_certificates(*pem);
    if (!all) return fail(std::move(all.error()).in(path));
    return all;
}

bool leads_to(const std::vector<Certificate>& chain, const std::vector<Certificate>& roots) {
    return std::any_of(roots.begin(), roots.end(),
                       [&](const auto& root) { return verify_chain(chain, root).has_value(); });
}

Result<void> check_server(const BootstrapRequest& request, const Certificate& leaf) {
    const std::string address = request.nodes.metadata_server.address().to_string();
    if (!leaf.for_server) return refuse(request.certificate, "is not for TLS servers (extended key usage serverAuth)");
    if (leaf.not_after <= std::chrono::system_clock::now())
        return refuse(request.certificate, fmt::format("expired on {}: issue a new one", to_rfc3339(leaf.not_after)));
    if (std::find(leaf.addresses.begin(), leaf.addresses.end(), address) == leaf.addresses.end()) {
        return refuse(request.certificate,
                      fmt::format("is not for {}, which machines connect to: issue one with that IP address", address));
    }
    const auto key = read_file(request.key, kMaxPem);
    if (!key) return fail(key.error());
    const auto matches = key_matches(*key, leaf);
    if (!matches) return fail(Error(matches.error()).in(request.key));
    if (!*matches)
        return refuse(request.key, fmt::format("is not the key of the certificate in {}", request.certificate));
    return {};
}

}  // namespace

Result<void> check_certificates(const BootstrapRequest& request, const NodesFile& file) {
    const auto server = certificates_in(request.certificate);
    if (!server) return fail(server.error());
    NETT_TRY(check_server(request, server->front()));
    const auto clients = certificates_in(request.client_ca);
    if (!clients) return fail(clients.error());
    for (const auto& tenant : file.tenants) {
        if (!tenant.image) continue;
        const auto trusted = certificates_in(tenant.image->root);
        if (!trusted) return fail(trusted.error());
        if (!leads_to(*server, *trusted)) {
            return refuse(request.certificate, fmt::format("does not chain to {}, which tenant {}'s images trust",
                                                           tenant.image->root, tenant.name));
        }
        const auto own = certificates_in(tenant.image->certificate);
        if (!own) return fail(own.error());
        if (!leads_to(*own, *clients)) {
            return refuse(
                tenant.image->certificate,
                fmt::format("tenant {}'s certificate does not chain to {}: the server would refuse its machines",
                            tenant.name, request.client_ca));
        }
    }
    return {};
}

}  // namespace nett::builder
