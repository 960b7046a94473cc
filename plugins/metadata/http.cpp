#include "plugins/metadata/http.hpp"

#include <array>
#include <ctime>

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
        case 412:
            return "Precondition Failed";
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
        case Outcome::kMedia:
            return "media";
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

std::uint64_t Response::content_length() const {
    if (!file) return body.size();
    if (parts.empty()) return window ? window->count : file_size;
    std::uint64_t length = end.size();
    for (const auto& part : parts) length += part.head.size() + part.window.count;
    return length;
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
    if (!response.boot_id.empty()) head += fmt::format("Nett-Boot-Id: {}\r\n", response.boot_id);
    if (response.no_store) head += "Cache-Control: no-store\r\n";
    head += keep_alive ? "Connection: keep-alive\r\n\r\n" : "Connection: close\r\n\r\n";
    return head;
}

}  // namespace nett::metadata
