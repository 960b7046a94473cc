// The end of PROBE, where its readings become decisions; and what inventory and check make of them.
#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include "agent/sdk/identity.hpp"
#include "plugins/redfish/job_steps.hpp"
#include "plugins/redfish/json.hpp"
#include "plugins/redfish/plan.hpp"

namespace nett::redfish {
namespace {

namespace json = boost::json;

constexpr std::string_view kUefiHttp = "UefiHttp";

bool has(const std::vector<std::string>& list, std::string_view value) {
    return std::find(list.begin(), list.end(), value) != list.end();
}

json::array array_of(const std::vector<std::string>& texts) {
    json::array out;
    for (const std::string& text : texts) out.emplace_back(text);
    return out;
}

// ---- Decisions ----

void take_slots(JobState& state) {
    auto& found = state.cursor.found;
    std::stable_sort(found.begin(), found.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
    for (auto& entry : found) state.progress.slots.push_back(std::move(entry.second));
    found.clear();
}

void choose_boot_place(JobState& state) {
    Progress& progress = state.progress;
    const Profile& profile = profile_named(progress.profile);
    if (progress.settings.empty() && !profile.settings_suffix.empty()) {
        progress.settings = progress.system + std::string(profile.settings_suffix);
    }
    progress.use_settings = profile.settings_first && !progress.settings.empty();
}

// Empty: none fits; then `why` says so.
std::string choose_target(JobState& state, std::string& why) {
    Progress& progress = state.progress;
    const Profile& profile = profile_named(progress.profile);
    const SystemView& system = *state.cursor.system;
    const auto& offered = system.boot.targets;
    if (!state.goal.boot_target.empty()) {
        if (offered.empty() || has(offered, state.goal.boot_target)) return state.goal.boot_target;
        why = fmt::format("the BMC offers no boot override to {}, only: {}", state.goal.boot_target,
                          fmt::join(offered, ", "));
        return {};
    }
    for (const std::string_view target : profile.boot_targets) {
        if (offered.empty() || has(offered, target)) return std::string(target);
    }
    if (profile.server_boot && !system.managers.empty()) {
        progress.server_boot = system.managers.front() + "/Attributes";
        return "VCD-DVD";
    }
    why = fmt::format("the BMC offers no boot override to a virtual CD, only: {}", fmt::join(offered, ", "));
    return {};
}

// Without any virtual media the firmware can fetch the image by itself, where it knows how to.
bool choose_http_boot(JobState& state) {
    Progress& progress = state.progress;
    if (state.goal.type != JobType::kProvision || !has(state.cursor.system->boot.targets, kUefiHttp)) return false;
    if (!progress.slots.empty() && progress.boot_target != kUefiHttp) return false;
    progress.http_boot = true;
    progress.boot_target = kUefiHttp;
    return true;
}

std::string choose_image(JobState& state) {
    Progress& progress = state.progress;
    const Goal& goal = state.goal;
    for (const std::string_view scheme : profile_named(progress.profile).image_schemes) {
        progress.image_scheme = scheme;
        if (!state.image().empty()) return {};
    }
    // The operator's URL is taken as it is: a profile is a guess, and the BMC will say so itself.
    progress.image_scheme = goal.http_image.empty() ? "https" : "http";
    return state.image().empty() ? "there is no URL of an image for this BMC" : "";
}

// Why the job cannot be done on this BMC; empty: it can.
std::string prepare(JobState& state) {
    Progress& progress = state.progress;
    const Profile& profile = profile_named(progress.profile);
    take_slots(state);
    choose_boot_place(state);
    progress.has_mode = profile.mode_always || !state.cursor.system->boot.mode.empty();
    std::string no_target;
    progress.boot_target = choose_target(state, no_target);
    if (choose_http_boot(state)) return choose_image(state);
    if (needs_media(state.goal) && progress.slots.empty()) {
        return "the BMC has no virtual media slot that takes a CD image; it may need a licence for it";
    }
    if (needs_target(state.goal) && progress.boot_target.empty()) return no_target;
    if (state.goal.continuous && !profile.continuous) {
        return fmt::format("BMCs of profile {} know a boot override for once only", profile.name);
    }
    const bool inserts =
        state.goal.type == JobType::kProvision || (state.goal.type == JobType::kMedia && state.goal.action == "insert");
    return inserts ? choose_image(state) : std::string();
}

// ---- Surveys ----

json::object encode_facts(const MachineFacts& facts) {
    json::object out;
    out["uuid"] = facts.uuid;
    out["serial"] = facts.serial;
    out["macs"] = array_of(facts.macs);
    for (const auto& [name, value] : facts.hardware) out[name] = value;
    return out;
}

MachineFacts decode_facts(const std::string& text) {
    MachineFacts facts;
    const auto object = parse_object(text);
    if (!object) return facts;
    facts.uuid = text_at(*object, {"uuid"});
    facts.serial = text_at(*object, {"serial"});
    facts.macs = texts_at(*object, {"macs"});
    for (const std::string_view name : {"manufacturer", "model", "bios-version", "bmc-firmware"}) {
        facts.hardware[std::string(name)] = text_at(*object, {name});
    }
    return facts;
}

json::array encode_slots(const Progress& progress) {
    json::array out;
    for (const MediaSlot& slot : progress.slots) {
        json::object line;
        line["uri"] = slot.uri;
        line["insert"] = slot.insert_target.empty() ? "PATCH" : "InsertMedia";
        line["eject"] = slot.eject_target.empty() ? "PATCH" : "EjectMedia";
        out.push_back(std::move(line));
    }
    return out;
}

// What a provision job would do here, without doing it.
void report_check(JobState& state, const JobView& view) {
    JobState trial = state;
    trial.goal.type = JobType::kProvision;
    if (trial.goal.http_image.empty()) trial.goal.http_image = "http://[::]/x.iso";
    if (trial.goal.https_image.empty()) trial.goal.https_image = "https://[::]/x.iso";
    std::string obstacle = prepare(trial);
    if (obstacle.empty() && trial.progress.reset_target.empty())
        obstacle = "the system has no ComputerSystem.Reset action";
    const Progress& found = trial.progress;
    json::object out = encode_facts(state.cursor.facts);
    out["profile"] = found.profile;
    out["system"] = found.system;
    out["power"] = found.power_before;
    out["media"] = encode_slots(found);
    out["boot_targets"] = array_of(state.cursor.system->boot.targets);
    out["boot_target"] = found.boot_target;
    out["boot_mode"] = found.has_mode;
    out["settings"] = found.settings;
    out["http_boot"] = found.http_boot;
    out["reset_types"] = array_of(found.reset_types);
    out["image_scheme"] = found.image_scheme;
    out["can_provision"] = obstacle.empty();
    state.progress.result = json::serialize(out);
    rest(state, view, Step::kDone,
         obstacle.empty()
             ? fmt::format("this BMC can provision the machine (profile {}, {})", found.profile,
                           found.http_boot ? "the firmware fetches the image" : "virtual media")
             : fmt::format("this BMC cannot provision the machine (profile {}): {}", found.profile, obstacle));
}

// The first three fields of a UUID, in the other byte order: SMBIOS before 2.6 did not say which one is right.
std::string swapped_uuid(const std::string& uuid) {
    if (uuid.size() != 36) return uuid;
    const auto pair = [&](std::size_t at) { return uuid.substr(at, 2); };
    return pair(6) + pair(4) + pair(2) + pair(0) + "-" + pair(11) + pair(9) + "-" + pair(16) + pair(14) +
           uuid.substr(18);
}

// What the record and the BMC say differently; empty: nothing.
std::string mismatch(const MachineFacts& registered, const MachineFacts& found) {
    std::vector<std::string> lines;
    if (!registered.uuid.empty() && !found.uuid.empty() && registered.uuid != found.uuid &&
        registered.uuid != swapped_uuid(found.uuid)) {
        lines.push_back(fmt::format("UUID {} is registered, the BMC tells {}", registered.uuid, found.uuid));
    }
    if (!registered.serial.empty() && !found.serial.empty() && registered.serial != found.serial) {
        lines.push_back(fmt::format("serial {} is registered, the BMC tells {}", registered.serial, found.serial));
    }
    const bool shared = std::any_of(registered.macs.begin(), registered.macs.end(),
                                    [&](const std::string& mac) { return has(found.macs, mac); });
    if (!registered.macs.empty() && !found.macs.empty() && !shared) {
        lines.push_back(fmt::format("MAC {} is registered, the BMC tells {}", fmt::join(registered.macs, ", "),
                                    fmt::join(found.macs, ", ")));
    }
    return fmt::format("{}", fmt::join(lines, "; "));
}

}  // namespace

void conclude_probe(JobState& state, const JobView& view) {
    Progress& progress = state.progress;
    if (state.goal.type == JobType::kCheck) return report_check(state, view);
    if (state.goal.type == JobType::kInventory) {
        progress.result = json::serialize(encode_facts(state.cursor.facts));
        return complete(state, view, Step::kProbe);
    }
    if (std::string obstacle = prepare(state); !obstacle.empty()) return give_up(state, view, std::move(obstacle));
    complete(state, view, Step::kProbe);
}

std::optional<Action> decide_record(JobState& state, const JobView& view) {
    const MachineFacts found = decode_facts(state.progress.result);
    if (const std::string difference = mismatch(view.registered, found); !difference.empty()) {
        rest(state, view, Step::kNeedsOperator,
             fmt::format(
                 "the BMC belongs to another machine than the record says: {}. Correct the machine's or the BMC's "
                 "registration and cancel this job",
                 difference));
        return std::nullopt;
    }
    state.cursor.expecting = Cursor::Expecting::kRecord;
    Action action;
    action.kind = Action::Kind::kRecord;
    action.facts = found;
    return action;
}

void absorb_record(JobState& state, const JobView& view, const Reply& reply) {
    if (reply) return complete(state, view, Step::kRecord);
    rest(state, view, Step::kFailed, describe(reply));
}

}  // namespace nett::redfish
