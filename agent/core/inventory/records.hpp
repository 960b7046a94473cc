// Reading typed records from the store.
#pragma once

#include <string_view>
#include <vector>

#include "agent/core/inventory/inventory.hpp"

namespace nett {

template <typename T>
Result<Stored<T>> decode_record(const Record& record) {
    auto value = decode<T>(record.value);
    if (!value) return fail(std::move(value.error()).in(record.kind + "/" + record.key));
    return Stored<T>{std::move(*value), record.revision};
}

// nullopt when there is none.
template <typename T>
Result<std::optional<Stored<T>>> read_record(const Store& store, std::string_view kind, std::string_view key) {
    auto record = store.get(kind, key);
    if (!record) return fail(std::move(record.error()));
    if (!*record) return std::optional<Stored<T>>();
    auto decoded = decode_record<T>(**record);
    if (!decoded) return fail(std::move(decoded.error()));
    return std::optional<Stored<T>>(std::move(*decoded));
}

template <typename T>
Result<std::vector<Stored<T>>> read_records(const Store& store, std::string_view kind, std::string_view after = "",
                                            std::size_t limit = SIZE_MAX) {
    auto records = store.list(kind, after, limit);
    if (!records) return fail(std::move(records.error()));
    std::vector<Stored<T>> values;
    values.reserve(records->size());
    for (const auto& record : *records) {
        auto decoded = decode_record<T>(record);
        if (!decoded) return fail(std::move(decoded.error()));
        values.push_back(std::move(*decoded));
    }
    return values;
}

}  // namespace nett
