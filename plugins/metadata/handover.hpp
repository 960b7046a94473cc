// The handover of an anycast address to another server, before this one stops announcing it: no connection begins,
// those under way end, and only then the fabric turns away. A connection that is under way when the route moves is
// lost: the other server knows nothing of it.
//
// Events of their own family, so that whoever follows "anycast." sees what is announced and nothing else.
// Asked for by the event "handover.request" {address, phase: begin|end}; answered by "handover.state" {address,
// state: holding} at once, and {state: quiet} when nothing is under way any more.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include <boost/asio/steady_timer.hpp>

#include "agent/sdk/plugin.hpp"
#include "plugins/metadata/server.hpp"

namespace nett::metadata {

// Whoever asked may be gone before it says "end".
inline constexpr std::chrono::seconds kLongestHandover{10};
// How often the servers are asked whether they are quiet; the first time is late enough for connections that were just
// being made.
inline constexpr std::chrono::milliseconds kHandoverPoll{40};

// Loop thread only.
class Handover {
public:
    Handover(const Host& host, std::vector<std::shared_ptr<Server>> servers);
    ~Handover();
    Handover(const Handover&) = delete;
    Handover& operator=(const Handover&) = delete;

private:
    void on_event(const Event& event);
    void begin(const std::string& address);
    void end();
    void arm();
    void poll();
    void answer(const char* state, std::string message);

    const Host& host_;
    std::vector<std::shared_ptr<Server>> servers_;
    std::string address_;  // "" when nothing is handed over
    bool quiet_ = false;
    SteadyTime until_{};
    asio::steady_timer timer_;
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
    Subscription events_;
};

}  // namespace nett::metadata
