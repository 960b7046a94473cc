// systemd's readiness and watchdog protocol, sd_notify(3); does nothing where no manager listens.
#pragma once

#include <chrono>
#include <optional>
#include <string_view>

#include "agent/sdk/asio.hpp"

namespace nett {

void notify_ready(std::string_view status);
void notify_reloading();
void notify_stopping();

// How often to call watchdog_ping: half of WATCHDOG_USEC; nullopt when no watchdog is asked for.
std::optional<std::chrono::microseconds> watchdog_period();
void watchdog_ping();

}  // namespace nett
