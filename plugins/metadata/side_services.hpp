// What the plugin does besides the machines' own listener, each off by default: images for BMCs, network boot of a
// homelab, production prefixes out of NetBox. One object, so that the plugin starts, changes and stops them together.
#pragma once

#include <functional>
#include <vector>

#include "agent/sdk/plugin.hpp"
#include "plugins/metadata/homelab_listener.hpp"
#include "plugins/metadata/media_listener.hpp"
#include "plugins/metadata/netbox_service.hpp"
#include "plugins/metadata/side_settings.hpp"
#include "plugins/metadata/tls.hpp"

namespace nett::metadata {

// Loop thread.
class SideServices {
public:
    // `machines` answers requests of the machines' own URL space.
    SideServices(const Host& host, RequestHandler machines);

    // Before the first prepare().
    Result<void> start();
    // Everything of a new configuration that can fail; nothing changes until adopt().
    struct Prepared {
        HomelabListener::Prepared homelab;
        MediaListener::Prepared media;
        std::optional<NetboxSettings> netbox;
    };
    Result<Prepared> prepare(SideSettings settings, const TlsFiles& files);
    void adopt(Prepared prepared);
    Awaitable<void> stop(SteadyTime deadline);

    void report_health() const;
    const HomelabListener& homelab() const { return homelab_; }
    const MediaListener& media() const { return media_; }
    const NetboxService& netbox() const { return netbox_; }

private:
    const Host& host_;
    HomelabListener homelab_;
    MediaListener media_;
    NetboxService netbox_;
};

// `show homelab` and the like. `services` gives nullptr while the plugin does not run.
std::vector<OpCommand> side_op_commands(std::function<const SideServices*()> services);

}  // namespace nett::metadata
