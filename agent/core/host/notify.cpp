#include "agent/core/host/notify.hpp"

#include <cstdint>
#include <ctime>
#include <string>

#include <fmt/format.h>
#include <systemd/sd-daemon.h>

namespace nett {

void notify_ready(std::string_view status) {
    ::sd_notify(0, fmt::format("READY=1\nSTATUS={}", status).c_str());
}

void notify_reloading() {
    std::timespec now{};
    ::clock_gettime(CLOCK_MONOTONIC, &now);
    const auto micros =
        static_cast<std::uint64_t>(now.tv_sec) * 1'000'000 + static_cast<std::uint64_t>(now.tv_nsec) / 1000;
    ::sd_notify(0, fmt::format("RELOADING=1\nMONOTONIC_USEC={}", micros).c_str());
}

void notify_stopping() {
    ::sd_notify(0, "STOPPING=1");
}

std::optional<std::chrono::microseconds> watchdog_period() {
    std::uint64_t micros = 0;
    if (::sd_watchdog_enabled(0, &micros) <= 0) return std::nullopt;
    return std::chrono::microseconds(micros / 2);
}

void watchdog_ping() {
    ::sd_notify(0, "WATCHDOG=1");
}

}  // namespace nett
