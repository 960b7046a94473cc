// Keeps ports advertised: configuration and links in, FRR's RA, port addresses and the aggregate's blackhole out.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>

#include <boost/asio/steady_timer.hpp>

#include "agent/sdk/plugin.hpp"
#include "plugins/ra/allocation.hpp"
#include "plugins/ra/settings.hpp"

namespace nett::ra {

// How often addresses and routes are compared with what they should be. Links are followed by event; this is for what
// other hands remove.
inline constexpr std::chrono::seconds kCheckInterval{2};

// How one port is, for `show ra` and `show ports`.
struct PortStatus {
    std::string name;
    Prefix6 prefix;
    std::string link;  // "up", "down", "absent"
    std::string mac;
    std::string state;  // "advertising", "waiting", "failed"
    std::string error;
};

// Loop thread only.
//
// Order on a port: zebra advertises any global address of an RA port by itself, for 30 days. So the prefix is
// programmed with its lifetimes first, and the address follows once zebra has it. What is taken away goes in the other
// order of time: zebra deprecates the prefix (agent/frr), the address goes as soon as that is programmed.
class Service {
public:
    explicit Service(const Host& host);

    // Puts settings in force: numbers the ports, persists that, declares. On error the old settings stay in force.
    Awaitable<Result<void>> apply(Settings settings);
    // Follows links and repairs until stop().
    void run();
    // Leaves everything programmed: machines must not notice that the agent stops.
    Awaitable<void> stop();

    const Settings& settings() const { return settings_; }
    std::vector<PortStatus> ports() const;

private:
    Awaitable<Result<void>> apply_now(Settings settings);
    Awaitable<Result<PortRecords>> number_ports(const Settings& settings);
    Result<PortRecords> load() const;
    std::vector<std::string> candidates(const PortRecords& known) const;
    Awaitable<void> lock();
    void unlock();
    Awaitable<void> follow();
    Awaitable<void> follow_links();

    void declare(const PortRecords& before);
    std::vector<RaInterface> advertisements(const PortRecords& records) const;
    void publish_changes(const PortRecords& before) const;
    void on_frr();
    void put_kernel_state();
    void put_address(const std::string& port, const PortRecord& record);
    void put_aggregate();
    void report_health();

    const Host& host_;
    Settings settings_;
    PortRecords records_;
    std::optional<std::vector<RaInterface>> declared_;
    std::map<std::string, InterfaceAddress> leaving_;  // addresses to remove, by port, once zebra is in sync
    std::set<Prefix6> old_aggregates_;                 // blackholes to remove
    std::set<std::string> confirmed_;                  // ports whose prefix zebra has had: their address may be there
    std::map<std::string, std::string> errors_;        // by port; "" is the aggregate
    std::string numbering_error_;                      // why new links could not be followed
    std::uint64_t seen_repairs_ = 0;
    bool busy_ = false;
    bool running_ = false;
    bool stopping_ = false;
    bool links_changed_ = false;
    asio::steady_timer idle_;  // wakes lock()
    asio::steady_timer tick_;  // wakes follow()
    Subscription links_;
    Subscription frr_;
};

}  // namespace nett::ra
