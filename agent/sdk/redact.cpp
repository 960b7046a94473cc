#include "agent/sdk/redact.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace nett {

std::string redact_url(std::string_view url) {
    const auto scheme = url.find("://");
    if (scheme == std::string_view::npos) return std::string(url);
    const auto path = std::min(url.find_first_of("/?#", scheme + 3), url.size());
    const std::string_view whole = url.substr(path);
    const std::string_view plain = whole.substr(0, whole.find_first_of("?#"));
    const auto last = plain.rfind('/');
    std::string_view authority = url.substr(scheme + 3, path - scheme - 3);
    if (const auto at = authority.rfind('@'); at != std::string_view::npos) authority.remove_prefix(at + 1);
    const std::string_view name = last == std::string_view::npos ? std::string_view() : plain.substr(last + 1);
    if (whole.empty()) return fmt::format("{}://{}", url.substr(0, scheme), authority);
    return fmt::format("{}://{}{}{}{}", url.substr(0, scheme), authority, last == 0 || plain.empty() ? "/" : "/…/",
                       name, plain.size() == whole.size() ? "" : "?…");
}

}  // namespace nett
