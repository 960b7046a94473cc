#include "agent/sdk/store.hpp"

namespace nett {

Awaitable<Result<Revision>> update_record(Store& store, std::string kind, std::string key, std::string actor,
                                          std::string reason, RecordEdit change) {
    for (int attempt = 0; attempt < kMaxUpdateAttempts; ++attempt) {
        auto record = store.get(kind, key);
        if (!record) co_return fail(std::move(record.error()));
        auto put = change(*record);
        if (!put) co_return fail(std::move(put.error()));
        if (!*put) co_return store.revision();
        Transaction transaction;
        transaction.compares.push_back({kind, key, *record ? (*record)->revision : 0});
        transaction.puts.push_back(std::move(**put));
        transaction.actor = actor;
        transaction.reason = reason;
        auto committed = co_await store.commit(std::move(transaction));
        if (committed || committed.error().code != Code::kAborted) co_return committed;
    }
    co_return fail(Code::kAborted, "{} \"{}\" changes faster than it can be updated; try again", kind, key);
}

}  // namespace nett
