// Which calls of the management API are changes, and what of them the audit log may show.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "agent/api/tcp.hpp"
#include "agent/core/audit/audit.hpp"

namespace google::protobuf {
class Message;
}
namespace grpc {
class ServerBuilder;
}

namespace nett {

struct ApiContext;

// Whether a call of this method is recorded: whatever is not just read. Not Shell/Execute, whose lines are recorded one
// by one by what they do (agent/core/shell), nor a dry run.
bool is_audited(std::string_view method);

// A request as text: numbers, and the texts of fields that name things (name, tenant, reason …). Of all other texts and
// bytes, which may be secret now or in a later version, only the size. Pure.
std::string audit_text(const google::protobuf::Message& request);

// Records calls that never reach their method, because the caller has no right to it: reads too. `log` outlives it;
// null: none is recorded.
RefusedCall record_refusals(AuditLog* log);

// Has every audited call of the server that is being built recorded once it has ended. `api` and `log` outlive it.
void add_audit(grpc::ServerBuilder& builder, const ApiContext& api, AuditLog& log);

}  // namespace nett
