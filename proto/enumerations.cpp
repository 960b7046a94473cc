#include "proto/enumerations.hpp"

namespace nett {

v1::MachineState to_proto(MachineState state) {
    switch (state) {
        case MachineState::kNew:
            return v1::MACHINE_STATE_NEW;
        case MachineState::kProvisioning:
            return v1::MACHINE_STATE_PROVISIONING;
        case MachineState::kActive:
            return v1::MACHINE_STATE_ACTIVE;
        case MachineState::kReprovision:
            return v1::MACHINE_STATE_REPROVISION;
        case MachineState::kMaintenance:
            return v1::MACHINE_STATE_MAINTENANCE;
        case MachineState::kDecommission:
            return v1::MACHINE_STATE_DECOMMISSION;
    }
    return v1::MACHINE_STATE_UNSPECIFIED;
}

v1::ConfigDelivery to_proto(ConfigDelivery delivery) {
    switch (delivery) {
        case ConfigDelivery::kEmbedded:
            return v1::CONFIG_DELIVERY_EMBEDDED;
        case ConfigDelivery::kToken:
            return v1::CONFIG_DELIVERY_TOKEN;
        case ConfigDelivery::kUrl:
            return v1::CONFIG_DELIVERY_URL;
    }
    return v1::CONFIG_DELIVERY_UNSPECIFIED;
}

v1::ConfirmBy to_proto(ConfirmBy confirm) {
    switch (confirm) {
        case ConfirmBy::kFabric:
            return v1::CONFIRM_BY_FABRIC;
        case ConfirmBy::kConfigFetched:
            return v1::CONFIRM_BY_CONFIG_FETCHED;
        case ConfirmBy::kApi:
            return v1::CONFIRM_BY_API;
    }
    return v1::CONFIRM_BY_API;
}

Result<MachineState> from_proto(v1::MachineState state) {
    switch (state) {
        case v1::MACHINE_STATE_NEW:
            return MachineState::kNew;
        case v1::MACHINE_STATE_PROVISIONING:
            return MachineState::kProvisioning;
        case v1::MACHINE_STATE_ACTIVE:
            return MachineState::kActive;
        case v1::MACHINE_STATE_REPROVISION:
            return MachineState::kReprovision;
        case v1::MACHINE_STATE_MAINTENANCE:
            return MachineState::kMaintenance;
        case v1::MACHINE_STATE_DECOMMISSION:
            return MachineState::kDecommission;
        default:
            return fail(Code::kInvalidArgument, "the machine state is missing or unknown (number {})",
                        static_cast<int>(state));
    }
}

Result<ConfigDelivery> from_proto(v1::ConfigDelivery delivery) {
    switch (delivery) {
        case v1::CONFIG_DELIVERY_UNSPECIFIED:
        case v1::CONFIG_DELIVERY_EMBEDDED:
            return ConfigDelivery::kEmbedded;
        case v1::CONFIG_DELIVERY_TOKEN:
            return ConfigDelivery::kToken;
        case v1::CONFIG_DELIVERY_URL:
            return ConfigDelivery::kUrl;
        default:
            return fail(Code::kInvalidArgument, "there is no config delivery number {}", static_cast<int>(delivery));
    }
}

Result<ConfirmBy> from_proto(v1::ConfirmBy confirm) {
    switch (confirm) {
        case v1::CONFIRM_BY_API:
            return ConfirmBy::kApi;
        case v1::CONFIRM_BY_FABRIC:
            return ConfirmBy::kFabric;
        case v1::CONFIRM_BY_CONFIG_FETCHED:
            return ConfirmBy::kConfigFetched;
        default:
            return fail(Code::kInvalidArgument, "there is no confirmation number {}", static_cast<int>(confirm));
    }
}

}  // namespace nett
