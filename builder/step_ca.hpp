// step-ca as the CA of a PKI folder: certificates by the "step" program, keys never leave this host.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "agent/sdk/result.hpp"
#include "builder/authority.hpp"

namespace nett::builder {

// Kept in the PKI's folder as step-ca.json. With a password file, step makes its tokens by the (JWK) provisioner;
// without, each certificate needs a one-time token that somebody else has made.
struct StepAuthority {
    std::string url;            // "https://[2001:db8::ca]:9000"
    std::string provisioner;    // empty: the CA's only one
    std::string password_file;  // of the provisioner's key
};

// None when the folder's CA is not step-ca.
Result<std::optional<StepAuthority>> read_step_authority(const std::string& folder);

// Makes the folder know the CA: step-ca.json, root.pem (of `root_file`) and clients.pem. Answers with the files
// written. kAlreadyExists: the folder has a CA of its own (root.key).
Result<std::vector<std::string>> use_step_authority(const std::string& folder, const StepAuthority& authority,
                                                    const std::string& root_file, bool force);

struct StepRequest {
    std::string folder;  // with root.pem
    std::string common_name;
    std::string organizational_unit;  // the provisioner's template has to put it in
    std::vector<Address6> addresses;
    int days = 365;
    std::string token_file;  // a one-time token; empty: the provisioner's password file
};

// `step ca certificate`: a P-256 key and the chain that the CA answers, leaf first. Errors have step's own words and
// the remedy: kUnavailable when the CA does not answer, kPermissionDenied when it refuses.
Result<Credential> issue_by_step(const StepAuthority& authority, const StepRequest& request);

}  // namespace nett::builder
