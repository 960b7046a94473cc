#include "agent/api/status.hpp"

#include <algorithm>
#include <array>

namespace nett {

namespace {

grpc::StatusCode status_code(Code code) {
    switch (code) {
        case Code::kInvalidArgument:
            return grpc::StatusCode::INVALID_ARGUMENT;
        case Code::kNotFound:
            return grpc::StatusCode::NOT_FOUND;
        case Code::kAlreadyExists:
            return grpc::StatusCode::ALREADY_EXISTS;
        case Code::kFailedPrecondition:
            return grpc::StatusCode::FAILED_PRECONDITION;
        case Code::kPermissionDenied:
            return grpc::StatusCode::PERMISSION_DENIED;
        case Code::kUnauthenticated:
            return grpc::StatusCode::UNAUTHENTICATED;
        case Code::kResourceExhausted:
            return grpc::StatusCode::RESOURCE_EXHAUSTED;
        case Code::kAborted:
            return grpc::StatusCode::ABORTED;
        case Code::kUnavailable:
            return grpc::StatusCode::UNAVAILABLE;
        case Code::kDeadlineExceeded:
            return grpc::StatusCode::DEADLINE_EXCEEDED;
        case Code::kDataLoss:
            return grpc::StatusCode::DATA_LOSS;
        case Code::kUnimplemented:
            return grpc::StatusCode::UNIMPLEMENTED;
        case Code::kInternal:
            return grpc::StatusCode::INTERNAL;
    }
    return grpc::StatusCode::INTERNAL;
}

}  // namespace

grpc::Status to_status(const Error& error) {
    return {status_code(error.code), error.to_string()};
}

Error error_of(const grpc::Status& status) {
    constexpr std::array kCodes{Code::kInvalidArgument,    Code::kNotFound,         Code::kAlreadyExists,
                                Code::kFailedPrecondition, Code::kPermissionDenied, Code::kUnauthenticated,
                                Code::kResourceExhausted,  Code::kAborted,          Code::kDeadlineExceeded,
                                Code::kDataLoss,           Code::kUnimplemented,    Code::kInternal};
    const auto found =
        std::find_if(kCodes.begin(), kCodes.end(), [&](Code code) { return status_code(code) == status.error_code(); });
    return {found == kCodes.end() ? Code::kUnavailable : *found, status.error_message(), {}};
}

}  // namespace nett
