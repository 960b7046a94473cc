// Where Talos' kernels and initramfs are: in a release on GitHub, or at an Image Factory. Pure.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "agent/sdk/result.hpp"

namespace nett::builder {

struct TalosLayout {
    std::string version;    // the URL's last part, "v1.13.9"
    std::string schematic;  // of an Image Factory
    std::string kernel;     // URLs
    std::string initramfs;
    std::string checksums;     // sha256sum.txt of a release; empty: the Image Factory has none
    std::string command_line;  // the Image Factory's; empty: a release has none
};

// `base` is a folder: https://github.com/siderolabs/talos/releases/download/VERSION, or a mirror of it, or
// https://factory.talos.dev/image/SCHEMATIC/VERSION with a schematic id of 64 hex digits.
Result<TalosLayout> talos_layout(std::string_view base, std::string_view architecture);

// The lines of sha256sum(1), file names without their folders.
Result<std::map<std::string, std::string>> parse_checksums(std::string_view text);

// Kernel arguments without those that nett's boot script sets: talos.platform and talos.config.
std::string without_boot_arguments(std::string_view command_line);

}  // namespace nett::builder
