// profile add, profile set, profile remove, profile show.
#include <algorithm>
#include <memory>
#include <optional>

#include <boost/json/serialize.hpp>

#include "agent/sdk/strings.hpp"
#include "builder/outcome.hpp"
#include "builder/server.hpp"
#include "builder/values.hpp"
#include "proto/enumerations.hpp"

namespace nett::builder {
namespace {

constexpr std::size_t kMaxTemplateBytes = 64 << 10;  // the agents take less; this keeps a wrong file out of memory
constexpr std::uint32_t kListPage = 500;

// Options that were not given change nothing of a profile that is there.
struct Options {
    std::string name;
    std::string tenant;
    std::optional<std::string> artifact_set;
    std::optional<std::string> rescue_set;
    std::optional<std::string> erase_set;
    std::optional<std::string> kernel_args;
    std::optional<std::string> prefix_pool;
    std::optional<std::string> delivery;
    std::optional<std::string> confirm;
    std::optional<std::string> boot_loop;
    std::vector<std::string> templates;
    std::vector<std::string> deadlines;
};

std::string title(const Options& options) {
    return "profile " + options.name + (options.tenant.empty() ? "" : " of tenant " + options.tenant);
}

// "WORD=REST".
Result<std::pair<std::string, std::string>> assignment(const std::string& text, std::string_view example) {
    const auto equals = text.find('=');
    if (equals == std::string::npos || equals == 0) {
        return fail(Code::kInvalidArgument, "\"{}\": expected e.g. {}", text, example);
    }
    return std::pair(text.substr(0, equals), text.substr(equals + 1));
}

// "install=FILE"; "install=" goes back to the built-in template.
Result<void> set_template(v1::Profile& profile, const std::string& text) {
    auto pair = assignment(text, "install=/etc/nett/install.ipxe");
    if (!pair) return fail(std::move(pair.error()));
    auto& [kind, path] = *pair;
    if (path.empty()) {
        profile.mutable_templates()->erase(kind);
        return {};
    }
    auto script = read_file(path, kMaxTemplateBytes);
    if (!script) return fail(std::move(script.error()));
    (*profile.mutable_templates())[kind] = std::move(*script);
    return {};
}

// "provisioning=3600"; 0 takes the deadline away.
Result<void> set_deadline(v1::Profile& profile, const std::string& text) {
    const auto pair = assignment(text, "provisioning=3600");
    if (!pair) return fail(pair.error());
    const auto state = parse_machine_state(pair->first);
    if (!state) return fail(state.error());
    const auto seconds = parse_integer(pair->second, 0, UINT32_MAX);
    if (!seconds) return fail(seconds.error());
    auto* deadlines = profile.mutable_deadlines();
    const auto wanted = to_proto(*state);
    for (int i = deadlines->size(); i-- > 0;) {
        if (deadlines->Get(i).state() == wanted) deadlines->DeleteSubrange(i, 1);
    }
    if (*seconds == 0) return {};
    auto& added = *deadlines->Add();
    added.set_state(wanted);
    added.set_seconds(static_cast<std::uint32_t>(*seconds));
    return {};
}

// "5/30": boots and minutes; "off".
Result<void> set_boot_loop(v1::Profile& profile, const std::string& text) {
    const auto slash = text.find('/');
    const auto boots = parse_integer(text == "off" ? "0" : std::string_view(text).substr(0, slash), 0, UINT32_MAX);
    const auto minutes =
        slash == std::string::npos ? Result<std::int64_t>(0) : parse_integer(text.substr(slash + 1), 1, UINT32_MAX);
    if (!boots || !minutes || (slash == std::string::npos && text != "off")) {
        return fail(Code::kInvalidArgument, "\"{}\": expected BOOTS/MINUTES, such as 5/30, or off", text);
    }
    profile.mutable_boot_loop()->set_boots(static_cast<std::uint32_t>(*boots));
    profile.mutable_boot_loop()->set_minutes(static_cast<std::uint32_t>(*minutes));
    return {};
}

Result<void> change(const Options& options, v1::Profile& profile) {
    if (options.artifact_set) profile.set_artifact_set(*options.artifact_set);
    if (options.rescue_set) profile.set_rescue_set(*options.rescue_set);
    if (options.erase_set) profile.set_erase_set(*options.erase_set);
    if (options.kernel_args) profile.set_kernel_args(*options.kernel_args);
    if (options.prefix_pool) profile.set_prefix_pool(*options.prefix_pool);
    if (options.delivery && *options.delivery == "machine") {
        profile.clear_delivery();
    } else if (options.delivery) {
        profile.set_delivery(to_proto(*parse_config_delivery(*options.delivery)));
    }
    if (options.confirm) profile.set_confirm(to_proto(*parse_confirm_by(*options.confirm)));
    if (options.boot_loop) NETT_TRY(set_boot_loop(profile, *options.boot_loop));
    for (const auto& text : options.templates) NETT_TRY(set_template(profile, text));
    for (const auto& text : options.deadlines) NETT_TRY(set_deadline(profile, text));
    return {};
}

// All profiles of an agent.
Result<std::vector<v1::Profile>> profiles_of(Server& server) {
    std::vector<v1::Profile> out;
    v1::ListRequest request;
    request.set_limit(kListPage);
    for (;;) {
        const auto reply = call(server.target, *server.inventory, &v1::Inventory::Stub::ListProfiles, request);
        if (!reply) return fail(reply.error());
        out.insert(out.end(), reply->profiles().begin(), reply->profiles().end());
        if (reply->next().empty()) return out;
        request.set_after(reply->next());
    }
}

Result<std::optional<v1::Profile>> find_profile(Server& server, const Options& options) {
    const auto all = profiles_of(server);
    if (!all) return fail(all.error());
    const auto found = std::find_if(all->begin(), all->end(), [&](const auto& one) {
        return one.name() == options.name && one.tenant() == options.tenant;
    });
    return found == all->end() ? std::optional<v1::Profile>() : std::optional(*found);
}

// A new profile has the defaults of the agent's: a deadline of an hour for PROVISIONING.
v1::Profile fresh_profile(const Options& options) {
    v1::Profile profile;
    profile.set_tenant(options.tenant);
    profile.set_name(options.name);
    for (const auto& [state, limit] : nett::Profile{}.deadlines) {
        auto& deadline = *profile.add_deadlines();
        deadline.set_state(to_proto(state));
        deadline.set_seconds(static_cast<std::uint32_t>(limit.count()));
    }
    return profile;
}

// Each agent's own profile is changed, so that agents that differ in other respects still do.
Outcome put(const Options& options, bool add, const Invocation& invocation) {
    if (const auto good = check_name(options.name); !good) return good.error();
    return change_everywhere(invocation.servers, title(options), [&](Server& server) -> Result<v1::MutationReply> {
        auto profile = fresh_profile(options);
        if (!add) {
            auto found = find_profile(server, options);
            if (!found) return fail(std::move(found.error()));
            if (!*found) {
                return fail(Error{Code::kNotFound, fmt::format("no {}; make it with \"profile add\"", title(options)),
                                  server.target});
            }
            profile = std::move(**found);
        }
        NETT_TRY(change(options, profile));
        v1::PutProfileRequest request;
        *request.mutable_profile() = std::move(profile);
        request.set_reason(invocation.reason);
        return call(server.target, *server.inventory, &v1::Inventory::Stub::PutProfile, request);
    });
}

Outcome remove(const Options& options, const Invocation& invocation) {
    v1::DeleteProfileRequest request;
    request.set_tenant(options.tenant);
    request.set_name(options.name);
    request.set_reason(invocation.reason);
    return change_everywhere(invocation.servers, title(options) + " is gone", [&](Server& server) {
        return call(server.target, *server.inventory, &v1::Inventory::Stub::DeleteProfile, request);
    });
}

boost::json::object as_json(const v1::Profile& profile) {
    boost::json::object out{{"tenant", profile.tenant()},
                            {"name", profile.name()},
                            {"artifact_set", profile.artifact_set()},
                            {"rescue_set", profile.rescue_set()},
                            {"erase_set", profile.erase_set()},
                            {"kernel_args", profile.kernel_args()},
                            {"prefix_pool", profile.prefix_pool()},
                            {"revision", profile.revision()}};
    out["delivery"] = profile.has_delivery() ? word_of(profile.delivery()) : std::string("machine");
    out["confirm"] = word_of(profile.confirm());
    boost::json::object templates;
    for (const auto& [kind, text] : profile.templates()) templates[kind] = text;
    out["templates"] = std::move(templates);
    boost::json::object deadlines;
    for (const auto& one : profile.deadlines()) deadlines[word_of(one.state())] = one.seconds();
    out["deadlines"] = std::move(deadlines);
    out["boot_loop"] = profile.boot_loop().boots() == 0
                           ? std::string("off")
                           : fmt::format("{}/{}", profile.boot_loop().boots(), profile.boot_loop().minutes());
    return out;
}

// One value a line, templates indented under their name.
std::string as_text(const boost::json::object& profile) {
    std::string out = fmt::format("profile {}\n", std::string_view(profile.at("name").as_string()));
    for (const auto& member : profile) {
        if (member.key() == "name" || member.key() == "templates" || member.key() == "deadlines") continue;
        const auto& value = member.value();
        const std::string text = value.is_string() ? std::string(value.as_string()) : boost::json::serialize(value);
        if (!text.empty()) out += fmt::format("  {}: {}\n", std::string_view(member.key()), text);
    }
    for (const auto& one : profile.at("deadlines").as_object()) {
        out += fmt::format("  deadline {}: {} s\n", std::string_view(one.key()), boost::json::serialize(one.value()));
    }
    for (const auto& one : profile.at("templates").as_object()) {
        out += fmt::format("  template {}:\n", std::string_view(one.key()));
        for (const auto line : split(std::string_view(one.value().as_string()), '\n')) {
            out += fmt::format("    {}\n", line);
        }
    }
    return out;
}

// What the first agent has.
Outcome show(const Options& options, const Invocation& invocation) {
    Server server(invocation.servers.front());
    const auto all = profiles_of(server);
    if (!all) return all.error();
    Outcome outcome;
    boost::json::array list;
    for (const auto& profile : *all) {
        if (!options.name.empty() && profile.name() != options.name) continue;
        if (!options.tenant.empty() && profile.tenant() != options.tenant) continue;
        auto one = as_json(profile);
        outcome.text += as_text(one);
        list.push_back(std::move(one));
    }
    if (list.empty() && !options.name.empty()) {
        return Error{Code::kNotFound, fmt::format("no {}; \"profile show\" lists them", title(options)), server.target};
    }
    outcome.json["profiles"] = std::move(list);
    return outcome;
}

void add_value_options(CLI::App& command, Options& options) {
    command.add_option("--artifact-set", options.artifact_set, "The set of machines that name none");
    command.add_option("--rescue-set", options.rescue_set, "What Maintenance boots");
    command.add_option("--erase-set", options.erase_set, "What Decommission boots");
    command.add_option("--kernel-args", options.kernel_args, "Kernel arguments between the set's and the machine's");
    command.add_option("--prefix-pool", options.prefix_pool, "Where auto-enrolled machines get production prefixes");
    command
        .add_option("--delivery", options.delivery,
                    "How configs get to Talos: embedded, token or url; machine: as each machine says")
        ->transform(canonical("DELIVERY", [](std::string_view text) -> Result<std::string> {
            if (text == "machine") return std::string(text);
            const auto value = parse_config_delivery(text);
            if (!value) return fail(value.error());
            return std::string(to_string(*value));
        }));
    command
        .add_option("--confirm", options.confirm,
                    "What makes a provisioned machine active: api, fabric or config-fetched")
        ->transform(canonical("CONFIRM", [](std::string_view text) -> Result<std::string> {
            const auto value = parse_confirm_by(text);
            if (!value) return fail(value.error());
            return std::string(to_string(*value));
        }));
    command.add_option("--boot-loop", options.boot_loop, "Hold a machine after BOOTS netboots in MINUTES: 5/30; off");
    command
        .add_option("--template", options.templates,
                    "A boot script of its own: install, wipe, rescue or erase=FILE; without a file: the built-in one; "
                    "repeatable")
        ->allow_extra_args(false);
    command
        .add_option("--deadline", options.deadlines,
                    "Hold a machine that is longer in a state: STATE=SECONDS; 0: for as long as it likes; repeatable")
        ->allow_extra_args(false);
}

CLI::App* add_subcommand(CLI::App& profile, Invocation& invocation, const char* name, const char* help,
                         std::shared_ptr<Options> options, std::function<Outcome(const Options&)> run) {
    CLI::App* command = profile.add_subcommand(name, help);
    auto* place = command->add_option("NAME", options->name, "The profile's name");
    if (std::string_view(name) != "show") place->required();
    command->add_option("--tenant", options->tenant, "Whose it is; without: every tenant's");
    command->callback(
        [&invocation, options, run = std::move(run)] { invocation.action = [options, run] { return run(*options); }; });
    return command;
}

}  // namespace

void add_profile_commands(CLI::App& application, Invocation& invocation) {
    CLI::App* profile = application.add_subcommand("profile", "What machines of one sort have in common");
    profile->require_subcommand(1);
    for (const bool is_new : {true, false}) {
        auto options = std::make_shared<Options>();
        auto* command = add_subcommand(
            *profile, invocation, is_new ? "add" : "set",
            is_new ? "Register a profile; one that is there is replaced"
                   : "Change what is said of a profile that is there",
            options, [&invocation, is_new](const Options& given) { return put(given, is_new, invocation); });
        add_value_options(*command, *options);
    }
    add_subcommand(*profile, invocation, "remove", "Forget a profile that no machine has", std::make_shared<Options>(),
                   [&invocation](const Options& given) { return remove(given, invocation); });
    add_subcommand(*profile, invocation, "show", "Show one profile, or all", std::make_shared<Options>(),
                   [&invocation](const Options& given) { return show(given, invocation); });
}

}  // namespace nett::builder
