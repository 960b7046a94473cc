#include "agent/fabric/ports.hpp"

#include <algorithm>

#include "agent/sdk/config.hpp"
#include "agent/sdk/port_records.hpp"

namespace nett {

Result<std::vector<BootPort>> read_boot_ports(const Store& store) {
    const auto records = store.list(kOwnPortKind);
    if (!records) return fail(records.error());
    std::vector<BootPort> ports;
    for (const auto& record : *records) {
        const auto prefix = port_prefix_of(record);
        if (!prefix) return fail(prefix.error());
        if (*prefix) ports.push_back({record.key, **prefix});
    }
    std::sort(ports.begin(), ports.end(),
              [](const auto& a, const auto& b) { return natural_less(a.interface, b.interface); });
    return ports;
}

}  // namespace nett
