// The way to another agent's management API: TCP with mutual TLS.
#pragma once

#include <memory>
#include <string>

#include <grpcpp/channel.h>

#include "agent/api/certificates.hpp"

namespace nett {

// A channel of its own, which connects anew, with the files as they are now. `server_name`: in the agent's certificate;
// empty: the endpoint's address. kFailedPrecondition: the files cannot be used.
Result<std::shared_ptr<grpc::Channel>> connect_to_agent(const std::string& endpoint, const std::string& server_name,
                                                        const ApiCertificates& files);

}  // namespace nett
