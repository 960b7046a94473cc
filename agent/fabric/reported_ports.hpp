// The ports of other switches, as their reports name them, kept in the state file: so the metadata service knows behind
// which port a request is, on every server and after a restart.
#pragma once

#include <functional>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "agent/fabric/view.hpp"
#include "agent/sdk/asio.hpp"
#include "agent/sdk/log.hpp"
#include "agent/sdk/result.hpp"
#include "agent/sdk/store.hpp"
#include "agent/sdk/task_group.hpp"

namespace nett {

// "tor-a" of "tor-a.fabric.example", and of "tor-a/swp7".
std::string_view switch_of(std::string_view name);
// kInvalidArgument: too many, a port twice, or a prefix that is no /64.
Result<void> check_ports(const std::vector<ReportedPort>& ports);
// kDataLoss names a record that is none.
Result<std::vector<ReportedPort>> read_reported_ports(const Store& store);

// What has to be written so that the records of `name` are `ports`. Pure.
struct PortChanges {
    std::vector<Transaction> transactions;
    // Ports that have the prefix of another switch's port, of one that is heard from: they are not recorded, because
    // who says so might be wrong, or lie. A prefix of a switch that is not heard from any more is taken over.
    std::vector<std::string> disputed;
};
PortChanges port_changes(const std::vector<Record>& records, const std::string& name,
                         const std::vector<ReportedPort>& ports,
                         const std::function<bool(std::string_view name)>& is_heard);

// Writes them. What cannot be written now (servers that share their state have no quorum), or is disputed, is tried
// again with the next word of any switch, that is within kReportInterval. Loop thread only.
class ReportedPorts {
public:
    // References outlive this.
    struct Dependencies {
        asio::any_io_executor loop;
        Store& store;
        HealthRegistry& health;
        const FabricView& view;
        const Clock& clock;
    };
    explicit ReportedPorts(Dependencies dependencies) : d_(dependencies), tasks_(d_.loop, log_) {}

    // All ports of the switch `name`.
    void replace(const std::string& name, std::vector<ReportedPort> ports);
    void retry();
    Awaitable<void> stop();

private:
    Awaitable<void> write();
    // False: not now, or not all of it.
    Awaitable<bool> write_switch(std::string name, std::vector<ReportedPort> ports);
    void report(const std::string& name, const std::vector<std::string>& disputed);
    bool is_heard(std::string_view name) const;

    const Dependencies d_;
    Logger log_{"fabric"};
    TaskGroup tasks_;
    std::map<std::string, std::vector<ReportedPort>> due_;  // by switch
    std::set<std::string> disputing_;
    bool writing_ = false;
    bool again_ = false;    // there is more to write than write() has looked at
    bool failing_ = false;  // and that was logged
    bool stopping_ = false;
};

}  // namespace nett
