#include "plugins/metadata/homelab_boot.hpp"

#include <utility>

#include "agent/sdk/boot_template.hpp"
#include "plugins/metadata/limits.hpp"
#include "plugins/metadata/route.hpp"

namespace nett::metadata {

namespace {

// initrd= is for an iPXE older than 1.21.1 on UEFI, as network cards have it: newer ones hand the initramfs over by
// themselves. Its value is the name that iPXE gives the file, which is that of its URL's path.
constexpr const char* kTemplate = R"(#!ipxe
imgfree
kernel --timeout {{timeout}} {{artifacts}}/{{kernel}} {{arguments}}
initrd --timeout {{timeout}} {{artifacts}}/{{initramfs}}
boot
)";

}  // namespace

Result<std::string> render_homelab_boot(const BootScriptInput& input, const HomelabSite& site) {
    const auto& architecture = input.set.architecture;
    if (architecture != "amd64" && architecture != "arm64") {
        return fail(Code::kInvalidArgument, "artifact set \"{}\" is for \"{}\"; the homelab layout has amd64 and arm64",
                    input.set.name, architecture);
    }
    if (!is_plain_name(input.set.name)) {
        return fail(Code::kInvalidArgument, "an artifact set's name with other than letters, digits and ._+-");
    }
    BootScriptInput plain = input;
    plain.delivery = ConfigDelivery::kEmbedded;  // which adds nothing to the command line
    auto arguments = kernel_command_line(plain);
    if (!arguments) return fail(std::move(arguments.error()));
    const std::string initramfs = fmt::format("initramfs-{}.xz", architecture);
    const std::string config = fmt::format("http://{}/talos/machine-config/{}", site.authority, input.machine_id);
    std::string line = "initrd=" + initramfs + " " + *arguments;
    const bool carries_config = input.kind == BootKind::kInstall || input.kind == BootKind::kWipe;
    if (carries_config) line += " talos.config=" + config;
    if (line.size() > kMaxKernelCommandLine) {
        return fail(Code::kInvalidArgument, "the kernel command line has {} bytes, a kernel takes {}", line.size(),
                    kMaxKernelCommandLine);
    }
    BootTemplateValues values{input.facts, {}};
    auto& texts = values.texts;
    texts["authority"] = site.authority;
    texts["artifacts"] = "http://" + site.authority + "/talos";
    // The query says of which set: the file's own URL is the guides', and machines may boot several sets.
    texts["kernel"] = fmt::format("vmlinuz-{}?set={}", architecture, input.set.name);
    texts["initramfs"] = fmt::format("{}?set={}", initramfs, input.set.name);
    texts["arguments"] = std::move(line);
    texts["timeout"] = std::to_string(input.fetch_timeout.count());
    texts["set"] = input.set.name;
    texts["version"] = input.set.version;
    texts["architecture"] = architecture;
    texts["schematic"] = input.set.schematic;
    texts["boot"] = to_string(input.kind);
    if (carries_config) {
        texts["config"] = config;
        values.flags.emplace(to_string(ConfigDelivery::kUrl));
    }
    return render_boot_template(input.text.empty() ? kTemplate : input.text, values);
}

}  // namespace nett::metadata
