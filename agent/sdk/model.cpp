// Names of the enumerations and the text form of times in the state file's records.
#include "agent/sdk/model.hpp"

#include <charconv>
#include <ctime>

namespace nett {

namespace {

// The value among `all` whose name is `text`; else an error that lists them.
template <typename T, std::size_t N>
Result<T> parse_name(std::string_view text, std::string_view what, const T (&all)[N]) {
    std::string names;
    for (const auto value : all) {
        if (text == to_string(value)) return value;
        names += (names.empty() ? "" : ", ") + std::string(to_string(value));
    }
    return fail(Code::kInvalidArgument, "\"{}\" is not {}; there are {}", text, what, names);
}

}  // namespace

std::string_view to_string(MachineState state) {
    switch (state) {
        case MachineState::kNew:
            return "new";
        case MachineState::kProvisioning:
            return "provisioning";
        case MachineState::kActive:
            return "active";
        case MachineState::kReprovision:
            return "reprovision";
        case MachineState::kMaintenance:
            return "maintenance";
        case MachineState::kDecommission:
            return "decommission";
    }
    return "";
}

Result<MachineState> parse_machine_state(std::string_view text) {
    for (const auto state : {MachineState::kNew, MachineState::kProvisioning, MachineState::kActive,
                             MachineState::kReprovision, MachineState::kMaintenance, MachineState::kDecommission}) {
        if (text == to_string(state)) return state;
    }
    return fail(Code::kInvalidArgument,
                "\"{}\" is not a state; states are new, provisioning, active, reprovision, maintenance, decommission",
                text);
}

std::string_view to_string(ConfigDelivery delivery) {
    switch (delivery) {
        case ConfigDelivery::kEmbedded:
            return "embedded";
        case ConfigDelivery::kToken:
            return "token";
        case ConfigDelivery::kUrl:
            return "url";
    }
    return "";
}

Result<ConfigDelivery> parse_config_delivery(std::string_view text) {
    for (const auto delivery : {ConfigDelivery::kEmbedded, ConfigDelivery::kToken, ConfigDelivery::kUrl}) {
        if (text == to_string(delivery)) return delivery;
    }
    return fail(Code::kInvalidArgument, "\"{}\" is not a delivery; it is embedded, token or url", text);
}

std::string_view to_string(ConfirmBy confirm) {
    switch (confirm) {
        case ConfirmBy::kApi:
            return "api";
        case ConfirmBy::kFabric:
            return "fabric";
        case ConfirmBy::kConfigFetched:
            return "config-fetched";
    }
    return "";
}

Result<ConfirmBy> parse_confirm_by(std::string_view text) {
    return parse_name(text, "a confirmation", {ConfirmBy::kApi, ConfirmBy::kFabric, ConfirmBy::kConfigFetched});
}

std::string_view to_string(ProductionMode mode) {
    switch (mode) {
        case ProductionMode::kNone:
            return "none";
        case ProductionMode::kStatic:
            return "static";
        case ProductionMode::kPool:
            return "pool";
        case ProductionMode::kNetbox:
            return "netbox";
    }
    return "";
}

Result<ProductionMode> parse_production_mode(std::string_view text) {
    return parse_name(text, "a source of production prefixes",
                      {ProductionMode::kNone, ProductionMode::kStatic, ProductionMode::kPool, ProductionMode::kNetbox});
}

std::string group_prefix(std::string_view group) {
    return fmt::format("{}/", group);
}

std::string to_rfc3339(SystemTime time) {
    using std::chrono::duration_cast;
    const auto since_epoch = duration_cast<std::chrono::milliseconds>(time.time_since_epoch());
    if (since_epoch.count() == 0) return {};
    const auto seconds = std::chrono::floor<std::chrono::seconds>(since_epoch);
    const std::time_t whole = seconds.count();
    std::tm parts{};
    ::gmtime_r(&whole, &parts);
    return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", parts.tm_year + 1900, parts.tm_mon + 1,
                       parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec, (since_epoch - seconds).count());
}

Result<SystemTime> parse_rfc3339(std::string_view text) {
    if (text.empty()) return SystemTime{};
    // Exactly what to_rfc3339 writes: YYYY-MM-DDTHH:MM:SS.mmmZ
    constexpr std::string_view kShape = "dddd-dd-ddTdd:dd:dd.dddZ";
    bool fits = text.size() == kShape.size();
    for (std::size_t i = 0; fits && i < kShape.size(); ++i) {
        fits = kShape[i] == 'd' ? (text[i] >= '0' && text[i] <= '9') : text[i] == kShape[i];
    }
    if (!fits) return fail(Code::kInvalidArgument, "\"{}\" is not a time like 2026-11-21T11:05:00.000Z", text);
    const auto number = [&](std::size_t at, std::size_t size) {
        int value = 0;
        std::from_chars(text.data() + at, text.data() + at + size, value);
        return value;
    };
    std::tm parts{};
    parts.tm_year = number(0, 4) - 1900;
    parts.tm_mon = number(5, 2) - 1;
    parts.tm_mday = number(8, 2);
    parts.tm_hour = number(11, 2);
    parts.tm_min = number(14, 2);
    parts.tm_sec = number(17, 2);
    const std::time_t whole = ::timegm(&parts);
    return std::chrono::system_clock::from_time_t(whole) + std::chrono::milliseconds(number(20, 3));
}

}  // namespace nett
