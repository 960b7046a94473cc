// `nettd --withdraw`: takes away what must not outlive the agent, when the agent is gone.
#pragma once

#include "agent/setup.hpp"

namespace nett {

// For every plugin that is configured and has a cleanup (agent/sdk/cleanup.hpp): closes its gates in bgpd, waiting
// kWithdrawDeadline at most, and removes its addresses. Prints what it did and what it could not do; returns the exit
// status, 0 when everything is gone. Needs neither the state file nor the API. While an agent runs it is of no use: the
// agent puts everything back.
int withdraw(const Setup& setup);

}  // namespace nett
