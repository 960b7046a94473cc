// What a run asks of one agent: its records, plans, and changes that are done once however often they are asked for.
#pragma once

#include <string>
#include <vector>

#include "builder/nodes/registration.hpp"
#include "builder/server.hpp"

namespace nett::builder {

// Every record that nodes.yaml can speak of.
Result<Snapshot> take_snapshot(Server& server);

// What the mutations would do; more than fit into one request are sent in several, the first `shared` of them with
// each.
Result<v1::PlanReply> plan_changes(Server& server, const std::vector<v1::Mutation>& mutations, std::size_t shared);

// All or nothing, with an idempotency key of its own: when the agent went away meanwhile it is asked once more, and has
// done it at most once. Nothing to do is fine.
Result<void> apply_changes(Server& server, const std::vector<v1::Mutation>& mutations, const std::string& reason);

// 128 random bits as hex.
std::string make_key();

}  // namespace nett::builder
