// How a message to a webhook is signed: Standard Webhooks 1.0 (github.com/standard-webhooks/standard-webhooks),
// symmetric.
//
// Headers: webhook-id, webhook-timestamp (Unix seconds), webhook-signature "v1," + base64 of HMAC-SHA256 over
// "<id>.<timestamp>.<body>". A receiver checks the signature, and that the time is near its own; the id is the same for
// all attempts of a message.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "agent/sdk/result.hpp"

namespace nett {

inline constexpr std::size_t kMinWebhookSecret = 24;  // bytes: what the specification asks for
inline constexpr std::size_t kMaxWebhookSecretFile = 4096;

// The key in a file: of "whsec_<base64>" the decoded bytes, of any other line its bytes. kInvalidArgument: shorter than
// kMinWebhookSecret; else read_file()'s errors. No error has the file's content.
Result<std::string> read_webhook_secret(const std::string& path);

// "v1,…". Pure.
std::string sign_webhook(std::string_view secret, std::string_view id, std::int64_t timestamp, std::string_view body);

}  // namespace nett
