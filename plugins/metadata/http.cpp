#include "plugins/metadata/http.hpp"

#include <array>
#include <charconv>
#include <ctime>
#include <utility>

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

std::string format_http_date(std::time_t seconds) {
    constexpr std::array kDays{"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    constexpr std::array kMonths{"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    std::tm utc{};
    gmtime_r(&seconds, &utc);
    return fmt::format("{}, {:02} {} {} {:02}:{:02}:{:02} GMT", kDays[static_cast<std::size_t>(utc.tm_wday)],
                       utc.tm_mday, kMonths[static_cast<std::size_t>(utc.tm_mon)], utc.tm_year + 1900, utc.tm_hour,
                       utc.tm_min, utc.tm_sec);
}

// IMF-fixdate, RFC 9110 section 5.6.7; without strftime, whose names follow the locale. Made once a second a thread.
const std::string& http_date(SystemTime now) {
    thread_local std::time_t known = -1;
    thread_local std::string text;
    const std::time_t seconds = std::chrono::system_clock::to_time_t(now);
    if (seconds != known) {
        text = format_http_date(seconds);
        known = seconds;
    }
    return text;
}

// Every answer has a head, and formatting one cost as much as its encryption: numbers and texts are just appended.
class HeadWriter {
public:
    HeadWriter() { text_.reserve(kUsualHead); }
    template <typename... Parts>
    void line(const Parts&... parts) {
        (append(parts), ...);
        text_ += "\r\n";
    }
    std::string take() { return std::move(text_); }

private:
    static constexpr std::size_t kUsualHead = 320;

    void append(std::string_view text) { text_ += text; }
    void append(std::uint64_t number) {
        std::array<char, 20> digits{};  // of 2^64
        const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), number).ptr;
        text_.append(digits.data(), end);
    }
    std::string text_;
};

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
    HeadWriter head;
    head.line("HTTP/1.1 ", std::uint64_t{response.status}, " ", reason_phrase(response.status));
    head.line("Date: ", http_date(now));
    if (response.status != 304) head.line("Content-Length: ", response.content_length());
    if (!response.content_type.empty()) head.line("Content-Type: ", response.content_type);
    if (!response.etag.empty()) head.line("ETag: \"", response.etag, "\"");
    if (response.accept_ranges) head.line("Accept-Ranges: bytes");
    if (response.status == 206 && response.window) {
        const auto& window = *response.window;
        head.line("Content-Range: bytes ", window.first, "-", window.first + window.count - 1, "/", response.file_size);
    }
    if (response.status == 416) head.line("Content-Range: bytes */", response.file_size);
    if (response.status == 405) head.line("Allow: GET, HEAD");
    if (response.status == 503) head.line("Retry-After: ", std::uint64_t{kRetryAfterSeconds});
    if (!response.boot_id.empty()) head.line("Nett-Boot-Id: ", response.boot_id);
    if (response.no_store) head.line("Cache-Control: no-store");
    head.line("Connection: ", keep_alive ? "keep-alive" : "close");
    head.line();
    return head.take();
}

}  // namespace nett::metadata
