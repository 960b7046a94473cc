// Getting a file into the agents' artifact stores: known by its digest, sent only where it is missing.
#pragma once

#include <cstdint>
#include <functional>
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

// Told while bytes go out: how many the agent has, of how many.
using UploadProgress = std::function<void(std::uint64_t done, std::uint64_t total)>;

struct Uploaded {
    bool existed = false;       // the agent had the content
    std::uint64_t resumed = 0;  // bytes that an interrupted upload had left there
    std::uint64_t sent = 0;     // bytes that went out now
};

// Sends what the agent does not have of the file; the agent checks digest and size. An upload that breaks off is gone
// on with by the next one. `again`: also what the agent has (it says that its copy is damaged).
Result<Uploaded> upload(Server& server, const LocalFile& file, bool again = false, const UploadProgress& progress = {});

}  // namespace nett::builder
