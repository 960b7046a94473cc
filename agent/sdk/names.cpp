// The words of the SDK's enumerations, as they stand in texts, JSON and events.
#include "agent/sdk/command.hpp"
#include "agent/sdk/frr.hpp"
#include "agent/sdk/health.hpp"

namespace nett {

std::string_view to_string(HealthState state) {
    switch (state) {
        case HealthState::kOk:
            return "ok";
        case HealthState::kDegraded:
            return "degraded";
        case HealthState::kFailed:
            return "failed";
    }
    return "failed";
}

std::string_view to_string(HealthScope scope) {
    switch (scope) {
        case HealthScope::kInfo:
            return "info";
        case HealthScope::kLocal:
            return "local";
        case HealthScope::kShared:
            return "shared";
    }
    return "info";
}

std::string_view to_string(Role role) {
    switch (role) {
        case Role::kViewer:
            return "viewer";
        case Role::kOperator:
            return "operator";
        case Role::kAdmin:
            return "admin";
    }
    return "viewer";
}

std::string_view to_string(FrrDaemon daemon) {
    return daemon == FrrDaemon::kZebra ? "zebra" : "bgpd";
}

}  // namespace nett
