#include "plugins/metadata/tls_status.hpp"

#include <chrono>

#include <boost/json.hpp>

#include "agent/sdk/model.hpp"

namespace nett::metadata {

namespace {

std::int64_t days_until(SystemTime end, SystemTime now) {
    return std::chrono::duration_cast<std::chrono::hours>(end - now).count() / 24;
}

std::string time_text(SystemTime time) {
    return time == SystemTime{} ? "" : to_rfc3339(time);
}

boost::json::object certificate_of(const TlsView& view) {
    const auto& one = view.tls.certificate;
    boost::json::array names;
    for (const auto& name : one.names) names.emplace_back(name);
    return {{"file", view.tls.files.certificate},
            {"private_key", view.tls.files.private_key},
            {"subject", one.subject},
            {"names", std::move(names)},
            {"issuer", one.issuer},
            {"not_before", to_rfc3339(one.not_before)},
            {"not_after", to_rfc3339(one.not_after)},
            {"days_left", days_until(one.not_after, view.now)},
            {"sha256", one.sha256},
            {"sends_root", one.sends_root}};
}

boost::json::object client_ca_of(const TlsView& view) {
    boost::json::array certificates;
    for (const auto& one : view.tls.authorities) {
        certificates.push_back(boost::json::object{{"subject", one.subject},
                                                   {"not_after", to_rfc3339(one.not_after)},
                                                   {"days_left", days_until(one.not_after, view.now)},
                                                   {"sha256", one.sha256}});
    }
    return {{"file", view.tls.files.client_ca}, {"certificates", std::move(certificates)}};
}

boost::json::array client_crl_of(const TlsView& view) {
    boost::json::array out;
    for (const auto& one : view.tls.revocations) {
        out.push_back(boost::json::object{{"file", one.file},
                                          {"issuer", one.issuer},
                                          {"issued", time_text(one.issued)},
                                          {"next", time_text(one.next)},
                                          {"revoked", one.revoked}});
    }
    return out;
}

std::string expiry(SystemTime end, SystemTime now) {
    return fmt::format("valid until {} ({} days)", to_rfc3339(end), days_until(end, now));
}

std::string reload_text(const TlsReloads& reloads) {
    std::string out = fmt::format("loaded        {} ({}), {} changes taken over, {} refused\n",
                                  to_rfc3339(reloads.loaded), reloads.trigger, reloads.count, reloads.refused);
    if (!reloads.error.empty()) {
        out += fmt::format("REFUSED       at {}: {}\n              the files before that stay in use\n",
                           time_text(reloads.refused_at), reloads.error);
    }
    return out;
}

}  // namespace

boost::json::object tls_status_of(const TlsView& view) {
    const auto& reloads = view.reloads;
    boost::json::object refusals;
    for (const auto& [reason, count] : view.counters.refusals.reasons()) refusals[reason] = count;
    return {{"certificate", certificate_of(view)},
            {"client_ca", client_ca_of(view)},
            {"client_crl", client_crl_of(view)},
            {"reload",
             {{"loaded", to_rfc3339(reloads.loaded)},
              {"trigger", reloads.trigger},
              {"changes", reloads.count},
              {"refused", reloads.refused},
              {"refused_at", time_text(reloads.refused_at)},
              {"error", reloads.error}}},
            {"handshakes",
             {{"full", view.counters.handshakes_full.load()},
              {"resumed", view.counters.handshakes_resumed.load()},
              {"failed", view.counters.handshakes_failed.load()},
              {"refusals", std::move(refusals)}}}};
}

std::string tls_status_text(const TlsView& view) {
    const auto& one = view.tls.certificate;
    std::string out = fmt::format("certificate   {}\n", view.tls.files.certificate);
    out += fmt::format("  subject     {}\n  names       {}\n  issuer      {}\n", one.subject,
                       fmt::join(one.names, ", "), one.issuer);
    out += fmt::format("  validity    {}\n  sha256      {}\n", expiry(one.not_after, view.now), one.sha256);
    out += fmt::format("private key   {}\n", view.tls.files.private_key);
    out += fmt::format("client CAs    {}\n", view.tls.files.client_ca);
    for (const auto& authority : view.tls.authorities) {
        out += fmt::format("  {}, {}\n", authority.subject, expiry(authority.not_after, view.now));
    }
    for (const auto& list : view.tls.revocations) {
        out += fmt::format("revocations   {}\n  of {}, {} revoked, next due {}\n", list.file, list.issuer, list.revoked,
                           list.next == SystemTime{} ? "any time" : to_rfc3339(list.next));
    }
    out += reload_text(view.reloads);
    const auto& counters = view.counters;
    out += fmt::format("handshakes    {} full, {} resumed, {} failed\n", counters.handshakes_full.load(),
                       counters.handshakes_resumed.load(), counters.handshakes_failed.load());
    for (const auto& [reason, count] : counters.refusals.reasons()) out += fmt::format("  {:<6} {}\n", count, reason);
    return out;
}

}  // namespace nett::metadata
