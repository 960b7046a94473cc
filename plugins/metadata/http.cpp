#include "plugins/metadata/http.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <limits>

#include "agent/sdk/strings.hpp"
#include "plugins/metadata/limits.hpp"

namespace nett::metadata {

namespace {

std::string_view reason_phrase(unsigned status) {
    switch (status) {
        case 200:
            return "OK";
        case 206:
            return "Partial Content";
        case 304:
            return "Not Modified";
        case 400:
            return "Bad Request";
        case 403:
            return "Forbidden";
        case 404:
            return "Not Found";
        case 405:
            return "Method Not Allowed";
        case 408:
            return "Request Timeout";
        case 413:
            return "Content Too Large";
        case 416:
            return "Range Not Satisfiable";
        case 431:
            return "Request Header Fields Too Large";
        case 503:
            return "Service Unavailable";
        default:
            return "Internal Server Error";
    }
}

// IMF-fixdate, RFC 9110 section 5.6.7; without strftime, whose names follow the locale.
std::string http_date(SystemTime now) {
    constexpr std::array kDays{"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    constexpr std::array kMonths{"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    const std::time_t seconds = std::chrono::system_clock::to_time_t(now);
    std::tm utc{};
    gmtime_r(&seconds, &utc);
    return fmt::format("{}, {:02} {} {} {:02}:{:02}:{:02} GMT", kDays[static_cast<std::size_t>(utc.tm_wday)],
                       utc.tm_mday, kMonths[static_cast<std::size_t>(utc.tm_mon)], utc.tm_year + 1900, utc.tm_hour,
                       utc.tm_min, utc.tm_sec);
}

std::optional<std::uint64_t> digits(std::string_view text) {
    const auto value = parse_integer(text, 0, std::numeric_limits<std::int64_t>::max());
    if (!value) return std::nullopt;
    return static_cast<std::uint64_t>(*value);
}

}  // namespace

std::string_view name_of(Outcome outcome) {
    switch (outcome) {
        case Outcome::kNetboot:
            return "netboot";
        case Outcome::kLocalBoot:
            return "localboot";
        case Outcome::kUnknownMachine:
            return "unknown_machine";
        case Outcome::kRefused:
            return "refused";
        case Outcome::kNoTenant:
            return "no_tenant";
        case Outcome::kArtifact:
            return "artifact";
        case Outcome::kConfig:
            return "config";
        case Outcome::kNotFound:
            return "not_found";
        case Outcome::kBadRequest:
            return "bad_request";
        case Outcome::kShed:
            return "shed";
        case Outcome::kError:
            return "error";
    }
    return "";
}

Result<std::shared_ptr<const OpenFile>> OpenFile::open(const std::string& path, std::uint64_t size) {
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0) {
        const int error = errno;
        return fail(error == ENOENT ? Code::kNotFound : Code::kInternal, "{}: {}", path, std::strerror(error));
    }
    std::shared_ptr<const OpenFile> file(new OpenFile(fd));
    struct stat status {};
    if (::fstat(fd, &status) != 0) return fail(Code::kInternal, "{}: {}", path, std::strerror(errno));
    if (!S_ISREG(status.st_mode)) return fail(Code::kDataLoss, "{} is not a regular file", path);
    if (static_cast<std::uint64_t>(status.st_size) != size) {
        return fail(Code::kDataLoss, "{} has {} bytes instead of {}; import the artifact set again", path,
                    status.st_size, size);
    }
    return file;
}

OpenFile::~OpenFile() {
    ::close(fd_);
}

Result<std::size_t> OpenFile::read_at(std::uint64_t offset, char* buffer, std::size_t length) const {
    std::size_t done = 0;
    while (done < length) {
        const auto count = ::pread(fd_, buffer + done, length - done, static_cast<off_t>(offset + done));
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) return fail(Code::kInternal, "reading an artifact: {}", std::strerror(errno));
        if (count == 0) break;
        done += static_cast<std::size_t>(count);
    }
    return done;
}

