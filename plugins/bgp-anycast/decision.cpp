#include "plugins/bgp-anycast/decision.hpp"

#include <algorithm>

namespace nett::anycast {
namespace {

constexpr int kMostDoublings = 12;  // beyond any longest hold-down; keeps the shift small

std::string with_note(std::string text, const std::string& note) {
    return note.empty() ? text : fmt::format("{}: {}", text, note);
}

}  // namespace

std::string_view to_string(Stance stance) {
    switch (stance) {
        case Stance::kWithdrawn:
            return "withdrawn";
        case Stance::kDePreferred:
            return "de-preferred";
        case Stance::kAnnounced:
            return "announced";
    }
    return "";
}

std::string_view to_string(Mode mode) {
    switch (mode) {
        case Mode::kActive:
            return "active";
        case Mode::kDrain:
            return "drain";
        case Mode::kMaintenance:
            return "maintenance";
    }
    return "";
}

std::optional<Mode> mode_of(std::string_view text) {
    for (Mode mode : {Mode::kActive, Mode::kDrain, Mode::kMaintenance}) {
        if (text == to_string(mode)) return mode;
    }
    return std::nullopt;
}

std::chrono::seconds Decision::hold_down(SteadyTime now) const {
    if (stance_ != Stance::kWithdrawn || !held_until_ || now >= *held_until_) return std::chrono::seconds(0);
    return std::chrono::ceil<std::chrono::seconds>(*held_until_ - now);
}

std::optional<SteadyTime> Decision::wake(SteadyTime now) const {
    if (leaves_at_ && stance_ != Stance::kWithdrawn) return leaves_at_;
    if (hold_down(now).count() > 0) return held_until_;
    return std::nullopt;
}

void Decision::count_flap(SteadyTime now) {
    bool flapping = last_withdrawal_ && now - *last_withdrawal_ < kFlapMemory;
    flaps_ = flapping ? flaps_ + 1 : 0;
    last_withdrawal_ = now;
    if (flaps_ == 0) return;
    held_until_ = now + std::min(limits_.first * (1 << std::min(flaps_ - 1, kMostDoublings)), limits_.longest);
}

void Decision::lost(std::string reason, SteadyTime now) {
    if (stance_ != Stance::kWithdrawn) count_flap(now);
    stance_ = Stance::kWithdrawn;
    leaves_at_.reset();
    reason_ = std::move(reason);
}

Decision::Wanted Decision::in_maintenance(const std::string& note, SteadyTime now) {
    if (!leaves_at_) leaves_at_ = now + drain_time_;
    bool drained = stance_ == Stance::kWithdrawn || now >= *leaves_at_;
    return {drained ? Stance::kWithdrawn : Stance::kDePreferred,
            with_note(drained ? "maintenance" : "maintenance begins, draining", note)};
}

Decision::Wanted Decision::wanted(const Health& health, Mode mode, const std::string& note, SteadyTime now) {
    if (!health.failed.empty()) return {Stance::kWithdrawn, fmt::format("{}", fmt::join(health.failed, "; ")), true};
    if (mode == Mode::kMaintenance) return in_maintenance(note, now);
    // A check that was added while all is well may not withdraw before it has had its say.
    if (!health.pending.empty() && stance_ == Stance::kWithdrawn) {
        return {Stance::kWithdrawn, fmt::format("waiting for {}", fmt::join(health.pending, ", "))};
    }
    if (auto left = hold_down(now); left.count() > 0) {
        return {Stance::kWithdrawn, fmt::format("healthy, held down for {} s after flapping", left.count())};
    }
    if (mode == Mode::kDrain) return {Stance::kDePreferred, with_note("drained by the operator", note)};
    if (!health.shared.empty()) {
        return {Stance::kDePreferred,
                fmt::format("shared trouble, which never withdraws: {}", fmt::join(health.shared, "; "))};
    }
    return {Stance::kAnnounced, health.summary};
}

bool Decision::update(const Health& health, Mode mode, const std::string& note, SteadyTime now) {
    if (mode != Mode::kMaintenance) leaves_at_.reset();
    Wanted next = wanted(health, mode, note, now);
    if (next.stance == Stance::kWithdrawn && stance_ != Stance::kWithdrawn && next.for_health) count_flap(now);
    reason_ = std::move(next.reason);
    return std::exchange(stance_, next.stance) != next.stance;
}

}  // namespace nett::anycast
