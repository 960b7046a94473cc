// Running a check once.
#pragma once

#include <functional>
#include <memory>

#include "agent/sdk/asio.hpp"
#include "plugins/bgp-anycast/check.hpp"

namespace nett::anycast {

// One run of one check. run() once; cancel() ends it early, from any thread.
class Probe {
public:
    virtual ~Probe() = default;
    // Answers at the latest soon after the check's timeout. Never throws.
    virtual Awaitable<CheckResult> run() = 0;
    virtual void cancel() = 0;
};

using ProbeFactory = std::function<std::shared_ptr<Probe>(const CheckSettings&)>;

// tcp, tls, http, https. A connection to `anycast` goes to this host whether it has the address or not
// (local_path.hpp). TLS and its files are worked on by `io`.
std::shared_ptr<Probe> make_network_probe(asio::any_io_executor io, CheckSettings settings, Address6 anycast);

// exec, in a sandbox (sandbox.hpp).
std::shared_ptr<Probe> make_exec_probe(asio::any_io_executor io, CheckSettings settings, Address6 anycast);

// The status of an HTTP/1.x response; nullopt when `head` does not begin with a status line. Pure.
std::optional<int> parse_status_line(std::string_view head);

}  // namespace nett::anycast
