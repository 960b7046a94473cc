// The agent's SecretBox (agent/sdk/secret.hpp): AES-256-GCM (NIST SP 800-38D) by OpenSSL, a random 96-bit nonce a seal,
// the context as associated data. One key seals at most 2^32 values before nonces may repeat (SP 800-38D section 8.3):
// far out of reach here.
#pragma once

#include <memory>
#include <string>

#include "agent/sdk/secret.hpp"

namespace nett {

// The key file holds 64 hex digits and is 0600. It is made when absent; of several makers one wins and all use its key.
// kPermissionDenied: readable by others than its owner, or owned by somebody else than root and the agent's user.
// kDataLoss: not 64 hex digits.
Result<std::unique_ptr<SecretBox>> open_secret_box(const std::string& key_path);

}  // namespace nett
