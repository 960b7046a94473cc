// Getting a file into the agents' artifact stores: known by its digest, sent only where it is missing.
#pragma once

#include <cstdint>
#include <string>

#include "agent/sdk/result.hpp"
#include "builder/server.hpp"

namespace nett::builder {

struct LocalFile {
    std::string path;
    std::string name;    // as it will be served: the path's last part
    std::string sha256;  // 64 hex digits
    std::uint64_t size = 0;
};

// Reads the file once for its digest and size. kInvalidArgument when it is empty or its name cannot stand in a URL.
Result<LocalFile> describe_file(const std::string& path);

// Sends the file; the agent checks digest and size. Answers whether the agent had the same content already, which it
// may say before everything was sent.
Result<bool> upload(Server& server, const LocalFile& file);

}  // namespace nett::builder
