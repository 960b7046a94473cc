#include "plugins/redfish/profile.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <vector>

#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include "agent/sdk/strings.hpp"

namespace nett::redfish {
namespace {

using std::chrono::seconds;
using Words = std::span<const std::string_view>;

constexpr InsertRung kImageOnly{};
constexpr InsertRung kFlags{.flags = true};
constexpr InsertRung kProtocol{.flags = true, .protocol = true};
constexpr InsertRung kMethod{.flags = true, .protocol = true, .method = true};
constexpr InsertRung kCredentials{.flags = true, .protocol = true, .method = true, .credentials = true};

// Image alone is what the strictest (Supermicro X11) take; each rung adds what the next family insists on.
constexpr std::array<InsertRung, 5> kInsertLadder{kImageOnly, kFlags, kProtocol, kMethod, kCredentials};
constexpr std::array<InsertRung, 4> kProtocolLadder{kProtocol, kMethod, kFlags, kImageOnly};  // AMI, Nokia
constexpr std::array<InsertRung, 4> kMethodLadder{kMethod, kProtocol, kFlags, kImageOnly};    // bmcweb
constexpr std::array<InsertRung, 3> kCredentialsLadder{kCredentials, kMethod, kImageOnly};    // DGX

constexpr std::array<std::string_view, 2> kMediaTypes{"CD", "DVD"};
constexpr std::array<std::string_view, 2> kBootTargets{"Cd", "UsbCd"};
constexpr std::array<std::string_view, 2> kUsbCdFirst{"UsbCd", "Cd"};
constexpr std::array<std::string_view, 1> kUefiHttp{"UefiHttp"};
constexpr std::array<std::string_view, 2> kOffTypes{"ForceOff", "PushPowerButton"};
constexpr std::array<std::string_view, 3> kOnTypes{"On", "ForceOn", "PushPowerButton"};
constexpr std::array<std::string_view, 2> kRestartTypes{"ForceRestart", "PowerCycle"};
constexpr std::array<std::string_view, 6> kBusyMessages{"SYS518",
                                                        "InvalidOperationForSystemState",
                                                        "UnableToModifyDuringSystemPOST",
                                                        "ServiceTemporarilyUnavailable",
                                                        "ResourceInUse",
                                                        "ServiceInUnknownState"};
// Most cannot be given a CA for the image's server, so http is the first choice where both work.
constexpr std::array<std::string_view, 2> kHttpFirst{"http", "https"};
constexpr std::array<std::string_view, 1> kHttpsOnly{"https"};  // bmcweb's allow-list: https and smb

constexpr std::array<std::string_view, 2> kDell17g{"dell", "17g"};
constexpr std::array<std::string_view, 1> kDell{"dell"};
constexpr std::array<std::string_view, 3> kHpe{"hpe", "hewlett", "ilo"};
constexpr std::array<std::string_view, 2> kLenovo{"lenovo", "xcc"};
constexpr std::array<std::string_view, 1> kSupermicro{"supermicro"};
constexpr std::array<std::string_view, 2> kDgx{"nvidia", "dgx"};
constexpr std::array<std::string_view, 2> kGb200{"nvidia", "gb200"};
constexpr std::array<std::string_view, 1> kBlueField{"bluefield"};
constexpr std::array<std::string_view, 6> kAmi{"ami", "megatrends", "asrockrack", "gigabyte", "giga", "nokia"};
constexpr std::array<std::string_view, 1> kOpenBmc{"openbmc"};

constexpr Profile generic() {
    return {.name = "generic",
            .insert_ladder = kInsertLadder,
            .media_types = kMediaTypes,
            .boot_targets = kBootTargets,
            .off_types = kOffTypes,
            .on_types = kOnTypes,
            .restart_types = kRestartTypes,
            .busy_messages = kBusyMessages,
            .image_schemes = kHttpFirst};
}

// A row is the generic one with other values.
constexpr Profile row(std::string_view name, Words all, Words any, void (*change)(Profile&)) {
    Profile profile = generic();
    profile.name = name;
    profile.all_words = all;
    profile.any_word = any;
    change(profile);
    return profile;
}

constexpr void dell(Profile& p) {
    p.settings_suffix = "/Settings";
    p.eject_always = true;  // Inserted may be stale after the image's server went away
    p.server_boot = true;   // iDRAC 8 and early 9 have no Cd
    p.busy_first = seconds(5);
}

// More specific rows stand before their family.
constexpr std::array<Profile, 11> kProfiles{
    row("dell-idrac10", kDell17g, {},
        [](Profile& p) {
            dell(p);
            p.settings_first = true;  // the system itself answers PropertyNotWritable
            p.conflict_retries = 6;
            p.conflict_pause = seconds(10);
        }),
    row("dell", {}, kDell, dell),
    row("hpe", {}, kHpe,
        [](Profile& p) {
            p.busy_first = seconds(5);  // UnableToModifyDuringSystemPOST lasts as long as the POST
        }),
    row("lenovo-xcc", {}, kLenovo, [](Profile& p) { p.continuous = false; }),
    row("supermicro", {}, kSupermicro, [](Profile& p) { p.boot_targets = kUsbCdFirst; }),
    row("nvidia-bluefield", kBlueField, {}, [](Profile& p) { p.boot_targets = kUefiHttp; }),
    row("nvidia-gb200", kGb200, {},
        [](Profile& p) {
            p.insert_ladder = kMethodLadder;
            p.image_schemes = kHttpsOnly;
        }),
    row("nvidia-dgx", kDgx, {},
        [](Profile& p) {
            p.insert_ladder = kCredentialsLadder;
            p.settings_suffix = "/SD";
            p.settings_first = true;
        }),
    row("ami", {}, kAmi,
        [](Profile& p) {
            p.insert_ladder = kProtocolLadder;
            p.mode_always = true;
        }),
    row("openbmc", {}, kOpenBmc,
        [](Profile& p) {
            p.insert_ladder = kMethodLadder;
            p.image_schemes = kHttpsOnly;
        }),
    generic(),
};

// "Dell Inc. PowerEdge" → dell, inc, poweredge.
std::vector<std::string> words_of(std::string_view text) {
    std::vector<std::string> words;
    std::string word;
    for (const char c : to_lower(text) + " ") {
        if (std::isalnum(static_cast<unsigned char>(c)) != 0) {
            word += c;
        } else if (!word.empty()) {
            words.push_back(std::exchange(word, {}));
        }
    }
    return words;
}

}  // namespace

std::span<const Profile> profiles() {
    return kProfiles;
}

bool is_profile(std::string_view name) {
    return std::any_of(kProfiles.begin(), kProfiles.end(), [&](const Profile& p) { return p.name == name; });
}

const Profile& profile_named(std::string_view name) {
    const auto found =
        std::find_if(kProfiles.begin(), kProfiles.end(), [&](const Profile& profile) { return profile.name == name; });
    return found == kProfiles.end() ? kProfiles.back() : *found;
}

const Profile& detect_profile(std::string_view vendor_text) {
    const auto words = words_of(vendor_text);
    const auto has = [&](std::string_view word) { return std::find(words.begin(), words.end(), word) != words.end(); };
    const auto found = std::find_if(kProfiles.begin(), kProfiles.end(), [&](const Profile& profile) {
        if (profile.all_words.empty() && profile.any_word.empty()) return false;
        return std::all_of(profile.all_words.begin(), profile.all_words.end(), has) &&
               (profile.any_word.empty() || std::any_of(profile.any_word.begin(), profile.any_word.end(), has));
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
