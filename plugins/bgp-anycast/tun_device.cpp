#include "plugins/bgp-anycast/tun_device.hpp"

#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace nett::anycast {
namespace {

constexpr const char* kTunPath = "/dev/net/tun";

Code code_of(int error) {
    switch (error) {
        case EPERM:
        case EACCES:
            return Code::kPermissionDenied;
        case EBUSY:
        case EEXIST:
        case EINVAL:  // another kind of device has the name
            return Code::kAlreadyExists;
        default:
            return Code::kUnavailable;
    }
}

tl::unexpected<Error> failed(const std::string& what) {
    int error = errno;
    return fail(code_of(error), "{}: {}", what, std::strerror(error));
}

class TunDevice final : public Device {
public:
    TunDevice(std::string name, int fd) : name_(std::move(name)), fd_(fd) {}
    ~TunDevice() override { ::close(fd_); }
    const std::string& name() const override { return name_; }
    int fd() const { return fd_; }

private:
    std::string name_;
    int fd_;
};

ifreq request_for(const std::string& name) {
    ifreq request{};
    std::strncpy(request.ifr_name, name.c_str(), IFNAMSIZ - 1);
    return request;
}

Result<void> bring_up(const std::string& name) {
    int fd = ::socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return failed("socket");
    ifreq request = request_for(name);
    bool up = ::ioctl(fd, SIOCGIFFLAGS, &request) == 0;
    if (up) {
        request.ifr_flags = static_cast<short>(request.ifr_flags | IFF_UP);
        up = ::ioctl(fd, SIOCSIFFLAGS, &request) == 0;
    }
    int error = errno;
    ::close(fd);
    errno = error;
    if (!up) return failed(name + ": bringing it up");
    return {};
}

}  // namespace

Result<std::unique_ptr<Device>> open_tun(const std::string& name) {
    // Close-on-exec: a program that a check runs must not keep the device alive.
    int fd = ::open(kTunPath, O_RDWR | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) return failed(kTunPath);
    auto device = std::make_unique<TunDevice>(name, fd);
    ifreq request = request_for(name);
    request.ifr_flags = IFF_TUN | IFF_NO_PI;
    if (::ioctl(fd, TUNSETIFF, &request) != 0) return failed(fmt::format("TUN device {}", name));
    NETT_TRY(bring_up(name));
    return device;
}

}  // namespace nett::anycast
