#include "plugins/metadata/side_settings.hpp"

#include <iterator>
#include <utility>

#include "plugins/metadata/homelab_settings.hpp"
#include "plugins/metadata/media_settings.hpp"
#include "plugins/metadata/netbox_settings.hpp"

namespace nett::metadata {

namespace {

template <typename T>
void append(std::vector<T>& to, std::vector<T> more) {
    to.insert(to.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
}

}  // namespace

std::vector<ConfigCommand> side_commands() {
    std::vector<ConfigCommand> commands;
    append(commands, media_commands());
    append(commands, homelab_commands());
    append(commands, netbox_commands());
    return commands;
}

std::vector<Diagnostic> validate_side(const ConfigEntry& plugin) {
    std::vector<Diagnostic> findings;
    append(findings, validate_media(plugin));
    append(findings, validate_homelab(plugin));
    append(findings, validate_netbox(plugin));
    return findings;
}

SideSettings side_settings_of(const ConfigNode& node) {
    return {homelab_settings_of(node), media_settings_of(node), netbox_settings_of(node)};
}

}  // namespace nett::metadata
