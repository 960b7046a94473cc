#include "agent/fabric/commands.hpp"

#include <boost/json.hpp>

#include "agent/sdk/model.hpp"

namespace nett {

namespace json = boost::json;

namespace {

json::array neighbours_of(const PortRow& row) {
    json::array out;
    for (const auto& neighbour : row.neighbours) {
        out.push_back(json::object{
            {"address", neighbour.address.to_string()}, {"mac", neighbour.mac}, {"state", neighbour.state}});
    }
    return out;
}

Result<Output> show_ports(const Fabric& fabric) {
    const auto rows = fabric.ports();
    if (!rows) return fail(rows.error());
    json::array out;
    for (const auto& row : *rows) {
        json::array announced(row.announced.begin(), row.announced.end());
        out.push_back(json::object{{"port", row.port},
                                   {"prefix", row.prefix},
                                   {"link", row.link},
                                   {"mac", row.mac},
                                   {"machine", row.machine},
                                   {"known_by", row.known_by},
                                   {"announced", std::move(announced)},
                                   {"origin", row.origin},
                                   {"neighbours", neighbours_of(row)}});
    }
    return Output{std::move(out),
                  {{"port", "Port"},
                   {"prefix", "Prefix"},
                   {"link", "Link"},
                   {"machine", "Machine"},
                   {"known_by", "Known by"},
                   {"announced", "Announced"}}};
}

Result<Output> show_fabric(const Fabric& fabric) {
    json::array upstreams;
    for (const auto& uplink : fabric.uplinks()) {
        upstreams.push_back(json::object{{"upstream", uplink.name},
                                         {"state", uplink.connected ? "connected" : "waiting"},
                                         {"since", to_rfc3339(uplink.since)},
                                         {"error", uplink.error}});
    }
    json::array switches;
    std::string text;
    for (const auto& uplink : fabric.uplinks()) {
        text += fmt::format("upstream {}: {}{}{} since {}\n", uplink.name, uplink.connected ? "connected" : "waiting",
                            uplink.error.empty() ? "" : ": ", uplink.error, to_rfc3339(uplink.since));
    }
    for (const auto& [name, origin] : fabric.view().origins()) {
        const auto* state = origin.own ? "own" : origin.silent ? "silent" : "reporting";
        text += fmt::format("switch {}: {}, {} prefixes, heard {}\n", name, state, origin.prefixes.size(),
                            to_rfc3339(origin.heard));
        json::array prefixes;
        for (const auto& [prefix, since] : origin.prefixes) {
            text += fmt::format("  {} behind {} next hop {} since {}\n", prefix.prefix.to_string(), prefix.port,
                                prefix.next_hop.to_string(), to_rfc3339(since));
            prefixes.push_back(json::object{{"prefix", prefix.prefix.to_string()},
                                            {"port", prefix.port},
                                            {"next_hop", prefix.next_hop.to_string()},
                                            {"since", to_rfc3339(since)}});
        }
        switches.push_back(json::object{{"switch", name},
                                        {"state", state},
                                        {"heard", to_rfc3339(origin.heard)},
                                        {"prefixes", std::move(prefixes)}});
    }
    return Output{json::object{{"upstreams", std::move(upstreams)}, {"switches", std::move(switches)}}, {}, text};
}

json::object to_json(const std::optional<MachineCondition>& condition) {
    if (!condition) return {{"state", "not seen"}};
    return {{"state", condition->state},
            {"port", condition->port},
            {"prefix", condition->prefix},
            {"expected", condition->expected},
            {"since", to_rfc3339(condition->since)},
            {"origin", condition->origin}};
}

using Run = std::function<Awaitable<Result<Output>>(CommandCall)>;

Awaitable<Result<Output>> show_with_condition(const Run& run, const Fabric& fabric, CommandCall call) {
    const auto name = call.arg("name");
    auto shown = run(std::move(call));
    auto output = co_await std::move(shown);
    if (output && output->data.is_object()) output->data.as_object()["fabric"] = to_json(fabric.machines().of(name));
    co_return output;
}

OpCommand show(std::string pattern, std::string help, const Fabric& fabric, Result<Output> (*run)(const Fabric&)) {
    OpCommand command;
    command.pattern = std::move(pattern);
    command.help = std::move(help);
    command.tokens = {{"show", "Show the state of the agent"}};
    command.run = [&fabric, run](CommandCall) -> Awaitable<Result<Output>> { co_return run(fabric); };
    return command;
}

}  // namespace

std::vector<OpCommand> fabric_commands(const Fabric& fabric) {
    std::vector<OpCommand> commands;
    commands.push_back(show("show ports", "Ports with their prefix and machine", fabric, show_ports));
    commands.push_back(
        show("show fabric", "What machines announce, who reports it, and to whom it is reported", fabric, show_fabric));
    return commands;
}

OpCommand with_fabric_condition(OpCommand show_machine, const Fabric& fabric) {
    // The function outlives its calls: it belongs to the command.
    const auto run = std::make_shared<const Run>(std::move(show_machine.run));
    show_machine.run = [run, &fabric](CommandCall call) { return show_with_condition(*run, fabric, std::move(call)); };
    return show_machine;
}

}  // namespace nett
