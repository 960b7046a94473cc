// The vocabulary of the store's tests: a directory, a store, and a loop that runs until a commit is answered.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <future>
#include <optional>
#include <string>

#include <gtest/gtest.h>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include "agent/core/store/sqlite_store.hpp"

namespace nett::test {

// Removed with its content at the end of the scope.
class TemporaryDirectory {
public:
    TemporaryDirectory() {
        std::string name = (std::filesystem::temp_directory_path() / "nett-test-XXXXXX").string();
        if (::mkdtemp(name.data()) == nullptr) std::abort();
        path_ = name;
    }
    TemporaryDirectory(const TemporaryDirectory&) = delete;
    TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
    ~TemporaryDirectory() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    std::string operator/(std::string_view name) const { return path_ + "/" + std::string(name); }
    const std::string& path() const { return path_; }

private:
    std::string path_;
};

// Runs `work` on the loop until it is done.
template <typename T>
T await_on(asio::io_context& loop, Awaitable<T> work) {
    std::optional<T> result;
    asio::co_spawn(loop, std::move(work), [&](const std::exception_ptr& error, T value) {
        if (error) std::rethrow_exception(error);
        result.emplace(std::move(value));
    });
    loop.restart();
    while (!result && loop.run_one() != 0) {
    }
    return std::move(result.value());
}

inline Transaction put(std::string kind, std::string key, std::string value, std::vector<IndexEntry> indexes = {}) {
    Transaction transaction;
    transaction.puts.push_back({std::move(kind), std::move(key), std::move(value), std::move(indexes)});
    transaction.actor = "test";
    transaction.reason = "because";
    return transaction;
}

inline Transaction remove(std::string kind, std::string key) {
    Transaction transaction;
    transaction.deletes.push_back({std::move(kind), std::move(key)});
    transaction.actor = "test";
    return transaction;
}

inline Transaction only_if(Transaction transaction, std::string kind, std::string key, Revision revision) {
    transaction.compares.push_back({std::move(kind), std::move(key), revision});
    return transaction;
}

class StoreTest : public ::testing::Test {
protected:
    void SetUp() override { open(); }

    void open(SqliteOptions options = {}) {
        store_.reset();
        auto opened = SqliteStore::open(path(), loop_.get_executor(), options);
        ASSERT_TRUE(opened) << opened.error().to_string();
        store_ = std::move(*opened);
    }
    std::string path() const { return directory_ / "state.db"; }
    Result<Revision> commit(Transaction transaction) { return await_on(loop_, store_->commit(std::move(transaction))); }
    std::string value_of(std::string_view kind, std::string_view key) {
        const auto record = store_->get(kind, key);
        return record && *record ? (*record)->value : "(none)";
    }
    // Runs what is posted on the loop.
    void settle() {
        loop_.restart();
        loop_.poll();
    }

    TemporaryDirectory directory_;
    asio::io_context loop_{1};
    std::unique_ptr<SqliteStore> store_;
};

}  // namespace nett::test
