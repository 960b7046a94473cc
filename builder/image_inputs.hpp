// What an image is made from: read, and checked to fit together.
#pragma once

#include <string>
#include <vector>

#include "agent/sdk/result.hpp"
#include "builder/image.hpp"
#include "builder/ipxe_binary.hpp"
#include "builder/x509.hpp"

namespace nett::builder {

struct ImageInputs {
    std::vector<Certificate> chain;  // leaf first
    Certificate root;
    PrivateKey key;
    std::string chain_pem;
    std::string root_pem;
    std::string key_pem;
    struct Ipxe {
        IpxeBinary facts;
        std::string bytes;  // with the platform's trust anchor
    };
    std::vector<Ipxe> binaries;  // of the engine "binary"; at most one for each machine type
};

// Errors name the file and what to do.
Result<ImageInputs> read_image_inputs(const ImageRequest& request);

// "-----BEGIN CERTIFICATE-----" of a PEM file.
Result<std::vector<Certificate>> read_certificates(const std::string& path);

}  // namespace nett::builder
