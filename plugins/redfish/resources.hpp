// The parts of Redfish resources that a job needs, read from answers that may have any shape. DMTF schemas: ServiceRoot
// v1_15, ComputerSystem v1_20, VirtualMedia v1_6, ActionInfo v1_4, Task v1_7, message registries (Base 1.18).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <boost/json/value.hpp>

#include "agent/sdk/result.hpp"
#include "plugins/redfish/http.hpp"
#include "plugins/redfish/origin.hpp"

namespace nett::redfish {

// Every link below has passed resolve_link(): a path on the BMC's own origin, or empty when absent.

struct ServiceRootView {
    std::string systems;
    std::string managers;
    std::string vendor;  // Vendor, Product, and the names of the Oem members
};
Result<ServiceRootView> parse_service_root(const Origin& origin, const boost::json::object& body);

// Members of a collection.
Result<std::vector<std::string>> parse_members(const Origin& origin, const boost::json::object& body);

struct BootView {
    std::string enabled;               // "Once", "Continuous", "Disabled" or empty
    std::string target;                // "Cd"
    std::string mode;                  // "UEFI"; empty: not advertised
    std::vector<std::string> targets;  // allowable
    std::string http_uri;              // HttpBootUri
};

struct SystemView {
    std::string power_state;  // "On", "Off", "PoweringOn" …
    BootView boot;
    std::string reset_target;
    std::vector<std::string> reset_types;
    std::string reset_action_info;
    std::string virtual_media;
    std::vector<std::string> managers;
    std::string settings;  // the @Redfish.Settings object
    std::string etag;
    std::string manufacturer;
    std::string model;
    std::string uuid;  // as told
    std::string serial;
    std::string bios_version;
    std::string last_reset;  // LastResetTime
    std::string ethernet;    // the EthernetInterfaces collection
    bool has_boot = false;   // a settings object may be about other things
    // Dell's manager attributes, where the resource is those (Progress::server_boot).
    std::string first_boot_device;  // ServerBoot.1.FirstBootDevice
    std::string boot_once;          // ServerBoot.1.BootOnce
};
Result<SystemView> parse_system(const Origin& origin, const boost::json::object& body);

struct ManagerView {
    std::string virtual_media;  // empty also when the link leads elsewhere
    std::string model;
    std::string firmware;
};
ManagerView parse_manager(const Origin& origin, const boost::json::object& body);

// The MAC address of an EthernetInterface, as told; the permanent one where there are two.
std::string parse_mac(const boost::json::object& body);

struct MediaView {
    std::vector<std::string> media_types;
    bool inserted = false;
    bool inserted_known = false;
    std::string image;  // empty for null, "" and "None"
    std::string connected_via;
    std::string insert_target;
    std::string eject_target;
    std::string etag;

    bool empty() const;
    bool holds(std::string_view image_url) const;
};
Result<MediaView> parse_media(const Origin& origin, const boost::json::object& body);

// ResetType's allowable values of an ActionInfo.
std::vector<std::string> parse_reset_types(const boost::json::object& action_info);

enum class TaskPhase { kActive, kDone, kFailed };
struct TaskView {
    TaskPhase phase = TaskPhase::kActive;
    std::string text;  // state and messages, redacted
};
// `answer` of a task monitor or a Task. 202 is active; a 204 or any other 2xx without TaskState is done; 404 is done,
// because a monitor disappears once read: the resource tells the truth then.
TaskView parse_task(const Response& answer);

// Where to watch a 202's task: its Location, else the Task in its body. Empty: nowhere, read the resource back.
Result<std::string> task_of(const Origin& origin, const Response& answer);

// What an error answer says.
struct Refusal {
    std::vector<std::string> message_ids;  // last part: "PropertyNotWritable"
    std::string text;                      // for people, redacted
    bool has(std::string_view suffix) const;
};
Refusal parse_refusal(const Response& answer);

}  // namespace nett::redfish
