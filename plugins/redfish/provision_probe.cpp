// PROBE: reads what the BMC has, and changes nothing. After a crash it starts over.
#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "plugins/redfish/json.hpp"
#include "plugins/redfish/provision_parts.hpp"

namespace nett::redfish {
namespace {

constexpr int kMaxReads = 64;
constexpr std::size_t kMaxMedia = 16;  // slots of one collection; the largest known has 4
constexpr std::size_t kUnlabelledRank = 100;

// The first of `wanted` that is among `offered`; the first of all when nothing is said about what is offered.
std::string choose(std::span<const std::string_view> wanted, const std::vector<std::string>& offered) {
    for (const std::string_view value : wanted) {
        if (offered.empty() || std::find(offered.begin(), offered.end(), value) != offered.end())
            return std::string(value);
    }
    return {};
}

Result<void> take_root(JobState& state, const JobView& view, const boost::json::object& body) {
    auto root = parse_service_root(view.origin, body);
    if (!root) return fail(std::move(root.error()));
    Cursor& cursor = state.cursor;
    cursor.managers = root->managers;
    state.progress.profile = detect_profile(root->vendor).name;
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

Result<void> take_system(JobState& state, const JobView& view, const std::string& uri,
                         const boost::json::object& body) {
    auto system = parse_system(view.origin, body);
    if (!system) return fail(std::move(system.error()));
    Progress& progress = state.progress;
    if (progress.profile == "generic") progress.profile = detect_profile(system->manufacturer).name;
    const Profile& profile = profile_named(progress.profile);
    progress.system = uri;
    progress.settings = system->settings;
    progress.reset_target = system->reset_target;
    progress.reset_types = system->reset_types;
    progress.power_before = system->power_state;
    progress.boot_target = choose(profile.boot_targets, system->boot.targets);
    progress.has_mode = profile.sends_mode && !system->boot.mode.empty();
    if (progress.reset_target.empty()) return fail(Code::kDataLoss, "{} has no ComputerSystem.Reset action", uri);
    if (progress.boot_target.empty()) {
        return fail(Code::kFailedPrecondition, "the BMC offers no boot override to a virtual CD, only: {}",
                    fmt::join(system->boot.targets, ", "));
    }
    if (system->reset_types.empty() && !system->reset_action_info.empty()) {
        state.cursor.reading.push_back({ProbeItem::kActionInfo, system->reset_action_info});
    }
    if (!system->virtual_media.empty()) {
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
    state.cursor.found.emplace_back(rank, MediaSlot{uri, media->insert_target, media->eject_target});
    return {};
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
            if (std::string media = parse_manager_media(view.origin, body); !media.empty()) {
                state.cursor.reading.push_back({ProbeItem::kMediaCollection, std::move(media)});
            }
            return {};
    }
    return {};
}

// Media is under the system, else under its managers, else under any manager (Links.ManagedBy may be missing).
void look_at_managers(Cursor& cursor) {
    cursor.looked_at_managers = true;
    if (cursor.system && !cursor.system->managers.empty()) {
        for (const std::string& manager : cursor.system->managers)
            cursor.reading.push_back({ProbeItem::kManager, manager});
    } else if (!cursor.managers.empty()) {
        cursor.reading.push_back({ProbeItem::kManagers, cursor.managers});
    }
}

void conclude(JobState& state, const JobView& view) {
    auto& found = state.cursor.found;
    if (found.empty()) {
        return give_up(state, view,
                       "the BMC has no virtual media slot that takes a CD image; it may need a licence for it");
    }
    std::stable_sort(found.begin(), found.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
    for (auto& entry : found) state.progress.slots.push_back(std::move(entry.second));
    enter(state, view, Step::kPowerOff);
}

bool is_optional(ProbeItem item) {
    return item != ProbeItem::kRoot && item != ProbeItem::kSystems && item != ProbeItem::kSystem;
}

}  // namespace

void begin_probe(JobState& state) {
    state.progress.slots.clear();
    state.progress.slot = 0;
    state.cursor.reading.assign(1, {ProbeItem::kRoot, "/redfish/v1/"});
}

std::optional<Action> decide_probe(JobState& state, const JobView& view) {
    Cursor& cursor = state.cursor;
    if (cursor.reading.empty() && cursor.found.empty() && !cursor.looked_at_managers) look_at_managers(cursor);
    if (cursor.reading.empty()) {
        conclude(state, view);
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
