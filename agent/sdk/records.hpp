// Reading typed records from the store.
#pragma once

#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "agent/sdk/model.hpp"
#include "agent/sdk/store.hpp"

namespace nett {

// A record's value and the revision of its last change.
template <typename T>
struct Stored {
    T value;
    Revision revision = 0;
};

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
Result<std::vector<Stored<T>>> decode_records(Result<std::vector<Record>> records) {
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

template <typename T>
Result<std::vector<Stored<T>>> read_records(const Store& store, std::string_view kind, std::string_view after = "",
                                            std::size_t limit = SIZE_MAX) {
    return decode_records<T>(store.list(kind, after, limit));
}

// What counts for a machine: its tenant's profile of the name it gives, else every tenant's, else (it names none) the
// defaults. kFailedPrecondition: it names one that is not there.
Result<Profile> effective_profile(const Store& store, const Machine& machine);

// The compare that keeps a record as it was read; for a transaction that depends on it.
inline Transaction::Compare unchanged(std::string_view kind, std::string_view key, Revision revision) {
    return {std::string(kind), std::string(key), revision};
}

}  // namespace nett
