// Reads NetBox every now and then, keeps what it said in the state file, and gives it to the machines whose production
// prefix is NetBox's. No request of a machine waits for any of this.
#pragma once

#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <boost/asio/steady_timer.hpp>

#include "agent/sdk/command.hpp"
#include "agent/sdk/event.hpp"
#include "agent/sdk/health.hpp"
#include "agent/sdk/https_client.hpp"
#include "agent/sdk/log.hpp"
#include "agent/sdk/model.hpp"
#include "agent/sdk/task_group.hpp"
#include "plugins/metadata/netbox.hpp"

namespace nett::metadata {

// Loop thread. Off while no settings are given; what is known stays known then.
class NetboxService {
public:
    struct Environment {
        asio::any_io_executor loop;
        Store& store;
        EventBus& events;
        const Clock& clock;
    };
    NetboxService(Environment environment, std::unique_ptr<HttpsClient> client);

    // Reads what an earlier run was told, and gives it to machines that want it.
    Result<void> start();
    // Reads NetBox anew at once when something has changed.
    void set_settings(std::optional<NetboxSettings> settings);
    Awaitable<void> stop();

    // One reading, whatever the time: all pages, the records, the machines. An error leaves what is known as it is.
    Awaitable<Result<void>> refresh();

    // Condition metadata/netbox, scope info. Degraded at worst: the last known prefixes hold.
    HealthCondition health() const;
    // `show netbox`.
    Result<Output> show() const;

private:
    Awaitable<void> keep();
    Awaitable<Result<NetboxTable>> read();
    Awaitable<Result<NetboxPage>> read_page(const NetboxSettings& settings, std::size_t offset,
                                            const std::string& authorization);
    Awaitable<Result<void>> record(const NetboxTable& table);
    Awaitable<void> give_all();
    Awaitable<void> give(std::string machine);
    std::optional<NetboxPrefix> known_of(const Machine& machine) const;
    void wake();

    Environment host_;
    std::unique_ptr<HttpsClient> client_;
    Logger log_{"metadata"};
    TaskGroup tasks_;
    asio::steady_timer tick_;
    Subscription watch_;
    std::optional<NetboxSettings> settings_;
    std::set<std::string> waiting_;  // machines that were changed to want a prefix
    bool refresh_now_ = false;
    bool stopping_ = true;

    // How the last reading went.
    SystemTime last_success_{};
    SystemTime last_attempt_{};
    SteadyTime next_{};
    std::optional<std::chrono::seconds> retry_after_;
    unsigned failures_ = 0;
    std::string error_;
    std::string remedy_;
    std::size_t skipped_ = 0;
    std::vector<std::string> problems_;           // of the table
    std::map<std::string, std::string> refused_;  // machine → why it could not be given its prefix
};

}  // namespace nett::metadata
