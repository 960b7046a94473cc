#include "plugins/metadata/port_table.hpp"

#include <optional>
#include <utility>

#include <boost/json.hpp>

#include "agent/sdk/log.hpp"

namespace nett::metadata {

namespace {

// The prefix of a port's record; nullopt: it is not in use, or cannot be read.
std::optional<Prefix6> prefix_of(const Record& record) {
    boost::system::error_code error;
    const auto value = boost::json::parse(record.value, error);
    const auto* object = error ? nullptr : value.if_object();
    if (object == nullptr) return std::nullopt;
    const auto* active = object->if_contains("active");
    if (active != nullptr && active->is_bool() && !active->get_bool()) return std::nullopt;
    const auto* text = object->if_contains("prefix");
    if (text == nullptr || !text->is_string()) return std::nullopt;
    auto prefix = Prefix6::parse(std::string_view(text->get_string()));
    return prefix ? std::optional(*prefix) : std::nullopt;
}

}  // namespace

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
        if (const auto prefix = prefix_of(record)) ports->emplace(*prefix, hostname_ + "/" + record.key);
    }
    for (const auto& record : *reported) {
        if (const auto prefix = prefix_of(record)) ports->emplace(*prefix, record.key);
    }
    ports_.store(std::move(ports));
    return {};
}

}  // namespace nett::metadata
