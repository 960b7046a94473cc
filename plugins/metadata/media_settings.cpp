#include "plugins/metadata/media_settings.hpp"

#include <sys/stat.h>

namespace nett::metadata {

namespace {

constexpr const char* kNode = "metadata";

void check_listen(const ConfigEntry& plugin, const ConfigEntry& media, std::vector<Diagnostic>& findings) {
    const auto endpoint = media.endpoint("endpoint");
    if (endpoint.address().to_v6().is_v4_mapped()) {
        findings.push_back(error_at(media, "BMCs are reached by IPv6; give an IPv6 address"));
    }
    for (const auto* other : plugin.children().all("listen")) {
        if (other->endpoint("endpoint") != endpoint) continue;
        findings.push_back(error_at(media,
                                    "the machines' own listener has this address and port; choose another "
                                    "port: this one asks for no client certificate"));
    }
}

void check_directory(const ConfigEntry& directory, std::vector<Diagnostic>& findings) {
    struct stat status {};
    const std::string& path = directory.arg("path");
    if (::stat(path.c_str(), &status) != 0 || !S_ISDIR(status.st_mode)) {
        findings.push_back(
            warning_at(directory, path + " is no directory; make it and put the tenants' images into it"));
    }
}

}  // namespace

std::vector<ConfigCommand> media_commands() {
    std::vector<ConfigCommand> commands;
    commands.push_back({kNode,
                        "media listen {endpoint:endpoint6} {scheme:choice:http|https}",
                        "Serve images to BMCs on an address and port",
                        {{"endpoint", "e.g. [2001:db8:ffff::1]:8080"},
                         {"scheme", "https with the server's certificate, or http for BMCs that cannot load its CA"}},
                        {"endpoint"},
                        {},
                        "off"});
    commands.push_back({kNode,
                        "media directory {path:path}",
                        "The directory of the images; nothing else is served",
                        {{"path", "absolute path"}}});
    commands.push_back({kNode,
                        "media allow {prefix:prefix6}",
                        "Sources that may fetch images, if the job allows them too",
                        {{"prefix", "of the BMCs, e.g. 2001:db8:bc::/64"}},
                        {"prefix"}});
    return commands;
}

std::vector<Diagnostic> validate_media(const ConfigEntry& plugin) {
    std::vector<Diagnostic> findings;
    const auto& node = plugin.children();
    const auto listeners = node.all("media listen");
    for (const auto* listen : listeners) check_listen(plugin, *listen, findings);
    const auto* directory = node.find("media directory");
    if (directory != nullptr) check_directory(*directory, findings);
    if (listeners.empty()) return findings;
    if (directory == nullptr) {
        findings.push_back(error_at(*listeners.front(),
                                    "\"media directory\" is missing; add e.g. \"media directory "
                                    "/var/lib/nett/media\""));
    }
    if (!node.has("media allow")) {
        findings.push_back(error_at(*listeners.front(),
                                    "\"media allow\" is missing: nobody could fetch; add the BMCs' prefix, e.g. "
                                    "\"media allow 2001:db8:bc::/64\""));
    }
    return findings;
}

MediaSettings media_settings_of(const ConfigNode& node) {
    MediaSettings settings;
    for (const auto* entry : node.all("media listen")) {
        auto& list = entry->arg("scheme") == "https" ? settings.https : settings.http;
        list.push_back(entry->endpoint("endpoint"));
    }
    settings.directory = node.text("media directory", "path", "");
    for (const auto* entry : node.all("media allow")) settings.allow.push_back(entry->prefix("prefix"));
    return settings;
}

}  // namespace nett::metadata
