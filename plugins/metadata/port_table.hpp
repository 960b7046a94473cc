// Behind which switch port a source is: the prefixes that switches advertise at their ports, as they have recorded
// them.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "agent/sdk/address.hpp"
#include "agent/sdk/result.hpp"
#include "agent/sdk/store.hpp"
#include "plugins/metadata/shared_value.hpp"

namespace nett::metadata {

// Follows this host's own ports and the reported ones (agent/sdk/port_records.hpp). Start and stop on the loop thread,
// find() on any.
class PortTable {
public:
    // `hostname` is the switch's name of this host's own ports. A record that cannot be read is left out.
    Result<void> start(Store& store, std::string hostname);
    void stop();

    // "tor-a/swp7"; empty: no port is known to have the source's prefix.
    std::string find(const Address6& source) const;
    std::size_t size() const { return ports_.load()->size(); }
    // What find() looks in now: another one when anything has changed.
    using Ports = std::map<Prefix6, std::string>;
    std::shared_ptr<const Ports> table() const { return ports_.load(); }

private:
    Result<void> rebuild(const Store& store);

    std::string hostname_;
    SharedValue<Ports> ports_{std::make_shared<const Ports>()};
    Subscription own_;
    Subscription reported_;
};

}  // namespace nett::metadata
