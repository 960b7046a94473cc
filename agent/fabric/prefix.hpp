// What a switch sees of a machine that has joined the fabric.
#pragma once

#include <string>
#include <tuple>

#include "agent/sdk/address.hpp"

namespace nett {

// A prefix that is announced behind a port.
struct PortPrefix {
    std::string port;  // "tor-a/swp7"
    Prefix6 prefix;
    Address6 next_hop;  // the machine's link-local address
    friend bool operator==(const PortPrefix&, const PortPrefix&) = default;
    friend bool operator<(const PortPrefix& a, const PortPrefix& b) {
        return std::tie(a.port, a.prefix, a.next_hop) < std::tie(b.port, b.prefix, b.next_hop);
    }
};

// A port that machines boot from, and the prefix that its switch advertises there.
struct ReportedPort {
    std::string port;  // "tor-a/swp7"
    Prefix6 prefix;
    friend bool operator==(const ReportedPort&, const ReportedPort&) = default;
};

// One port's machine announces a handful: its own and its pods'. More are a leak of routes, and not looked at.
inline constexpr std::size_t kMaxPrefixesPerPort = 64;
// One switch's ports, at 512 ports with 8 prefixes each.
inline constexpr std::size_t kMaxPrefixesPerSwitch = 4096;
// The largest chassis has 576 ports of 400G; breakouts of a port are behind one machine's link each.
inline constexpr std::size_t kMaxPortsPerSwitch = 2048;

}  // namespace nett
