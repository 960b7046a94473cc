#include "agent/net/netlink.hpp"

#include <cstring>

#include <netlink/addr.h>
#include <netlink/errno.h>
#include <netlink/socket.h>
#include <sys/socket.h>

namespace nett::netlink {

Result<Socket> open_route_socket() {
    Socket socket(nl_socket_alloc());
    if (!socket) return fail(Code::kResourceExhausted, "no memory for a netlink socket");
    // libnl opens its sockets with SOCK_CLOEXEC.
    if (int code = nl_connect(socket.get(), NETLINK_ROUTE); code < 0) return fail(error_of(code, "rtnetlink socket"));
    return socket;
}

Error error_of(int code, std::string_view what) {
    Error error{Code::kInternal, nl_geterror(code), std::string(what)};
    switch (-code) {
        case NLE_NODEV:
        case NLE_OBJ_NOTFOUND:
        case NLE_NOADDR:
            error.code = Code::kNotFound;
            break;
        case NLE_PERM:
        case NLE_NOACCESS:
            error.code = Code::kPermissionDenied;
            error.message += "; nettd needs CAP_NET_ADMIN";
            break;
        case NLE_INVAL:
            error.code = Code::kInvalidArgument;
            break;
        case NLE_EXIST:
            error.code = Code::kAlreadyExists;
            break;
        default:
            break;
    }
    return error;
}

Address address_of(const Address6& address, unsigned length) {
    auto bytes = address.to_bytes();
    Address result(nl_addr_build(AF_INET6, bytes.data(), bytes.size()));
    if (result) nl_addr_set_prefixlen(result.get(), static_cast<int>(length));
    return result;
}

Address6 to_address6(const nl_addr* address) {
    Address6::bytes_type bytes{};
    if (nl_addr_get_len(address) == bytes.size()) {
        std::memcpy(bytes.data(), nl_addr_get_binary_addr(address), bytes.size());
    }
    return Address6(bytes);
}

}  // namespace nett::netlink
