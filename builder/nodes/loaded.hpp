// nodes.yaml and everything that it refers to, or all that is wrong with it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "builder/nodes/inputs.hpp"
#include "builder/nodes/nodes_file.hpp"

namespace nett::builder {

struct Loaded {
    NodesFile file;
    Inputs inputs;
};

// Nothing when there are problems: then they are in `errors`, with "file:line" as context.
std::optional<Loaded> load_nodes(const std::string& path, std::vector<Error>& errors);

}  // namespace nett::builder