Response plain(unsigned status, Outcome outcome, std::string text) {
    Response response;
    response.status = status;
    response.outcome = outcome;
    response.content_type = "text/plain; charset=utf-8";
    response.body = std::move(text) + "\n";
    response.no_store = true;
    return response;
}

unsigned status_of(Code code) {
    switch (code) {
        case Code::kInvalidArgument:
            return 400;
        case Code::kNotFound:
        case Code::kFailedPrecondition:
        case Code::kUnimplemented:
            return 404;
        case Code::kPermissionDenied:
        case Code::kUnauthenticated:
            return 403;
        case Code::kResourceExhausted:
        case Code::kAborted:
        case Code::kUnavailable:
        case Code::kDeadlineExceeded:
            return 503;
        case Code::kAlreadyExists:
        case Code::kDataLoss:
        case Code::kInternal:
            return 500;
    }
    return 500;
}

std::string render_head(const Response& response, bool keep_alive, SystemTime now) {
    std::string head =
        fmt::format("HTTP/1.1 {} {}\r\nDate: {}\r\n", response.status, reason_phrase(response.status), http_date(now));
    if (response.status != 304) head += fmt::format("Content-Length: {}\r\n", response.content_length());
    if (!response.content_type.empty()) head += fmt::format("Content-Type: {}\r\n", response.content_type);
    if (!response.etag.empty()) head += fmt::format("ETag: \"{}\"\r\n", response.etag);
    if (response.accept_ranges) head += "Accept-Ranges: bytes\r\n";
    if (response.status == 206 && response.window) {
        head += fmt::format("Content-Range: bytes {}-{}/{}\r\n", response.window->first,
                            response.window->first + response.window->count - 1, response.file_size);
    }
    if (response.status == 416) head += fmt::format("Content-Range: bytes */{}\r\n", response.file_size);
    if (response.status == 405) head += "Allow: GET, HEAD\r\n";
    if (response.status == 503) head += fmt::format("Retry-After: {}\r\n", kRetryAfterSeconds);
    if (response.no_store) head += "Cache-Control: no-store\r\n";
    head += keep_alive ? "Connection: keep-alive\r\n\r\n" : "Connection: close\r\n\r\n";
    return head;
}

bool matches_etag(std::string_view field, std::string_view etag) {
    if (trim(field) == "*") return true;
    const std::string quoted = fmt::format("\"{}\"", etag);
    // Our tags are hex digits: a comma inside a foreign tag cannot make one of ours.
    for (auto part : split(field, ',')) {
        part = trim(part);
        if (part.starts_with("W/")) part.remove_prefix(2);
        if (part == quoted) return true;
    }
    return false;
}

RangeRequest parse_range(std::string_view field, std::uint64_t size) {
    constexpr std::string_view kUnit = "bytes=";
    field = trim(field);
    if (!field.starts_with(kUnit)) return {};
    field.remove_prefix(kUnit.size());
    const auto dash = field.find('-');
    if (dash == std::string_view::npos || field.find(',') != std::string_view::npos) return {};
    const auto first_text = trim(field.substr(0, dash));
    const auto last_text = trim(field.substr(dash + 1));
    if (first_text.empty()) {
        const auto suffix = digits(last_text);
        if (!suffix) return {};
        if (*suffix == 0 || size == 0) return {RangeRequest::Kind::kUnsatisfiable};
        const auto count = std::min(*suffix, size);
        return {RangeRequest::Kind::kPart, {size - count, count}};
    }
    const auto first = digits(first_text);
    if (!first) return {};
    std::uint64_t last = size == 0 ? 0 : size - 1;
    if (!last_text.empty()) {
        const auto given = digits(last_text);
        if (!given || *given < *first) return {};
        last = std::min(*given, last);
    }
    if (*first >= size) return {RangeRequest::Kind::kUnsatisfiable};
    return {RangeRequest::Kind::kPart, {*first, last - *first + 1}};
}

}  // namespace nett::metadata
