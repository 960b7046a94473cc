#include "agent/core/webhooks/settings.hpp"

#include <algorithm>
#include <array>
#include <set>

#include "agent/core/webhooks/signature.hpp"
#include "agent/sdk/https_url.hpp"
#include "agent/sdk/redact.hpp"
#include "agent/sdk/strings.hpp"

namespace nett {

namespace {

constexpr const char* kUrl = "webhook url";
constexpr const char* kSecret = "webhook secret file";
constexpr const char* kCa = "webhook ca file";
constexpr const char* kEvents = "webhook events";
// What operators are called for; not each boot, nor each change through the API.
constexpr std::array<std::string_view, 6> kDefaultWebhookEvents{"machine.state", "machine.hold", "job.step",
                                                                "anycast.",      "health.",      "frr."};
// Receivers in a configuration: each has a queue and a task.
constexpr std::size_t kMaxWebhooks = 16;

std::vector<std::string> words_of(const std::string& text) {
    std::vector<std::string> out;
    for (const auto word : split(text, ' ')) {
        if (!word.empty()) out.emplace_back(word);
    }
    return out;
}

ConfigCommand command(const std::string& rest, const std::string& help, std::vector<TokenHelp> tokens,
                      std::string default_text = {}) {
    tokens.insert(tokens.begin(), {{"webhook", "Tell somebody of events"}, {"name", "What it is called here"}});
    return {"", "webhook {name:word} " + rest, help, std::move(tokens), {"name"}, {}, std::move(default_text)};
}

}  // namespace

bool WebhookSettings::wants(std::string_view type) const {
    const auto begins = [type](const auto& prefix) { return type.starts_with(prefix); };
    if (events.empty()) return std::any_of(kDefaultWebhookEvents.begin(), kDefaultWebhookEvents.end(), begins);
    return std::any_of(events.begin(), events.end(), begins);
}

std::vector<ConfigCommand> webhook_commands() {
    return {
        command("url {url:word}", "Post events there, as JSON over HTTPS",
                {{"url", "https://HOST[:PORT]/PATH; its certificate is verified"}}),
        command("secret file {path:path}", "Sign messages with the key in a file",
                {{"secret", "HMAC-SHA256 over id, time and body"},
                 {"file", "Where it is"},
                 {"path", "One line: whsec_ and base64, or any text"}},
                "unsigned"),
        command("ca file {path:path}", "Roots that the receiver's certificate must chain to",
                {{"ca", "Certificate authorities"}, {"file", "Where they are"}, {"path", "PEM"}}, "the system's"),
        command("events {types:text}", "Which events, by how their types begin, separated by blanks",
                {{"events", "Which events"}, {"types", "Such as: machine. job.step anycast."}},
                "machine.state machine.hold job.step anycast. health. frr."),
    };
}

std::vector<WebhookSettings> read_webhooks(const ConfigNode& root) {
    std::vector<WebhookSettings> out;
    for (const auto* entry : root.all(kUrl)) {
        WebhookSettings hook;
        hook.name = entry->arg("name");
        hook.url = entry->arg("url");
        const auto value = [&](const char* id, const char* arg) -> std::string {
            for (const auto* other : root.all(id)) {
                if (other->arg("name") == hook.name) return other->arg(arg);
            }
            return {};
        };
        hook.secret_file = value(kSecret, "path");
        hook.ca_file = value(kCa, "path");
        hook.events = words_of(value(kEvents, "types"));
        out.push_back(std::move(hook));
    }
    return out;
}

std::vector<Diagnostic> validate_webhooks(const ConfigNode& root) {
    std::vector<Diagnostic> findings;
    std::set<std::string> known;
    for (const auto* entry : root.all(kUrl)) {
        known.insert(entry->arg("name"));
        if (known.size() > kMaxWebhooks)
            findings.push_back(error_at(*entry, fmt::format("at most {} webhooks", kMaxWebhooks)));
        const auto url = HttpsUrl::parse(entry->arg("url"));
        if (!url) findings.push_back(error_at(*entry, url.error().message));
    }
    for (const auto* id : {kSecret, kCa, kEvents}) {
        for (const auto* entry : root.all(id)) {
            if (known.contains(entry->arg("name"))) continue;
            findings.push_back(error_at(*entry, fmt::format("add \"webhook {} url URL\"", entry->arg("name"))));
        }
    }
    for (const auto* entry : root.all(kSecret)) {
        const auto secret = read_webhook_secret(entry->arg("path"));
        if (!secret) findings.push_back(error_at(*entry, secret.error().to_string()));
    }
    return findings;
}

}  // namespace nett
