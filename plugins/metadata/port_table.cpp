#include "plugins/metadata/port_table.hpp"

#include <utility>

#include "agent/sdk/log.hpp"
#include "agent/sdk/port_records.hpp"

namespace nett::metadata {

Result<void> PortTable::start(Store& store, std::string hostname) {
    hostname_ = std::move(hostname);
    const auto follow = [this, &store](const Change&) {
        if (auto rebuilt = rebuild(store); !rebuilt) {
            Logger("metadata").error("cannot read the ports; the known ones hold", {{"error", rebuilt.error()}});
        }
    };
    own_ = store.watch(std::string(kOwnPortKind), follow);
    reported_ = store.watch(std::string(kReportedPortKind), follow);
    return rebuild(store);
}

void PortTable::stop() {
    own_.reset();
    reported_.reset();
}

std::string PortTable::find(const Address6& source) const {
    const auto ports = ports_.load();
    // Prefixes of ports do not overlap, so only the last one that begins at or before the source can have it.
    auto after = ports->upper_bound(Prefix6(source, 128));
    if (after == ports->begin()) return {};
    const auto& [prefix, port] = *--after;
    return prefix.contains(source) ? port : std::string();
}

// What this host advertises itself counts for more than what somebody reports.
Result<void> PortTable::rebuild(const Store& store) {
    const auto own = store.list(kOwnPortKind);
    if (!own) return fail(own.error());
    const auto reported = store.list(kReportedPortKind);
    if (!reported) return fail(reported.error());
    auto ports = std::make_shared<Ports>();
    for (const auto& record : *own) {
        if (const auto prefix = port_prefix_of(record); prefix && *prefix)
            ports->emplace(**prefix, hostname_ + "/" + record.key);
    }
    for (const auto& record : *reported) {
        if (const auto prefix = port_prefix_of(record); prefix && *prefix) ports->emplace(**prefix, record.key);
    }
    ports_.store(std::move(ports));
    return {};
}

}  // namespace nett::metadata
