// How the parts of nodes.yaml fit together. Pure.
#pragma once

#include "builder/nodes/nodes_file.hpp"

namespace nett::builder {

// Values of a "talos" mapping that need no other part of the file.
void check_talos(const TalosSettings& settings, Problems& problems);

// Names, UUIDs, MAC addresses, ports, prefixes, AS numbers and BMCs that are there twice; references to what is not
// there; nodes that nothing tells how to configure. Fills in a node's tenant when the file has only one.
void check_nodes(NodesFile& file, Problems& problems);

}  // namespace nett::builder
