// tenant add, tenant auto-enrol.
#include <algorithm>
#include <memory>

#include "builder/outcome.hpp"
#include "builder/server.hpp"
#include "builder/values.hpp"

namespace nett::builder {
namespace {

constexpr std::uint32_t kListPage = 500;

struct Options {
    std::string name;
    std::vector<std::string> common_names;
    std::vector<std::string> common_name_suffixes;
    std::vector<std::string> organizational_units;
    std::uint32_t machine_quota = 0;
};

struct RuleOptions {
    std::string tenant;
    std::vector<std::string> ports;
    std::vector<std::string> uuids;
    std::vector<std::string> mac_prefixes;
    std::string profile;
    std::string name_pattern = "node-{mac}";
    std::uint32_t number = 0;  // from 1
};

// kNotFound when the agent has no such tenant.
Result<v1::Tenant> tenant_of(Server& server, const std::string& name) {
    v1::ListRequest request;
    request.set_limit(kListPage);
    for (;;) {
        const auto reply = call(server.target, *server.inventory, &v1::Inventory::Stub::ListTenants, request);
        if (!reply) return fail(reply.error());
        const auto found = std::find_if(reply->tenants().begin(), reply->tenants().end(),
                                        [&](const auto& one) { return one.name() == name; });
        if (found != reply->tenants().end()) return *found;
        if (reply->next().empty()) break;
        request.set_after(reply->next());
    }
    return fail(
        Error{Code::kNotFound, fmt::format("no tenant \"{}\"; register it with \"tenant add\"", name), server.target});
}

Result<v1::MutationReply> put(Server& server, v1::Tenant tenant, const Invocation& invocation) {
    v1::PutTenantRequest request;
    *request.mutable_tenant() = std::move(tenant);
    request.set_reason(invocation.reason);
    return call(server.target, *server.inventory, &v1::Inventory::Stub::PutTenant, request);
}

// The rules that say which certificates are the tenant's are replaced; its auto-enrol rules have commands of their own
// and stay.
Outcome add(const Options& options, const Invocation& invocation) {
    if (const auto good = check_name(options.name); !good) return good.error();
    v1::Tenant wanted;
    wanted.set_name(options.name);
    wanted.mutable_common_names()->Assign(options.common_names.begin(), options.common_names.end());
    wanted.mutable_common_name_suffixes()->Assign(options.common_name_suffixes.begin(),
                                                  options.common_name_suffixes.end());
    wanted.mutable_organizational_units()->Assign(options.organizational_units.begin(),
                                                  options.organizational_units.end());
    wanted.set_machine_quota(options.machine_quota);
    if (wanted.common_names().empty() && wanted.common_name_suffixes().empty() &&
        wanted.organizational_units().empty()) {
        return Error{
            Code::kInvalidArgument,
            "no certificate would ever match: give --common-name, --common-name-suffix or --organizational-unit",
            {}};
    }
    const auto change = [&](Server& server) -> Result<v1::MutationReply> {
        auto tenant = wanted;
        const auto now = tenant_of(server, options.name);
        if (!now && now.error().code != Code::kNotFound) return fail(now.error());
        if (now) *tenant.mutable_auto_enrol() = now->auto_enrol();
        return put(server, std::move(tenant), invocation);
    };
    return change_everywhere(invocation.servers, "tenant " + options.name, change);
}

Outcome change_rules(const std::string& name, const Invocation& invocation, const std::string& what,
                     const std::function<Result<void>(v1::Tenant&)>& edit) {
    return change_everywhere(invocation.servers, what, [&](Server& server) -> Result<v1::MutationReply> {
        auto tenant = tenant_of(server, name);
        if (!tenant) return fail(std::move(tenant.error()));
        NETT_TRY(edit(*tenant));
        return put(server, std::move(*tenant), invocation);
    });
}

Outcome add_rule(const RuleOptions& options, const Invocation& invocation) {
    v1::AutoEnrolRule rule;
    rule.mutable_ports()->Assign(options.ports.begin(), options.ports.end());
    rule.mutable_uuids()->Assign(options.uuids.begin(), options.uuids.end());
    rule.mutable_mac_prefixes()->Assign(options.mac_prefixes.begin(), options.mac_prefixes.end());
    rule.set_profile(options.profile);
    rule.set_name_pattern(options.name_pattern);
    return change_rules(options.tenant, invocation, "tenant " + options.tenant + " accepts machines by a new rule",
                        [&](v1::Tenant& tenant) -> Result<void> {
                            *tenant.add_auto_enrol() = rule;
                            return {};
                        });
}

Outcome remove_rule(const RuleOptions& options, const Invocation& invocation) {
    const auto what = fmt::format("rule {} of tenant {} is gone", options.number, options.tenant);
    return change_rules(options.tenant, invocation, what, [&](v1::Tenant& tenant) -> Result<void> {
        const auto count = static_cast<std::uint32_t>(tenant.auto_enrol_size());
        if (options.number < 1 || options.number > count) {
            return fail(Code::kNotFound,
                        "tenant \"{}\" has {} rules, none with number {}; see \"tenant auto-enrol show\"",
                        options.tenant, count, options.number);
        }
        tenant.mutable_auto_enrol()->DeleteSubrange(static_cast<int>(options.number) - 1, 1);
        return {};
    });
}

template <typename Texts>
void describe(boost::json::object& json, std::string& text, std::string_view key, const Texts& values) {
    boost::json::array array;
    for (const auto& value : values) {
        array.emplace_back(value);
        text += fmt::format(" {} {}", key, value);
    }
    json[key] = std::move(array);
}

// What the first agent has.
Outcome show_rules(const RuleOptions& options, const Invocation& invocation) {
    Server server(invocation.servers.front());
    const auto tenant = tenant_of(server, options.tenant);
    if (!tenant) return tenant.error();
    Outcome outcome;
    boost::json::array rules;
    for (const auto& rule : tenant->auto_enrol()) {
        boost::json::object one{{"number", rules.size() + 1}};
        outcome.text += fmt::format("{}:", rules.size() + 1);
        describe(one, outcome.text, "port", rule.ports());
        describe(one, outcome.text, "uuid", rule.uuids());
        describe(one, outcome.text, "mac-prefix", rule.mac_prefixes());
        one["profile"] = rule.profile();
        one["name-pattern"] = rule.name_pattern();
        if (!rule.profile().empty()) outcome.text += " profile " + rule.profile();
        outcome.text += " name-pattern " + rule.name_pattern() + "\n";
        rules.push_back(std::move(one));
    }
    outcome.json["rules"] = std::move(rules);
    return outcome;
}

void add_rule_commands(CLI::App& tenant, Invocation& invocation) {
    CLI::App* rules = tenant.add_subcommand("auto-enrol", "Rules by which a tenant accepts unknown machines by itself");
    rules->require_subcommand(1);
    auto options = std::make_shared<RuleOptions>();
    const auto subcommand = [&](const char* name, const char* help, auto run) {
        CLI::App* command = rules->add_subcommand(name, help);
        command->add_option("TENANT", options->tenant, "The tenant")->required();
        command->callback([&invocation, options, run] {
            invocation.action = [&invocation, options, run] { return run(*options, invocation); };
        });
        return command;
    };
    CLI::App* added =
        subcommand("add", "Add a rule; what is given must all fit, and the first rule that fits decides", add_rule);
    const auto repeatable = [&](const char* name, std::vector<std::string>& values, const char* help) {
        added->add_option(name, values, help)->allow_extra_args(false);
    };
    repeatable("--port", options->ports, "Behind this port: tor-a/swp7, or tor-a/* for all of a switch; repeatable");
    repeatable("--uuid", options->uuids, "With this SMBIOS UUID; repeatable");
    repeatable("--mac-prefix", options->mac_prefixes, "With a MAC address that begins so: 52:54:00; repeatable");
    added->add_option("--profile", options->profile, "The machines' profile");
    added
        ->add_option("--name-pattern", options->name_pattern,
                     "What they are called: {mac}, {uuid}, {serial} and {port} stand for theirs")
        ->default_val(options->name_pattern);
    subcommand("remove", "Take a rule away", remove_rule)
        ->add_option("NUMBER", options->number, "Its number in \"tenant auto-enrol show\"")
        ->required();
    subcommand("show", "List the rules in the order in which they are tried", show_rules);
}

}  // namespace

void add_tenant_commands(CLI::App& application, Invocation& invocation) {
    CLI::App* tenant = application.add_subcommand("tenant", "Register tenants and what they accept by themselves");
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
    add_rule_commands(*tenant, invocation);
}

}  // namespace nett::builder
