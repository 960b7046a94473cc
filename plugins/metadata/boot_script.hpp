// The iPXE script that a netbooting machine is answered with. Pure: values in, bytes out.
//
// Values are held against the whitelist of agent/sdk/boot_template.hpp, in the built-in template and in a profile's
// alike: what does not fit is an error, never a changed script.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "agent/sdk/lifecycle.hpp"
#include "agent/sdk/model.hpp"
#include "agent/sdk/result.hpp"

namespace nett::metadata {

struct BootScriptInput {
    std::string authority;   // of all URLs: "[2001:db8:ffff::1]" or "[2001:db8:ffff::1]:8443"
    std::string machine_id;  // as it stands in URLs: a UUID, or a MAC with hyphens
    ArtifactSet set;
    std::string profile_args;            // between the set's and the machine's
    std::string kernel_args;             // the machine's own
    BootKind kind = BootKind::kInstall;  // any but kDisk
    // How the machine's config is handed over. Rescue and erase boots get none.
    ConfigDelivery delivery = ConfigDelivery::kEmbedded;
    std::chrono::milliseconds fetch_timeout{15000};  // of inactivity, for each file
    // kToken: where the token listener is, what this boot may show it, and the value of talos.config.early.
    std::string token_authority;
    std::string token;
    std::string early;
    std::string text;  // the profile's template; empty: the built-in one
    // What a template may use besides the above: "machine", "tenant", "uuid", "mac", "prefix", …
    // (agent/sdk/boot_template.hpp).
    std::map<std::string, std::string, std::less<>> facts;
};

// kInvalidArgument: a value that a script may not carry, named with its place, or a command line longer than a kernel
// takes.
Result<std::string> render_boot_script(const BootScriptInput& input);

// The command line after the kernel's URL, one blank between arguments. Errors as above.
Result<std::string> kernel_command_line(const BootScriptInput& input);

// The appended initrd's /extensions.yaml: the layers of the set's own file, then the machine's config as an image.
// Talos: pkg/machinery/extensions (layers: image, metadata). kDataLoss when the set's layers are no JSON array of
// objects.
Result<std::string> render_extensions(const ArtifactSet& set, std::string_view config_sha256);

}  // namespace nett::metadata
