// Which image a job's BMC is told to mount, and by which URL.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "agent/sdk/media.hpp"
#include "plugins/redfish/origin.hpp"

namespace nett::redfish {

struct ImageSettings {
    std::string url;  // for jobs that name none, as it is; empty: the listener's
    std::vector<std::string>
        listeners;     // origins of the media listener: "http://[…]:8080", at most one a scheme counts
    std::string file;  // in the listener's directory; empty: only those of tenants
    std::map<std::string, std::string> tenant_files = {};
};

// One of them may be empty; the BMC's profile chooses where both are given.
struct JobImage {
    std::string http;
    std::string https;
};
// The text that is sealed in the job's record.
std::string encode(const JobImage& image);
Result<JobImage> decode_image(std::string_view text);

struct ImageRequest {
    std::string job;
    std::string machine;
    std::string tenant;
    std::string asked;  // a URL that the job names; empty: none
    Address6 bmc;       // who will fetch it
    SystemTime expires{};
};

// `grants` are stored before the URLs are handed out.
struct ImageOrder {
    JobImage image;
    std::vector<MediaGrant> grants;
};
// kInvalidArgument: no image for this job, or a URL that BMCs refuse.
Result<ImageOrder> order_image(const ImageSettings& settings, const ImageRequest& request);

// The records of the grants behind URLs of the listener.
std::vector<std::string> grant_keys(const JobImage& image);

}  // namespace nett::redfish
