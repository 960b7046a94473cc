// Whether the anycast address is announced, and how: health, the operator's mode and time in, a stance with its reason
// out. Pure; the only place that decides.
//
// - Default deny: nothing is announced before every local check is up.
// - A local failure withdraws. A shared one never does: with it every server would withdraw, and the last path with
// them.
//   It only makes this server less preferred (RFC 8326). That needs no look at other paths, which two servers could
//   take at once and both trust.
// - A server that is withdrawn again and again stays away longer each time: each withdrawal for health that follows the
//   one before within kFlapMemory doubles the hold-down.
// - Maintenance first makes less preferred, so that the fabric turns away while everything still works, and withdraws
//   after the drain time, or when leave() says so: the service has ended what it had under way.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/sdk/clock.hpp"
#include "agent/sdk/result.hpp"

namespace nett::anycast {

inline constexpr std::chrono::minutes kFlapMemory{5};

// How long a flapping server stays away.
struct HoldDown {
    std::chrono::seconds first{5};  // after the second withdrawal within kFlapMemory; 0: never
    std::chrono::seconds longest{160};
    friend bool operator==(const HoldDown&, const HoldDown&) = default;
};

enum class Stance { kWithdrawn, kDePreferred, kAnnounced };
std::string_view to_string(Stance stance);  // "withdrawn", "de-preferred", "announced"

enum class Mode { kActive, kDrain, kMaintenance };
std::string_view to_string(Mode mode);  // "active", "drain", "maintenance"
std::optional<Mode> mode_of(std::string_view text);

// All checks at one moment; every text names the check.
struct Health {
    std::vector<std::string> failed;   // local checks that are down
    std::vector<std::string> pending;  // local checks that have not come up yet
    std::vector<std::string> shared;   // shared checks that are down
    std::string summary;               // what is well
};

class Decision {
public:
    // How long it is announced less preferred before maintenance withdraws it. 0: at once.
    void set_drain_time(std::chrono::milliseconds time) { drain_time_ = time; }

    void set_hold_down(HoldDown hold_down) { limits_ = hold_down; }

    // True when the stance changed. `note` is the operator's reason for the mode.
    bool update(const Health& health, Mode mode, const std::string& note, SteadyTime now);
    // When maintenance withdraws, once it has begun.
    void leave(SteadyTime at) {
        if (leaves_at_) leaves_at_ = at;
    }
    // Something else took the address away (the lease ran out while the agent stood still); counts as a withdrawal.
    void lost(std::string reason, SteadyTime now);

    Stance stance() const { return stance_; }
    const std::string& reason() const { return reason_; }
    // How long a healthy server still stays away.
    std::chrono::seconds hold_down(SteadyTime now) const;
    int flaps() const { return flaps_; }
    // When to update again though nothing has happened: the end of a hold-down or of a drain.
    std::optional<SteadyTime> wake(SteadyTime now) const;

private:
    struct Wanted {
        Stance stance;
        std::string reason;
        bool for_health = false;
    };
    Wanted wanted(const Health& health, Mode mode, const std::string& note, SteadyTime now);
    Wanted in_maintenance(const std::string& note, SteadyTime now);
    void count_flap(SteadyTime now);

    std::chrono::milliseconds drain_time_{0};
    HoldDown limits_;
    Stance stance_ = Stance::kWithdrawn;  // default deny
    std::string reason_ = "not checked yet";
    int flaps_ = 0;
    std::optional<SteadyTime> last_withdrawal_;
    std::optional<SteadyTime> held_until_;
    std::optional<SteadyTime> leaves_at_;  // when maintenance withdraws
};

}  // namespace nett::anycast
