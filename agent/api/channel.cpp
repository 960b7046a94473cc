#include "agent/api/channel.hpp"

#include <grpcpp/grpcpp.h>

#include "agent/sdk/strings.hpp"

namespace nett {

namespace {

constexpr std::size_t kMaxPemFile = 1U << 20U;
// What an agent may send before it was read. Without a bound gRPC widens it as far as the path takes.
constexpr int kWindowBytes = 2 << 20;

}  // namespace

Result<std::shared_ptr<grpc::Channel>> connect_to_agent(const std::string& endpoint, const std::string& server_name,
                                                        const ApiCertificates& files) {
    if (const auto checked = check_certificates(files); !checked) return fail(checked.error());
    auto root = read_file(files.client_ca, kMaxPemFile);
    auto certificate = read_file(files.certificate, kMaxPemFile);
    auto key = read_file(files.private_key, kMaxPemFile);
    if (!root || !certificate || !key) return fail(Code::kFailedPrecondition, "the certificate files changed");
    grpc::SslCredentialsOptions options;
    options.pem_root_certs = std::move(*root);
    options.pem_cert_chain = std::move(*certificate);
    options.pem_private_key = std::move(*key);
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    arguments.SetInt(GRPC_ARG_HTTP2_BDP_PROBE, 0);
    arguments.SetInt(GRPC_ARG_HTTP2_STREAM_LOOKAHEAD_BYTES, kWindowBytes);
    if (!server_name.empty()) arguments.SetSslTargetNameOverride(server_name);
    return grpc::CreateCustomChannel("ipv6:" + endpoint, grpc::SslCredentials(options), arguments);
}

}  // namespace nett
