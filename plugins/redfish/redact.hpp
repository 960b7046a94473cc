// What may be shown of requests and answers: never a password, a token, or the secret part of a URL.
#pragma once

#include <string>
#include <string_view>

namespace nett::redfish {

// "https://[2001:db8::1]/…/boot.iso": a token may be any segment of the path but the last, or the query.
std::string redact_url(std::string_view url);

// A BMC's free text, made fit for a log line: URLs redacted, control characters blanked, cut at 300 bytes.
std::string redact_text(std::string_view text);

// JSON text with the values of Password, Token, Authorization … members replaced by "***", and URLs redacted. Text that
// is no JSON becomes "(N bytes, not JSON)".
std::string redact_json(std::string_view body);

}  // namespace nett::redfish
