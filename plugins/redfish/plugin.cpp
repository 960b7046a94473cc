// Plugin redfish: brings machines to boot an image through their BMCs. Manual: nett-redfish(7).
#include "agent/sdk/plugin.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

#include "agent/sdk/build_id.hpp"
#include "plugins/redfish/runner.hpp"

namespace nett::redfish {
namespace {

constexpr const char* kName = "redfish";

std::vector<ConfigCommand> config_commands() {
    return {
        {.node = "",
         .pattern = "plugin redfish",
         .help = "Boot machines through their BMCs (Redfish)",
         .enters = kName},
        {.node = kName,
         .pattern = "allow-bmc {prefix:prefix6}",
         .help = "Where BMCs may be; every other address is refused",
         .tokens = {{"prefix", "IPv6 prefix of a management network"}},
         .keys = {"prefix"}},
        {.node = kName,
         .pattern = "concurrency {jobs:int:1..1024}",
         .help = "How many jobs run at once",
         .default_text = "32"},
        {.node = kName,
         .pattern = "site {site:word} concurrency {jobs:int:1..1024}",
         .help = "How many jobs of a site's BMCs run at once",
         .tokens = {{"site", "The site's name"}},
         .keys = {"site"}},
        {.node = kName,
         .pattern = "bmc {bmc:word:@bmcs} site {site:word}",
         .help = "Whose limit of jobs a BMC shares",
         .tokens = {{"bmc", "The BMC's name"}, {"site", "The site's name"}},
         .keys = {"bmc"}},
        {.node = kName,
         .pattern = "bmc {bmc:word:@bmcs} profile {profile:word}",
         .help = "How a BMC's vendor differs from the standard, where that is not found out",
         .tokens = {{"bmc", "The BMC's name"}, {"profile", "dell, hpe, lenovo-xcc, supermicro …"}},
         .keys = {"bmc"}},
        {.node = kName,
         .pattern = "media-listener {origin:word}",
         .help = "Where plugin metadata serves images to BMCs: http(s)://[address]:port",
         .tokens = {{"origin", "As BMCs reach it; one of http and one of https, and the BMC's profile chooses"}},
         .keys = {"origin"}},
        {.node = kName,
         .pattern = "image {file:path}",
         .help = "The image that machines boot, in the media directory; each job gets a URL of its own"},
        {.node = kName,
         .pattern = "tenant {tenant:word} image {file:path}",
         .help = "The image that a tenant's machines boot",
         .tokens = {{"tenant", "The tenant's name"}},
         .keys = {"tenant"}},
        {.node = kName,
         .pattern = "image-url {url:word}",
         .help = "Image of another server, for jobs that name none: http(s)://[address]/….iso"},
        {.node = kName,
         .pattern = "boot-wait {seconds:int:5..86400}",
         .help = "How long after power on a machine may take until its boot request",
         .default_text = "1800"},
    };
}

RunnerSettings settings_of(const ConfigNode& node) {
    RunnerSettings settings;
    settings.concurrency = static_cast<std::size_t>(node.integer("concurrency", "jobs", 32));
    settings.boot_deadline = std::chrono::seconds(node.integer("boot-wait", "seconds", 1800));
    settings.image.url = node.text("image-url", "url", "");
    settings.image.file = node.text("image", "file", "");
    for (const ConfigEntry* entry : node.all("media-listener"))
        settings.image.listeners.push_back(entry->arg("origin"));
    for (const ConfigEntry* entry : node.all("tenant image")) {
        settings.image.tenant_files[entry->arg("tenant")] = entry->arg("file");
    }
    for (const ConfigEntry* entry : node.all("bmc site")) settings.bmcs[entry->arg("bmc")].site = entry->arg("site");
    for (const ConfigEntry* entry : node.all("bmc profile")) {
        settings.bmcs[entry->arg("bmc")].profile = entry->arg("profile");
    }
    for (const ConfigEntry* entry : node.all("site concurrency")) {
        settings.sites[entry->arg("site")] = static_cast<std::size_t>(entry->integer("jobs"));
    }
    for (const ConfigEntry* entry : node.all("allow-bmc")) settings.allowed.push_back(entry->prefix("prefix"));
    return settings;
}

void check_media(const ConfigNode& node, std::vector<Diagnostic>& found) {
    const auto listeners = node.all("media-listener");
    std::vector<const ConfigEntry*> images = node.all("tenant image");
    if (const ConfigEntry* image = node.find("image")) images.push_back(image);
    for (const ConfigEntry* listener : listeners) {
        if (auto origin = Origin::parse(listener->arg("origin")); !origin) {
            found.push_back(
                error_at(*listener, "write the listener as http://[2001:db8::1]:8080: " + origin.error().to_string()));
        }
        if (images.empty()) found.push_back(warning_at(*listener, "there is no \"image\" to serve"));
    }
    for (const ConfigEntry* image : images) {
        const std::string& file = image->arg("file");
        if (!is_media_name(file.substr(file.rfind('/') + 1))) {
            found.push_back(error_at(*image, "BMCs want a plain name that ends in .iso"));
        }
        if (listeners.empty()) found.push_back(warning_at(*image, "there is no \"media-listener\" that serves it"));
    }
}

std::vector<Diagnostic> validate(const ConfigEntry& plugin, const CheckEnvironment&) {
    std::vector<Diagnostic> found;
    const ConfigNode& node = plugin.children();
    if (!node.has("allow-bmc")) {
        found.push_back(
            warning_at(plugin, "no \"allow-bmc\" prefix: every job will be refused; add the BMCs' networks"));
    }
    check_media(node, found);
    for (const ConfigEntry* entry : node.all("bmc profile")) {
        if (is_profile(entry->arg("profile"))) continue;
        std::string names;
        for (const Profile& profile : profiles()) names += (names.empty() ? "" : ", ") + std::string(profile.name);
        found.push_back(error_at(*entry, "there is no such profile; there are " + names));
    }
    if (const ConfigEntry* entry = node.find("image-url")) {
        if (auto good = check_image_url(entry->arg("url")); !good) {
            found.push_back(error_at(*entry, good.error().to_string()));
        }
    }
    return found;
}

class RedfishPlugin final : public Plugin {
public:
    explicit RedfishPlugin(const Host& host)
        : health_(host.health),
          runner_({host.loop, host.clock, host.events, host.health, host.store, host.secrets, host.hostname},
                  [io = host.io](ClientSettings settings) { return make_client(io, std::move(settings)); }) {}

