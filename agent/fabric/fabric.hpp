// The fabric's knowledge of machines: this switch's ports, what other switches report, and whom this one reports to.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <boost/asio/steady_timer.hpp>

#include "agent/fabric/detector.hpp"
#include "agent/fabric/machines.hpp"
#include "agent/fabric/reported_ports.hpp"
#include "agent/fabric/reporter.hpp"
#include "agent/fabric/view.hpp"

namespace nett {

struct FabricSettings {
    std::chrono::seconds stable_time{5};
    struct Upstream {
        std::string endpoint;     // "[2001:db8::1]:8443"
        std::string server_name;  // in its certificate; empty: the address
        friend bool operator==(const Upstream&, const Upstream&) = default;
    };
    std::vector<Upstream> upstreams;
    // Changes when the uplinks have to be made anew: the certificate's paths.
    std::string identity;
};

// References outlive the fabric.
struct FabricDependencies {
    DetectorDependencies detector;
    EventBus& events;
    HealthRegistry& health;
    std::function<std::unique_ptr<FabricUplink>(const FabricSettings::Upstream&)> make_uplink;
};

// Loop thread only.
class Fabric {
public:
    explicit Fabric(FabricDependencies dependencies);

    // Also the first time: begins to watch.
    Awaitable<void> apply(FabricSettings settings);
    Awaitable<void> stop();

    // A switch's report, authenticated as `origin`, the common name of its certificate. True: all of it is wanted.
    // kPermissionDenied: a port of another switch; a switch is called as the first label of its certificate's name.
    // kInvalidArgument: more than a switch has.
    Result<bool> receive(const std::string& origin, FabricReport report);

    const FabricView& view() const { return view_; }
    const MachineConditions& machines() const { return machines_; }
    std::vector<UplinkStatus> uplinks() const;
    Result<std::vector<OwnPort>> own_ports() const;
    Result<std::vector<PortRow>> ports() const;

private:
    struct Heard {
        std::string run;
        std::uint64_t generation = 0;
    };

    void on_own(std::vector<PortPrefix> prefixes, std::vector<ReportedPort> ports);
    Awaitable<void> watch_silence();
    Awaitable<void> drop_reporters(const FabricSettings& next);

    FabricDependencies d_;
    FabricSettings settings_;
    FabricView view_;
    ReportedPorts reported_;
    MachineConditions machines_;
    FabricDetector detector_;
    std::map<std::string, std::shared_ptr<FabricReporter>> reporters_;  // by endpoint
    std::map<std::string, Heard> heard_;                                // by origin
    std::optional<std::vector<PortPrefix>> own_;
    std::vector<ReportedPort> own_reported_;
    std::uint64_t generation_ = 0;
    std::string run_;
    asio::steady_timer silence_;
    bool started_ = false;
    bool stopping_ = false;
};

}  // namespace nett
