// What a tenant may see and change of the records that several tenants share a table of. For callers of another scope
// nothing is refused here.
#pragma once

#include <string>
#include <vector>

#include "agent/core/access/access.hpp"
#include "agent/core/inventory/inventory.hpp"

namespace nett {

// kNotFound, as for a machine or job that does not exist, when it is another tenant's.
Result<void> check_own_machine(const Inventory& inventory, const Caller& caller, const std::string& name);
Result<void> check_own_job(const Inventory& inventory, const Caller& caller, const std::string& id);
bool may_see_job(const Inventory& inventory, const Caller& caller, const Job& job);

// A registration: the tenant's own machine, under a name that is free or its own. BMC and ports stay what an operator
// made them: naming another machine's BMC would give power over it.
Result<void> check_own_registration(const Inventory& inventory, const Caller& caller, Machine& machine);

// One page of what the caller may see: reads on until `limit` records are found, so that a short page is the last one.
// `read(after)` returns a page in order, `key` is what to continue after.
template <typename Read, typename Key, typename May>
auto read_visible(std::string after, std::size_t limit, Read read, Key key, May may) -> decltype(read(after)) {
    auto found = read(after);
    if (!found) return found;
    auto visible = *found;
    visible.clear();
    while (!found->empty()) {
        for (const auto& item : *found) {
            if (may(item) && visible.size() < limit) visible.push_back(item);
        }
        if (visible.size() >= limit) break;
        found = read(key(found->back()));
        if (!found) return found;
    }
    return visible;
}

}  // namespace nett
