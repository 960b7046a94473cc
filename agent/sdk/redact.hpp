// What may be shown of text that may carry a secret.
#pragma once

#include <string>
#include <string_view>

namespace nett {

// "https://[2001:db8::1]/…/boot.iso": a token may be any segment of the path but the last, or the query. User and
// password are left out. Text that is no URL comes back as it is.
std::string redact_url(std::string_view url);

}  // namespace nett
