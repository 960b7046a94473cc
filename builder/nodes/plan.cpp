// "plan": what an apply would do, asked of the agents without touching anything.
#include <algorithm>
#include <set>

#include <fmt/ranges.h>
#include <boost/json/array.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "agent/sdk/strings.hpp"
#include "builder/nodes/agents.hpp"
#include "builder/nodes/loaded.hpp"
#include "builder/nodes/run.hpp"

namespace nett::builder {
namespace {

constexpr std::size_t kMaxNodesFile = 16U << 20U;  // some thousand nodes are 1 MB

// Mutations of a plan in their order, and where each came from. Sets whose files are not on the agent yet cannot be
// planned there.
struct Asked {
    std::vector<v1::Mutation> mutations;
    std::vector<std::string> places;  // "nodes.yaml:7: node-1"
    std::size_t shared = 0;
};

void without_missing_sets(const std::set<std::string>& missing, const Snapshot& snapshot, v1::Mutation& mutation) {
    if (mutation.has_put_machine()) {
        auto& machine = *mutation.mutable_put_machine()->mutable_machine();
        if (!missing.contains(machine.artifact_set())) return;
        const auto present = snapshot.machines.find(machine.name());
        machine.set_artifact_set(present == snapshot.machines.end() ? "" : present->second.artifact_set());
    }
    if (mutation.has_put_profile()) {
        auto& profile = *mutation.mutable_put_profile()->mutable_profile();
        for (auto* set : {profile.mutable_artifact_set(), profile.mutable_rescue_set(), profile.mutable_erase_set()}) {
            if (missing.contains(*set)) set->clear();
        }
    }
}

Asked what_to_ask(const NodesFile& file, const Changes& changes, const Snapshot& snapshot, bool prune) {
    std::set<std::string> missing;
    for (const auto& mutation : changes.sets) {
        const std::string& name = mutation.put_artifact_set().set().name();
        if (!snapshot.sets.contains(name)) missing.insert(name);
    }
    Asked asked;
    const auto add = [&](v1::Mutation mutation, std::string place) {
        without_missing_sets(missing, snapshot, mutation);
        asked.mutations.push_back(std::move(mutation));
        asked.places.push_back(std::move(place));
    };
    for (const auto& mutation : changes.tenants) add(mutation, file.path);
    for (const auto& mutation : changes.profiles) add(mutation, file.path);
    asked.shared = asked.mutations.size();
    for (const auto& mutation : changes.removals) {
        if (prune) add(mutation, file.path);
    }
    for (const auto& change : changes.nodes) {
        for (const auto& mutation : change.mutations)
            add(mutation, fmt::format("{}:{}: {}", file.path, change.node->line, change.node->name));
    }
    return asked;
}

// "artifact_set old -> new, kernel_args ...": what differs between two records.
std::string difference(const std::string& before, const std::string& after) {
    boost::json::error_code error;
    const auto old_value = boost::json::parse(before, error);
    const auto new_value = error ? boost::json::value() : boost::json::parse(after, error);
    if (error || !old_value.is_object() || !new_value.is_object()) return {};
    std::vector<std::string> parts;
    for (const auto& [key, value] : new_value.as_object()) {
        const auto* present = old_value.as_object().if_contains(key);
        if (present != nullptr && *present == value) continue;
        parts.push_back(fmt::format("{} {} -> {}", std::string(key),
                                    present == nullptr ? "none" : boost::json::serialize(*present),
                                    boost::json::serialize(value)));
    }
    return fmt::format("{}", fmt::join(parts, ", "));
}

class Report {
public:
    void add(char sign, const std::string& kind, const std::string& key, const std::string& detail) {
        text += fmt::format("  {} {} {}{}\n", sign, kind, key, detail.empty() ? "" : ": " + detail);
        changes.push_back({{"effect", sign == '+'   ? "add"
                                      : sign == '-' ? "remove"
                                                    : "change"},
                           {"kind", kind},
                           {"key", key},
                           {"detail", detail}});
        (sign == '+' ? added : sign == '-' ? removed : changed) += 1;
    }
    void add(const v1::PlannedChange& change) {
        // A sealed value is sealed anew each time: not a change that anybody sees.
        static const std::set<std::string> hidden{"machine-config", "allocation", "unknown-machine", "boot-history"};
        if (hidden.contains(change.kind())) return;
        if (change.effect() == v1::PlannedChange::EFFECT_ADD) return add('+', change.kind(), change.key(), "");
        if (change.effect() == v1::PlannedChange::EFFECT_REMOVE) return add('-', change.kind(), change.key(), "");
        const std::string detail = difference(change.before_json(), change.after_json());
        add('~', change.kind(), change.key(), detail.empty() ? "its secret" : detail);
    }

