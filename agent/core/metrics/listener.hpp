// Serves the metrics over HTTP(S), to Prometheus: GET /metrics, one answer a connection.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>

#include "agent/core/audit/audit.hpp"
#include "agent/core/metrics/settings.hpp"
#include "agent/sdk/asio.hpp"
#include "agent/sdk/clock.hpp"
#include "agent/sdk/health.hpp"

namespace nett {

// Two Prometheus servers and a curious operator; what comes above is closed.
inline constexpr int kMaxScrapers = 8;
// For each of handshake, request and answer: below Prometheus' own scrape timeout of 10 s.
inline constexpr std::chrono::seconds kScrapeTimeout{5};
// A request of Prometheus has about 400 bytes of head, and no body.
inline constexpr std::size_t kMaxScrapeHead = 8192;
// What cannot be bound now (an address that is not there yet) is tried again this often.
inline constexpr std::chrono::seconds kMetricsRetry{2};

// Loop thread only; TLS and HTTP run on `io`.
class MetricsListener {
public:
    // `scrape` makes the text, on the loop thread; it outlives stop(), as do the references. Who has no right to the
    // metrics is in the audit log.
    MetricsListener(asio::any_io_executor loop, asio::any_io_executor io, HealthRegistry& health, AuditLog& audit,
                    std::function<std::string()> scrape);
    ~MetricsListener();

    // Puts settings in force. What cannot be bound or read is a health condition of "metrics" and tried again.
    // Certificate files are read for each connection, so that a renewed one needs no reload.
    void apply(MetricsSettings settings);
    // Ends all connections. Idempotent.
    Awaitable<void> stop();

private:
    struct Impl;
    std::shared_ptr<Impl> impl_;
};

}  // namespace nett
