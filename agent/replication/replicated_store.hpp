// The Store of a server that shares its state: reads from this host's file, writes by transactions of etcd. Local kinds
// go to the file alone. docs/replication.md has the rules.
#pragma once

#include <string>

#include "agent/replication/follower.hpp"
#include "agent/replication/presence.hpp"

namespace nett::replication {

// Thread-safe as SqliteStore. References outlive it.
class ReplicatedStore final : public Store {
public:
    ReplicatedStore(const Context& context, Follower& follower, Presence& presence);

    Result<std::optional<Record>> get(std::string_view kind, std::string_view key) const override;
    Result<std::optional<Record>> find(std::string_view kind, std::string_view index,
                                       std::string_view value) const override;
    Result<std::vector<Record>> list(std::string_view kind, std::string_view after, std::size_t limit) const override;
    Result<std::vector<Record>> scan(std::string_view kind, std::string_view index, std::string_view prefix,
                                     std::string_view after, std::size_t limit) const override;
    Result<std::uint64_t> count(std::string_view kind, std::string_view index, std::string_view prefix) const override;
    Result<std::vector<Change>> changes(Revision since, std::size_t limit) const override;
    // etcd's, of the last change that this copy has.
    Revision revision() const override;

    // kUnavailable: etcd did not store it, or did not say so in time; the message says which. kFailedPrecondition: this
    // server is not part of the cluster.
    Awaitable<Result<Revision>> commit(Transaction transaction) override;
    [[nodiscard]] Subscription watch(std::string kind, std::function<void(const Change&)> observer) override;

private:
    Awaitable<Result<Revision>> commit_shared(Transaction transaction);
    Awaitable<Result<Revision>> send(Transaction transaction, std::string id);
    Awaitable<Result<void>> check_asked(const Transaction& transaction, SteadyTime deadline);
    Result<Mapped> map(const Transaction& transaction, const std::string& id) const;
    Awaitable<Result<Revision>> settle(const Mapped& mapped, EtcdTxnAnswer answer, std::string id, SteadyTime deadline);

    const Context& c_;
    Follower& follower_;
    Presence& presence_;
    std::string run_;  // tells this run's transactions from those of others
    std::uint64_t sent_ = 0;
};

}  // namespace nett::replication
