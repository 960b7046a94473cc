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
    if (input.kind == BootKind::kInstall || input.kind == BootKind::kWipe) line += " talos.config=" + config;
    if (line.size() > kMaxKernelCommandLine) {
        return fail(Code::kInvalidArgument, "the kernel command line has {} bytes, a kernel takes {}", line.size(),
                    kMaxKernelCommandLine);
    }
    BootTemplateValues values;
    values.texts = {
        {"authority", site.authority},
        {"artifacts", "http://" + site.authority + "/talos"},
        // The query says of which set: the file's own URL is the guides', and machines may boot several sets.
        {"kernel", fmt::format("vmlinuz-{}?set={}", architecture, input.set.name)},
        {"initramfs", fmt::format("{}?set={}", initramfs, input.set.name)},
        {"arguments", line},
        {"config", config},
        {"timeout", std::to_string(input.fetch_timeout.count())}};
    return render_boot_template(kTemplate, values);
}

}  // namespace nett::metadata
