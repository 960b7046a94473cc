// How a job is logged in at a BMC: a session with X-Auth-Token (DSP0266 section 13.3.4), Basic only where there are no
// sessions.
#pragma once

#include <functional>
#include <string>

#include "plugins/redfish/http.hpp"
#include "plugins/redfish/origin.hpp"

namespace nett::redfish {

struct Login {
    Origin origin;
    std::string username;
    std::string password;
    // Not null: the certificate is not known yet. Gets its SHA-256 before anything secret is sent; an error ends the
    // matter.
    std::function<Awaitable<Result<void>>(std::string sha256)> trust;
};

// Loop thread only, one request at a time. Logs in when first used, again once after a 401, and never more often: BMCs
// lock accounts.
class Session {
public:
    Session(Transport& transport, Login login);

    // The answer; kUnauthenticated once the BMC has refused the credentials, and ever after; else Transport's errors.
    Awaitable<Result<Response>> send(Request request);
    // Gives the session back (DELETE). The next send() logs in again.
    Awaitable<void> close();

    // The session's URI on the BMC; empty: none.
    const std::string& uri() const { return uri_; }
    // A session that an earlier run may have left behind: deleted after the next login.
    void set_leftover(std::string uri) { leftover_ = std::move(uri); }
    bool credentials_refused() const { return refused_; }

private:
    Awaitable<Result<void>> log_in();
    Awaitable<Result<void>> establish_trust();
    Result<void> take_session(const Response& answer);
    Awaitable<Result<Response>> send_as(Request request);

    Transport& transport_;
    Login login_;
    std::string token_;
    std::string uri_;
    std::string leftover_;
    bool basic_ = false;
    bool was_established_ = false;
    bool refused_ = false;
    int full_ = 0;  // 503s in a row when logging in
};

}  // namespace nett::redfish
