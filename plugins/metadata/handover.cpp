#include "plugins/metadata/handover.hpp"

#include <algorithm>

namespace nett::metadata {

Handover::Handover(const Host& host, std::vector<std::shared_ptr<Server>> servers)
    : host_(host), servers_(std::move(servers)), timer_(host.loop) {
    events_ = host_.events.subscribe("handover.request", [this](const Event& event) { on_event(event); });
}

Handover::~Handover() {
    end();
}

void Handover::on_event(const Event& event) {
    auto phase = event.fields.find("phase");
    auto address = event.fields.find("address");
    if (phase == event.fields.end() || address == event.fields.end()) return;
    if (phase->second == "begin") begin(address->second);
    if (phase->second == "end" && address->second == address_) end();
}

void Handover::begin(const std::string& address) {
    end();
    auto parsed = parse_address6(address);
    if (!parsed) return;
    bool ours = false;
    for (const auto& server : servers_) ours = server->hold(*parsed) || ours;
    if (!ours) return;
    address_ = address;
    quiet_ = false;
    until_ = host_.clock.steady_now() + kLongestHandover;
    answer("holding", "no new connections; those under way end");
    arm();
}

void Handover::end() {
    timer_.cancel();
    if (std::exchange(address_, {}).empty()) return;
    for (const auto& server : servers_) server->release();
}

void Handover::arm() {
    timer_.expires_after(kHandoverPoll);
    timer_.async_wait([this, weak = std::weak_ptr<bool>(alive_)](const boost::system::error_code& error) {
        if (!error && !weak.expired() && !address_.empty()) poll();
    });
}

void Handover::poll() {
    if (host_.clock.steady_now() >= until_) return end();
    bool busy = false;
    for (const auto& server : servers_) busy = server->busy() || busy;
    if (!busy && !std::exchange(quiet_, true)) answer("quiet", "no request is under way any more");
    arm();
}

void Handover::answer(const char* state, std::string message) {
    host_.events.publish(
        {"handover.state", address_, std::move(message), {{"address", address_}, {"state", state}}, {}, 0});
}

}  // namespace nett::metadata
