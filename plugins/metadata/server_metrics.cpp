#include "plugins/metadata/server_metrics.hpp"

#include <chrono>

#include "plugins/metadata/counters.hpp"

namespace nett::metadata {

namespace {

GaugeFamily& connections(Metrics& metrics) {
    return metrics.gauge({"nett_metadata_connections", "Open connections.", {"listener"}});
}

GaugeFamily& tenants_known(Metrics& metrics) {
    return metrics.gauge({"nett_tenants", "Tenants whose certificates are accepted."});
}

GaugeFamily& certificate_end(Metrics& metrics) {
    return metrics.gauge({"nett_certificate_expiry_timestamp_seconds",
                          "When a certificate of this agent ends, Unix time.",
                          {"certificate"}});
}

}  // namespace

void put_server_metrics(Metrics& metrics, const Server& server, const std::string& listener) {
    const auto& counters = server.counters();
    auto& requests = metrics.counter(
        {"nett_metadata_requests_total", "HTTP requests of machines by result.", {"listener", "result"}});
    for (std::size_t i = 0; i < kOutcomes; ++i) {
        requests.with({listener, std::string(name_of(static_cast<Outcome>(i)))})
            ->set_total(counters.outcomes[i].load());
    }
    auto& handshakes =
        metrics.counter({"nett_metadata_handshakes_total", "TLS handshakes by result.", {"listener", "result"}});
    handshakes.with({listener, "full"})->set_total(counters.handshakes_full.load());
    handshakes.with({listener, "resumed"})->set_total(counters.handshakes_resumed.load());
    handshakes.with({listener, "failed"})->set_total(counters.handshakes_failed.load());
    auto& refused = metrics.counter({"nett_metadata_connections_refused_total",
                                     "Connections above the limits: told to retry (shed) or closed unheard.",
                                     {"listener", "how"}});
    refused.with({listener, "shed"})->set_total(counters.shed.load());
    refused.with({listener, "closed"})->set_total(counters.closed_unheard.load());
    metrics.counter({"nett_metadata_timeouts_total", "Stalled handshakes, requests and readers.", {"listener"}})
        .with({listener})
        ->set_total(counters.timeouts.load());
    metrics.counter({"nett_metadata_sent_bytes_total", "Bytes sent to machines, heads included.", {"listener"}})
        .with({listener})
        ->set_total(counters.bytes_sent.load());
    connections(metrics).with({listener})->set(static_cast<double>(server.admission().connections()));
}

void put_plugin_metrics(Metrics& metrics, const Server& server, std::size_t tenants, std::uint64_t records_dropped) {
    tenants_known(metrics).with()->set(static_cast<double>(tenants));
    metrics.counter({"nett_metadata_records_dropped_total", "Boot records that were too many at once."})
        .with()
        ->set_total(records_dropped);
    const auto end = server.tls()->certificate.not_after.time_since_epoch();
    certificate_end(metrics).with({"metadata"})->set(std::chrono::duration<double>(end).count());
}

void forget_plugin_metrics(Metrics& metrics) {
    connections(metrics).clear();
    tenants_known(metrics).clear();
    certificate_end(metrics).remove({"metadata"});
}

}  // namespace nett::metadata
