#include "agent/sdk/result.hpp"

namespace nett {

std::string_view to_string(Code code) {
    switch (code) {
        case Code::kInvalidArgument:
            return "invalid argument";
        case Code::kNotFound:
            return "not found";
        case Code::kAlreadyExists:
            return "already exists";
        case Code::kFailedPrecondition:
            return "failed precondition";
        case Code::kPermissionDenied:
            return "permission denied";
        case Code::kUnauthenticated:
            return "unauthenticated";
        case Code::kResourceExhausted:
            return "resource exhausted";
        case Code::kAborted:
            return "aborted";
        case Code::kUnavailable:
            return "unavailable";
        case Code::kDeadlineExceeded:
            return "deadline exceeded";
        case Code::kDataLoss:
            return "data loss";
        case Code::kUnimplemented:
            return "unimplemented";
        case Code::kInternal:
            return "internal error";
    }
    return "internal error";
}

std::string Error::to_string() const {
    return context.empty() ? message : context + ": " + message;
}

Error Error::in(std::string_view place) && {
    context = context.empty() ? std::string(place) : std::string(place) + ": " + context;
    return std::move(*this);
}

}  // namespace nett
