#include "plugins/metadata/status.hpp"

#include <chrono>

#include <boost/json.hpp>

#include "agent/sdk/model.hpp"

namespace nett::metadata {

namespace {

std::int64_t days_left(const CertificateInfo& certificate, SystemTime now) {
    return std::chrono::duration_cast<std::chrono::hours>(certificate.not_after - now).count() / 24;
}

}  // namespace

void add_listeners(std::vector<OtherListener>& out, const std::string& use, const Server& server) {
    for (const auto& endpoint : server.endpoints()) {
        out.push_back(
            {use, to_string(endpoint), static_cast<std::uint64_t>(server.admission().connections()), server.trouble()});
    }
}

boost::json::object status_of(const StatusView& view) {
    const auto& counters = view.server.counters();
    const auto& admission = view.server.admission();
    const auto tls = view.server.tls();
    const auto& certificate = tls->certificate;

    boost::json::array listeners;
    for (const auto& endpoint : view.server.endpoints()) listeners.emplace_back(to_string(endpoint));
    boost::json::array others;
    for (const auto& one : view.others) {
        others.push_back(
            {{"use", one.use}, {"endpoint", one.endpoint}, {"connections", one.connections}, {"trouble", one.trouble}});
    }
    boost::json::object requests;
    for (std::size_t i = 0; i < kOutcomes; ++i) {
        requests[name_of(static_cast<Outcome>(i))] = counters.outcomes[i].load();
    }
    return {
        {"listeners", std::move(listeners)},
        {"other_listeners", std::move(others)},
        {"connections",
         {{"now", admission.connections()},
          {"most", admission.most()},
          {"accepted", counters.accepted.load()},
          {"handshakes_failed", counters.handshakes_failed.load()},
          {"timeouts", counters.timeouts.load()},
          {"shed", counters.shed.load()},
          {"closed_unheard", counters.closed_unheard.load()}}},
        {"requests", std::move(requests)},
        {"bytes_sent", counters.bytes_sent.load()},
        {"certificate",
         {{"subject", certificate.subject},
          {"issuer", certificate.issuer},
          {"sha256", certificate.sha256},
          {"not_before", to_rfc3339(certificate.not_before)},
          {"not_after", to_rfc3339(certificate.not_after)},
          {"days_left", days_left(certificate, view.now)}}},
        {"tenants", view.tenants},
        {"records_dropped", view.records_dropped},
    };
}

std::string status_text(const StatusView& view) {
    const auto& counters = view.server.counters();
    const auto& admission = view.server.admission();
    const auto tls = view.server.tls();
    const auto& certificate = tls->certificate;

    std::string listeners;
    for (const auto& endpoint : view.server.endpoints())
        listeners += (listeners.empty() ? "" : ", ") + to_string(endpoint);
    std::string out;
    out += fmt::format("listeners     {}\n", listeners);
    for (const auto& one : view.others) {
        out += fmt::format("  {:<11} {} ({} connections){}\n", one.use, one.endpoint, one.connections,
                           one.trouble.empty() ? "" : ": " + one.trouble);
    }
    out += fmt::format("certificate   {}, valid until {} ({} days)\n", certificate.subject,
                       to_rfc3339(certificate.not_after), days_left(certificate, view.now));
    out += fmt::format("tenants       {}\n", view.tenants);
    out += fmt::format("connections   {} now, {} at most, {} accepted\n", admission.connections(), admission.most(),
                       counters.accepted.load());
    out += fmt::format("turned away   {} failed handshakes, {} timeouts, {} told to retry, {} closed unheard\n",
                       counters.handshakes_failed.load(), counters.timeouts.load(), counters.shed.load(),
                       counters.closed_unheard.load());
    out += fmt::format("bytes sent    {}\n", counters.bytes_sent.load());
    out += "requests\n";
    for (std::size_t i = 0; i < kOutcomes; ++i) {
        const auto count = counters.outcomes[i].load();
        if (count != 0) out += fmt::format("  {:<17} {}\n", name_of(static_cast<Outcome>(i)), count);
    }
    if (view.records_dropped != 0) out += fmt::format("records lost  {} (too many at once)\n", view.records_dropped);
    return out;
}

}  // namespace nett::metadata
