// The FRR adapter: makes the Frr that plugins see (agent/sdk/frr.hpp).
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "agent/sdk/asio.hpp"
#include "agent/sdk/clock.hpp"
#include "agent/sdk/event.hpp"
#include "agent/sdk/frr.hpp"
#include "agent/sdk/health.hpp"

namespace nett {

struct FrrSettings {
    bool vtysh_backend = false;
    // gRPC targets; an empty one means that this daemon is not used.
    std::string zebra_target = "unix:/run/frr/zebra-grpc.sock";
    std::string bgpd_target = "unix:/run/frr/bgpd-grpc.sock";
    std::string vtysh_path = "/usr/bin/vtysh";
    std::vector<std::string> vtysh_arguments;  // in front of "-c": {"--vty_socket", "/run/frr"}
    friend bool operator==(const FrrSettings&, const FrrSettings&) = default;
};

// Loop thread only. Publishes frr.connected, frr.disconnected, frr.repaired (subject "zebra" or "bgpd") and reports the
// health conditions frr/zebra and frr/bgpd once something is declared for that daemon.
class FrrAdapter : public Frr {
public:
    // Takes effect at the next reconcile, which follows at once.
    virtual void reconfigure(FrrSettings settings) = 0;
    // Programs what was declared last and is not programmed yet, waiting at most kStopFlush; then ends all work.
    // Idempotent.
    virtual void stop() = 0;
};

std::unique_ptr<FrrAdapter> make_frr(asio::any_io_executor loop, const Clock& clock, EventBus& events,
                                     HealthRegistry& health, FrrSettings settings);

}  // namespace nett
