// How vendors' services differ from the standard, as data: one row a family, looked up by name, detected from the
// answers.
//
// The generic row follows DMTF's schemas (VirtualMedia, ComputerSystem, DSP2046) and backs off along ladders where
// implementations are known to differ. A vendor's row only changes values; the state machine (provision.cpp) has no
// vendor in it.
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
    // Matched against ServiceRoot.Vendor and .Product and the system's Manufacturer, lower case; empty: only the
    // fallback.
    std::string_view vendor;

    std::span<const InsertRung> insert_ladder;       // for the InsertMedia action
    std::span<const std::string_view> media_types;   // slots taken, best first
    std::span<const std::string_view> boot_targets;  // override targets, best first; the first advertised one is used
    std::span<const std::string_view> off_types;     // ResetType, best first
    std::span<const std::string_view> on_types;
    std::span<const std::string_view> busy_messages;  // suffixes of MessageId: not now, try later
    bool sends_mode = true;                           // BootSourceOverrideMode: UEFI, where it is advertised
    std::string_view clear_enabled = "Disabled";      // the value that ends an override

    // How long a change may take to show up in the resource before it is sent again, and how often it is sent.
    std::chrono::seconds eject_window{9};
    std::chrono::seconds insert_window{40};
    std::chrono::seconds override_window{10};
    std::chrono::seconds off_window{40};
    std::chrono::seconds on_window{100};
    int attempts = 3;
    // After a crash with a change possibly under way: how long it is given to show up before it is sent again.
    std::chrono::seconds resume_grace{5};
};

// The table; the last row is "generic".
std::span<const Profile> profiles();
// The row of that name; the generic one for an unknown name.
const Profile& profile_named(std::string_view name);
// The row for a vendor's strings (any case).
const Profile& detect_profile(std::string_view vendor_text);

// An InsertMedia body.
std::string insert_body(const InsertRung& rung, std::string_view image_url);

}  // namespace nett::redfish
