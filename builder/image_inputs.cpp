#include "builder/image_inputs.hpp"

#include <set>

#include "agent/sdk/model.hpp"
#include "agent/sdk/strings.hpp"

namespace nett::builder {
namespace {

constexpr std::size_t kMaxPemBytes = 1 << 20;
constexpr std::size_t kMaxIpxeBytes = 16 << 20;

Result<Certificate> read_root(const std::string& path) {
    auto certificates = read_certificates(path);
    if (!certificates) return fail(std::move(certificates.error()));
    if (certificates->size() != 1) {
        return fail(
            Error{Code::kInvalidArgument,
                  fmt::format("holds {} certificates; iPXE's binary has room for one trust anchor: give the root alone",
                              certificates->size()),
                  path});
    }
    if (!certificates->front().is_authority) {
        return fail(Error{Code::kInvalidArgument,
                          fmt::format("{} is no certificate authority", certificates->front().subject), path});
    }
    return std::move(certificates->front());
}

Result<void> read_key(const ImageRequest& request, ImageInputs& inputs) {
    const Certificate& leaf = inputs.chain.front();
    auto pem = read_file(request.key_file, kMaxPemBytes);
    if (!pem && pem.error().code == Code::kPermissionDenied) pem.error().message += "; run this as its owner";
    if (!pem) return fail(std::move(pem.error()));
    const auto matches = key_matches(*pem, leaf);
    if (!matches) return fail(Error(matches.error()).in(request.key_file));
    if (!*matches) {
        return fail(
            Error{Code::kInvalidArgument,
                  fmt::format("is not the key of the certificate {} in {}", leaf.subject, request.certificate_file),
                  request.key_file});
    }
    auto key = parse_private_key(*pem);
    if (!key) return fail(std::move(key.error()).in(request.key_file));
    inputs.key = std::move(*key);
    inputs.key_pem = *pem;
    return {};
}

Result<void> check_leaf(const Certificate& leaf, SystemTime now) {
    if (leaf.is_authority || !leaf.for_client) {
        return fail(Code::kInvalidArgument, "{} is not for TLS clients (extended key usage clientAuth)", leaf.subject);
    }
    if (leaf.not_after <= now) {
        return fail(Code::kInvalidArgument, "the certificate expired on {}: issue a new one",
                    to_rfc3339(leaf.not_after));
    }
    return {};
}

// One family in the chain; iPXE's TLS has no other way.
Result<void> check_one_family(const ImageInputs& inputs) {
    const bool rsa = inputs.root.key == KeyFamily::kRsa;
    for (const Certificate& certificate : inputs.chain) {
        if ((certificate.key == KeyFamily::kRsa) != rsa) {
            return fail(Code::kInvalidArgument, "{} has an {} key under an {} root; iPXE needs one family in the chain",
                        certificate.subject, to_string(certificate.key), to_string(inputs.root.key));
        }
    }
    return {};
}

Result<void> check_families(const IpxeBinary& ipxe, const ImageInputs& inputs) {
    NETT_TRY(check_key_family(ipxe, inputs.root.key));
    for (const Certificate& certificate : inputs.chain) NETT_TRY(check_key_family(ipxe, certificate.key));
    return {};
}

Result<std::string> read_ipxe(const std::string& path) {
    auto binary = read_file(path, kMaxIpxeBytes);
    if (!binary && binary.error().code == Code::kNotFound) {
        binary.error().message += "; Debian's package ipxe has it as /usr/lib/ipxe/ipxe-amd64.efi";
    }
    return binary;
}

Result<void> read_binaries(const ImageRequest& request, ImageInputs& inputs) {
    std::set<std::string> names;
    for (const std::string& path : request.ipxe_files) {
        auto binary = read_ipxe(path);
        if (!binary) return fail(std::move(binary.error()));
        auto facts = inspect_ipxe(*binary);
        if (!facts) return fail(std::move(facts.error()).in(path));
        if (!names.insert(facts->removable_name).second) {
            return fail(Error{Code::kInvalidArgument,
                              fmt::format("is a second iPXE for the same machines ({})", facts->removable_name), path});
        }
        if (auto good = check_families(*facts, inputs); !good)
            return fail(std::move(good.error()).in(request.certificate_file));
        auto patched = replace_trust_anchor(std::move(*binary), inputs.root.sha256());
        if (!patched) return fail(std::move(patched.error()).in(path));
        inputs.binaries.push_back({std::move(*facts), std::move(*patched)});
    }
    return {};
}

Result<void> check_request(const ImageRequest& request) {
    if (request.source.has_value() == !request.ipxe_files.empty()) {
        return fail(Code::kInvalidArgument, "an image is made from iPXE binaries or from one source tree: give either");
    }
    if (request.source && request.source->architectures.empty()) {
        return fail(Code::kInvalidArgument, "no architecture to build iPXE for");
    }
    return {};
}

}  // namespace

Result<std::vector<Certificate>> read_certificates(const std::string& path) {
    const auto pem = read_file(path, kMaxPemBytes);
    if (!pem) return fail(pem.error());
    auto certificates = parse_certificates(*pem);
    if (!certificates) return fail(std::move(certificates.error()).in(path));
    return certificates;
}

Result<ImageInputs> read_image_inputs(const ImageRequest& request) {
    NETT_TRY(check_request(request));
    ImageInputs inputs;
    auto chain = read_certificates(request.certificate_file);
    if (!chain) return fail(std::move(chain.error()));
    inputs.chain = std::move(*chain);
    auto root = read_root(request.root_file);
    if (!root) return fail(std::move(root.error()));
    inputs.root = std::move(*root);
    NETT_TRY(read_key(request, inputs));
    for (const auto& check : {check_leaf(inputs.chain.front(), request.now), verify_chain(inputs.chain, inputs.root),
                              check_one_family(inputs)}) {
        if (!check) return fail(Error(check.error()).in(request.certificate_file));
    }
    inputs.chain_pem = *read_file(request.certificate_file, kMaxPemBytes);
    inputs.root_pem = *read_file(request.root_file, kMaxPemBytes);
    NETT_TRY(read_binaries(request, inputs));
    return inputs;
}

}  // namespace nett::builder
