#include "builder/talos_layout.hpp"

#include <algorithm>

#include "agent/sdk/strings.hpp"
#include "builder/fetch.hpp"

namespace nett::builder {
namespace {

constexpr std::size_t kDigestDigits = 64;

bool is_hex_digest(std::string_view text) {
    return text.size() == kDigestDigits && text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

}  // namespace

Result<TalosLayout> talos_layout(std::string_view base, std::string_view architecture) {
    while (base.ends_with('/')) base.remove_suffix(1);
    const auto parts = split(base, '/');
    if (!is_url(base) || parts.size() < 5 || parts.back().empty()) {
        return fail(Error{Code::kInvalidArgument,
                          "expected https://github.com/siderolabs/talos/releases/download/VERSION or "
                          "https://factory.talos.dev/image/SCHEMATIC/VERSION",
                          std::string(base)});
    }
    const std::string folder(base);
    const std::string arch(architecture);
    TalosLayout layout;
    layout.version = parts.back();
    layout.initramfs = folder + "/initramfs-" + arch + ".xz";
    if (is_hex_digest(parts[parts.size() - 2])) {
        layout.schematic = parts[parts.size() - 2];
        layout.kernel = folder + "/kernel-" + arch;
        layout.command_line = folder + "/cmdline-metal-" + arch;
    } else {
        layout.kernel = folder + "/vmlinuz-" + arch;
        layout.checksums = folder + "/sha256sum.txt";
    }
    return layout;
}

Result<std::map<std::string, std::string>> parse_checksums(std::string_view text) {
    std::map<std::string, std::string> result;
    std::size_t number = 0;
    for (const std::string_view raw : split(text, '\n')) {
        ++number;
        const std::string_view line = trim(raw);
        if (line.empty()) continue;
        const std::size_t space = line.find(' ');
        std::string_view name = space == std::string_view::npos ? "" : trim(line.substr(space));
        if (name.starts_with('*')) name.remove_prefix(1);
        if (const auto slash = name.rfind('/'); slash != std::string_view::npos) name.remove_prefix(slash + 1);
        if (!is_hex_digest(line.substr(0, space)) || name.empty()) {
            return fail(Code::kInvalidArgument, "line {}: expected a SHA-256 and a file name", number);
        }
        result[std::string(name)] = line.substr(0, space);
    }
    return result;
}

std::string without_boot_arguments(std::string_view command_line) {
    std::string text(command_line);
    std::replace_if(
        text.begin(), text.end(), [](unsigned char c) { return std::isspace(c) != 0; }, ' ');
    std::string result;
    for (const std::string_view word : split(text, ' ')) {
        if (word.empty() || word.starts_with("talos.platform=") || word.starts_with("talos.config=")) continue;
        result += (result.empty() ? "" : " ") + std::string(word);
    }
    return result;
}

}  // namespace nett::builder
