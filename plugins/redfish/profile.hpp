// How vendors' services differ from the standard, as data: one row a family, looked up by name, detected from the
// answers or named in the BMC's record.
//
// The generic row follows DMTF's schemas (VirtualMedia, ComputerSystem, DSP2046) and backs off along ladders where
// implementations are known to differ. A vendor's row only changes values; the state machine (job_machine.cpp) has no
// vendor in it. docs/redfish.md shows the table for people.
#pragma once

#include <chrono>
#include <span>
#include <string>
#include <string_view>

namespace nett::redfish {

// What an InsertMedia body carries besides Image, one rung of the ladder that is climbed when the BMC refuses the
// parameters.
struct InsertRung {
    bool flags = false;        // Inserted, WriteProtected
    bool protocol = false;     // TransferProtocolType: HTTP or HTTPS
    bool method = false;       // TransferMethod: Stream
    bool credentials = false;  // UserName and Password "none"
};

struct Profile {
    std::string_view name;
    // Words that must all, and of which one must, be among the words of ServiceRoot.Vendor, .Product and .Oem, the
    // system's Manufacturer and Model and the manager's Model; lower case. Neither: only the fallback.
    std::span<const std::string_view> all_words = {};
    std::span<const std::string_view> any_word = {};

    std::span<const InsertRung> insert_ladder;       // for the InsertMedia action
    std::span<const std::string_view> media_types;   // slots taken, best first
    std::span<const std::string_view> boot_targets;  // override targets, best first; the first advertised one is used
    std::span<const std::string_view> off_types;     // ResetType, best first
    std::span<const std::string_view> on_types;
    std::span<const std::string_view> restart_types;
    std::span<const std::string_view> busy_messages;  // suffixes of MessageId: not now, try later
    std::span<const std::string_view> image_schemes;  // of the image's URL, best first
    std::string_view settings_suffix = "";            // of the system's path, where @Redfish.Settings names none
    bool settings_first = false;                      // PATCH Boot at the settings object, the system is the second try
    bool eject_always = false;   // an eject comes before each insert, whatever the slot says it holds
    bool mode_always = false;    // BootSourceOverrideMode belongs to each override, advertised or not
    bool continuous = true;      // knows BootSourceOverrideEnabled "Continuous"
    bool clears_target = false;  // "Disabled" alone is refused: Target "None" goes with it
    bool server_boot = false;    // Cd is no target: the manager's ServerBoot attributes (Dell's OEM) do the same

    // How long a change may take to show up in the resource before it is sent again, and how often it is sent.
    std::chrono::seconds eject_window{9};
    std::chrono::seconds insert_window{40};
    std::chrono::seconds override_window{10};
    std::chrono::seconds off_window{40};
    std::chrono::seconds on_window{100};
    std::chrono::seconds restart_window{120};
    int attempts = 3;
    // After a crash with a change possibly under way: how long it is given to show up before it is sent again.
    std::chrono::seconds resume_grace{5};
    // Pauses while the BMC is busy: the first, doubled until the longest.
    std::chrono::seconds busy_first{1};
    std::chrono::seconds busy_longest{30};
    // A power on that is refused with 409: so often and so long apart. The firmware is still letting go of the machine.
    int conflict_retries = 3;
    std::chrono::seconds conflict_pause{5};
};

// The table; the last row is "generic".
std::span<const Profile> profiles();
// The row of that name; the generic one for an unknown name.
const Profile& profile_named(std::string_view name);
bool is_profile(std::string_view name);
// The row for a vendor's strings (any case).
const Profile& detect_profile(std::string_view vendor_text);

// An InsertMedia body.
std::string insert_body(const InsertRung& rung, std::string_view image_url);

}  // namespace nett::redfish
