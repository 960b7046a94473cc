// How the service leaves in order. A connection that is under way when the route moves is lost: the other server knows
// nothing of it. So the service behind the address is asked to begin nothing new and to end what it has; a client's new
// connection goes unanswered meanwhile, and its next try reaches the other server.
#include <algorithm>

#include "plugins/bgp-anycast/service.hpp"

namespace nett::anycast {
namespace {

// For the service to say that it holds: some milliseconds are usual. A service of another make says nothing.
constexpr std::chrono::milliseconds kAnswerTime{150};
constexpr std::chrono::milliseconds kNoGrace{0};
// Between closing the gate and taking the address: a peer's FIB follows the gate within 70 ms, and until then what
// arrives is still ours.
constexpr std::chrono::milliseconds kGateGrace{250};
// The same for GRACEFUL_SHUTDOWN: bgpd applies a changed route map one second later (route-map delay-timer 1), and the
// vtysh backend needs its time.
constexpr std::chrono::milliseconds kDrainGrace{2000};
// Of a stop's deadline left to the plugins that stop after this one.
constexpr std::chrono::seconds kStopReserve{3};

}  // namespace

void Service::begin_handover() {
    if (settings_.dry_run) return;
    announcer_.hold();
    enter(Handover::kAsked, kAnswerTime);
    publish_handover("begin", "is about to be handed over: no new connections, please");
}

bool Service::still_serves() const {
    return handover_ == Handover::kNone && announcer_.stance() != Stance::kWithdrawn && !settings_.dry_run &&
           settings_.gate && bgpd_follows() && verdict_.heard && verdict_.healthy && local_.state() == CheckState::kUp;
}

// The gate closes at once, as for every failure. But there is somebody to end what is under way until the fabric has
// followed; with the address gone these requests would be lost. Of a service that is not well nothing is expected:
// then silence is better for its clients than a refusal or a wrong answer.
void Service::turn_away() {
    announcer_.close_gate();
    enter(Handover::kTurning, kGateGrace);
    publish_handover("begin", "is withdrawn: no new connections, please");
}

void Service::enter(Handover phase, std::chrono::milliseconds time) {
    handover_ = phase;
    handover_until_ = host_.clock.steady_now() + time;
}

void Service::on_handover(const std::string& address, const std::string& state) {
    if (address != settings_.address.address().to_string()) return;
    if (state == "holding" && handover_ == Handover::kAsked) {
        enter(Handover::kHolding, settings_.drain_time);
        decision_.leave(handover_until_ + kGateGrace);
    } else if (state == "quiet" && handover_ == Handover::kHolding) {
        let_go();
    } else {
        return;
    }
    pause_timer_.cancel();
    evaluate();
}

// The fabric may turn away now: nothing is under way, or it has taken too long.
void Service::let_go() {
    bool drains = journal_.mode().mode == Mode::kDrain && !stopping_;
    enter(Handover::kMoving, drains ? kDrainGrace : settings_.gate && bgpd_follows() ? kGateGrace : kNoGrace);
    if (drains) {
        announcer_.apply(Stance::kDePreferred);
    } else {
        announcer_.close_gate();
        decision_.leave(handover_until_);
    }
}

void Service::advance_handover() {
    if (handover_ == Handover::kNone || host_.clock.steady_now() < handover_until_) return;
    if (handover_ == Handover::kHolding) return let_go();
    if (handover_ == Handover::kTurning) announcer_.apply(decision_.stance());
    if (handover_ == Handover::kAsked) {
        // Nobody can let go: the fabric turns away first, while this server still serves.
        announcer_.apply(Stance::kDePreferred);
        if (!settings_.drain) decision_.leave(host_.clock.steady_now());
    }
    end_handover();
}

void Service::end_handover() {
    if (std::exchange(handover_, Handover::kNone) != Handover::kNone) publish_handover("end", "the handover is over");
}

void Service::publish_handover(const char* phase, std::string message) {
    std::string address = settings_.address.address().to_string();
    host_.events.publish(
        {"handover.request", address, std::move(message), {{"address", address}, {"phase", phase}}, {}, 0});
}

bool Service::bgpd_follows() const {
    FrrDaemonStatus bgpd = host_.frr.status(FrrDaemon::kBgpd);
    return bgpd.connected && bgpd.error.empty();
}

Awaitable<void> Service::hand_over_in_order(SteadyTime deadline) {
    auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - kStopReserve - host_.clock.steady_now());
    auto time = std::clamp(left, kNoGrace, settings_.drain_time);
    begin_handover();
    if (handover_ == Handover::kAsked) co_await pause(kAnswerTime);
    if (handover_ == Handover::kHolding) {
        co_await pause(time);
    } else if (handover_ == Handover::kAsked && settings_.drain && bgpd_follows()) {
        announcer_.apply(Stance::kDePreferred);
        co_await pause(time);
    }
    if (handover_ != Handover::kNone) enter(Handover::kMoving, kGateGrace);
}

Awaitable<void> Service::withdraw_in_order(SteadyTime deadline) {
    if (announcer_.stance() == Stance::kAnnounced) co_await hand_over_in_order(deadline);
    announcer_.close_gate();
    if (settings_.gate && bgpd_follows()) co_await pause(kGateGrace);
    announcer_.apply(Stance::kWithdrawn);
    end_handover();
}

}  // namespace nett::anycast