    std::string text;
    boost::json::array changes;
    std::size_t added = 0;
    std::size_t changed = 0;
    std::size_t removed = 0;
};

void report_sets(const Changes& changes, const Snapshot& snapshot, Report& report) {
    for (const auto& mutation : changes.sets) {
        const auto& set = mutation.put_artifact_set().set();
        std::vector<std::string> files;
        for (const auto& one : set.files()) files.push_back(one.name());
        report.add(snapshot.sets.contains(set.name()) ? '~' : '+', "artifact-set", set.name(),
                   fmt::format("{}", fmt::join(files, ", ")));
    }
}

// Machines that an apply would start through their BMCs.
std::vector<std::string> starts(const NodesFile& file, const Snapshot& snapshot) {
    std::vector<std::string> names;
    for (const auto& node : file.nodes) {
        const auto present = snapshot.machines.find(node.name);
        const bool is_new = present == snapshot.machines.end() || present->second.state() == v1::MACHINE_STATE_NEW;
        if (node.boot == BootWay::kRedfish && is_new) names.push_back(node.name);
    }
    return names;
}

void plan_at(const std::string& target, const NodesRequest& request, const Loaded& loaded, Outcome& out,
             boost::json::array& agents) {
    Server server(target);
    const auto snapshot = take_snapshot(server);
    if (!snapshot) return out.errors.push_back(snapshot.error());
    const Changes changes = changes_between(loaded.file, loaded.inputs, *snapshot, {request.refresh_credentials});
    for (const auto& change : changes.nodes) {
        out.errors.insert(out.errors.end(), change.errors.begin(), change.errors.end());
        out.warnings.insert(out.warnings.end(), change.warnings.begin(), change.warnings.end());
    }
    const Asked asked = what_to_ask(loaded.file, changes, *snapshot, request.prune);
    const auto planned = plan_changes(server, asked.mutations, asked.shared);
    if (!planned) return out.errors.push_back(planned.error());
    Report report;
    report_sets(changes, *snapshot, report);
    for (const auto& change : planned->changes()) report.add(change);
    for (const auto& refusal : planned->refusals())
        out.errors.push_back({Code::kFailedPrecondition, refusal.message(), asked.places.at(refusal.mutation())});
    const auto rebooted = starts(loaded.file, *snapshot);
    out.text += fmt::format("{}: {} to add, {} to change, {} to remove\n{}", target, report.added, report.changed,
                            report.removed, report.text);
    if (!rebooted.empty())
        out.text += fmt::format("  BMCs touched: {} would boot from the image\n", fmt::join(rebooted, ", "));
    if (!request.prune && !changes.stale.empty())
        out.text +=
            fmt::format("  not in the file, and left alone without --prune: {}\n", fmt::join(changes.stale, ", "));
    boost::json::array names, stale;
    for (const auto& name : rebooted) names.emplace_back(name);
    for (const auto& name : changes.stale) stale.emplace_back(name);
    agents.push_back({{"server", target},
                      {"changes", std::move(report.changes)},
                      {"bmcs", std::move(names)},
                      {"stale", std::move(stale)}});
}

}  // namespace

std::optional<Loaded> load_nodes(const std::string& path, std::vector<Error>& errors) {
    const auto text = read_file(path, kMaxNodesFile);
    if (!text) {
        errors.push_back(text.error());
        return std::nullopt;
    }
    Problems problems;
    Loaded loaded;
    loaded.file = parse_nodes(*text, path, problems);
    if (problems.empty()) loaded.inputs = read_inputs(loaded.file, problems);
    if (problems.empty()) return loaded;
    errors = problems.errors(path);
    return std::nullopt;
}

Outcome plan_nodes(const NodesRequest& request) {
    Outcome out;
    const auto loaded = load_nodes(request.nodes_file, out.errors);
    if (!loaded) return out;
    out.warnings = loaded->file.warnings;
    boost::json::array agents;
    for (const auto& target : request.servers) plan_at(target, request, *loaded, out, agents);
    out.json["servers"] = std::move(agents);
    return out;
}

}  // namespace nett::builder
