// One configured check: what it asks, how often, and what its results in a row mean. Pure.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include <boost/asio/ip/tcp.hpp>

#include "agent/sdk/clock.hpp"
#include "agent/sdk/config.hpp"

namespace nett::anycast {

enum class CheckType { kTcp, kTls, kHttp, kHttps, kExec };

// Local: another server would do better, so the address is withdrawn. Shared: every server depends on it, so this one
// is only preferred less.
enum class CheckClass { kLocal, kShared };

struct CheckSettings {
    std::string name;
    CheckType type = CheckType::kTcp;
    CheckClass scope = CheckClass::kLocal;
    std::chrono::milliseconds interval{1000};
    std::chrono::milliseconds fast_interval{200};  // while the results do not agree with the state
    std::chrono::milliseconds timeout{1000};
    int rise = 2;
    int fall = 2;
    int splay_percent = 10;  // of the interval, added at random, so that servers do not check in step

    // tcp, tls, http, https
    boost::asio::ip::tcp::endpoint target;
    // tls, https
    std::string ca;           // PEM; empty: the server's certificate is not verified
    std::string certificate;  // PEM, with private_key: what the server asks of its clients
    std::string private_key;
    std::string server_name;  // SNI, and with `ca` the name (or address) that the certificate must have
    // http, https
    std::string path = "/";
    std::optional<int> expect_status;  // nullopt: 200 to 399
    // exec
    std::vector<std::string> command;  // an absolute path and its arguments; no shell
    std::string user;                  // empty: nobody when the agent is root, else the agent's own

    friend bool operator==(const CheckSettings&, const CheckSettings&) = default;
};

std::string_view to_string(CheckType type);
std::string_view to_string(CheckClass scope);

// The commands of the node that "check NAME TYPE" opens, and that command itself.
std::vector<ConfigCommand> check_commands(const std::string& plugin_node);
CheckSettings check_settings_of(const ConfigEntry& check);
std::vector<Diagnostic> validate_check(const ConfigEntry& check);

// What one run of a check found.
struct CheckResult {
    bool good = false;
    std::string message;  // "status 200", "no answer within 1000 ms"
};

enum class CheckState { kUnknown, kUp, kDown };
std::string_view to_string(CheckState state);

// Results in a row move the state: `rise` good ones to kUp, `fall` bad ones to kDown.
class CheckTracker {
public:
    CheckTracker(int rise, int fall, CheckState initial = CheckState::kUnknown)
        : rise_(rise), fall_(fall), state_(initial) {}

    // True when the state changed.
    bool add(const CheckResult& result);
    void set_thresholds(int rise, int fall) {
        rise_ = rise;
        fall_ = fall;
    }
    // Forgets everything: what was seen before a standstill says nothing about now.
    void reset() { *this = CheckTracker(rise_, fall_); }

    CheckState state() const { return state_; }
    // The last result agrees with the state: no need to hurry.
    bool settled() const;
    int good() const { return good_; }  // in a row, at most rise
    int bad() const { return bad_; }    // in a row, at most fall
    const std::string& message() const { return message_; }
    // "1 of 2 good results", for a check that has not risen.
    std::string progress() const;

private:
    int rise_;
    int fall_;
    CheckState state_;
    int good_ = 0;
    int bad_ = 0;
    std::string message_ = "not checked yet";
};

// Time until the next run. `random` in [0, 1) spreads it by the splay.
std::chrono::milliseconds next_delay(const CheckSettings& settings, bool settled, double random);

}  // namespace nett::anycast
