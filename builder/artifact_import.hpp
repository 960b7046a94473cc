// Bringing a Talos kernel and initramfs to the agents as an artifact set: from files, single URLs, a release or an
// Image Factory.
#pragma once

#include <string>
#include <vector>

#include "agent/sdk/result.hpp"
#include "builder/artifact_upload.hpp"
#include "builder/server.hpp"

namespace nett::builder {

struct ArtifactSpec {
    std::string name;
    std::string version;  // empty: the URL's
    std::string architecture = "amd64";
    std::string schematic;  // empty: the URL's
    std::string url;        // a release's or an Image Factory's folder (talos_layout.hpp); empty: kernel and initramfs
    std::string kernel;     // a file or a URL
    std::string initramfs;
    std::string kernel_sha256;  // checked when set; a URL needs it unless `without_checksum`
    std::string initramfs_sha256;
    bool without_checksum = false;  // https alone vouches for what a URL gives
    std::string command_line;       // empty: the Image Factory's
    std::string layers_file;        // the initramfs' extensions.yaml; empty: what is inside
    std::string cache;              // where downloads are kept; empty: default_cache()
    std::string ca_file;            // of the download's server; empty: the system's
    std::string reason;
};

struct ArtifactImport {
    v1::PutArtifactSetRequest request;
    std::vector<LocalFile> files;  // kernel, initramfs
};

// Fetches what is not here and checks it. Nothing is sent to an agent yet.
Result<ArtifactImport> prepare_import(const ArtifactSpec& spec);

struct Transfer {
    std::uint64_t revision = 0;
    std::vector<Uploaded> files;
};

// Sends what the agent does not have, then registers the set.
Result<Transfer> import_into(Server& server, const ArtifactImport& import, const UploadProgress& progress = {});

}  // namespace nett::builder
