// Who calls, and what that allows: the one place where rights are decided, for every service of the management API and
// for the shell. Pure.
//
// On the Unix socket whoever may open it is an administrator. On TCP the common name of the client's certificate has a
// role in the configuration (`api role …`), or none, and then nothing is allowed.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "agent/sdk/command.hpp"
#include "agent/sdk/result.hpp"

namespace nett {

// What a caller's role is about.
enum class Scope {
    kAgent,   // everything that the agent has: viewer, operator, admin
    kTenant,  // the records of one tenant
    kFabric,  // a switch's agent: reports what it sees, and nothing else
    kServer,  // another server of the same state: fetches artifacts, and nothing else
};

// Who calls, as the transport authenticated them.
struct Caller {
    std::string actor;          // "unix:root", "tls:ops.example"
    Role role = Role::kViewer;  // of the scope kAgent; a tenant may do with its own what an operator may
    Scope scope = Scope::kAgent;
    std::string tenant = {};  // of the scope kTenant
    std::string peer = {};    // the certificate's common name; empty on the Unix socket
    friend bool operator==(const Caller&, const Caller&) = default;
};

// What the configuration gives to a common name.
struct Grant {
    Role role = Role::kViewer;
    Scope scope = Scope::kAgent;
    std::string tenant = {};
    friend bool operator==(const Grant&, const Grant&) = default;
};
using Grants = std::map<std::string, Grant, std::less<>>;  // by common name, compared byte for byte

// kPermissionDenied when the name has no role.
Result<Caller> caller_of_certificate(const Grants& grants, std::string_view common_name);

// What a method of the API asks for.
enum class Need {
    kIdentity,    // any role: the version, reflection
    kRead,        // viewer
    kReadOwn,     // viewer; tenants too, and the method shows them their own records only
    kOperate,     // operator
    kOperateOwn,  // operator; tenants too, on their own records only
    kAdminister,  // admin
    kReport,      // fabric and nobody else
    kFetch,       // server; operators too
};

// By the method's full name, "/nett.v1.Inventory/PutMachine". A method that is not listed needs an administrator.
Need need_of(std::string_view method);
bool is_listed(std::string_view method);
// kPermissionDenied, naming the caller's role and the one that is needed.
Result<void> check_need(const Caller& caller, Need need);

// Whether a record of `tenant` is one that the caller may see and change.
bool may_see(const Caller& caller, std::string_view tenant);
// kNotFound, in the words of a record that does not exist: who may not see it does not learn that it is there.
Result<void> check_own(const Caller& caller, std::string_view tenant, std::string_view what);

// For logs and errors: "admin", "tenant tenant-a", "fabric".
std::string role_text(const Caller& caller);

}  // namespace nett
