#include "agent/fabric/ports.hpp"

#include <algorithm>

#include <boost/json.hpp>

#include "agent/sdk/config.hpp"

namespace nett {

namespace json = boost::json;

namespace {

Result<std::optional<BootPort>> parse(const Record& record) {
    json::error_code error;
    const auto value = json::parse(record.value, error);
    const auto* object = error ? nullptr : value.if_object();
    const auto* prefix = object == nullptr ? nullptr : object->if_contains("prefix");
    if (prefix == nullptr || !prefix->is_string()) {
        return fail(Code::kDataLoss, "{}/{} is not a port's record", record.kind, record.key);
    }
    const auto* active = object->if_contains("active");
    if (active != nullptr && active->is_bool() && !active->as_bool()) return std::optional<BootPort>();
    const auto parsed = Prefix6::parse(std::string_view(prefix->as_string()));
    if (!parsed) return fail(Code::kDataLoss, "{}/{}: {}", record.kind, record.key, parsed.error().message);
    return std::optional<BootPort>(BootPort{record.key, *parsed});
}

}  // namespace

Result<std::vector<BootPort>> read_boot_ports(const Store& store) {
    const auto records = store.list(kBootPortKind);
    if (!records) return fail(records.error());
    std::vector<BootPort> ports;
    for (const auto& record : *records) {
        const auto port = parse(record);
        if (!port) return fail(port.error());
        if (*port) ports.push_back(**port);
    }
    std::sort(ports.begin(), ports.end(),
              [](const auto& a, const auto& b) { return natural_less(a.interface, b.interface); });
    return ports;
}

}  // namespace nett
