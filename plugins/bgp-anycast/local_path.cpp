#include "plugins/bgp-anycast/local_path.hpp"

#include <linux/fib_rules.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <span>

namespace nett::anycast {
namespace {

constexpr unsigned char kHostLength = 128;
constexpr std::size_t kMaxMessage = 512;  // a header, a fixed part and five attributes

// One rtnetlink request, built in place.
class Request {
public:
    template <typename Fixed>
    Request(std::uint16_t type, std::uint16_t flags, const Fixed& fixed) {
        header()->nlmsg_type = type;
        header()->nlmsg_flags = static_cast<std::uint16_t>(NLM_F_REQUEST | NLM_F_ACK | flags);
        header()->nlmsg_len = NLMSG_LENGTH(sizeof(Fixed));
        std::memcpy(NLMSG_DATA(header()), &fixed, sizeof(Fixed));
    }
    void add(std::uint16_t type, std::span<const unsigned char> value) {
        auto* attribute = reinterpret_cast<rtattr*>(bytes_.data() + NLMSG_ALIGN(header()->nlmsg_len));
        attribute->rta_type = type;
        attribute->rta_len = static_cast<std::uint16_t>(RTA_LENGTH(value.size()));
        std::memcpy(RTA_DATA(attribute), value.data(), value.size());
        header()->nlmsg_len =
            static_cast<std::uint32_t>(NLMSG_ALIGN(header()->nlmsg_len) + RTA_ALIGN(attribute->rta_len));
    }
    void add(std::uint16_t type, std::uint32_t value) {
        std::array<unsigned char, sizeof value> bytes{};
        std::memcpy(bytes.data(), &value, sizeof value);
        add(type, bytes);
    }
    // 0 or the kernel's errno.
    int send() {
        int fd = ::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
        if (fd < 0) return errno;
        int code = exchange(fd);
        ::close(fd);
        return code;
    }

private:
    nlmsghdr* header() { return reinterpret_cast<nlmsghdr*>(bytes_.data()); }
    int exchange(int fd) {
        sockaddr_nl kernel{};
        kernel.nl_family = AF_NETLINK;
        if (::sendto(fd, bytes_.data(), header()->nlmsg_len, 0, reinterpret_cast<sockaddr*>(&kernel), sizeof kernel) <
            0)
            return errno;
        alignas(nlmsghdr) std::array<char, 4096> answer{};
        ssize_t size = ::recv(fd, answer.data(), answer.size(), 0);
        if (size < 0) return errno;
        const auto* reply = reinterpret_cast<const nlmsghdr*>(answer.data());
        if (static_cast<std::size_t>(size) < NLMSG_LENGTH(sizeof(nlmsgerr)) || reply->nlmsg_type != NLMSG_ERROR)
            return EPROTO;
        return -static_cast<const nlmsgerr*>(NLMSG_DATA(reply))->error;
    }

    alignas(nlmsghdr) std::array<unsigned char, kMaxMessage> bytes_{};
};

Result<void> result_of(int error, bool absent_is_fine, const char* what) {
    if (error == 0 || error == EEXIST) return {};
    if (absent_is_fine && (error == ENOENT || error == ESRCH)) return {};
    Code code = error == EPERM                                 ? Code::kPermissionDenied
                : error == EOPNOTSUPP || error == EAFNOSUPPORT ? Code::kUnimplemented
                                                               : Code::kInternal;
    return fail(code, "{}: {}", what, std::strerror(error));
}

Result<void> change_route(bool add, const Address6& address) {
    rtmsg fixed{};
    fixed.rtm_family = AF_INET6;
    fixed.rtm_dst_len = kHostLength;
    fixed.rtm_protocol = add ? RTPROT_STATIC : RTPROT_UNSPEC;
    fixed.rtm_scope = RT_SCOPE_UNIVERSE;
    fixed.rtm_type = RTN_LOCAL;
    Request request(add ? RTM_NEWROUTE : RTM_DELROUTE, add ? NLM_F_CREATE | NLM_F_REPLACE : 0, fixed);
    request.add(RTA_DST, address.to_bytes());
    request.add(RTA_TABLE, kLocalPathTable);
    request.add(RTA_OIF, static_cast<std::uint32_t>(::if_nametoindex("lo")));
    return result_of(request.send(), !add, "the local route of health checks");
}

Result<void> change_rule(bool add, const Address6& address) {
    fib_rule_hdr fixed{};
    fixed.family = AF_INET6;
    fixed.dst_len = fixed.src_len = kHostLength;
    fixed.action = FR_ACT_TO_TBL;
    Request request(add ? RTM_NEWRULE : RTM_DELRULE, add ? NLM_F_CREATE | NLM_F_EXCL : 0, fixed);
    request.add(FRA_SRC, Address6::loopback().to_bytes());
    request.add(FRA_DST, address.to_bytes());
    request.add(FRA_TABLE, kLocalPathTable);
    request.add(FRA_PRIORITY, kLocalPathPriority);
    return result_of(request.send(), !add, "the routing rule of health checks");
}

}  // namespace

Result<void> put_local_path(const Address6& address) {
    NETT_TRY(change_route(true, address));
    return change_rule(true, address);
}

Result<void> remove_local_path(const Address6& address) {
    NETT_TRY(change_rule(false, address));
    return change_route(false, address);
}

}  // namespace nett::anycast
