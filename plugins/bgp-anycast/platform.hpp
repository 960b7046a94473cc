// What the plugin needs of the machine besides what the host lends; unit tests put their own in.
#pragma once

#include <functional>

#include "agent/sdk/plugin.hpp"
#include "plugins/bgp-anycast/probe.hpp"
#include "plugins/bgp-anycast/tun_device.hpp"

namespace nett::anycast {

struct Platform {
    DeviceOpener open_device;
    std::function<Result<void>(const Address6&)> put_local_path;
    std::function<Result<void>(const Address6&)> remove_local_path;
    std::function<std::shared_ptr<Probe>(const CheckSettings&, const Address6& anycast)> make_probe;
};

// The real one; probes work on the host's io threads.
Platform real_platform(const Host& host);

}  // namespace nett::anycast
