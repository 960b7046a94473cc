// What leaves the agent for whoever is asked for help carries no secret. Pure.
#pragma once

#include <string>
#include <string_view>

namespace nett {

// Replaces by "[redacted]": private keys in PEM; values of keys whose name says password, secret, token, credential,
// authorization or cookie ("key=value", "key: value", JSON members, lines of configuration), unless the value is a
// file's path, a number or yes and no; user and password in URLs; long random words, which tokens look like, but not
// digests.
std::string redact_secrets(std::string_view text);

}  // namespace nett
