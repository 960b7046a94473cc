// tenant add.
#include <memory>

#include "builder/outcome.hpp"
#include "builder/server.hpp"
#include "builder/values.hpp"

namespace nett::builder {
namespace {

struct Options {
    std::string name;
    std::vector<std::string> common_names;
    std::vector<std::string> common_name_suffixes;
    std::vector<std::string> organizational_units;
    std::uint32_t machine_quota = 0;
};

Outcome add(const Options& options, const Invocation& invocation) {
    if (const auto good = check_name(options.name); !good) return good.error();
    v1::PutTenantRequest request;
    v1::Tenant& tenant = *request.mutable_tenant();
    tenant.set_name(options.name);
    tenant.mutable_common_names()->Assign(options.common_names.begin(), options.common_names.end());
    tenant.mutable_common_name_suffixes()->Assign(options.common_name_suffixes.begin(),
                                                  options.common_name_suffixes.end());
    tenant.mutable_organizational_units()->Assign(options.organizational_units.begin(),
                                                  options.organizational_units.end());
    tenant.set_machine_quota(options.machine_quota);
    request.set_reason(invocation.reason);
    if (tenant.common_names().empty() && tenant.common_name_suffixes().empty() &&
        tenant.organizational_units().empty()) {
        return Error{
            Code::kInvalidArgument,
            "no certificate would ever match: give --common-name, --common-name-suffix or --organizational-unit",
            {}};
    }
    return change_everywhere(invocation.servers, "tenant " + options.name, [&](Server& server) {
        return call(server.target, *server.inventory, &v1::Inventory::Stub::PutTenant, request);
    });
}

}  // namespace

void add_tenant_commands(CLI::App& application, Invocation& invocation) {
    CLI::App* tenant = application.add_subcommand("tenant", "Register tenants");
    tenant->require_subcommand(1);
    CLI::App* command = tenant->add_subcommand(
        "add", "Register a tenant, or change its registration: which client certificates are the tenant's");
    auto options = std::make_shared<Options>();
    command->add_option("NAME", options->name, "The tenant's name")->required();
    command
        ->add_option("--common-name", options->common_names,
                     "A certificate with this subject CN is the tenant's; repeatable")
        ->allow_extra_args(false);
    command
        ->add_option("--common-name-suffix", options->common_name_suffixes,
                     "So is one whose CN ends in this domain; repeatable")
        ->allow_extra_args(false);
    command
        ->add_option("--organizational-unit", options->organizational_units,
                     "So is one with this subject OU; repeatable")
        ->allow_extra_args(false);
    command->add_option("--machine-quota", options->machine_quota, "At most so many machines; 0: no limit");
    command->callback(
        [&invocation, options] { invocation.action = [&invocation, options] { return add(*options, invocation); }; });
}

}  // namespace nett::builder
