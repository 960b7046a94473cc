#include "agent/sdk/port_records.hpp"

#include <boost/json.hpp>

namespace nett {

Result<std::optional<Prefix6>> port_prefix_of(const Record& record) {
    boost::system::error_code error;
    const auto value = boost::json::parse(record.value, error);
    const auto* object = error ? nullptr : value.if_object();
    const auto* text = object == nullptr ? nullptr : object->if_contains("prefix");
    if (text == nullptr || !text->is_string()) {
        return fail(Code::kDataLoss, "{}/{} is not a port's record", record.kind, record.key);
    }
    const auto* active = object->if_contains("active");
    if (active != nullptr && active->is_bool() && !active->get_bool()) return std::optional<Prefix6>();
    const auto prefix = Prefix6::parse(std::string_view(text->get_string()));
    if (!prefix) return fail(Code::kDataLoss, "{}/{}: {}", record.kind, record.key, prefix.error().message);
    return std::optional(*prefix);
}

}  // namespace nett
