#include "plugins/redfish/session.hpp"

#include <openssl/evp.h>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include "plugins/redfish/json.hpp"
#include "plugins/redfish/resources.hpp"

namespace nett::redfish {
namespace {

constexpr std::string_view kSessions = "/redfish/v1/SessionService/Sessions";
constexpr int kFullBeforeBasic = 3;

std::string basic_authorization(const Login& login) {
    const std::string plain = login.username + ":" + login.password;
    std::string encoded((plain.size() + 2) / 3 * 4 + 1, '\0');
    const int length =
        EVP_EncodeBlock(reinterpret_cast<unsigned char*>(encoded.data()),
                        reinterpret_cast<const unsigned char*>(plain.data()), static_cast<int>(plain.size()));
    encoded.resize(static_cast<std::size_t>(length));
    return "Basic " + encoded;
}

}  // namespace

Session::Session(Transport& transport, Login login) : transport_(transport), login_(std::move(login)) {}

Awaitable<Result<void>> Session::establish_trust() {
    if (!login_.trust) co_return Result<void>();
    auto fingerprint = co_await transport_.fingerprint();
    if (!fingerprint) co_return fail(std::move(fingerprint.error()));
    auto trusted = co_await login_.trust(*fingerprint);
    if (!trusted) co_return trusted;
    transport_.set_pin(*fingerprint);
    login_.trust = nullptr;
    co_return Result<void>();
}

Result<void> Session::take_session(const Response& answer) {
    std::string link = answer.location;
    if (link.empty()) {
        if (auto body = parse_object(answer.body)) link = text_at(*body, {"@odata.id"});
    }
    auto uri = resolve_link(login_.origin, link);
    if (!uri) return fail(std::move(uri.error()));
    token_ = answer.token;
    uri_ = std::move(*uri);
    was_established_ = true;
    full_ = 0;
    return {};
}

Awaitable<Result<void>> Session::log_in() {
    auto trusted = co_await establish_trust();
    if (!trusted) co_return trusted;
    boost::json::object body;
    body["UserName"] = login_.username;
    body["Password"] = login_.password;
    Request request;
    request.method = Method::kPost;
    request.target = kSessions;
    request.body = boost::json::serialize(body);
    auto answer = co_await transport_.send(std::move(request));
    if (!answer) co_return fail(std::move(answer.error()));
    // A login needs no login (DSP0266 section 13.3.4): who asks for Basic here has no sessions.
    if (answer->status == 401 && answer->wants_basic && !was_established_) {
        basic_ = true;
        co_return Result<void>();
    }
    if (answer->status == 401 || answer->status == 403) {
        refused_ = true;
        co_return fail(Code::kUnauthenticated, "the BMC refuses user \"{}\"; correct its user name and password",
                       login_.username);
    }
    if (answer->status >= 200 && answer->status < 300 && !answer->token.empty()) {
        auto taken = take_session(*answer);
        if (!taken) co_return taken;
        if (!leftover_.empty() && leftover_ != uri_) {
            Request removal;
            removal.method = Method::kDelete;
            removal.target = std::exchange(leftover_, {});
            co_await send_as(std::move(removal));
        }
        co_return Result<void>();
    }
    const bool full = answer->status == 503 || answer->status == 429;
    full_ = full ? full_ + 1 : 0;
    const bool no_sessions = answer->status < 500 || answer->status == 501;
    if (!was_established_ && (no_sessions || full_ >= kFullBeforeBasic)) {
        basic_ = true;
        co_return Result<void>();
    }
    co_return fail(Code::kUnavailable, "the BMC gives no session: {} {}", answer->status, parse_refusal(*answer).text);
}

Awaitable<Result<Response>> Session::send_as(Request request) {
    if (basic_) {
        request.authorization = basic_authorization(login_);
    } else {
        request.token = token_;
    }
    auto answer = co_await transport_.send(std::move(request));
    co_return answer;
}

Awaitable<Result<Response>> Session::send(Request request) {
    bool fresh = false;
    for (;;) {
        if (refused_) co_return fail(Code::kUnauthenticated, "the BMC refuses user \"{}\"", login_.username);
        if (token_.empty() && !basic_) {
            auto logged_in = co_await log_in();
            if (!logged_in) co_return fail(std::move(logged_in.error()));
            fresh = true;
        }
        Request copy = request;
        auto answer = co_await send_as(std::move(copy));
        if (!answer || answer->status != 401) co_return answer;
        // The session ended, or what is asked needs rights that a new login will not give either.
        token_.clear();
        uri_.clear();
        if (fresh || basic_) refused_ = true;
    }
}

Awaitable<void> Session::close() {
    if (token_.empty()) co_return;
    Request request;
    request.method = Method::kDelete;
    request.target = uri_;
    co_await send_as(std::move(request));
    token_.clear();
    uri_.clear();
}

}  // namespace nett::redfish
