// The service asks itself: a real request over mutual TLS to each of its own listeners.
//
// A server that accepts connections may still not answer: its threads hang, its key does not fit, its descriptors have
// run out. The probe shows a certificate that only this process has (in memory, made at its start; self_identity.hpp),
// and takes any HTTP answer that comes with the server's own certificate for well.
#pragma once

#include "agent/sdk/asio.hpp"
#include "agent/sdk/plugin.hpp"
#include "plugins/metadata/server.hpp"

namespace nett::metadata {

inline constexpr std::chrono::milliseconds kSelfProbeInterval{1000};
// Long, because a boot storm that slows this server down must not move it all to the next one.
inline constexpr std::chrono::milliseconds kSelfProbeTimeout{3000};
inline constexpr int kSelfProbeFall = 2;

struct SelfProbeResult {
    enum class Kind { kAnswered, kFailed, kNotHere } kind = Kind::kFailed;
    std::string message;
};

// One request to a listener of this host. kNotHere: the address is not on this host now (an anycast address that is
// withdrawn; bgp-anycast keeps a way to it open for connections from ::1), so there is nothing to ask. Runs on `io`.
Awaitable<SelfProbeResult> probe_self(asio::any_io_executor io, boost::asio::ip::tcp::endpoint listener,
                                      std::shared_ptr<const TlsContext> tls);

// Pure. `failures`: in a row, at all listeners together.
HealthCondition answer_condition(const SelfProbeResult& last, int failures);

}  // namespace nett::metadata
