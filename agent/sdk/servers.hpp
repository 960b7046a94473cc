// The servers that share their state, as the store shows them.
//
// Records of kServerKind are the servers that are alive, this one among them; none when the state is not shared. The
// key is the server's host name, the value JSON text. They are read-only and go when the server does. A compare with
// revision 0 asks that a server be gone: what it held may then be taken over, in the same transaction.
#pragma once

#include <string_view>

namespace nett {

inline constexpr std::string_view kServerKind = "server";

}  // namespace nett
