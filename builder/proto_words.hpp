// The management API's enumerations as the words of the command line, both ways.
#pragma once

#include <string>

#include "agent/sdk/model.hpp"
#include "nett.pb.h"

namespace nett::builder {

v1::ConfigDelivery to_proto(ConfigDelivery delivery);
v1::MachineState to_proto(MachineState state);
v1::ConfirmBy to_proto(ConfirmBy confirm);

// Empty for a value that this program does not know: of a newer agent.
std::string word_of(v1::ConfigDelivery delivery);
std::string word_of(v1::MachineState state);
std::string word_of(v1::ConfirmBy confirm);

}  // namespace nett::builder
