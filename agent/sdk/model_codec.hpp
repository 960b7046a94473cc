// What the codecs of model.hpp share: a reader that remembers the first member with a wrong type, and a few writers.
// Only for model_*.cpp. One member list a type: to_json() and decode() of each stand side by side.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include <boost/json.hpp>

#include "agent/sdk/model.hpp"

namespace nett::codec {

namespace json = boost::json;

// Version of the JSON shapes below; a record of a later one is not guessed at.
inline constexpr std::int64_t kRecordVersion = 1;

// Reads members of an object; the first that has the wrong type is remembered.
class Reader {
public:
    explicit Reader(const json::object& object) : object_(object) {}

    void text(std::string_view name, std::string& out) {
        if (const auto* value = member(name)) {
            if (const auto* text = value->if_string()) {
                out.assign(text->data(), text->size());
            } else {
                wrong(name);
            }
        }
    }
    template <typename T>
    void number(std::string_view name, T& out) {
        if (const auto* value = member(name)) {
            json::error_code error;
            out = value->to_number<T>(error);
            if (error) wrong(name);
        }
    }
    void flag(std::string_view name, bool& out) {
        if (const auto* value = member(name)) {
            if (value->is_bool()) {
                out = value->get_bool();
            } else {
                wrong(name);
            }
        }
    }
    void texts(std::string_view name, std::vector<std::string>& out) {
        each(name, [&](const json::value& item) {
            if (const auto* text = item.if_string()) {
                out.emplace_back(text->data(), text->size());
            } else {
                wrong(name);
            }
        });
    }
    void time(std::string_view name, SystemTime& out) {
        std::string text;
        this->text(name, text);
        auto parsed = parse_rfc3339(text);
        if (parsed) {
            out = *parsed;
        } else {
            wrong(name);
        }
    }
    template <typename T, typename Parse>
    void parsed(std::string_view name, T& out, Parse parse) {
        if (member(name) == nullptr) return;
        std::string text;
        this->text(name, text);
        auto value = parse(text);
        if (value) {
            out = *value;
        } else {
            wrong(name);
        }
    }
    template <typename F>
    void each(std::string_view name, F&& use) {
        if (const auto* value = member(name)) {
            if (const auto* array = value->if_array()) {
                for (const auto& item : *array) use(item);
            } else {
                wrong(name);
            }
        }
    }
    template <typename T, typename Parse>
    void each_parsed(std::string_view name, std::vector<T>& out, Parse parse) {
        each(name, [&](const json::value& item) {
            if (!item.is_string()) return wrong(name);
            auto value = parse(std::string_view(item.get_string()));
            if (!value) return wrong(name);
            out.push_back(std::move(*value));
        });
    }
    template <typename F>
    void one_object(std::string_view name, F&& use) {
        const auto* value = member(name);
        if (value == nullptr) return;
        if (!value->is_object()) return wrong(name);
        Reader reader(value->get_object());
        use(reader);
        if (!reader.wrong_.empty()) wrong(name);
    }
    template <typename F>
    void each_object(std::string_view name, F&& use) {
        each(name, [&](const json::value& item) {
            if (const auto* object = item.if_object()) {
                Reader reader(*object);
                use(reader);
                if (!reader.wrong_.empty()) wrong(name);
            } else {
                wrong(name);
            }
        });
    }
    void object(std::string_view name, std::map<std::string, std::string>& out) {
        const auto* value = member(name);
        if (value == nullptr) return;
        if (!value->is_object()) return wrong(name);
        out.clear();
        for (const auto& [key, item] : value->get_object()) {
            if (!item.is_string()) return wrong(name);
            out[std::string(key)] = std::string(item.get_string());
        }
    }
    const json::value* member(std::string_view name) const { return object_.if_contains(name); }
    void wrong(std::string_view name) {
        if (wrong_.empty()) wrong_ = name;
    }
    const std::string& first_wrong() const { return wrong_; }

private:
    const json::object& object_;
    std::string wrong_;
};

inline json::array array_of(const std::vector<std::string>& texts) {
    json::array out;
    for (const auto& text : texts) out.emplace_back(text);
    return out;
}

inline json::object start() {
    return json::object{{"version", kRecordVersion}};
}

// Parses the text, checks the version, runs `read`, and says which member was wrong.
template <typename T, typename Read>
Result<T> decode_with(std::string_view text, std::string_view what, Read read) {
    json::error_code error;
    const json::value parsed = json::parse(text, error);
    if (error || !parsed.is_object()) {
        return fail(Code::kDataLoss, "the stored {} is not a JSON object", what);
    }
    Reader reader(parsed.get_object());
    std::int64_t version = 0;
    reader.number("version", version);
    if (version != kRecordVersion) {
        return fail(Code::kDataLoss, "the stored {} has version {}; this agent knows version {}", what, version,
                    kRecordVersion);
    }
    T value;
    read(reader, value);
    if (!reader.first_wrong().empty()) {
        return fail(Code::kDataLoss, "the stored {} has an unusable member \"{}\"", what, reader.first_wrong());
    }
    return value;
}

inline json::object object_of(const std::map<std::string, std::string>& texts) {
    json::object out;
    for (const auto& [name, text] : texts) out[name] = text;
    return out;
}

template <typename T>
json::array array_of_texts(const std::vector<T>& values) {
    json::array out;
    for (const auto& value : values) out.emplace_back(value.to_string());
    return out;
}

template <typename T>
Transaction::Put plain_put(std::string_view kind, std::string key, const T& value) {
    return {std::string(kind), std::move(key), json::serialize(to_json(value)), {}};
}

// An entry of a grouping index.
inline void add_group(Transaction::Put& put, std::string_view index, std::string_view group) {
    put.indexes.push_back({std::string(index), group_prefix(group) + put.key});
}

}  // namespace nett::codec
