// SHA-256 of bytes that come in parts.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include <openssl/evp.h>

#include "agent/sdk/result.hpp"

namespace nett {

class Sha256 {
public:
    Sha256();
    void update(std::string_view bytes);
    // 64 lower-case hex digits; once.
    std::string finish();

private:
    std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context_;
};

// Of a whole file; kNotFound, kPermissionDenied as the file system says.
Result<std::string> sha256_of_file(const std::string& path);

}  // namespace nett
