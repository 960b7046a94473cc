// RAII and error mapping over libnl-3.
#pragma once

#include <memory>

#include <netlink/netlink.h>
#include <netlink/route/addr.h>
#include <netlink/route/link.h>
#include <netlink/route/neighbour.h>
#include <netlink/route/route.h>

#include "agent/sdk/address.hpp"
#include "agent/sdk/free_with.hpp"
#include "agent/sdk/result.hpp"

namespace nett::netlink {

using Socket = std::unique_ptr<nl_sock, FreeWith<nl_socket_free>>;
using Cache = std::unique_ptr<nl_cache, FreeWith<nl_cache_free>>;
using Message = std::unique_ptr<nl_msg, FreeWith<nlmsg_free>>;
using Address = std::unique_ptr<nl_addr, FreeWith<nl_addr_put>>;
using LinkAddressObject = std::unique_ptr<rtnl_addr, FreeWith<rtnl_addr_put>>;
using RouteObject = std::unique_ptr<rtnl_route, FreeWith<rtnl_route_put>>;

// A connected NETLINK_ROUTE socket (close-on-exec).
Result<Socket> open_route_socket();

// `code` is libnl's negative error; the message is the kernel's own words.
Error error_of(int code, std::string_view what);

Address address_of(const Address6& address, unsigned length);
Address6 to_address6(const nl_addr* address);

}  // namespace nett::netlink
