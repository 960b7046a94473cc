#include "plugins/metadata/boot_script.hpp"

#include <algorithm>
#include <vector>

#include <boost/json.hpp>
#include <kainjow/mustache.hpp>

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
        if (!is_kernel_argument(part)) {
            return fail(Code::kInvalidArgument,
                        "{}: an argument has a character that a boot script cannot carry; use letters, digits and "
                        "._,:=/@+-%[]~",
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

bool is_kernel_argument(std::string_view text) {
    constexpr std::string_view kPunctuation = "._,:=/@+-%[]~";
    return !text.empty() && text.front() != '-' && std::all_of(text.begin(), text.end(), [&](char c) {
        return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
               kPunctuation.find(c) != std::string_view::npos;
    });
}

Result<std::string> kernel_command_line(const BootScriptInput& input) {
    auto set_arguments = arguments_of(input.set.command_line, "the command line of set \"" + input.set.name + "\"");
    if (!set_arguments) return fail(std::move(set_arguments.error()));
    auto own_arguments = arguments_of(input.kernel_args, "the machine's kernel arguments");
    if (!own_arguments) return fail(std::move(own_arguments.error()));

    std::string line(kPlatform);
    const auto add = [&](std::string_view argument) { (line += ' ') += argument; };
    for (const auto argument : kDefaults) {
        if (!has_key(*set_arguments, key_of(argument)) && !has_key(*own_arguments, key_of(argument))) add(argument);
    }
    for (const auto& argument : *set_arguments) add(argument);
    for (const auto& argument : *own_arguments) add(argument);
    if (input.kind == BootKind::kWipe) add("talos.experimental.wipe=system");
    if (carries_config(input) && input.delivery == ConfigDelivery::kUrl) add("talos.config=" + config_url(input));
    if (line.size() > kMaxKernelCommandLine) {
        return fail(Code::kInvalidArgument,
                    "the kernel command line has {} bytes, a kernel takes {}; shorten the set's or the "
                    "machine's arguments",
                    line.size(), kMaxKernelCommandLine);
    }
    return line;
}

Result<std::string> render_boot_script(const BootScriptInput& input) {
    if (carries_config(input) && input.delivery == ConfigDelivery::kToken) {
        return fail(Code::kUnimplemented, "config delivery \"token\" is not served by this version; use \"embedded\"");
    }
    NETT_TRY(check_names(input));
    auto arguments = kernel_command_line(input);
    if (!arguments) return fail(std::move(arguments.error()));

    using kainjow::mustache::data;
    data values;
    values.set("timeout", std::to_string(input.fetch_timeout.count()));
    values.set("artifacts", fmt::format("https://{}/v1/artifacts/{}", input.authority, input.set.name));
    values.set("kernel", input.set.kernel);
    values.set("initramfs", input.set.initramfs);
    values.set("arguments", *arguments);
    values.set("config", config_url(input));
    const bool embedded = carries_config(input) && input.delivery == ConfigDelivery::kEmbedded;
    values.set("embedded", embedded ? data::type::bool_true : data::type::bool_false);

    kainjow::mustache::mustache script(kTemplate);
    auto text = script.render(values);
    if (!script.error_message().empty())
        return fail(Code::kInternal, "boot script template: {}", script.error_message());
    return text;
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
