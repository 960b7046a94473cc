// What each step that changes something wants to see, and the request that asks for it.
#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include "plugins/redfish/provision_parts.hpp"

namespace nett::redfish {
namespace {

namespace json = boost::json;

const std::string& boot_uri(const Progress& progress) {
    return progress.use_settings ? progress.settings : progress.system;
}

// What the ladder of ETags says: as given, without W/, none.
std::string if_match(const Progress& progress, const std::string& etag) {
    if (progress.etag_rung >= 2) return {};
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
    const MediaView& media = *state.cursor.media;
    // Some keep Inserted after an eject that took the image away.
    return media.empty() || (state.progress.attempt > 0 && media.image.empty());
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
        request.body = insert_body(ladder[std::min(progress.rung, ladder.size() - 1)], progress.image);
        return request;
    }
    json::object body;
    body["Image"] = progress.image;
    body["Inserted"] = true;
    body["WriteProtected"] = true;
    return request_of(Method::kPatch, slot.uri, body, if_match(progress, state.cursor.media->etag));
}

Result<Request> override_request(const JobState& state) {
    const Progress& progress = state.progress;
    json::object boot;
    boot["BootSourceOverrideEnabled"] = "Once";
    boot["BootSourceOverrideTarget"] = progress.boot_target;
    if (progress.has_mode) boot["BootSourceOverrideMode"] = "UEFI";
    json::object body;
    body["Boot"] = std::move(boot);
    return request_of(Method::kPatch, boot_uri(progress), body, if_match(progress, state.cursor.system->etag));
}

}  // namespace

const MediaSlot& slot_of(const Progress& progress) {
    return progress.slots.at(progress.slot);
}

bool is_off(const JobState& state) {
    return state.cursor.system->power_state == "Off";
}

bool is_inserted(const JobState& state) {
    return state.cursor.media->holds(state.progress.image);
}

bool is_overridden(const JobState& state) {
    const BootView& boot = state.cursor.system->boot;
    // Enabled is advisory: some report Continuous after Once. Disabled, though, is an override that will not happen.
    const bool enabled = boot.enabled == "Once" || boot.enabled == "Continuous";
    const bool mode = !state.progress.has_mode || boot.mode.empty() || boot.mode == "UEFI";
    return enabled && mode && boot.target == state.progress.boot_target;
}

ChangeStep change_of(const Progress& progress) {
    const Profile& profile = profile_named(progress.profile);
    switch (progress.step) {
        case Step::kPowerOff:
            return {true, false, Step::kEject, profile.off_window, is_off, off_request};
        case Step::kInsert:
            return {false, true, Step::kOverride, profile.insert_window, is_inserted, insert_request};
        case Step::kOverride:
            return {true, false, Step::kVerify, profile.override_window, is_overridden, override_request};
        case Step::kPowerOn:
            return {true, false, Step::kBootWait, profile.on_window, is_on, on_request};
        default:
            return {false, true, Step::kInsert, profile.eject_window, is_ejected, eject_request};
    }
}

Request clear_override_request(const JobState& state) {
    json::object boot;
    boot["BootSourceOverrideEnabled"] = profile_named(state.progress.profile).clear_enabled;
    json::object body;
    body["Boot"] = std::move(boot);
    return request_of(Method::kPatch, boot_uri(state.progress), body,
                      if_match(state.progress, state.cursor.system->etag));
}

}  // namespace nett::redfish
