// The enumerations of agent/sdk/model.hpp as those of nett.v1, and back: what the agent's API and the programs that
// call it must map alike.
#pragma once

#include <string>

#include "agent/sdk/model.hpp"
#include "agent/sdk/result.hpp"
#include "nett.pb.h"

namespace nett {

v1::MachineState to_proto(MachineState state);
v1::ConfigDelivery to_proto(ConfigDelivery delivery);
v1::ConfirmBy to_proto(ConfirmBy confirm);

// kInvalidArgument: a number that this program does not know, of a newer peer, and MACHINE_STATE_UNSPECIFIED.
// CONFIG_DELIVERY_UNSPECIFIED is the default, embedded.
Result<MachineState> from_proto(v1::MachineState state);
Result<ConfigDelivery> from_proto(v1::ConfigDelivery delivery);
Result<ConfirmBy> from_proto(v1::ConfirmBy confirm);

// The word of the command line; empty where from_proto() fails.
template <typename Message>
std::string word_of(Message value) {
    const auto known = from_proto(value);
    return known ? std::string(to_string(*known)) : std::string();
}

}  // namespace nett
