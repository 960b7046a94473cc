// This switch's ports for machines, as `ra` has numbered them.
#pragma once

#include <string>
#include <vector>

#include "agent/sdk/address.hpp"
#include "agent/sdk/store.hpp"

namespace nett {

struct BootPort {
    std::string interface;  // "swp7"
    Prefix6 prefix;         // that its machines boot from
};

// The ports in use, in natural order. kDataLoss names a record that is none.
Result<std::vector<BootPort>> read_boot_ports(const Store& store);

}  // namespace nett
