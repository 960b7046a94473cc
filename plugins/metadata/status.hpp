// `show metadata` and the plugin's part of `show plugins`.
#pragma once

#include <cstdint>
#include <string>

#include <boost/json/object.hpp>

#include "agent/sdk/clock.hpp"
#include "plugins/metadata/server.hpp"

namespace nett::metadata {

struct StatusView {
    const Server& server;
    std::size_t tenants = 0;
    std::uint64_t records_dropped = 0;
    SystemTime now{};
};

// Keys: listeners[], connections{now, most, accepted, handshakes_failed, timeouts, shed, closed_unheard},
// requests{<outcome>: count}, bytes_sent, certificate{subject, issuer, sha256, not_before, not_after, days_left},
// tenants, records_dropped.
boost::json::object status_of(const StatusView& view);
std::string status_text(const StatusView& view);

}  // namespace nett::metadata
