// This switch's ports for machines, as `ra` has numbered them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "agent/sdk/address.hpp"
#include "agent/sdk/store.hpp"

namespace nett {

// Kind of the records that the plugin `ra` keeps of its ports: key is the port's name, value {"prefix", "active", …}.
inline constexpr std::string_view kBootPortKind = "ra-port";

struct BootPort {
    std::string interface;  // "swp7"
    Prefix6 prefix;         // that its machines boot from
};

// The ports in use, in natural order. kDataLoss names a record that is none.
Result<std::vector<BootPort>> read_boot_ports(const Store& store);

}  // namespace nett
