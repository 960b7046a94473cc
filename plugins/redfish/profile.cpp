#include "plugins/redfish/profile.hpp"

#include <algorithm>
#include <array>

#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include "agent/sdk/strings.hpp"

namespace nett::redfish {
namespace {

// Image alone is what the strictest take (Supermicro X11); each rung adds what the next family insists on.
constexpr std::array<InsertRung, 5> kInsertLadder{{
    {},
    {.flags = true},
    {.flags = true, .protocol = true},
    {.flags = true, .protocol = true, .method = true},
    {.flags = true, .protocol = true, .method = true, .credentials = true},
}};
constexpr std::array<std::string_view, 2> kMediaTypes{"CD", "DVD"};
constexpr std::array<std::string_view, 2> kBootTargets{"Cd", "UsbCd"};
constexpr std::array<std::string_view, 2> kOffTypes{"ForceOff", "PushPowerButton"};
constexpr std::array<std::string_view, 3> kOnTypes{"On", "ForceOn", "PushPowerButton"};
constexpr std::array<std::string_view, 6> kBusyMessages{"SYS518",
                                                        "InvalidOperationForSystemState",
                                                        "UnableToModifyDuringSystemPOST",
                                                        "ServiceTemporarilyUnavailable",
                                                        "ResourceInUse",
                                                        "ServiceInUnknownState"};

constexpr std::array<Profile, 1> kProfiles{{
    {.name = "generic",
     .vendor = "",
     .insert_ladder = kInsertLadder,
     .media_types = kMediaTypes,
     .boot_targets = kBootTargets,
     .off_types = kOffTypes,
     .on_types = kOnTypes,
     .busy_messages = kBusyMessages},
}};

}  // namespace

std::span<const Profile> profiles() {
    return kProfiles;
}

const Profile& profile_named(std::string_view name) {
    const auto found =
        std::find_if(kProfiles.begin(), kProfiles.end(), [&](const Profile& profile) { return profile.name == name; });
    return found == kProfiles.end() ? kProfiles.back() : *found;
}

const Profile& detect_profile(std::string_view vendor_text) {
    const std::string lower = to_lower(vendor_text);
    const auto found = std::find_if(kProfiles.begin(), kProfiles.end(), [&](const Profile& profile) {
        return !profile.vendor.empty() && lower.find(profile.vendor) != std::string::npos;
    });
    return found == kProfiles.end() ? kProfiles.back() : *found;
}

std::string insert_body(const InsertRung& rung, std::string_view image_url) {
    boost::json::object body;
    body["Image"] = image_url;
    if (rung.flags) {
        body["Inserted"] = true;
        body["WriteProtected"] = true;
    }
    if (rung.protocol) body["TransferProtocolType"] = image_url.starts_with("https") ? "HTTPS" : "HTTP";
    if (rung.method) body["TransferMethod"] = "Stream";
    if (rung.credentials) {
        body["UserName"] = "none";
        body["Password"] = "none";
    }
    return boost::json::serialize(body);
}

}  // namespace nett::redfish
