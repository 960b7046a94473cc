// `webhook NAME …`: who is told of events over HTTPS.
#pragma once

#include <string>
#include <vector>

#include "agent/sdk/config.hpp"
#include "agent/sdk/result.hpp"

namespace nett {

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
