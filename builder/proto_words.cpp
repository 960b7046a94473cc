#include "builder/proto_words.hpp"

#include <initializer_list>

namespace nett::builder {
namespace {

template <typename Message, typename Value>
std::string word_among(Message message, std::initializer_list<Value> values) {
    for (const auto value : values) {
        if (to_proto(value) == message) return std::string(to_string(value));
    }
    return {};
}

}  // namespace

v1::ConfigDelivery to_proto(ConfigDelivery delivery) {
    switch (delivery) {
        case ConfigDelivery::kToken:
            return v1::CONFIG_DELIVERY_TOKEN;
        case ConfigDelivery::kUrl:
            return v1::CONFIG_DELIVERY_URL;
        case ConfigDelivery::kEmbedded:
            break;
    }
    return v1::CONFIG_DELIVERY_EMBEDDED;
}

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

v1::ConfirmBy to_proto(ConfirmBy confirm) {
    switch (confirm) {
        case ConfirmBy::kFabric:
            return v1::CONFIRM_BY_FABRIC;
        case ConfirmBy::kConfigFetched:
            return v1::CONFIRM_BY_CONFIG_FETCHED;
        case ConfirmBy::kApi:
            break;
    }
    return v1::CONFIRM_BY_API;
}

std::string word_of(v1::ConfigDelivery delivery) {
    return word_among(delivery, {ConfigDelivery::kEmbedded, ConfigDelivery::kToken, ConfigDelivery::kUrl});
}

std::string word_of(v1::MachineState state) {
    return word_among(state, {MachineState::kNew, MachineState::kProvisioning, MachineState::kActive,
                              MachineState::kReprovision, MachineState::kMaintenance, MachineState::kDecommission});
}

std::string word_of(v1::ConfirmBy confirm) {
    return word_among(confirm, {ConfirmBy::kApi, ConfirmBy::kFabric, ConfirmBy::kConfigFetched});
}

}  // namespace nett::builder
