#include "builder/nodes/nodes_file.hpp"
#include "nodes_schema.hpp"

namespace nett::builder {

std::string_view nodes_schema() {
    return kNodesSchema;
}

}  // namespace nett::builder
