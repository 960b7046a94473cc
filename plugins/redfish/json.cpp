#include "plugins/redfish/json.hpp"

#include <algorithm>

#include <boost/json/parse.hpp>

namespace nett::redfish {

namespace json = boost::json;

Result<json::object> parse_object(std::string_view body) {
    json::parse_options options;
    options.max_depth = kMaxJsonDepth;
    json::error_code error;
    json::value value = json::parse({body.data(), body.size()}, error, {}, options);
    if (error) return fail(Code::kDataLoss, "the BMC's answer is not JSON: {}", error.message());
    if (!value.is_object()) return fail(Code::kDataLoss, "the BMC's answer is JSON, but no object");
    return std::move(value.get_object());
}

const json::value* at(const json::object& object, Path path) {
    const json::object* here = &object;
    const json::value* found = nullptr;
    for (const std::string_view name : path) {
        if (here == nullptr) return nullptr;
        found = here->if_contains({name.data(), name.size()});
        if (found == nullptr) return nullptr;
        here = found->if_object();
    }
    return found;
}

std::string text_at(const json::object& object, Path path) {
    const json::value* value = at(object, path);
    const json::string* text = value == nullptr ? nullptr : value->if_string();
    return text == nullptr ? std::string() : std::string(text->data(), text->size());
}

std::vector<std::string> texts_at(const json::object& object, Path path) {
    std::vector<std::string> out;
    const json::value* value = at(object, path);
    const json::array* array = value == nullptr ? nullptr : value->if_array();
    if (array == nullptr) return out;
    for (const json::value& element : *array) {
        if (out.size() == kMaxArrayElements) break;
        if (const json::string* text = element.if_string()) out.emplace_back(text->data(), text->size());
    }
    return out;
}

std::optional<bool> bool_at(const json::object& object, Path path) {
    const json::value* value = at(object, path);
    const bool* flag = value == nullptr ? nullptr : value->if_bool();
    return flag == nullptr ? std::nullopt : std::optional<bool>(*flag);
}

std::string link_at(const json::object& object, Path path) {
    const json::value* value = at(object, path);
    const json::object* inner = value == nullptr ? nullptr : value->if_object();
    return inner == nullptr ? std::string() : text_at(*inner, {"@odata.id"});
}

std::vector<std::string> links_at(const json::object& object, Path path) {
    std::vector<std::string> out;
    const json::value* value = at(object, path);
    const json::array* array = value == nullptr ? nullptr : value->if_array();
    if (array == nullptr) return out;
    for (const json::value& element : *array) {
        if (out.size() == kMaxArrayElements) break;
        const json::object* inner = element.if_object();
        if (inner == nullptr) continue;
        std::string link = text_at(*inner, {"@odata.id"});
        if (!link.empty()) out.push_back(std::move(link));
    }
    return out;
}

}  // namespace nett::redfish
