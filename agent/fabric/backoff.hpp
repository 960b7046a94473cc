// How long to wait before the next attempt. Pure.
#pragma once

#include <algorithm>
#include <chrono>

namespace nett {

// Doubles from kFirst to kLongest; each wait is between a half and the whole of that, so that switches which lost the
// same upstream do not come back all at once.
class Backoff {
public:
    static constexpr std::chrono::milliseconds kFirst{500};
    static constexpr std::chrono::milliseconds kLongest{15'000};

    // `random` is in [0, 1).
    std::chrono::milliseconds next(double random) {
        const auto whole = next_;
        next_ = std::min(next_ * 2, kLongest);
        return whole / 2 + std::chrono::milliseconds(static_cast<std::int64_t>(random * double(whole.count()) / 2));
    }
    void reset() { next_ = kFirst; }

private:
    std::chrono::milliseconds next_ = kFirst;
};

}  // namespace nett
