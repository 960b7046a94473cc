// The way from this host to its own anycast address while it does not have it.
//
// A health check must reach this very server also while it is withdrawn: then the address is not on the host, and a
// plain connection would go to another server. So connections that come from ::1 are led back into the host by a rule
// and a routing table of their own:
//
//   ip -6 rule add priority 90 from ::1 to META::1 lookup 28261
//   ip -6 route add local META::1 dev lo table 28261
//
// The kernel sends nothing from ::1 out of the host (RFC 4291 section 2.5.3), so without this a check fails and never
// asks somebody else. The host's other connections are not touched.
#pragma once

#include "agent/sdk/address.hpp"
#include "agent/sdk/result.hpp"

namespace nett::anycast {

inline constexpr std::uint32_t kLocalPathTable = 28261;  // "ne" in ASCII; none that routing daemons use
inline constexpr std::uint32_t kLocalPathPriority = 90;  // behind the table of local addresses (0), before main (32766)

// Idempotent. kPermissionDenied without CAP_NET_ADMIN; kUnimplemented when the kernel has no policy routing.
Result<void> put_local_path(const Address6& address);
Result<void> remove_local_path(const Address6& address);

}  // namespace nett::anycast
