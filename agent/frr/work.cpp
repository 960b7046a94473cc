#include "agent/frr/work.hpp"

#include <algorithm>
#include <utility>

namespace nett {

std::vector<FrrDrift> summarized(std::vector<FrrDrift> drift) {
    if (drift.size() <= kMaxDriftDetails) return drift;
    FrrDrift& first = drift.front();
    return {{first.daemon,
             {},
             fmt::format("{} differ, as after a restart; {}: {}", drift.size(), first.subject, first.difference),
             {}}};
}

void ZebraWork::declare(const std::string& owner, std::vector<RaInterface> interfaces) {
    if (auto it = declarations_.owners.find(owner); it != declarations_.owners.end()) {
        for (const RaInterface& old : it->second.desired) planner_.adopt(old);
    }
    declarations_.owners[owner] = {std::move(interfaces), false};
    withdrawn_.erase(owner);
    used_ = true;
}

void ZebraWork::release(const std::string& owner, bool programmed) {
    declarations_.release(owner, programmed);
    withdrawn_.erase(owner);
    if (programmed) forget_undeclared();
}

void ZebraWork::withdraw(const std::string& owner) {
    if (!declarations_.owners.contains(owner)) return;
    declare(owner, {});
    withdrawn_.insert(owner);
}

FrrRead ZebraWork::reader() {
    return [](FrrBackend& backend) -> Result<FrrActual> {
        auto table = backend.read_ra();
        if (!table) return fail(std::move(table.error()));
        return FrrActual(std::move(*table));
    };
}

FrrWork::Plan ZebraWork::plan(const FrrActual& actual) {
    const auto& table = std::get<RaTable>(actual);
    RaChange change = planner_.plan(merged(), table, clock_.steady_now());
    if (change.empty()) return {};
    auto drift = summarized(std::exchange(change.drift, {}));
    return {[change = std::move(change)](FrrBackend& backend) { return backend.apply_ra(change); }, std::move(drift)};
}

void ZebraWork::settled() {
    bool forgotten = declarations_.forget_leaving();
    // Other owners' interfaces stay in the planner: its being idle is only the last owner's end.
    for (auto it = withdrawn_.begin(); it != withdrawn_.end();) {
        if (declarations_.owners.size() > 1 || planner_.idle()) {
            declarations_.owners.erase(*it);
            it = withdrawn_.erase(it);
            forgotten = true;
        } else {
            ++it;
        }
    }
    if (forgotten) forget_undeclared();
}

RaPlanner::Declared ZebraWork::merged() const {
    RaPlanner::Declared result;
    for (const auto& [owner, entry] : declarations_.owners) {
        for (const RaInterface& interface : entry.desired) result[interface.name] = normalized(interface);
    }
    return result;
}

void ZebraWork::forget_undeclared() {
    if (declarations_.owners.empty()) {
        planner_ = RaPlanner();
        used_ = false;
    }
}

void BgpdWork::declare(const std::string& owner, std::vector<PrefixListEntry> entries) {
    if (auto it = declarations_.owners.find(owner); it != declarations_.owners.end()) {
        for (const PrefixListEntry& old : it->second.desired) unwanted_.insert({old.list, old.sequence});
    }
    declarations_.owners[owner] = {std::move(entries), false};
}

void BgpdWork::withdraw(const std::string& owner) {
    if (!declarations_.owners.contains(owner)) return;
    declare(owner, {});
    declarations_.owners[owner].leaving = true;
}

bool BgpdWork::wanted() const {
    return !unwanted_.empty() || std::any_of(declarations_.owners.begin(), declarations_.owners.end(),
                                             [](const auto& entry) { return !entry.second.desired.empty(); });
}

FrrRead BgpdWork::reader() {
    std::set<std::string> lists;
    for (const auto& [key, entry] : merged()) lists.insert(key.first);
    for (const EntryKey& key : unwanted_) lists.insert(key.first);
    return [lists = std::move(lists)](FrrBackend& backend) -> Result<FrrActual> {
        auto table = backend.read_prefix_lists(lists);
        if (!table) return fail(std::move(table.error()));
        return FrrActual(std::move(*table));
    };
}

FrrWork::Plan BgpdWork::plan(const FrrActual& actual) {
    PrefixListChange change = plan_prefix_lists(merged(), unwanted_, std::get<PrefixListTable>(actual));
    if (change.empty()) return {};
    std::vector<FrrDrift> drift;
    for (const PrefixListEntry& entry : change.put) {
        drift.push_back({FrrDaemon::kBgpd, entry.list, fmt::format("entry {} missing or changed", entry.sequence), {}});
    }
    return {[change = std::move(change)](FrrBackend& backend) { return backend.apply_prefix_lists(change); },
            summarized(std::move(drift))};
}

void BgpdWork::settled() {
    unwanted_.clear();
    declarations_.forget_leaving();
}

DeclaredEntries BgpdWork::merged() const {
    DeclaredEntries result;
    for (const auto& [owner, entry] : declarations_.owners) {
        for (const PrefixListEntry& line : entry.desired) result[{line.list, line.sequence}] = line;
    }
    return result;
}

}  // namespace nett
