// Result<T>: how every fallible function of nett reports failure.
//
// A function either returns an Error or logs it, never both. Exceptions of third parties are converted in the
// adapter that calls them; none crosses a plugin's boundary.
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include <fmt/format.h>
#include <tl/expected.hpp>

namespace nett {

// The one set of error classes; mapped once to gRPC codes (agent/api/status.cpp) and once to HTTP statuses
// (plugins/metadata). Meanings follow google.rpc.Code, so that the mapping to gRPC is by name.
enum class Code {
    kInvalidArgument,  // the caller's input is wrong whatever the state of the system
    kNotFound,
    kAlreadyExists,
    kFailedPrecondition,  // right input, wrong state: the remedy is in the message
    kPermissionDenied,
    kUnauthenticated,
    kResourceExhausted,  // a quota or a named limit
    kAborted,            // a concurrent change won; try again
    kUnavailable,        // a peer or a daemon is not there now; level-triggered code tries again by itself
    kDeadlineExceeded,
    kDataLoss,  // stored bytes do not fit their digest or schema
    kUnimplemented,
    kInternal,
};

std::string_view to_string(Code code);

// What went wrong, for a person: `message` says what and the remedy, `context` says where (a path, "file:line",
// an interface, a machine), outermost first.
struct Error {
    Code code = Code::kInternal;
    std::string message;
    std::string context;

    // "context: message", or the message alone when there is no context.
    std::string to_string() const;
    // Puts one more place in front of the context.
    Error in(std::string_view place) &&;
};

template <typename T>
using Result = tl::expected<T, Error>;

// return fail(Code::kNotFound, "no machine \"{}\"; see \"show machines\"", name);
template <typename... Args>
tl::unexpected<Error> fail(Code code, fmt::format_string<Args...> format, Args&&... args) {
    return tl::unexpected<Error>(Error{code, fmt::format(format, std::forward<Args>(args)...), {}});
}

// Passes an error of another Result on.
inline tl::unexpected<Error> fail(Error error) {
    return tl::unexpected<Error>(std::move(error));
}

}  // namespace nett

// NETT_TRY(expression): returns the error of a Result<…> from the enclosing function; for functions returning Result.
#define NETT_TRY(expression)                                                           \
    do {                                                                               \
        auto nett_try_result = (expression);                                           \
        if (!nett_try_result) return ::nett::fail(std::move(nett_try_result.error())); \
    } while (false)
// The same in a coroutine.
#define NETT_CO_TRY(expression)                                                           \
    do {                                                                                  \
        auto nett_try_result = (expression);                                              \
        if (!nett_try_result) co_return ::nett::fail(std::move(nett_try_result.error())); \
    } while (false)
