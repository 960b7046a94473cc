// The early config that makes Talos trust our root when it fetches its config by itself (delivery "token").
#pragma once

#include <string>
#include <string_view>

#include "agent/sdk/result.hpp"

namespace nett::metadata {

// The last certificate of a PEM file: the root, where the chain is complete. kInvalidArgument when there is none.
Result<std::string> last_certificate(std::string_view pem);

// A value for talos.config.early (Talos >= 1.12: base64 of zstd of YAML) with one TrustedRootsConfig document. The same
// text for the same root on every server. About 700 characters for a P-256 root. kInternal when zstd fails.
Result<std::string> trusted_root_argument(std::string_view root_pem);

// Both, of the root that ends a certificate file. Errors name the file.
Result<std::string> trusted_root_of(const std::string& certificate_file);

}  // namespace nett::metadata
