// The image URL of a job's parameters: sealed in the record, because it may carry the token that lets a BMC fetch it.
#pragma once

#include <string>
#include <string_view>

namespace nett {

// Parameters of a Job. The first is sealed (SecretBox, context job_image_context()), the second is what may be shown of
// it.
inline constexpr const char* kJobImageUrl = "image-url";
inline constexpr const char* kJobImageShown = "image";
inline std::string job_image_context(std::string_view job_id) {
    return "job/" + std::string(job_id) + "/image-url";
}

}  // namespace nett
