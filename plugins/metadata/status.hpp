// `show metadata` and the plugin's part of `show plugins`.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <boost/json/object.hpp>

#include "agent/sdk/clock.hpp"
#include "plugins/metadata/server.hpp"

namespace nett::metadata {

// A listener for something else than machines' boots.
struct OtherListener {
    std::string use;  // "token", "media", "homelab"
    std::string endpoint;
    std::uint64_t connections = 0;  // of all listeners of this use
    std::string trouble;            // empty: it accepts
};
// Adds what this server listens on.
void add_listeners(std::vector<OtherListener>& out, const std::string& use, const Server& server);

struct StatusView {
    const Server& server;
    std::vector<OtherListener> others;
    std::size_t tenants = 0;
    std::uint64_t records_dropped = 0;
    SystemTime now{};
};

// Keys: listeners[], other_listeners[]{use, endpoint, connections, trouble}, connections{now, most, accepted,
// handshakes_failed, timeouts, shed, closed_unheard}, requests{<outcome>: count}, bytes_sent, certificate{subject,
// issuer, sha256, not_before, not_after, days_left}, tenants, records_dropped.
boost::json::object status_of(const StatusView& view);
std::string status_text(const StatusView& view);

}  // namespace nett::metadata
