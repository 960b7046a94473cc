#include "agent/core/access/access.hpp"

#include <algorithm>
#include <array>

namespace nett {

namespace {

struct MethodNeed {
    std::string_view method;
    Need need;
};

// Whoever adds a method decides here who may call it; tests/unit/api compares this with the services.
constexpr std::array kMethods{
    MethodNeed{"/nett.v1.Shell/Execute", Need::kRead},  // each command asks for a role of its own
    MethodNeed{"/nett.v1.Shell/Complete", Need::kRead},
    MethodNeed{"/nett.v1.Inventory/PutTenant", Need::kAdminister},
    MethodNeed{"/nett.v1.Inventory/DeleteTenant", Need::kAdminister},
    MethodNeed{"/nett.v1.Inventory/ListTenants", Need::kReadOwn},
    MethodNeed{"/nett.v1.Inventory/PutMachine", Need::kOperateOwn},
    MethodNeed{"/nett.v1.Inventory/DeleteMachine", Need::kOperate},
    MethodNeed{"/nett.v1.Inventory/GetMachine", Need::kReadOwn},
    MethodNeed{"/nett.v1.Inventory/ListMachines", Need::kReadOwn},
    MethodNeed{"/nett.v1.Inventory/SetMachineState", Need::kOperateOwn},
    MethodNeed{"/nett.v1.Inventory/SetMachineLock", Need::kOperateOwn},
    MethodNeed{"/nett.v1.Inventory/ReleaseMachine", Need::kOperateOwn},
    MethodNeed{"/nett.v1.Inventory/ReportErased", Need::kOperateOwn},
    MethodNeed{"/nett.v1.Inventory/ListUnknownMachines", Need::kReadOwn},
    MethodNeed{"/nett.v1.Inventory/AcceptUnknownMachine", Need::kOperateOwn},
    MethodNeed{"/nett.v1.Inventory/PutProfile", Need::kOperateOwn},
    MethodNeed{"/nett.v1.Inventory/DeleteProfile", Need::kOperateOwn},
    MethodNeed{"/nett.v1.Inventory/ListProfiles", Need::kReadOwn},
    MethodNeed{"/nett.v1.Inventory/PutPrefixPool", Need::kAdminister},
    MethodNeed{"/nett.v1.Inventory/DeletePrefixPool", Need::kAdminister},
    MethodNeed{"/nett.v1.Inventory/ListPrefixPools", Need::kRead},
    MethodNeed{"/nett.v1.Inventory/ListAllocations", Need::kRead},
    MethodNeed{"/nett.v1.Inventory/Plan", Need::kOperateOwn},  // each mutation asks for its own method's role besides
    MethodNeed{"/nett.v1.Inventory/Apply", Need::kOperateOwn},
    MethodNeed{"/nett.v1.Inventory/PutBmc", Need::kAdminister},  // carries a password
    MethodNeed{"/nett.v1.Inventory/DeleteBmc", Need::kAdminister},
    MethodNeed{"/nett.v1.Inventory/ListBmcs", Need::kRead},
    MethodNeed{"/nett.v1.Inventory/Watch", Need::kRead},
    MethodNeed{"/nett.v1.Artifacts/Upload", Need::kOperate},
    MethodNeed{"/nett.v1.Artifacts/GetUpload", Need::kOperate},
    MethodNeed{"/nett.v1.Artifacts/Download", Need::kFetch},
    MethodNeed{"/nett.v1.Artifacts/PutArtifactSet", Need::kOperate},
    MethodNeed{"/nett.v1.Artifacts/DeleteArtifactSet", Need::kOperate},
    MethodNeed{"/nett.v1.Artifacts/ListArtifactSets", Need::kReadOwn},  // sets are everybody's
    MethodNeed{"/nett.v1.Jobs/CreateJob", Need::kOperateOwn},
    MethodNeed{"/nett.v1.Jobs/GetJob", Need::kReadOwn},
    MethodNeed{"/nett.v1.Jobs/ListJobs", Need::kReadOwn},
    MethodNeed{"/nett.v1.Jobs/CancelJob", Need::kOperateOwn},
    MethodNeed{"/nett.v1.Jobs/AcknowledgeJob", Need::kOperateOwn},
    MethodNeed{"/nett.v1.System/GetVersion", Need::kIdentity},
    MethodNeed{"/nett.v1.System/GetHealth", Need::kRead},
    MethodNeed{"/nett.v1.System/StreamEvents", Need::kRead},
    MethodNeed{"/nett.v1.System/Backup", Need::kAdminister},  // carries every secret
    MethodNeed{"/nett.v1.System/TechSupport", Need::kOperate},
    MethodNeed{"/nett.v1.Fabric/Report", Need::kReport},
    MethodNeed{"/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", Need::kIdentity},
    MethodNeed{"/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", Need::kIdentity},
};

const MethodNeed* find_method(std::string_view method) {
    return std::find_if(kMethods.begin(), kMethods.end(), [&](const auto& m) { return m.method == method; });
}

std::string_view needed_role(Need need) {
    switch (need) {
        case Need::kIdentity:
            return "any";
        case Need::kRead:
        case Need::kReadOwn:
            return "viewer";
        case Need::kOperate:
        case Need::kOperateOwn:
            return "operator";
        case Need::kAdminister:
            return "admin";
        case Need::kReport:
            return "fabric";
        case Need::kFetch:
            return "server";
    }
    return "admin";
}

bool allowed_to_agent_roles(Role role, Need need) {
    switch (need) {
        case Need::kIdentity:
        case Need::kRead:
        case Need::kReadOwn:
            return true;
        case Need::kOperate:
        case Need::kOperateOwn:
        case Need::kFetch:
            return role >= Role::kOperator;
        case Need::kAdminister:
            return role >= Role::kAdmin;
        case Need::kReport:
            return false;
    }
    return false;
}

bool is_allowed(const Caller& caller, Need need) {
    switch (caller.scope) {
        case Scope::kAgent:
            return allowed_to_agent_roles(caller.role, need);
        case Scope::kTenant:
            return need == Need::kIdentity || need == Need::kReadOwn || need == Need::kOperateOwn;
        case Scope::kFabric:
            return need == Need::kIdentity || need == Need::kReport;
        case Scope::kServer:
            return need == Need::kIdentity || need == Need::kFetch;
    }
    return false;
}

}  // namespace

Result<Caller> caller_of_certificate(const Grants& grants, std::string_view common_name) {
    const auto found = grants.find(common_name);
    if (common_name.empty() || found == grants.end()) {
        return fail(Code::kPermissionDenied,
                    "the certificate's common name \"{}\" has no role here; configure \"api role ROLE common-name {}\"",
                    common_name, common_name.empty() ? "NAME" : common_name);
    }
    const auto& grant = found->second;
    return Caller{fmt::format("tls:{}", common_name), grant.role, grant.scope, grant.tenant, std::string(common_name)};
}

Need need_of(std::string_view method) {
    const auto* found = find_method(method);
    return found == kMethods.end() ? Need::kAdminister : found->need;
}

bool is_listed(std::string_view method) {
    return find_method(method) != kMethods.end();
}

Result<void> check_need(const Caller& caller, Need need) {
    if (is_allowed(caller, need)) return {};
    return fail(Code::kPermissionDenied, "this needs the role {}; {} is {}", needed_role(need), caller.actor,
                role_text(caller));
}

bool may_see(const Caller& caller, std::string_view tenant) {
    if (caller.scope == Scope::kAgent) return true;
    return caller.scope == Scope::kTenant && !tenant.empty() && caller.tenant == tenant;
}

Result<void> check_own(const Caller& caller, std::string_view tenant, std::string_view what) {
    if (may_see(caller, tenant)) return {};
    return fail(Code::kNotFound, "no {}", what);
}

std::string role_text(const Caller& caller) {
    switch (caller.scope) {
        case Scope::kTenant:
            return "tenant " + caller.tenant;
        case Scope::kFabric:
            return "fabric";
        case Scope::kServer:
            return "server";
        case Scope::kAgent:
            break;
    }
    return std::string(to_string(caller.role));
}

}  // namespace nett
