// The homelab listener's life: its server, its health, what it shows.
#pragma once

#include <memory>
#include <vector>

#include "agent/sdk/plugin.hpp"
#include "plugins/metadata/homelab.hpp"
#include "plugins/metadata/server.hpp"
#include "plugins/metadata/status.hpp"

namespace nett::metadata {

// Loop thread. Off, and without cost, while no endpoint is configured.
class HomelabListener {
public:
    // `inner` answers requests of the machines' own URL space (Service::handle).
    HomelabListener(const Host& host, RequestHandler inner);

    struct Prepared {
        HomelabSettings settings;
        Server::Listeners listeners;
    };
    // What can fail; nothing changes until adopt().
    Result<Prepared> prepare(HomelabSettings settings);
    void adopt(Prepared prepared);
    Awaitable<void> stop(SteadyTime deadline);

    // Condition metadata/homelab, scope info; degraded while nobody has registered the tenant.
    HealthCondition health() const;
    void add_to(std::vector<OtherListener>& listeners) const;
    // `show homelab`.
    Output show() const;

private:
    const Store& store_;
    HomelabService service_;
    std::shared_ptr<Server> server_;
    HomelabSettings settings_;
};

}  // namespace nett::metadata
