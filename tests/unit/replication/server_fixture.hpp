// The vocabulary of the replication's tests: servers with a state file each, on one etcd in memory.
#pragma once

#include <memory>
#include <string>

#include <boost/json.hpp>

#include "agent/core/host/event_bus.hpp"
#include "agent/core/host/health_registry.hpp"
#include "agent/core/store/secret_box.hpp"
#include "agent/replication/replication.hpp"
#include "tests/unit/store/store_fixture.hpp"
#include "tests/unit/support/fake_etcd.hpp"

namespace nett::test {

// Runs the loop until `condition` holds; the timers' real time passes.
template <typename Condition>
::testing::AssertionResult holds(asio::io_context& loop, Condition condition) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (!condition()) {
        if (std::chrono::steady_clock::now() > deadline) return ::testing::AssertionFailure() << "not within 20 s";
        loop.restart();
        loop.run_one_for(std::chrono::seconds(1));
    }
    return ::testing::AssertionSuccess();
}

class Server {
public:
    Server(asio::io_context& loop, FakeCluster& cluster, std::string name, std::string folder, std::string key)
        : loop_(loop), events_(loop.get_executor(), clock_), health_(loop.get_executor(), clock_, events_) {
        file = SqliteStore::open(folder + "/" + name + ".db", loop.get_executor()).value();
        secrets_ = open_secret_box(folder + "/" + key).value();
        auto client = std::make_unique<FakeEtcd>(loop.get_executor(), cluster);
        etcd = client.get();
        replication = replication::Replication::open(
                          {loop.get_executor(), clock_, *file, *secrets_, health_, events_, std::move(name), "test"},
                          {}, std::move(client))
                          .value();
        replication->start();
    }
    ~Server() {
        bool stopped = false;
        asio::co_spawn(loop_, replication->stop(), [&](const std::exception_ptr&) { stopped = true; });
        EXPECT_TRUE(holds(loop_, [&] { return stopped; }));
    }

    Store& store() { return replication->store(); }
    Result<Revision> commit(Transaction transaction) { return await_on(loop_, store().commit(std::move(transaction))); }
    std::string value_of(std::string_view kind, std::string_view key) {
        const auto record = store().get(kind, key);
        return record && *record ? (*record)->value : "(none)";
    }
    Revision revision_of(std::string_view kind, std::string_view key) {
        const auto record = store().get(kind, key);
        return record && *record ? (*record)->revision : 0;
    }
    bool is_member() { return replication->status().at("role").as_string() == "member"; }
    std::string error() { return std::string(replication->status().at("error").as_string()); }
    std::uint64_t snapshots() { return replication->status().at("snapshots").to_number<std::uint64_t>(); }
    HealthCondition lag() {
        for (auto& condition : health_.conditions()) {
            if (condition.component == "replication" && condition.name == "lag") return condition;
        }
        return {};
    }

    std::unique_ptr<SqliteStore> file;
    FakeEtcd* etcd = nullptr;
    std::unique_ptr<replication::Replication> replication;

private:
    asio::io_context& loop_;
    RealClock clock_;
    LoopEventBus events_;
    LoopHealthRegistry health_;
    std::unique_ptr<SecretBox> secrets_;
};

class ReplicationTest : public ::testing::Test {
protected:
    void TearDown() override { FakeWatch::cluster_silent = false; }

    std::unique_ptr<Server> server(std::string name, std::string key = "secret.key") {
        return std::make_unique<Server>(loop_, cluster_, std::move(name), folder_.path(), std::move(key));
    }
    std::unique_ptr<Server> member(std::string name) {
        auto made = server(std::move(name));
        EXPECT_TRUE(holds(loop_, [&] { return made->is_member(); })) << made->error();
        return made;
    }
    bool has(Server& server, std::string_view key, std::string_view value) {
        return static_cast<bool>(holds(loop_, [&] { return server.value_of("machine", key) == value; }));
    }

    TemporaryDirectory folder_;
    asio::io_context loop_{1};
    FakeCluster cluster_;
};

}  // namespace nett::test
