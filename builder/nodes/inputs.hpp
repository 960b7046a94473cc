// What nodes.yaml refers to, read from this host: configs, patches, boot scripts, artifact files, secrets.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "builder/artifact_upload.hpp"
#include "builder/nodes/nodes_file.hpp"

namespace nett::builder {

struct ArtifactFiles {
    LocalFile kernel;
    LocalFile initramfs;
    std::string extension_layers;  // JSON array; empty: none
};

struct Inputs {
    std::map<std::string, std::string> texts;        // of configs, patches and templates, by path
    std::map<std::string, ArtifactFiles> artifacts;  // by the set's name
    std::map<std::string, std::string> passwords;    // of BMCs, by the node's name
};

// Every file is read once. What cannot be read is a problem of the line that names it.
Inputs read_inputs(const NodesFile& file, Problems& problems);

// The secret itself; errors say what was looked for and where. A command gets this process's environment and no input.
Result<std::string> resolve(const SecretReference& secret);

}  // namespace nett::builder
