// The boot script of a machine that came by the homelab listener: the same values as boot_script.hpp's, with the URLs
// of the homelab layout. Pure.
#pragma once

#include <string>

#include "agent/sdk/result.hpp"
#include "plugins/metadata/boot_script.hpp"
#include "plugins/metadata/http.hpp"

namespace nett::metadata {

// Install and wipe boots name the config's URL (talos.config=), whatever input.delivery says. Errors as
// render_boot_script(); kInvalidArgument besides for a set that is neither amd64 nor arm64.
Result<std::string> render_homelab_boot(const BootScriptInput& input, const HomelabSite& site);

}  // namespace nett::metadata
