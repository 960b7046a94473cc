// A TUN device that exists as long as this process holds it (Linux Documentation/networking/tuntap.rst): when the
// process dies the kernel removes the device, its address and so the route, whatever killed it.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "agent/sdk/result.hpp"

namespace nett::anycast {

// Owns the device.
class Device {
public:
    virtual ~Device() = default;
    virtual const std::string& name() const = 0;
};

using DeviceOpener = std::function<Result<std::unique_ptr<Device>>(const std::string& name)>;

// Makes the device and brings it up; nothing is ever read from it or written to it. kPermissionDenied without
// CAP_NET_ADMIN, kUnavailable without /dev/net/tun, kAlreadyExists when another process holds that name.
Result<std::unique_ptr<Device>> open_tun(const std::string& name);

}  // namespace nett::anycast
