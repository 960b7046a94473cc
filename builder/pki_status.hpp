// Every certificate and image of some folders, and until when each works.
#pragma once

#include <string>
#include <vector>

#include "agent/sdk/clock.hpp"
#include "agent/sdk/result.hpp"

namespace nett::builder {

inline constexpr int kDefaultWarningDays = 30;

enum class Validity { kGood, kExpiring, kExpired, kNotYetValid, kUnreadable };
std::string_view to_string(Validity validity);

struct StatusEntry {
    std::string path;
    std::string kind;     // "root", "intermediate", "server", "client", "image usb", "image iso", "image efi"
    std::string subject;  // of an image: its tenant's
    SystemTime not_before{};
    SystemTime not_after{};  // of an image: the earlier of its tenant's certificate and its root
    Validity validity = Validity::kGood;
    std::string detail;  // kUnreadable: why; of an image: the server that it asks
};

// When something that is valid between these times counts as what.
Validity validity_at(SystemTime not_before, SystemTime not_after, SystemTime now, std::chrono::hours warning);

// `paths` are PEM files, images and folders; of folders all *.pem, *.crt, *.img, *.iso, *.efi below, sorted; files in
// them that hold no certificate or are no image of ours are left out. A path that is given itself and cannot be read is
// an entry with the reason.
std::vector<StatusEntry> pki_status(const std::vector<std::string>& paths, SystemTime now, std::chrono::hours warning);

}  // namespace nett::builder
