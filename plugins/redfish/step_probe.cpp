// PROBE: reads what the BMC has, and changes nothing. After a crash it starts over.
#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "agent/sdk/identity.hpp"
#include "plugins/redfish/job_steps.hpp"
#include "plugins/redfish/json.hpp"
#include "plugins/redfish/plan.hpp"
#include "plugins/redfish/redact.hpp"

namespace nett::redfish {
namespace {

constexpr int kMaxReads = 64;
constexpr std::size_t kMaxMedia = 16;  // slots of one collection; the largest known has 4
constexpr std::size_t kUnlabelledRank = 100;

// The profile by what is known of the vendor so far, unless the operator named one.
void choose_profile(JobState& state, const JobView& view) {
    state.progress.profile = view.profile.empty() ? detect_profile(state.cursor.vendor).name : view.profile;
}

Result<void> take_root(JobState& state, const JobView& view, const boost::json::object& body) {
    auto root = parse_service_root(view.origin, body);
    if (!root) return fail(std::move(root.error()));
    Cursor& cursor = state.cursor;
    cursor.managers = root->managers;
    cursor.vendor = root->vendor;
    choose_profile(state, view);
    if (view.system_path.empty()) {
        cursor.reading.push_back({ProbeItem::kSystems, root->systems});
        return {};
    }
    auto system = resolve_link(view.origin, view.system_path);
    if (!system) return fail(std::move(system.error()));
    cursor.reading.push_back({ProbeItem::kSystem, *system});
    return {};
}

Result<void> take_systems(JobState& state, const JobView& view, const boost::json::object& body) {
    auto members = parse_members(view.origin, body);
    if (!members) return fail(std::move(members.error()));
    if (members->size() != 1) {
        return fail(Code::kFailedPrecondition, "the BMC has {} systems, name one in its record's system path: {}",
                    members->size(), fmt::join(*members, ", "));
    }
    state.cursor.reading.push_back({ProbeItem::kSystem, members->front()});
    return {};
}

void take_facts(const SystemView& system, MachineFacts& facts) {
    if (auto uuid = canonical_uuid(system.uuid); uuid && is_usable_uuid(*uuid)) facts.uuid = *uuid;
    facts.serial = redact_text(system.serial);
    facts.hardware["manufacturer"] = redact_text(system.manufacturer);
    facts.hardware["model"] = redact_text(system.model);
    facts.hardware["bios-version"] = redact_text(system.bios_version);
}

Result<void> take_system(JobState& state, const JobView& view, const std::string& uri,
                         const boost::json::object& body) {
    auto system = parse_system(view.origin, body);
    if (!system) return fail(std::move(system.error()));
    Progress& progress = state.progress;
    state.cursor.vendor += " " + system->manufacturer + " " + system->model;
    choose_profile(state, view);
    progress.system = uri;
    progress.settings = system->settings;
    progress.reset_target = system->reset_target;
    progress.reset_types = system->reset_types;
    progress.power_before = system->power_state;
    progress.last_reset = system->last_reset;
    take_facts(*system, state.cursor.facts);
    const bool powers = state.goal.type == JobType::kProvision || state.goal.type == JobType::kPower;
    if (progress.reset_target.empty() && powers)
        return fail(Code::kDataLoss, "{} has no ComputerSystem.Reset action", uri);
    if (is_survey(state.goal) && !system->ethernet.empty()) {
        state.cursor.reading.push_back({ProbeItem::kEthernet, system->ethernet});
    }
    if (system->reset_types.empty() && !system->reset_action_info.empty()) {
        state.cursor.reading.push_back({ProbeItem::kActionInfo, system->reset_action_info});
    }
    const bool wants_media = needs_media(state.goal) || is_survey(state.goal);
    if (!system->virtual_media.empty() && wants_media) {
        state.cursor.reading.push_back({ProbeItem::kMediaCollection, system->virtual_media});
    }
    state.cursor.system = std::move(*system);
    return {};
}

Result<void> take_members(JobState& state, const JobView& view, ProbeItem item, const boost::json::object& body) {
    auto members = parse_members(view.origin, body);
    if (!members) return fail(std::move(members.error()));
    if (members->size() > kMaxMedia) members->resize(kMaxMedia);
    for (std::string& member : *members) state.cursor.reading.push_back({item, std::move(member)});
    return {};
}

Result<void> take_media(JobState& state, const JobView& view, const std::string& uri, const boost::json::object& body) {
    auto media = parse_media(view.origin, body);
    if (!media) return fail(std::move(media.error()));
    const auto wanted = profile_named(state.progress.profile).media_types;
    std::size_t rank = media->media_types.empty() ? kUnlabelledRank : kUnlabelledRank + 1;
    for (std::size_t i = wanted.size(); i-- > 0;) {
        const auto& types = media->media_types;
        if (std::find(types.begin(), types.end(), wanted[i]) != types.end()) rank = i;
    }
    if (rank > kUnlabelledRank) return {};
    // Without InsertMedia the slot is PATCHed, which some services have for show only.
    if (media->insert_target.empty()) rank += kUnlabelledRank + 1;
    state.cursor.found.emplace_back(rank, MediaSlot{uri, media->insert_target, media->eject_target});
    return {};
}

void take_manager(JobState& state, const JobView& view, ManagerView manager) {
    Cursor& cursor = state.cursor;
    cursor.vendor += " " + manager.model;
    choose_profile(state, view);
    auto& hardware = cursor.facts.hardware;
    if (hardware["bmc-firmware"].empty()) hardware["bmc-firmware"] = redact_text(manager.firmware);
    const bool wants_media = needs_media(state.goal) || is_survey(state.goal);
    if (cursor.found.empty() && wants_media && !manager.virtual_media.empty()) {
        cursor.reading.push_back({ProbeItem::kMediaCollection, std::move(manager.virtual_media)});
    }
}

void take_nic(MachineFacts& facts, const std::string& text) {
    auto mac = canonical_mac(text);
    if (!mac || *mac == "00:00:00:00:00:00") return;
    if (std::find(facts.macs.begin(), facts.macs.end(), *mac) == facts.macs.end()) facts.macs.push_back(*mac);
}

Result<void> take(JobState& state, const JobView& view, const ProbeRead& read, const boost::json::object& body) {
    switch (read.item) {
        case ProbeItem::kRoot:
            return take_root(state, view, body);
        case ProbeItem::kSystems:
            return take_systems(state, view, body);
        case ProbeItem::kSystem:
            return take_system(state, view, read.uri, body);
        case ProbeItem::kActionInfo:
            state.progress.reset_types = parse_reset_types(body);
            return {};
        case ProbeItem::kManagers:
            return take_members(state, view, ProbeItem::kManager, body);
        case ProbeItem::kMediaCollection:
            return take_members(state, view, ProbeItem::kMedia, body);
        case ProbeItem::kMedia:
            return take_media(state, view, read.uri, body);
        case ProbeItem::kManager:
            take_manager(state, view, parse_manager(view.origin, body));
            return {};
        case ProbeItem::kEthernet:
            return take_members(state, view, ProbeItem::kNic, body);
        case ProbeItem::kNic:
            take_nic(state.cursor.facts, parse_mac(body));
            return {};
    }
    return {};
}

// Media is under the system, else under its managers, else under any manager (Links.ManagedBy may be missing). Some
// families are told apart by their managers only, and a survey wants to know the firmware.
void look_at_managers(JobState& state) {
    Cursor& cursor = state.cursor;
    cursor.looked_at_managers = true;
    const bool no_media = needs_media(state.goal) && cursor.found.empty();
    const bool has_variants = profile_named(state.progress.profile).server_boot;
    if (!no_media && !has_variants && !is_survey(state.goal)) return;
    if (cursor.system && !cursor.system->managers.empty()) {
        for (const std::string& manager : cursor.system->managers)
            cursor.reading.push_back({ProbeItem::kManager, manager});
    } else if (!cursor.managers.empty()) {
        cursor.reading.push_back({ProbeItem::kManagers, cursor.managers});
    }
}

bool is_optional(ProbeItem item) {
    return item != ProbeItem::kRoot && item != ProbeItem::kSystems && item != ProbeItem::kSystem;
}

}  // namespace

void begin_probe(JobState& state) {
    state.progress.slots.clear();
    state.progress.slot = 0;
    state.progress.reset_types.clear();
    state.cursor.reading.assign(1, {ProbeItem::kRoot, "/redfish/v1/"});
}

std::optional<Action> decide_probe(JobState& state, const JobView& view) {
    Cursor& cursor = state.cursor;
    if (cursor.reading.empty() && !cursor.looked_at_managers) look_at_managers(state);
    if (cursor.reading.empty()) {
        conclude_probe(state, view);
        return std::nullopt;
    }
    if (++cursor.reads > kMaxReads) {
        give_up(state, view, fmt::format("the BMC's resources did not end after {} reads", kMaxReads));
        return std::nullopt;
    }
    return read(state, Cursor::Expecting::kProbe, cursor.reading.front().uri);
}

void absorb_probe(JobState& state, const JobView& view, const Reply& reply) {
    Cursor& cursor = state.cursor;
    if (cursor.reading.empty()) return;
    const ProbeRead read = cursor.reading.front();
    auto body = reply && is_success(*reply) ? parse_object(reply->body) : Result<boost::json::object>();
    if (!reply || !is_success(*reply) || !body) {
        const Reply failure = !reply || !is_success(*reply) ? reply : Reply(fail(body.error()));
        if (absorb_read_failure(state, view, failure, read.uri, is_optional(read.item)) == ReadFailure::kSkip) {
            cursor.reading.pop_front();
            cursor.failures = 0;
        }
        return;
    }
    cursor.failures = 0;
    cursor.reading.pop_front();
    if (auto taken = take(state, view, read, *body); !taken) give_up(state, view, taken.error().to_string());
}

}  // namespace nett::redfish
