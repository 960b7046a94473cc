// `show tls`: the certificates and lists in use, their reloads, and what became of handshakes.
#pragma once

#include <string>

#include <boost/json/object.hpp>

#include "agent/sdk/clock.hpp"
#include "plugins/metadata/counters.hpp"
#include "plugins/metadata/tls.hpp"
#include "plugins/metadata/tls_keeper.hpp"

namespace nett::metadata {

struct TlsView {
    const TlsContext& tls;
    const TlsReloads& reloads;
    const Counters& counters;
    SystemTime now{};
};

// Keys: certificate{file, subject, names[], issuer, not_before, not_after, days_left, sha256, sends_root, private_key},
// client_ca{file, certificates[{subject, not_after, days_left, sha256}]}, client_crl[{file, issuer, issued, next,
// revoked}], reload{loaded, trigger, changes, refused, refused_at, error}, handshakes{full, resumed, failed,
// refusals{reason: count}}.
boost::json::object tls_status_of(const TlsView& view);
std::string tls_status_text(const TlsView& view);

}  // namespace nett::metadata
