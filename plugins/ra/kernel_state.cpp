#include "plugins/ra/kernel_state.hpp"

#include <algorithm>

#include "agent/sdk/log.hpp"

namespace nett::ra {
namespace {

const Logger kLog("ra");

InterfaceAddress port_address(const Prefix6& prefix) {
    return {prefix.host(1), prefix.length()};
}

const LinkAddress* find_address(const std::vector<LinkAddress>& present, const InterfaceAddress& address) {
    auto it = std::find_if(present.begin(), present.end(),
                           [&](const LinkAddress& entry) { return entry.address == address; });
    return it == present.end() ? nullptr : &*it;
}

std::chrono::seconds address_time(const Advertisement& says) {
    return std::chrono::ceil<std::chrono::seconds>(kAddressIntervals * says.interface.max_interval);
}

// Changes the lifetimes of an address that is there. Not in place: zebra takes a changed address of a port for a new
// one and falls back to its own lifetimes (30 and 7 days) for the prefix that was programmed.
Result<void> renew(Net& net, const std::string& port, const LinkAddress& address) {
    NETT_TRY(net.remove_address(port, address.address));
    // Without DAD: the port's only router is this switch, and a machine may already wait for an answer.
    return net.put_address(port, address, true);
}

}  // namespace

void KernelState::replace(const PortRecords& before, const PortRecords& now, const Settings& settings) {
    confirmed_.clear();
    for (const auto& [name, old] : before) {
        if (old.aggregate && old.aggregate != settings.aggregate)
            old_aggregates_.try_emplace(*old.aggregate,
                                        clock_.steady_now() + address_time(settings.advertisement_of(name)));
        auto current = now.find(name);
        bool stays = current != now.end() && current->second.active && current->second.prefix == old.prefix;
        if (old.active && !stays) leaving_.emplace_back(name, port_address(old.prefix));
        if (old.active && stays) confirmed_.insert(name);
    }
    std::erase_if(placed_, [&](const std::string& name) { return !confirmed_.contains(name); });
}

void KernelState::links_changed() {
    placed_.clear();
    look_for_misplaced_ = true;
}

void KernelState::addresses_changed(int link) {
    if (link == 0) {
        looked_.reset();
    } else {
        suspects_.insert(link);
    }
}

std::vector<KernelDrift> KernelState::put(const PortRecords& records, const Settings& settings, bool zebra_in_sync) {
    errors_.clear();
    std::vector<KernelDrift> drift;
    if (zebra_in_sync) {
        for (const PortAddress& entry : std::exchange(leaving_, {})) let_leave(entry, records, settings);
        for (const auto& [name, record] : records) {
            if (record.active && !aside_.contains(name)) confirmed_.insert(name);
        }
    }
    if (std::exchange(look_for_misplaced_, false)) remove_misplaced(records);
    bool all = !looked_ || clock_.steady_now() - *looked_ >= kFullLook;
    if (all) looked_ = clock_.steady_now();
    for (const Link& link : net_.links()) {
        auto record = records.find(link.name);
        if (record == records.end() || !record->second.active || !confirmed_.contains(link.name)) continue;
        bool look = all || !placed_.contains(link.name) || suspects_.contains(link.index);
        // The kernel takes the addresses of a link that is down away.
        if (link.up && look) put_address(link, record->second, drift);
    }
    suspects_.clear();
    put_aggregate(settings, drift);
    remove_old_aggregates(settings, false);
    return drift;
}

// The kernel itself takes the address away in time, also when the agent is gone by then.
void KernelState::let_leave(const PortAddress& entry, const PortRecords& records, const Settings& settings) {
    const auto& [port, address] = entry;
    bool needed_elsewhere =
        std::any_of(records.begin(), records.end(), [&, &name = port, &value = address](const auto& other) {
            return other.second.active && other.first != name && other.second.prefix.contains(value.address);
        });
    auto wanted = records.find(port);
    if (wanted != records.end() && wanted->second.active && port_address(wanted->second.prefix) == address) return;
    auto present = net_.addresses(port);
    if (!present || find_address(*present, address) == nullptr) return;
    auto result =
        needed_elsewhere
            ? net_.remove_address(port, address)
            : renew(net_, port, {address, address_time(settings.advertisement_of(port)), std::chrono::seconds(0)});
    if (!result) kLog.warning("address stays", {{"port", port}, {"error", result.error()}});
}

// A renamed link keeps its addresses: under its new name it would be advertised with the prefix of another port.
void KernelState::remove_misplaced(const PortRecords& records) {
    std::map<Address6, std::string> owners;
    for (const auto& [name, record] : records) {
        if (record.active) owners.emplace(record.prefix.host(1), name);
    }
    for (const Link& link : net_.links()) {
        auto present = net_.addresses(link.name);
        if (!present) continue;
        for (const LinkAddress& entry : *present) {
            auto owner = owners.find(entry.address.address);
            if (owner == owners.end() || owner->second == link.name || entry.address.length != kPortPrefixLength)
                continue;
            auto removed = net_.remove_address(link.name, entry.address);
            kLog.info(
                "took a port's address from another link",
                {{"port", owner->second}, {"link", link.name}, {"error", removed ? "" : removed.error().to_string()}});
        }
    }
}

void KernelState::put_address(const Link& link, const PortRecord& record, std::vector<KernelDrift>& drift) {
    auto present = net_.addresses(link.name);
    Result<void> result;
    if (!present) {
        result = fail(std::move(present.error()));
    } else {
        InterfaceAddress address = port_address(record.prefix);
        result = mend(link, find_address(*present, address), address, drift);
    }
    if (result) {
        placed_.insert(link.name);
    } else {
        placed_.erase(link.name);
    }
    if (!result && result.error().code != Code::kNotFound) errors_[link.name] = result.error().to_string();
}

Result<void> KernelState::mend(const Link& link, const LinkAddress* found, const InterfaceAddress& address,
                               std::vector<KernelDrift>& drift) {
    const LinkAddress forever{address, std::nullopt, std::nullopt};
    bool known = placed_.contains(link.name);
    if (found == nullptr) {
        if (known) drift.push_back({link.name, fmt::format("address {} missing", address.to_string())});
        return net_.put_address(link.name, forever, true);
    }
    if (found->replaced) {
        if (replaced_.insert(link.name).second)
            drift.push_back({link.name, fmt::format("address {} replaced", address.to_string())});
        return {};
    }
    if (!found->valid_lifetime) return {};
    return renew(net_, link.name, forever);
}

void KernelState::set_aside(const std::set<std::string>& ports) {
    aside_ = ports;
    for (const std::string& port : ports) {
        confirmed_.erase(port);
        placed_.erase(port);
    }
}

void KernelState::clear_aside(const PortRecords& records) {
    for (const std::string& port : aside_) {
        auto record = records.find(port);
        if (record == records.end() || !record->second.active) continue;
        auto removed = net_.remove_address(port, port_address(record->second.prefix));
        if (!removed) kLog.warning("address stays", {{"port", port}, {"error", removed.error()}});
    }
}

void KernelState::resume() {
    for (const std::string& port : std::exchange(aside_, {})) replaced_.erase(port);
}

void KernelState::put_aggregate(const Settings& settings, std::vector<KernelDrift>& drift) {
    if (!settings.aggregate) return;
    auto there = net_.has_blackhole(*settings.aggregate);
    Result<void> result;
    if (!there) {
        result = fail(std::move(there.error()));
    } else if (!*there) {
        if (anchored_ == settings.aggregate)
            drift.push_back({"", fmt::format("blackhole route {} missing", settings.aggregate->to_string())});
        result = net_.put_blackhole(*settings.aggregate);
    }
    if (result) {
        anchored_ = settings.aggregate;
    } else {
        errors_[""] = result.error().to_string();
    }
}

void KernelState::remove_old_aggregates(const Settings& settings, bool all) {
    for (auto it = old_aggregates_.begin(); it != old_aggregates_.end();) {
        if (!all && clock_.steady_now() < it->second && settings.aggregate != it->first) {
            ++it;
            continue;
        }
        if (settings.aggregate != it->first) {
            auto removed = net_.remove_blackhole(it->first);
            if (!removed) kLog.warning("old aggregate stays", {{"error", removed.error()}});
        }
        it = old_aggregates_.erase(it);
    }
}

void KernelState::withdraw(const PortRecords& records, const Settings& settings) {
    for (const auto& [name, record] : records) {
        if (record.active) leaving_.emplace_back(name, port_address(record.prefix));
    }
    for (const PortAddress& entry : std::exchange(leaving_, {})) let_leave(entry, {}, settings);
    if (settings.aggregate) {
        auto removed = net_.remove_blackhole(*settings.aggregate);
        if (!removed) kLog.warning("aggregate stays", {{"error", removed.error()}});
    }
    remove_old_aggregates(settings, true);
}

void KernelState::finish(const Settings& settings) {
    remove_old_aggregates(settings, true);
    confirmed_.clear();
    placed_.clear();
    suspects_.clear();
    replaced_.clear();
    aside_.clear();
    looked_.reset();
    anchored_.reset();
    leaving_.clear();
}

}  // namespace nett::ra
