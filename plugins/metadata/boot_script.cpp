#include "plugins/metadata/boot_script.hpp"

#include <algorithm>
#include <vector>

#include <boost/json.hpp>

#include "agent/sdk/boot_template.hpp"
#include "agent/sdk/strings.hpp"
#include "plugins/metadata/limits.hpp"
#include "plugins/metadata/route.hpp"

namespace nett::metadata {

namespace {

// `imgfree` first: a script that failed half way on another NIC leaves its images behind, and initrds add up.
constexpr const char* kTemplate = R"(#!ipxe
imgfree
kernel --timeout {{{timeout}}} {{{artifacts}}}/{{{kernel}}} {{{arguments}}}
initrd --timeout {{{timeout}}} {{{artifacts}}}/{{{initramfs}}}{{#embedded}}
initrd --timeout {{{timeout}}} {{{config}}}/extensions.yaml /extensions.yaml mode=0400
initrd --timeout {{{timeout}}} {{{config}}}/config.sqsh /node-config.sqsh mode=0400{{/embedded}}
boot
)";

// What every Talos needs (kernel self-protection settings that it insists on), unless the set's own line says it.
constexpr std::string_view kPlatform = "talos.platform=metal";
constexpr std::string_view kDefaults[] = {"slab_nomerge", "pti=on"};
// Set by this service alone: a second one would send the machine elsewhere for its config, or wipe it again and again.
constexpr std::string_view kReserved[] = {
    "talos.platform", "talos.config", "talos.config.early", "talos.config.inline", "talos.experimental.wipe", "initrd"};

std::string_view key_of(std::string_view argument) {
    return argument.substr(0, argument.find('='));
}

Result<std::vector<std::string>> arguments_of(std::string_view text, std::string_view place) {
    std::vector<std::string> out;
    for (const auto part : split(text, ' ')) {
        if (part.empty()) continue;
        if (!is_boot_word(part)) {
            return fail(Code::kInvalidArgument,
                        "{}: an argument has a character that a boot script cannot carry; use letters, digits and "
                        "._,:=/@+-%[]~?",
                        place);
        }
        const auto key = key_of(part);
        if (std::find(std::begin(kReserved), std::end(kReserved), key) != std::end(kReserved)) {
            return fail(Code::kInvalidArgument, "{}: \"{}\" is set by the metadata service; remove it", place, key);
        }
        out.emplace_back(part);
    }
    return out;
}

bool has_key(const std::vector<std::string>& arguments, std::string_view key) {
    return std::any_of(arguments.begin(), arguments.end(), [&](const auto& one) { return key_of(one) == key; });
}

bool carries_config(const BootScriptInput& input) {
    return input.kind == BootKind::kInstall || input.kind == BootKind::kWipe;
}

std::string config_url(const BootScriptInput& input) {
    return fmt::format("https://{}/v1/config/{}", input.authority, input.machine_id);
}

Result<void> check_names(const BootScriptInput& input) {
    if (!is_plain_name(input.set.name)) {
        return fail(Code::kInvalidArgument, "an artifact set's name with other than letters, digits and ._+-");
    }
    for (const auto& file : {input.set.kernel, input.set.initramfs}) {
        if (is_plain_name(file)) continue;
        return fail(Code::kInvalidArgument,
                    "artifact set \"{}\": no kernel or initramfs, or a name with other than "
                    "letters, digits and ._+-",
                    input.set.name);
    }
    if (!parse_machine_id(input.machine_id)) return fail(Code::kInvalidArgument, "a machine id that is none");
    return {};
}

}  // namespace

Result<std::string> kernel_command_line(const BootScriptInput& input) {
    auto set_arguments = arguments_of(input.set.command_line, "the command line of set \"" + input.set.name + "\"");
    if (!set_arguments) return fail(std::move(set_arguments.error()));
    auto profile_arguments = arguments_of(input.profile_args, "the profile's kernel arguments");
    if (!profile_arguments) return fail(std::move(profile_arguments.error()));
    auto own_arguments = arguments_of(input.kernel_args, "the machine's kernel arguments");
    if (!own_arguments) return fail(std::move(own_arguments.error()));
    auto& arguments = *set_arguments;
    arguments.insert(arguments.end(), profile_arguments->begin(), profile_arguments->end());
    arguments.insert(arguments.end(), own_arguments->begin(), own_arguments->end());

    std::string line(kPlatform);
    const auto add = [&](std::string_view argument) { (line += ' ') += argument; };
    for (const auto argument : kDefaults) {
        if (!has_key(arguments, key_of(argument))) add(argument);
    }
    for (const auto& argument : arguments) add(argument);
    if (input.kind == BootKind::kWipe) add("talos.experimental.wipe=system");
    if (carries_config(input) && input.delivery == ConfigDelivery::kUrl) add("talos.config=" + config_url(input));
    if (carries_config(input) && input.delivery == ConfigDelivery::kToken) {
        add(fmt::format("talos.config=https://{}/v1/config/{}?t={}", input.token_authority, input.machine_id,
                        input.token));
        add("talos.config.early=" + input.early);
    }
    if (line.size() > kMaxKernelCommandLine) {
        return fail(Code::kInvalidArgument,
                    "the kernel command line has {} bytes, a kernel takes {}; shorten the set's, the "
                    "profile's or the machine's arguments",
                    line.size(), kMaxKernelCommandLine);
    }
    return line;
}

Result<std::string> render_boot_script(const BootScriptInput& input) {
    NETT_TRY(check_names(input));
    auto arguments = kernel_command_line(input);
    if (!arguments) return fail(std::move(arguments.error()));
    BootTemplateValues values{input.facts, {}};
    auto& texts = values.texts;
    texts["authority"] = input.authority;
    texts["artifacts"] = fmt::format("https://{}/v1/artifacts/{}", input.authority, input.set.name);
    texts["kernel"] = input.set.kernel;
    texts["initramfs"] = input.set.initramfs;
    texts["arguments"] = std::move(*arguments);
    texts["timeout"] = std::to_string(input.fetch_timeout.count());
    texts["set"] = input.set.name;
    texts["version"] = input.set.version;
    texts["architecture"] = input.set.architecture;
    texts["schematic"] = input.set.schematic;
    texts["boot"] = to_string(input.kind);
    if (carries_config(input)) {
        texts["config"] = config_url(input);
        values.flags.emplace(to_string(input.delivery));
    }
    return render_boot_template(input.text.empty() ? kTemplate : input.text, values);
}

Result<std::string> render_extensions(const ArtifactSet& set, std::string_view config_sha256) {
    std::string out = "layers:\n";
    if (!set.extension_layers.empty()) {
        boost::system::error_code error;
        const auto layers = boost::json::parse(set.extension_layers, error);
        if (error || !layers.is_array()) {
            return fail(Code::kDataLoss, "artifact set \"{}\": extension layers are no JSON array", set.name);
        }
        for (const auto& layer : layers.get_array()) {
            if (!layer.is_object()) return fail(Code::kDataLoss, "artifact set \"{}\": a layer is no object", set.name);
            // JSON is YAML's flow style (YAML 1.2 section 1.3).
            out += fmt::format("  - {}\n", boost::json::serialize(layer));
        }
    }
    out += fmt::format("  - image: node-config.sqsh\n    metadata:\n      name: embedded-config\n      version: {}\n",
                       config_sha256);
    return out;
}

}  // namespace nett::metadata
