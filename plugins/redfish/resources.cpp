#include "plugins/redfish/resources.hpp"

#include <algorithm>
#include <array>

#include "agent/sdk/strings.hpp"
#include "plugins/redfish/json.hpp"
#include "plugins/redfish/redact.hpp"

namespace nett::redfish {
namespace {

namespace json = boost::json;

constexpr std::size_t kMaxVendorText = 1024;  // only words are looked for in it

// Checks a link that may be absent.
Result<std::string> optional_link(const Origin& origin, const std::string& link) {
    if (link.empty()) return std::string();
    return resolve_link(origin, link);
}

Result<void> take_link(const Origin& origin, const std::string& link, std::string& out) {
    auto path = optional_link(origin, link);
    if (!path) return fail(std::move(path.error()));
    out = std::move(*path);
    return {};
}

// "None" and "N/A" stand for no image with some vendors.
std::string image_of(const json::object& body) {
    std::string image = text_at(body, {"Image"});
    const std::string lower = to_lower(image);
    return lower == "none" || lower == "n/a" || lower == "null" ? std::string() : image;
}

// An ETag goes back into a header: quoted visible ASCII (RFC 9110 section 8.8.3), else it counts as absent.
std::string etag_of(const json::object& body) {
    std::string etag = text_at(body, {"@odata.etag"});
    const bool plain = std::all_of(etag.begin(), etag.end(), [](char c) { return c >= ' ' && c < 0x7f; });
    return plain && etag.size() <= 256 ? etag : std::string();
}

}  // namespace

Result<ServiceRootView> parse_service_root(const Origin& origin, const json::object& body) {
    ServiceRootView root;
    NETT_TRY(take_link(origin, link_at(body, {"Systems"}), root.systems));
    NETT_TRY(take_link(origin, link_at(body, {"Managers"}), root.managers));
    root.vendor = text_at(body, {"Vendor"}) + " " + text_at(body, {"Product"});
    const json::value* oem = at(body, {"Oem"});
    if (oem != nullptr && oem->is_object()) {
        for (const auto& member : oem->get_object()) {
            if (root.vendor.size() > kMaxVendorText) break;
            root.vendor += " " + std::string(member.key());
        }
    }
    if (root.systems.empty())
        return fail(Code::kDataLoss, "the service root has no Systems: this is no Redfish service");
    return root;
}

Result<std::vector<std::string>> parse_members(const Origin& origin, const json::object& body) {
    std::vector<std::string> members;
    for (const std::string& link : links_at(body, {"Members"})) {
        auto path = resolve_link(origin, link);
        if (!path) return fail(std::move(path.error()));
        members.push_back(std::move(*path));
    }
    return members;
}

Result<SystemView> parse_system(const Origin& origin, const json::object& body) {
    constexpr std::string_view kReset = "#ComputerSystem.Reset";
    SystemView system;
    system.power_state = text_at(body, {"PowerState"});
    system.boot.enabled = text_at(body, {"Boot", "BootSourceOverrideEnabled"});
    system.boot.target = text_at(body, {"Boot", "BootSourceOverrideTarget"});
    system.boot.mode = text_at(body, {"Boot", "BootSourceOverrideMode"});
    system.boot.targets = texts_at(body, {"Boot", "BootSourceOverrideTarget@Redfish.AllowableValues"});
    system.reset_types = texts_at(body, {"Actions", kReset, "ResetType@Redfish.AllowableValues"});
    system.etag = etag_of(body);
    system.boot.http_uri = text_at(body, {"Boot", "HttpBootUri"});
    system.has_boot = at(body, {"Boot", "BootSourceOverrideTarget"}) != nullptr;
    system.manufacturer = text_at(body, {"Manufacturer"});
    system.model = text_at(body, {"Model"});
    system.uuid = text_at(body, {"UUID"});
    system.serial = text_at(body, {"SerialNumber"});
    system.bios_version = text_at(body, {"BiosVersion"});
    system.last_reset = text_at(body, {"LastResetTime"});
    system.first_boot_device = text_at(body, {"Attributes", "ServerBoot.1.FirstBootDevice"});
    system.boot_once = text_at(body, {"Attributes", "ServerBoot.1.BootOnce"});
    NETT_TRY(take_link(origin, text_at(body, {"Actions", kReset, "target"}), system.reset_target));
    NETT_TRY(take_link(origin, text_at(body, {"Actions", kReset, "@Redfish.ActionInfo"}), system.reset_action_info));
    NETT_TRY(take_link(origin, link_at(body, {"VirtualMedia"}), system.virtual_media));
    NETT_TRY(take_link(origin, link_at(body, {"EthernetInterfaces"}), system.ethernet));
    NETT_TRY(take_link(origin, link_at(body, {"@Redfish.Settings", "SettingsObject"}), system.settings));
    for (const std::string& link : links_at(body, {"Links", "ManagedBy"})) {
        auto path = resolve_link(origin, link);
        if (!path) return fail(std::move(path.error()));
        system.managers.push_back(std::move(*path));
    }
    return system;
}

ManagerView parse_manager(const Origin& origin, const json::object& body) {
    ManagerView manager;
    manager.virtual_media = optional_link(origin, link_at(body, {"VirtualMedia"})).value_or("");
    manager.model = text_at(body, {"Model"});
    manager.firmware = text_at(body, {"FirmwareVersion"});
    return manager;
}

std::string parse_mac(const json::object& body) {
    std::string mac = text_at(body, {"PermanentMACAddress"});
    return mac.empty() ? text_at(body, {"MACAddress"}) : mac;
}

Result<MediaView> parse_media(const Origin& origin, const json::object& body) {
    MediaView media;
    media.media_types = texts_at(body, {"MediaTypes"});
    const auto inserted = bool_at(body, {"Inserted"});
    media.inserted_known = inserted.has_value();
    media.inserted = inserted.value_or(false);
    media.image = image_of(body);
    media.connected_via = text_at(body, {"ConnectedVia"});
    media.etag = etag_of(body);
    NETT_TRY(take_link(origin, text_at(body, {"Actions", "#VirtualMedia.InsertMedia", "target"}), media.insert_target));
    NETT_TRY(take_link(origin, text_at(body, {"Actions", "#VirtualMedia.EjectMedia", "target"}), media.eject_target));
    return media;
}

bool MediaView::empty() const {
    if (connected_via == "NotConnected") return true;  // Supermicro keeps the image's name after an eject
    return inserted_known ? !inserted : image.empty();
}

bool MediaView::holds(std::string_view image_url) const {
    return (inserted || !inserted_known) && same_image(image_url, image);
}

std::vector<std::string> parse_reset_types(const json::object& action_info) {
    const json::value* parameters = at(action_info, {"Parameters"});
    const json::array* array = parameters == nullptr ? nullptr : parameters->if_array();
    if (array == nullptr) return {};
    for (const json::value& element : *array) {
        const json::object* parameter = element.if_object();
        if (parameter != nullptr && text_at(*parameter, {"Name"}) == "ResetType") {
            return texts_at(*parameter, {"AllowableValues"});
        }
    }
    return {};
}

TaskView parse_task(const Response& answer) {
    constexpr std::array<std::string_view, 9> kActive{"New",     "Starting", "Running",    "Suspended", "Interrupted",
                                                      "Pending", "Stopping", "Cancelling", "Service"};
    if (answer.status == 404 || answer.status == 410) return {TaskPhase::kDone, "the task is gone"};
    auto body = parse_object(answer.body);
    const std::string state = body ? text_at(*body, {"TaskState"}) : std::string();
    if (state.empty()) return {answer.status == 202 ? TaskPhase::kActive : TaskPhase::kDone, {}};
    if (state == "Completed") return {TaskPhase::kDone, state};
    if (std::find(kActive.begin(), kActive.end(), state) != kActive.end()) return {TaskPhase::kActive, state};
    return {TaskPhase::kFailed, redact_text(state + ": " + parse_refusal(answer).text)};
}

Result<std::string> task_of(const Origin& origin, const Response& answer) {
    if (!answer.location.empty()) return resolve_link(origin, answer.location);
    auto body = parse_object(answer.body);
    return body ? optional_link(origin, text_at(*body, {"@odata.id"})) : std::string();
}

bool Refusal::has(std::string_view suffix) const {
    return std::any_of(message_ids.begin(), message_ids.end(), [&](const std::string& id) { return id == suffix; });
}

Refusal parse_refusal(const Response& answer) {
    Refusal refusal;
    auto body = parse_object(answer.body);
    if (!body) return refusal;
    const json::value* error = at(*body, {"error"});
    const json::object* holder = error != nullptr && error->is_object() ? &error->get_object() : &*body;
    std::string text = text_at(*holder, {"message"});
    // A list by the standard; one object with iDRAC; a Task calls it Messages.
    const json::value* info = at(*holder, {"@Message.ExtendedInfo"});
    if (info == nullptr) info = at(*holder, {"Messages"});
    std::vector<const json::object*> messages;
    if (info != nullptr && info->is_object()) messages.push_back(&info->get_object());
    if (info != nullptr && info->is_array()) {
        for (const json::value& element : info->get_array()) {
            if (element.is_object() && messages.size() < kMaxArrayElements) messages.push_back(&element.get_object());
        }
    }
    for (const json::object* message : messages) {
        const std::string id = text_at(*message, {"MessageId"});
        if (!id.empty()) refusal.message_ids.push_back(id.substr(id.rfind('.') + 1));
        const std::string line = text_at(*message, {"Message"});
        if (!line.empty() && line != text) text += (text.empty() ? "" : "; ") + line;
    }
    refusal.text = redact_text(text);
    return refusal;
}

}  // namespace nett::redfish
