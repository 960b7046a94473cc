// Range fields and the other conditions: the first eight bytes are the file's size, the rest is the field.
#include <cstdlib>
#include <cstring>

#include "agent/sdk/result.cpp"
#include "agent/sdk/strings.cpp"
#include "plugins/metadata/http.cpp"
#include "plugins/metadata/open_file.cpp"
#include "plugins/metadata/ranges.cpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    std::uint64_t file = 0;
    if (size < sizeof file) return 0;
    std::memcpy(&file, data, sizeof file);
    const std::string_view field(reinterpret_cast<const char*>(data) + sizeof file, size - sizeof file);
    const auto request = nett::metadata::parse_ranges(field, file);
    std::uint64_t total = 0;
    for (const auto& one : request.ranges) {
        // Within the file, not empty, and together no more than the file.
        if (one.count == 0 || one.first >= file || one.count > file - one.first) std::abort();
        total += one.count;
        if (total > file) std::abort();
    }
    nett::metadata::matches_etag(field, "feed");
    nett::metadata::matches_etag_strongly(field, "feed");
    return 0;
}
