// Secrets at rest: BMC passwords and machine configs are AES-256-GCM sealed with a key that lives outside the database.
#pragma once

#include <string>
#include <string_view>

#include "agent/sdk/result.hpp"

namespace nett {

// Thread-safe. `context` is bound as associated data (e.g. "machine/node-1/config"): a sealed value moved to another
// record does not open.
class SecretBox {
public:
    virtual ~SecretBox() = default;
    // Text "v1:" + base64(nonce | ciphertext | tag), fit for a JSON string.
    virtual Result<std::string> seal(std::string_view plaintext, std::string_view context) const = 0;
    // kDataLoss when the text, the key or the context is not the one it was sealed with.
    virtual Result<std::string> open(std::string_view sealed, std::string_view context) const = 0;
};

}  // namespace nett
