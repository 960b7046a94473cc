// What each step that changes something wants to see, and the request that asks for it.
#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include "plugins/redfish/job_steps.hpp"

namespace nett::redfish {
namespace {

namespace json = boost::json;

constexpr std::string_view kServerBootDevice = "VCD-DVD";  // Dell's name of the virtual CD

// What the ladder of ETags says: as given, without W/, none. A service that wants one and gives none takes "*" (RFC
// 9110 section 13.1.1).
std::string if_match(const Progress& progress, const std::string& etag) {
    if (progress.etag_rung >= kEtagAny) return "*";
    if (progress.etag_rung == kEtagNone) return {};
    if (progress.etag_rung == 1 && etag.starts_with("W/")) return etag.substr(2);
    return etag;
}

Request request_of(Method method, std::string target, const json::object& body, std::string etag = {}) {
    Request request;
    request.method = method;
    request.target = std::move(target);
    request.body = json::serialize(body);
    request.if_match = std::move(etag);
    return request;
}

Result<Request> reset_request(const Progress& progress, std::span<const std::string_view> wanted) {
    const auto& offered = progress.reset_types;
    for (const std::string_view type : wanted) {
        if (offered.empty() || std::find(offered.begin(), offered.end(), type) != offered.end()) {
            json::object body;
            body["ResetType"] = type;
            return request_of(Method::kPost, progress.reset_target, body);
        }
    }
    return fail(Code::kFailedPrecondition, "the BMC offers no fitting reset, only: {}", fmt::join(offered, ", "));
}

bool is_on(const JobState& state) {
    return state.cursor.system->power_state == "On";
}

Result<Request> off_request(const JobState& state) {
    return reset_request(state.progress, profile_named(state.progress.profile).off_types);
}

Result<Request> on_request(const JobState& state) {
    return reset_request(state.progress, profile_named(state.progress.profile).on_types);
}

bool is_ejected(const JobState& state) {
    const Progress& progress = state.progress;
    const MediaView& media = *state.cursor.media;
    const bool asked = progress.attempt > 0;
    if (progress.step == Step::kEject && profile_named(progress.profile).eject_always && !asked) return false;
    // Some keep Inserted after an eject that took the image away.
    return media.empty() || (asked && media.image.empty());
}

Result<Request> eject_request(const JobState& state) {
    const MediaSlot& slot = slot_of(state.progress);
    json::object body;
    if (!slot.eject_target.empty()) return request_of(Method::kPost, slot.eject_target, body);
    body["Image"] = nullptr;
    body["Inserted"] = false;
    return request_of(Method::kPatch, slot.uri, body, if_match(state.progress, state.cursor.media->etag));
}

Result<Request> insert_request(const JobState& state) {
    const Progress& progress = state.progress;
    const MediaSlot& slot = slot_of(progress);
    if (!slot.insert_target.empty()) {
        const auto ladder = profile_named(progress.profile).insert_ladder;
        Request request;
        request.method = Method::kPost;
        request.target = slot.insert_target;
        request.body = insert_body(ladder[std::min(progress.rung, ladder.size() - 1)], state.image());
        return request;
    }
    json::object body;
    body["Image"] = state.image();
    body["Inserted"] = true;
    body["WriteProtected"] = true;
    return request_of(Method::kPatch, slot.uri, body, if_match(progress, state.cursor.media->etag));
}

Request server_boot_request(const JobState& state, std::string_view once, std::string_view device) {
    json::object attributes;
    attributes["ServerBoot.1.BootOnce"] = once;
    attributes["ServerBoot.1.FirstBootDevice"] = device;
    json::object body;
    body["Attributes"] = std::move(attributes);
    return request_of(Method::kPatch, state.progress.server_boot, body,
                      if_match(state.progress, state.cursor.system->etag));
}

Request boot_request(const JobState& state, json::object boot) {
    json::object body;
    body["Boot"] = std::move(boot);
    return request_of(Method::kPatch, boot_uri(state.progress), body,
                      if_match(state.progress, state.cursor.system->etag));
}

std::string_view enabled_of(const Goal& goal) {
    return goal.continuous ? "Continuous" : "Once";
}

Result<Request> override_request(const JobState& state) {
    const Progress& progress = state.progress;
    if (!progress.server_boot.empty()) {
        return server_boot_request(state, state.goal.continuous ? "Disabled" : "Enabled", kServerBootDevice);
    }
    json::object boot;
    boot["BootSourceOverrideEnabled"] = enabled_of(state.goal);
    boot["BootSourceOverrideTarget"] = progress.boot_target;
    if (progress.has_mode) boot["BootSourceOverrideMode"] = "UEFI";
    if (progress.http_boot) boot["HttpBootUri"] = state.image();
    return boot_request(state, std::move(boot));
}

bool is_on_after_reset(const JobState& state) {
    return state.progress.attempt > 0 && is_on(state) && state.cursor.system->last_reset != state.progress.last_reset;
}

Result<Request> restart_request(const JobState& state) {
    return reset_request(state.progress, profile_named(state.progress.profile).restart_types);
}

}  // namespace

const MediaSlot& slot_of(const Progress& progress) {
    return progress.slots.at(progress.slot);
}

bool is_off(const JobState& state) {
    return state.cursor.system->power_state == "Off";
}

bool is_inserted(const JobState& state) {
    return state.cursor.media->holds(state.image());
}

const std::string& boot_uri(const Progress& progress) {
    if (!progress.server_boot.empty()) return progress.server_boot;
    return progress.use_settings ? progress.settings : progress.system;
}

bool is_overridden(const JobState& state) {
    const SystemView& system = *state.cursor.system;
    const BootView& boot = system.boot;
    if (!state.progress.server_boot.empty()) {
        return system.first_boot_device == kServerBootDevice && system.boot_once == "Enabled";
    }
    // Enabled is advisory: some report Continuous after Once. Disabled, though, is an override that will not happen.
    const bool enabled = boot.enabled == "Continuous" || (boot.enabled == "Once" && !state.goal.continuous);
    const bool mode = !state.progress.has_mode || boot.mode.empty() || boot.mode == "UEFI";
    const bool source = !state.progress.http_boot || same_image(state.image(), boot.http_uri);
    return enabled && mode && source && boot.target == state.progress.boot_target;
}

bool is_cleared(const JobState& state) {
    const SystemView& system = *state.cursor.system;
    if (!state.progress.server_boot.empty()) return system.first_boot_device != kServerBootDevice;
    const BootView& boot = system.boot;
    return boot.enabled.empty() || boot.enabled == "Disabled" || boot.target == "None";
}

Result<Request> clear_override_request(const JobState& state) {
    if (!state.progress.server_boot.empty()) return server_boot_request(state, "Disabled", "Normal");
    json::object boot;
    boot["BootSourceOverrideEnabled"] = "Disabled";
    const bool with_target = profile_named(state.progress.profile).clears_target != (state.progress.clear_rung > 0);
    if (with_target) boot["BootSourceOverrideTarget"] = "None";
    return boot_request(state, std::move(boot));
}

ChangeStep change_of(const Progress& progress) {
    const Profile& profile = profile_named(progress.profile);
    switch (progress.step) {
        case Step::kPowerOff:
            return {true, false, true, profile.off_window, is_off, off_request};
        case Step::kInsert:
            return {false, true, true, profile.insert_window, is_inserted, insert_request};
        case Step::kOverride:
            return {true, false, true, profile.override_window, is_overridden, override_request};
        case Step::kPowerOn:
            return {true, false, true, profile.on_window, is_on, on_request};
        case Step::kReset:
            return {true, false, false, profile.restart_window, is_on_after_reset, restart_request};
        case Step::kClear:
            return {true, false, true, profile.override_window, is_cleared, clear_override_request};
        default:
            return {false, true, true, profile.eject_window, is_ejected, eject_request};
    }
}

}  // namespace nett::redfish
