// Signing an EFI application with the operator's own Secure Boot key, by sbsign.
#pragma once

#include <string>

#include "agent/sdk/result.hpp"
#include "builder/file.hpp"

namespace nett::builder {

// PEM; the certificate is enrolled in the machines' firmware (db).
struct SigningKey {
    std::string key_file;
    std::string certificate_file;
};

// The signed application. A signature holds the time it was made at: it is not the same twice.
Result<std::string> sign_efi(const WorkFolder& work, const std::string& efi, const SigningKey& key);

}  // namespace nett::builder
