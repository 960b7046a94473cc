// The one place where nett's errors become gRPC statuses.
#pragma once

#include <grpcpp/support/status.h>

#include "agent/sdk/result.hpp"

namespace nett {

// The code of the same name; the message is "context: message".
grpc::Status to_status(const Error& error);

}  // namespace nett
