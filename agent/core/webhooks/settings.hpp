// `webhook NAME …`: who is told of events over HTTPS.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "agent/sdk/config.hpp"
#include "agent/sdk/result.hpp"

namespace nett {

// "https://host[:port]/path": the parts of it.
struct WebhookUrl {
    std::string host;  // without brackets
    bool literal = false;
    std::uint16_t port = 443;
    std::string target = "/";
    std::string authority() const;
    friend bool operator==(const WebhookUrl&, const WebhookUrl&) = default;
};
// kInvalidArgument: not https, user information, no host, an IPv4 address.
Result<WebhookUrl> parse_webhook_url(const std::string& text);

struct WebhookSettings {
    std::string name;
    std::string url;
    std::string secret_file;          // empty: unsigned
    std::string ca_file;              // empty: the system's
    std::vector<std::string> events;  // how their types begin; empty: kDefaultWebhookEvents
    bool wants(std::string_view type) const;
    friend bool operator==(const WebhookSettings&, const WebhookSettings&) = default;
};

std::vector<ConfigCommand> webhook_commands();
// Requires a tree parsed with webhook_commands() that validate_webhooks() found no error in.
std::vector<WebhookSettings> read_webhooks(const ConfigNode& root);
// What cannot work: no URL, one that is not https, a secret that cannot be read.
std::vector<Diagnostic> validate_webhooks(const ConfigNode& root);

}  // namespace nett
