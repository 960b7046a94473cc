#include "builder/initramfs.hpp"

#include <algorithm>
#include <charconv>
#include <memory>
#include <optional>

#include <archive.h>

namespace nett::builder {
namespace {

constexpr std::size_t kHeaderBytes = 110;  // magic and 13 fields of 8 hex digits
constexpr std::size_t kFileSizeField = 54;
constexpr std::size_t kNameSizeField = 94;
constexpr std::size_t kMaxNameBytes = 4096;      // PATH_MAX
constexpr std::size_t kMaxFoundBytes = 1 << 20;  // a list of layers is a few KiB
constexpr std::size_t kChunkBytes = 256 * 1024;

struct ReadEnd {
    void operator()(archive* reader) const { archive_read_free(reader); }
};

std::uint64_t padded(std::uint64_t size) {
    return (size + 3) / 4 * 4;
}

std::optional<std::uint64_t> hex_field(std::string_view header, std::size_t offset) {
    std::uint64_t value = 0;
    const char* end = header.data() + offset + 8;
    const auto parsed = std::from_chars(header.data() + offset, end, value, 16);
    if (parsed.ec != std::errc() || parsed.ptr != end) return std::nullopt;
    return value;
}

// "./extensions.yaml" and "/extensions.yaml" are "extensions.yaml".
std::string_view plain_name(std::string_view name) {
    if (name.starts_with("./")) name.remove_prefix(2);
    if (name.starts_with("/")) name.remove_prefix(1);
    return name;
}

}  // namespace

void CpioSearch::feed(std::string_view bytes) {
    if (ended_) return;
    const auto skipped = static_cast<std::size_t>(std::min<std::uint64_t>(skip_, bytes.size()));
    skip_ -= skipped;
    pending_ += bytes.substr(skipped);
    std::size_t at = 0;
    while (take_member(at)) {
    }
    pending_.erase(0, at);
}

bool CpioSearch::take_member(std::size_t& at) {
    // Zeros fill up to the next archive.
    at = std::min(pending_.find_first_not_of('\0', at), pending_.size());
    const std::string_view rest = std::string_view(pending_).substr(at);
    if (rest.size() < kHeaderBytes) return false;
    const auto size = hex_field(rest, kFileSizeField);
    const auto name_size = hex_field(rest, kNameSizeField);
    const bool is_newc = rest.starts_with("070701") || rest.starts_with("070702");
    ended_ = !is_newc || !size || !name_size || *name_size == 0 || *name_size > kMaxNameBytes;
    if (ended_) return false;
    const std::uint64_t head = padded(kHeaderBytes + *name_size);
    if (rest.size() < head) return false;
    const std::string_view name = plain_name(rest.substr(kHeaderBytes, *name_size - 1));
    if (name == name_ && *size <= kMaxFoundBytes) {
        if (rest.size() < head + *size) return false;
        found_ = rest.substr(head, *size);
        has_found_ = true;
    }
    const std::uint64_t whole = head + padded(*size);
    const auto here = static_cast<std::size_t>(std::min<std::uint64_t>(whole, rest.size()));
    skip_ = whole - here;
    at += here;
    return at < pending_.size();
}

Result<std::string> extensions_of_initramfs(const std::string& path) {
    const std::unique_ptr<archive, ReadEnd> reader(archive_read_new());
    archive_entry* entry = nullptr;
    const auto unreadable = [&] {
        const char* reason = archive_error_string(reader.get());
        return fail(Error{Code::kInvalidArgument,
                          fmt::format("cannot look for its extensions.yaml ({}): give that by --extension-layers",
                                      reason != nullptr ? reason : "unknown reason"),
                          path});
    };
    archive_read_support_filter_all(reader.get());
    archive_read_support_format_raw(reader.get());
    if (archive_read_open_filename(reader.get(), path.c_str(), kChunkBytes) != ARCHIVE_OK ||
        archive_read_next_header(reader.get(), &entry) != ARCHIVE_OK) {
        return unreadable();
    }
    CpioSearch search("extensions.yaml");
    std::string buffer(kChunkBytes, '\0');
    while (!search.ended()) {
        const la_ssize_t got = archive_read_data(reader.get(), buffer.data(), buffer.size());
        if (got < 0) return unreadable();
        if (got == 0) break;
        search.feed(std::string_view(buffer.data(), static_cast<std::size_t>(got)));
    }
    return search.found();
}

}  // namespace nett::builder
