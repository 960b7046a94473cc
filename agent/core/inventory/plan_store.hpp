// A store as it would be: reads see what is planned over what is there, writes stay in memory.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "agent/sdk/store.hpp"

namespace nett {

// For one thread. The base outlives it, and may go on meanwhile: merged() has compares on all that was relied on.
// Nothing is ever waited for: commit() completes at once.
class PlanStore final : public Store {
public:
    explicit PlanStore(const Store& base) : base_(base) {}

    // One record's part of the plan.
    struct Touched {
        std::string kind;
        std::string key;
        std::optional<std::string> before;  // nullopt: it is added
        std::optional<std::string> after;   // nullopt: it is removed
    };
    // In order of kind and key; nothing that is as it was.
    std::vector<Touched> touched() const;
    // All of it as one transaction for the base.
    Transaction merged() const;

    Result<std::optional<Record>> get(std::string_view kind, std::string_view key) const override;
    Result<std::optional<Record>> find(std::string_view kind, std::string_view index,
                                       std::string_view value) const override;
    Result<std::vector<Record>> list(std::string_view kind, std::string_view after, std::size_t limit) const override;
    // What is planned comes after what is there.
    Result<std::vector<Record>> scan(std::string_view kind, std::string_view index, std::string_view prefix,
                                     std::string_view after, std::size_t limit) const override;
    // For grouping indexes (agent/sdk/model.hpp).
    Result<std::uint64_t> count(std::string_view kind, std::string_view index, std::string_view prefix) const override;
    // kUnimplemented: a plan has no history.
    Result<std::vector<Change>> changes(Revision since, std::size_t limit) const override;
    Revision revision() const override { return base_.revision() + commits_; }
    Awaitable<Result<Revision>> commit(Transaction transaction) override;
    // Never called back.
    [[nodiscard]] Subscription watch(std::string kind, std::function<void(const Change&)> observer) override;

private:
    using Id = std::pair<std::string, std::string>;                     // kind, key
    using IndexId = std::tuple<std::string, std::string, std::string>;  // kind, index, value
    struct Overlay {
        std::optional<Record> before;
        std::optional<Transaction::Put> now;
        Revision revision = 0;  // what compares must say
    };

    bool is_overlaid(const Record& record) const { return overlay_.contains({record.kind, record.key}); }
    std::size_t overlaid(std::string_view kind) const;
    Result<void> check(const Transaction::Compare& compare);
    Result<void> check_indexes(const Transaction& transaction) const;
    Result<void> set(const std::string& kind, const std::string& key, std::optional<Transaction::Put> now);

    const Store& base_;
    std::map<Id, Overlay> overlay_;
    std::map<IndexId, std::string> index_;  // of the puts in overlay_
    std::map<Id, Revision> compares_;       // on the base
    Revision commits_ = 0;
};

}  // namespace nett
