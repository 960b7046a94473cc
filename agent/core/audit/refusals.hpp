// How many refusals of one caller the audit log takes: one who may do nothing must not be able to fill a disk. Pure.
#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <string>

#include "agent/sdk/clock.hpp"

namespace nett {

// Of one caller in kRefusalWindow: more than a person makes by mistake, and enough to see what a program is after.
inline constexpr unsigned kMaxRefusals = 20;
inline constexpr std::chrono::minutes kRefusalWindow{1};
// Callers that are counted apart; certificates of the API's CA, so a few dozen. Those beyond share one count.
inline constexpr std::size_t kMaxRefusedCallers = 256;

class RefusalLimit {
public:
    // Nothing: this refusal is left out. Else how many were left out of the caller's since the last that was not.
    std::optional<unsigned> admit(const std::string& actor, SteadyTime now);

private:
    struct Count {
        SteadyTime since{};
        unsigned seen = 0;      // in the window
        unsigned left_out = 0;  // since the last that was admitted
    };
    std::map<std::string, Count> counts_;
};

}  // namespace nett
