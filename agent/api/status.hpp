// The one place where nett's errors become gRPC statuses, and back.
#pragma once

#include <grpcpp/support/status.h>

#include "agent/sdk/result.hpp"

namespace nett {

// The code of the same name; the message is "context: message".
grpc::Status to_status(const Error& error);
// The way back, of another agent's answer; codes that no nett gives are kUnavailable.
Error error_of(const grpc::Status& status);

}  // namespace nett
