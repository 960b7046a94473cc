// What Service tells: health conditions and the answers of its show commands.
#include <algorithm>

#include <boost/json.hpp>

#include "agent/sdk/model.hpp"
#include "plugins/bgp-anycast/service.hpp"

namespace nett::anycast {
namespace {

namespace json = boost::json;

constexpr const char* kComponent = "bgp-anycast";

HealthCondition condition(const char* name, HealthState state, std::string message, std::string remedy = {}) {
    return {kComponent, name, HealthScope::kInfo, state, std::move(message), std::move(remedy), {}};
}

std::string time_text(SystemTime time) {
    return time == SystemTime{} ? "" : to_rfc3339(time);
}

json::array findings_data(const std::vector<FrrFinding>& findings) {
    json::array rows;
    for (const FrrFinding& finding : findings) {
        rows.push_back(
            json::object{{"missing", finding.missing}, {"why", finding.why}, {"essential", finding.essential}});
    }
    return rows;
}

std::string text_of(const json::value& value) {
    return std::string(value.as_string());
}

// The part of `show anycast` that answers "why?".
std::string text_of_state(const json::object& data) {
    std::string text =
        fmt::format("{} is {}{}: {}\n", text_of(data.at("address")), text_of(data.at("state")),
                    data.at("dry_run").as_bool() ? " (dry run: nothing is announced)" : "", text_of(data.at("reason")));
    text += fmt::format("  since {}\n", text_of(data.at("since")));
    const json::object& mode = data.at("mode").as_object();
    text += fmt::format("  mode {}", text_of(mode.at("mode")));
    if (!mode.at("actor").as_string().empty()) {
        text += fmt::format(", set by {} at {}{}{}", text_of(mode.at("actor")), text_of(mode.at("since")),
                            mode.at("note").as_string().empty() ? "" : ": ", text_of(mode.at("note")));
    }
    if (auto left = data.at("hold_down_s").as_int64(); left > 0)
        text += fmt::format("\n  held down for {} s more", left);
    return text + "\n";
}

std::string text_of_actuators(const json::object& data) {
    std::string text =
        fmt::format("\nAddress on {}{}, lease {} s", text_of(data.at("interface")),
                    data.at("own_device").as_bool() ? " (vanishes with the agent)" : "", data.at("lease_s").as_int64());
    if (const json::value* age = data.if_contains("refreshed_ms_ago"))
        text += fmt::format(", refreshed {} ms ago", age->as_int64());
    text += "\n";
    for (const char* key : {"lease_error", "device_error", "local_path_error"}) {
        if (!data.at(key).as_string().empty()) text += fmt::format("  {}\n", text_of(data.at(key)));
    }
    for (const char* key : {"gate", "drain"}) {
        const json::value* list = data.if_contains(key);
        if (list == nullptr) continue;
        const json::object& entry = list->as_object();
        text += fmt::format(
            "{} {} seq {} {}, bgpd {} ({}{})\n", key[0] == 'g' ? "Gate " : "Drain", text_of(entry.at("prefix_list")),
            entry.at("sequence").to_number<std::uint32_t>(), text_of(entry.at("action")),
            entry.at("in_sync").as_bool() ? "has it" : "does not have it yet " + text_of(entry.at("error")),
            text_of(entry.at("backend")), entry.at("module").as_string().starts_with("stock") ? ", stock module" : "");
    }
    return text;
}

std::string text_of_checks(const json::array& checks) {
    std::string text = "\n";
    for (const json::value& item : checks) {
        const json::object& check = item.as_object();
        text += fmt::format("{:<24} {:<9} {:<8} {}\n", text_of(check.at("name")), text_of(check.at("class")),
                            text_of(check.at("state")), text_of(check.at("message")));
    }
    return text;
}

std::string text_of_frr(const json::object& data) {
    const json::object& frr = data.at("frr_config").as_object();
    if (!frr.at("error").as_string().empty())
        return fmt::format("\nFRR's configuration is not known: {}\n", text_of(frr.at("error")));
    const json::array& missing = frr.at("missing").as_array();
    if (missing.empty()) return "\nFRR's configuration has everything\n";
    std::string text = "\nFRR's configuration lacks (see \"show anycast frr-config\"):\n";
    for (const json::value& row : missing)
        text += fmt::format("  {} - {}\n", text_of(row.at("missing")), text_of(row.at("why")));
    return text;
}

}  // namespace

void Service::report_health() {
    std::string what =
        fmt::format("{} is {}: {}", settings_.address.to_string(), to_string(decision_.stance()), decision_.reason());
    bool announced = decision_.stance() == Stance::kAnnounced && !settings_.dry_run;
    if (settings_.dry_run) what += " (dry run: nothing is announced)";
    host_.health.report(condition("announcement", announced ? HealthState::kOk : HealthState::kDegraded, what,
                                  announced ? "" : "repair what failed; see \"show anycast\""));
    const ModeRecord& mode = journal_.mode();
    bool active = mode.mode == Mode::kActive;
    host_.health.report(
        condition("mode", active ? HealthState::kOk : HealthState::kDegraded,
                  fmt::format("mode {}{}{}", to_string(mode.mode), mode.note.empty() ? "" : ": ", mode.note),
                  active ? "" : "\"anycast resume\" ends it"));
    report_parts();
}

void Service::report_parts() {
    if (!announcer_.error().empty()) {
        host_.health.report(
            condition("lease", HealthState::kFailed, announcer_.error(),
                      fmt::format("nett needs CAP_NET_ADMIN and the interface {}", announcer_.interface())));
    } else {
        host_.health.report(condition("lease", HealthState::kOk, "the kernel takes the lease"));
    }
    bool own = announcer_.on_own_device() || !settings_.interface.empty() || settings_.dry_run;
    host_.health.report(
        condition("device", own ? HealthState::kOk : HealthState::kDegraded,
                  own ? fmt::format("the address is put on {}", announcer_.interface())
                      : fmt::format("no TUN device, a killed agent keeps the address until its lease ends: {}",
                                    announcer_.device_error()),
                  own ? "" : "the agent needs /dev/net/tun and CAP_NET_ADMIN"));
    bool complete = frr_findings_.empty();
    std::string first = complete ? "" : fmt::format("{} ({})", frr_findings_[0].missing, frr_findings_[0].why);
    host_.health.report(condition(
        "frr-config", complete ? HealthState::kOk : HealthState::kDegraded,
        complete ? (frr_error_.empty() ? "FRR's configuration has everything" : "not known: " + frr_error_)
                 : fmt::format("FRR's configuration lacks {} thing(s); first: {}", frr_findings_.size(), first),
        complete ? "" : "compare frr.conf with \"show anycast frr-config\""));
}

json::object Service::actuators_data() const {
    FrrDaemonStatus bgpd = host_.frr.status(FrrDaemon::kBgpd);
    json::object data{{"interface", announcer_.interface()},       {"own_device", announcer_.on_own_device()},
                      {"device_error", announcer_.device_error()}, {"lease_s", settings_.lease.count()},
                      {"lease_error", announcer_.error()},         {"local_path_error", local_path_error_}};
    if (announcer_.stance() != Stance::kWithdrawn) {
        auto age =
            std::chrono::duration_cast<std::chrono::milliseconds>(host_.clock.steady_now() - announcer_.refreshed());
        data["refreshed_ms_ago"] = age.count();
    }
    auto list = [&](const ListEntry& entry, bool permit) {
        return json::object{{"prefix_list", entry.list},
                            {"sequence", entry.sequence},
                            {"action", permit ? "permit" : "deny"},
                            {"in_sync", bgpd.connected && bgpd.in_sync},
                            {"backend", bgpd.backend},
                            {"module", bgpd.backend != "grpc" || !bgpd.connected ? ""
                                       : bgpd.hardened                           ? "hardened"
                                                                                 : "stock, worked around"},
                            {"error", bgpd.error}};
    };
    if (settings_.gate) data["gate"] = list(*settings_.gate, announcer_.stance() != Stance::kWithdrawn);
    if (settings_.drain) data["drain"] = list(*settings_.drain, announcer_.drains());
    return data;
}

json::object Service::checks_data() const {
    json::array rows;
    for (const HealthCondition& one : host_.health.conditions()) {
        bool local = one.scope == HealthScope::kLocal &&
                     (settings_.required.empty() || settings_.required.contains(one.component));
        if (!local && one.scope != HealthScope::kShared) continue;
        rows.push_back(json::object{{"name", fmt::format("{}/{}", one.component, one.name)},
                                    {"component", one.component},
                                    {"type", "condition"},
                                    {"class", to_string(one.scope)},
                                    {"state", to_string(one.state)},
                                    {"message", one.message},
                                    {"since", time_text(one.since)}});
    }
    for (const RunningCheck* check : checks_.all()) {
        rows.push_back(json::object{{"name", check->settings.name},
                                    {"type", to_string(check->settings.type)},
                                    {"class", to_string(check->settings.scope)},
                                    {"state", to_string(check->tracker.state())},
                                    {"message", check->tracker.message()},
                                    {"since", time_text(check->since)},
                                    {"last", time_text(check->last)},
                                    {"good", check->tracker.good()},
                                    {"bad", check->tracker.bad()},
                                    {"runs", check->runs}});
    }
    return {{"checks", std::move(rows)}};
}

Output Service::show() const {
    const ModeRecord& mode = journal_.mode();
    json::object data{{"address", settings_.address.to_string()},
                      {"state", to_string(decision_.stance())},
                      {"reason", decision_.reason()},
                      {"since", to_rfc3339(since_)},
                      {"dry_run", settings_.dry_run},
                      {"mode", json::object{{"mode", to_string(mode.mode)},
                                            {"note", mode.note},
                                            {"actor", mode.actor},
                                            {"since", time_text(mode.since)}}},
                      {"hold_down_s", decision_.hold_down(host_.clock.steady_now()).count()},
                      {"flaps", decision_.flaps()},
                      {"good_looks", local_.good()},
                      {"bad_looks", local_.bad()}};
    for (auto& member : actuators_data()) data[member.key()] = std::move(member.value());
    for (auto& member : checks_data()) data[member.key()] = std::move(member.value());
    data["frr_config"] = json::object{{"error", frr_error_}, {"missing", findings_data(frr_findings_)}};
    std::string text = text_of_state(data) + text_of_actuators(data) + text_of_checks(data.at("checks").as_array()) +
                       text_of_frr(data);
    return {std::move(data), {}, std::move(text)};
}

Output Service::show_history() const {
    json::array rows;
    for (const HistoryEntry& entry : journal_.history()) {
        rows.push_back(
            json::object{{"time", to_rfc3339(entry.time)}, {"state", entry.state}, {"reason", entry.reason}});
    }
    return {std::move(rows), {{"time", "Time"}, {"state", "State"}, {"reason", "Reason"}}, {}};
}

Awaitable<Result<Output>> Service::show_frr_config() const {
    auto running = co_await running_config();
    Output output;
    output.text = snippet(settings_, running ? facts_of(*running) : FrrFacts{});
    json::object data{{"config", output.text}};
    std::vector<FrrFinding> findings = running ? missing_in(*running, settings_) : std::vector<FrrFinding>{};
    data["missing"] = findings_data(findings);
    data["error"] = running ? std::string() : running.error().to_string();
    if (!running)
        output.text += fmt::format("! FRR's running configuration is not known: {}\n", running.error().to_string());
    for (const FrrFinding& finding : findings)
        output.text += fmt::format("! not in the running configuration: {} - {}\n", finding.missing, finding.why);
    if (running && findings.empty()) output.text += "! the running configuration has all of this\n";
    output.data = std::move(data);
    co_return output;
}

}  // namespace nett::anycast
