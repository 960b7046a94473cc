// Sees which prefixes the machines behind this switch's ports announce.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <boost/asio/steady_timer.hpp>

#include "agent/fabric/ports.hpp"
#include "agent/fabric/prefix.hpp"
#include "agent/fabric/tracker.hpp"
#include "agent/sdk/asio.hpp"
#include "agent/sdk/net.hpp"
#include "agent/sdk/route.hpp"
#include "agent/sdk/store.hpp"

namespace nett {

// References outlive the detector.
struct DetectorDependencies {
    asio::any_io_executor loop;
    const Clock& clock;
    Store& store;
    Net& net;
    PortRoutes& routes;
    std::string hostname;  // the switch's name in "tor-a/swp7"
};

// The ports are those that `ra` serves (its records in the store), so there is nothing to configure. Loop thread only.
class FabricDetector {
public:
    using Handler = std::function<void(std::vector<PortPrefix>, std::vector<ReportedPort>)>;

    // `on_change` gets the whole set and the ports: the first time when what is there after the start has been there
    // for the stable time (before, an empty set would mean nothing), then whenever it has changed.
    FabricDetector(DetectorDependencies dependencies, std::chrono::seconds stable_time, Handler on_change);

    void start();
    void stop();
    void set_stable_time(std::chrono::seconds stable_time);

private:
    void follow_ports();
    void follow_ports_soon();
    void on_routes(const std::vector<PortRoute>& routes);
    void update(bool changed);
    void tell();
    void arm();

    DetectorDependencies d_;
    PrefixTracker tracker_;
    std::vector<ReportedPort> ports_;
    std::chrono::seconds stable_time_;
    Handler on_change_;
    asio::steady_timer timer_;
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // started; what is posted asks it
    bool following_ = false;                                      // follow_ports() is on its way
    std::optional<SteadyTime> settles_;                           // when the first set is one
    bool settled_ = false;
    Subscription records_;
    Subscription links_;
    Subscription routes_;
};

}  // namespace nett
