// What may be shown of requests and answers: never a password, a token, or the secret part of a URL.
#pragma once

#include <string>
#include <string_view>

#include "agent/sdk/redact.hpp"

namespace nett::redfish {

// A BMC's free text, made fit for a log line: URLs redacted, control characters blanked, cut at 300 bytes.
std::string redact_text(std::string_view text);

// JSON text with the values of Password, Token, Authorization … members replaced by "***", and URLs redacted. Text that
// is no JSON becomes "(N bytes, not JSON)".
std::string redact_json(std::string_view body);

}  // namespace nett::redfish
