// The configuration of one check.
#include <algorithm>
#include <map>
#include <set>

#include "agent/sdk/strings.hpp"
#include "plugins/bgp-anycast/check.hpp"

namespace nett::anycast {
namespace {

constexpr const char* kNode = "bgp-anycast-check";
constexpr std::size_t kMaxNameBytes = 64;  // it stands in tables and log lines

CheckType type_of(std::string_view text) {
    for (CheckType type : {CheckType::kTls, CheckType::kHttp, CheckType::kHttps, CheckType::kExec}) {
        if (text == to_string(type)) return type;
    }
    return CheckType::kTcp;
}

ConfigCommand command(std::string pattern, std::string help, std::vector<TokenHelp> tokens,
                      std::string default_text = {}) {
    return {kNode, std::move(pattern), std::move(help), std::move(tokens), {}, {}, std::move(default_text)};
}

std::vector<ConfigCommand> timing_commands() {
    const CheckSettings defaults;
    return {
        command("class {class:choice:local|shared}",
                "Whether a failure withdraws the address or only makes it less preferred",
                {{"class", "local: only this server has the trouble; shared: every server would have it"}}, "local"),
        command("interval {milliseconds:int:50..3600000}", "Time between two runs", {{"milliseconds", "Milliseconds"}},
                std::to_string(defaults.interval.count())),
        command("fast-interval {milliseconds:int:50..3600000}",
                "The same while the results do not agree with the state", {{"milliseconds", "Milliseconds"}},
                std::to_string(defaults.fast_interval.count())),
        command("timeout {milliseconds:int:10..600000}", "A run without a result by then is a failed one",
                {{"milliseconds", "Milliseconds"}}, std::to_string(defaults.timeout.count())),
        command("rise {results:int:1..100}", "Good results in a row until the check is up", {{"results", "Number"}},
                std::to_string(defaults.rise)),
        command("fall {results:int:1..100}", "Failed results in a row until the check is down", {{"results", "Number"}},
                std::to_string(defaults.fall)),
        command("splay {percent:int:0..100}", "Share of the interval that is added at random", {{"percent", "Percent"}},
                std::to_string(defaults.splay_percent)),
    };
}

// Which commands say something to which types.
const std::map<std::string, std::set<std::string>, std::less<>> kMeaningOf{
    {"target", {"tcp", "tls", "http", "https"}},
    {"ca", {"tls", "https"}},
    {"certificate", {"tls", "https"}},
    {"private-key", {"tls", "https"}},
    {"server-name", {"tls", "https"}},
    {"path", {"http", "https"}},
    {"expect-status", {"http", "https"}},
    {"command", {"exec"}},
    {"user", {"exec"}},
};

std::vector<std::string> words_of(std::string_view text) {
    std::vector<std::string> words;
    for (std::string_view word : split(text, ' ')) {
        if (!word.empty()) words.emplace_back(word);
    }
    return words;
}

bool is_printable(std::string_view text) {
    return std::all_of(text.begin(), text.end(), [](unsigned char c) { return c > ' ' && c < 0x7f; });
}

void check_needs(const ConfigEntry& check, std::vector<Diagnostic>& findings) {
    const ConfigNode& node = check.children();
    const std::string& type = check.arg("type");
    const char* needed = type == "exec" ? "command" : "target";
    if (!node.has(needed)) {
        findings.push_back(error_at(
            check, fmt::format("check {} {} has no {}; add \"{}\"", check.arg("name"), type, needed,
                               type == "exec" ? "command /PATH/TO/PROGRAM ARGUMENTS" : "target [ADDRESS]:PORT")));
    }
    if (node.has("certificate") != node.has("private-key")) {
        findings.push_back(error_at(
            check, fmt::format("check {} needs both, certificate and private-key, or neither", check.arg("name"))));
    }
    for (const ConfigEntry& entry : node.entries()) {
        auto meaning = kMeaningOf.find(entry.id());
        if (meaning == kMeaningOf.end() || meaning->second.contains(type)) continue;
        findings.push_back(error_at(entry, fmt::format("\"{}\" says nothing to a check of type {}", entry.id(), type)));
    }
}

void check_values(const ConfigEntry& check, std::vector<Diagnostic>& findings) {
    const ConfigNode& node = check.children();
    if (const ConfigEntry* entry = node.find("command")) {
        auto words = words_of(entry->arg("line"));
        if (words.empty() || words[0][0] != '/') {
            findings.push_back(error_at(*entry, "a command begins with the absolute path of a program"));
        }
    }
    if (const ConfigEntry* entry = node.find("path")) {
        const std::string& path = entry->arg("path");
        if (path.front() != '/' || !is_printable(path)) {
            findings.push_back(error_at(*entry, "a path begins with \"/\" and has no blanks; write them as %20"));
        }
    }
    CheckSettings settings = check_settings_of(check);
    if (settings.fast_interval > settings.interval) {
        findings.push_back(warning_at(check, fmt::format("check {}: the fast interval is longer than the interval; the "
                                                         "interval is used",
                                                         settings.name)));
    }
}

}  // namespace

std::vector<ConfigCommand> check_commands(const std::string& plugin_node) {
    std::vector<ConfigCommand> commands{
        {plugin_node,
         "check {name:word} {type:choice:tcp|tls|http|https|exec}",
         "A health check of your own",
         {{"check", "A health check of your own"},
          {"name", "Its name in \"show anycast\""},
          {"type", "What it does: connect, TLS handshake, request, program"}},
         {"name"},
         kNode,
         {}},
        command("target {endpoint:endpoint6}",
                "What it connects to; the anycast address itself is this server, never another",
                {{"endpoint", "[ADDRESS]:PORT"}}),
        command("ca {file:path}", "Roots that the server's certificate must chain to", {{"file", "PEM"}},
                "not verified"),
        command("certificate {file:path}", "The client certificate that is presented", {{"file", "PEM"}}),
        command("private-key {file:path}", "Its key", {{"file", "PEM"}}),
        command("server-name {name:word}", "Name that the certificate must have, and server name indication",
                {{"name", "A name or an address"}}, "the target's address"),
        command("path {path:word}", "Path of the request", {{"path", "/PATH"}}, "/"),
        command("expect-status {status:int:100..599}", "The only status that is good", {{"status", "HTTP status"}},
                "200 to 399"),
        command("command {line:text}",
                "Program that exits with 0 when all is well; no shell, words are separated by blanks",
                {{"line", "/PATH/TO/PROGRAM ARGUMENTS"}}),
        command("user {name:word}", "User that the program runs as; the agent must be root for it",
                {{"name", "A user"}}, "nobody when the agent is root"),
    };
    for (ConfigCommand& timing : timing_commands()) commands.push_back(std::move(timing));
    return commands;
}

CheckSettings check_settings_of(const ConfigEntry& check) {
    const ConfigNode& node = check.children();
    CheckSettings settings;
    settings.name = check.arg("name");
    settings.type = type_of(check.arg("type"));
    if (node.text("class", "class", "local") == "shared") settings.scope = CheckClass::kShared;
    auto milliseconds = [&](const char* id, std::chrono::milliseconds fallback) {
        return std::chrono::milliseconds(node.integer(id, "milliseconds", fallback.count()));
    };
    settings.interval = milliseconds("interval", settings.interval);
    settings.fast_interval = milliseconds("fast-interval", settings.fast_interval);
    settings.timeout = milliseconds("timeout", settings.timeout);
    settings.rise = static_cast<int>(node.integer("rise", "results", settings.rise));
    settings.fall = static_cast<int>(node.integer("fall", "results", settings.fall));
    settings.splay_percent = static_cast<int>(node.integer("splay", "percent", settings.splay_percent));
    if (const ConfigEntry* entry = node.find("target")) settings.target = entry->endpoint("endpoint");
    settings.ca = node.text("ca", "file", "");
    settings.certificate = node.text("certificate", "file", "");
    settings.private_key = node.text("private-key", "file", "");
    settings.server_name = node.text("server-name", "name", "");
    settings.path = node.text("path", "path", settings.path);
    if (const ConfigEntry* entry = node.find("expect-status")) {
        settings.expect_status = static_cast<int>(entry->integer("status"));
    }
    settings.command = words_of(node.text("command", "line", ""));
    settings.user = node.text("user", "name", "");
    return settings;
}

std::vector<Diagnostic> validate_check(const ConfigEntry& check) {
    std::vector<Diagnostic> findings;
    if (check.arg("name").size() > kMaxNameBytes || !is_printable(check.arg("name"))) {
        findings.push_back(error_at(check, "the name of a check has at most 64 printable characters"));
    }
    check_needs(check, findings);
    check_values(check, findings);
    return findings;
}

}  // namespace nett::anycast