    Awaitable<Result<void>> start(const ConfigNode& config) override { co_return runner_.start(settings_of(config)); }

    Awaitable<Result<void>> reconfigure(const ConfigNode& config) override {
        runner_.configure(settings_of(config));
        co_return Result<void>();
    }

    Awaitable<void> stop(SteadyTime deadline) override {
        co_await runner_.stop(deadline);
        health_.forget(kName);
    }

    boost::json::value status() const override { return runner_.status(); }

    std::vector<OpCommand> commands() override {
        OpCommand show;
        show.pattern = "show redfish";
        show.help = "Jobs that run on BMCs now";
        show.run = [this](CommandCall) -> Awaitable<Result<Output>> { co_return shown(); };
        std::vector<OpCommand> commands;
        commands.push_back(std::move(show));
        return commands;
    }

private:
    Output shown() const {
        const boost::json::value status = runner_.status();
        const boost::json::object& object = status.as_object();
        std::string text =
            fmt::format("{} running (at most {}), {} queued, {} need an operator\n",
                        object.at("running").as_array().size(), object.at("concurrency").to_number<int>(),
                        object.at("queued").to_number<int>(), object.at("needs_operator").to_number<int>());
        const auto cell = [](const boost::json::value& line, const char* key) {
            const boost::json::string& value = line.as_object().at(key).as_string();
            return std::string(value.data(), value.size());
        };
        for (const boost::json::value& line : object.at("running").as_array()) {
            text += fmt::format("  job {}  {}  {}  since {}\n    {}  → {}\n", cell(line, "job"), cell(line, "machine"),
                                cell(line, "state"), cell(line, "since"), cell(line, "last_request"),
                                cell(line, "last_response"));
        }
        return {status, {}, text};
    }

    HealthRegistry& health_;
    Runner runner_;
};

std::unique_ptr<Plugin> create(const Host& host) {
    return std::make_unique<RedfishPlugin>(host);
}

}  // namespace
}  // namespace nett::redfish

extern "C" {
__attribute__((visibility("default"))) extern const nett::PluginDescriptor nett_plugin;
const nett::PluginDescriptor nett_plugin = {nett::kPluginMagic,
                                            nett::kPluginAbiVersion,
                                            nett::kBuildId,
                                            nett::redfish::kName,
                                            nett::kVersion,
                                            "boots machines through their BMCs",
                                            nett::redfish::config_commands,
                                            nett::redfish::validate,
                                            nett::redfish::create};
}
