// Keeps ports advertised: configuration and links in, FRR's RA, port addresses and the aggregate's blackhole out.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <boost/asio/steady_timer.hpp>

#include "agent/sdk/plugin.hpp"
#include "plugins/ra/allocation.hpp"
#include "plugins/ra/bgp_view.hpp"
#include "plugins/ra/kernel_state.hpp"
#include "plugins/ra/settings.hpp"

namespace nett::ra {

// How often the aggregate's route is looked for, and what could not be done is tried again. Links and addresses are
// followed by event.
inline constexpr std::chrono::seconds kCheckInterval{3};
// Events of one cause come together: 512 addresses within 20 ms. Also bounds what a flapping address costs.
inline constexpr std::chrono::milliseconds kSettle{50};
// How often bgpd is asked who else announces what, and the kernel whether it forwards: two runs of vtysh.
inline constexpr std::chrono::seconds kSurveyInterval{30};
// How long a farewell may take to reach zebra: a commit of 512 ports, on a busy switch CPU.
inline constexpr std::chrono::seconds kFarewell{3};

// How one port is, for `show ra` and `show ports`.
struct PortStatus {
    std::string name;
    Prefix6 prefix;
    std::string link;  // "up", "down", "absent"
    std::string mac;
    std::string state;  // "advertising", "waiting", "failed"
    std::string error;
};

// Something that was put right after other hands had changed it.
struct DriftRecord {
    SystemTime time{};
    std::string port;   // "" when it is about all of them, or about the aggregate
    std::string where;  // "zebra", "kernel"
    std::string difference;
};

// Reads a file below /proc; nullopt when there is none. Tests have their own.
using KernelFileReader = std::function<std::optional<std::string>(const std::string& path)>;
std::optional<std::string> read_kernel_file(const std::string& path);

// Loop thread only.
//
// Order on a port: zebra advertises any global address of an RA port by itself, for 30 days. So the prefix is
// programmed with its lifetimes first, and the address follows once zebra has it. What is taken away goes in the other
// order: zebra deprecates the prefix (agent/frr), the kernel drops the address an interval before zebra drops the
// prefix.
class Service {
public:
    explicit Service(const Host& host, KernelFileReader files = read_kernel_file);

    // Puts settings in force: numbers the ports, persists that, declares. On error the old settings stay in force:
    // kFailedPrecondition for a port of the fabric, or an aggregate that another switch announces, unless that was in
    // force before.
    Awaitable<Result<void>> apply(Settings settings);
    // Follows links and repairs until stop().
    void run();
    // Leaves everything programmed: machines must not notice that the agent stops. With `withdraw` it says farewell on
    // all ports, and does not wait for its end: agent/frr and the kernel go on with it.
    Awaitable<void> stop(bool withdraw);

    const Settings& settings() const { return settings_; }
    std::vector<PortStatus> ports() const;
    // Oldest first, at most kMaxDriftRecords.
    const std::deque<DriftRecord>& drift() const { return drift_; }
    // bgpd's BGP unnumbered neighbours that are the fabric's, as of the last look.
    std::vector<std::string> fabric_ports() const { return nett::ra::fabric_ports(bgp_, settings_); }
    const KernelFileReader& files() const { return files_; }

private:
    // Why settings are applied: an operator hears of what cannot be; a link that appears is then just left alone.
    enum class Cause { kCommit, kLinks };

    Awaitable<Result<void>> apply_now(Settings settings, Cause cause);
    Awaitable<Result<PortRecords>> number_ports(const Settings& settings, Cause cause);
    Awaitable<Result<void>> commit(const PortRecords& known, const PortRecords& wanted, const char* reason);
    Result<std::vector<std::string>> usable_ports(const Settings& settings, const PortRecords& known,
                                                  Cause cause) const;
    std::vector<std::pair<std::string, std::string>> unfit_ports(const Settings& settings,
                                                                 const std::vector<std::string>& ports) const;
    Awaitable<void> survey(std::optional<Prefix6> aggregate);
    void check_forwarding();
    Awaitable<void> say_farewell();
    Result<PortRecords> load() const;
    std::vector<std::string> candidates(const PortRecords& known) const;
    Awaitable<void> lock();
    void unlock();
    Awaitable<void> follow();
    Awaitable<void> follow_links();

    Awaitable<void> repair_replaced();
    Awaitable<void> program_anew(std::set<std::string> ports);
    Awaitable<Result<bool>> zebra_knows_address_of(std::set<std::string> ports) const;
    Awaitable<bool> zebra_in_sync();
    Awaitable<void> pause();

    void declare(const PortRecords& before);
    std::vector<RaInterface> advertisements(const PortRecords& records) const;
    void publish_changes(const PortRecords& before) const;
    void on_frr();
    void put_kernel_state();
    void remember_drift(DriftRecord record);
    void report_health();
    void report_programming(std::size_t active);
    void report_fabric();
    void report_forwarding();

    const Host& host_;
    KernelFileReader files_;
    KernelState kernel_;
    Settings settings_;
    PortRecords records_;
    std::optional<std::vector<RaInterface>> declared_;
    std::string numbering_error_;  // why new links could not be followed
    std::deque<DriftRecord> drift_;
    SystemTime seen_drift_{};
    BgpView bgp_;
    std::optional<Prefix6> surveyed_;  // the aggregate that bgp_ was read for
    std::optional<SteadyTime> surveyed_at_;
    std::string not_forwarding_;  // the setting that is 0
    bool busy_ = false;
    bool running_ = false;
    bool stopping_ = false;
    bool links_changed_ = false;
    bool addresses_changed_ = false;
    asio::steady_timer idle_;   // wakes lock()
    asio::steady_timer tick_;   // wakes follow()
    asio::steady_timer pause_;  // between two looks of a repair
    Subscription links_;
    Subscription addresses_;
    Subscription frr_;
};

}  // namespace nett::ra
