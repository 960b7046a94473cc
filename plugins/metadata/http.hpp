// HTTP as this service speaks it (RFC 9110, RFC 9112): values and pure functions, no I/O.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "agent/sdk/address.hpp"
#include "agent/sdk/clock.hpp"
#include "agent/sdk/result.hpp"
#include "plugins/metadata/open_file.hpp"

namespace nett::metadata {

class TenantTable;

enum class Method { kGet, kHead, kOther };

struct Request {
    Method method = Method::kGet;
    std::string target;  // origin-form, as received
    std::string if_match = {};
    std::string if_none_match = {};
    std::string if_range = {};
    std::string range = {};
};

// The subject of a verified client certificate; texts are UTF-8.
struct CertificateSubject {
    std::vector<std::string> common_names;
    std::vector<std::string> organizational_units;
    friend bool operator==(const CertificateSubject&, const CertificateSubject&) = default;
};

// Where a request came in that no certificate says anything about (homelab.hpp).
struct HomelabSite {
    std::string tenant;     // whose machines boot there
    std::string authority;  // in the URLs of scripts: "192.168.0.66:8080"
};

// Who is at the other end of a connection.
struct Peer {
    Address6 source;
    boost::asio::ip::tcp::endpoint local;
    CertificateSubject subject;
    std::shared_ptr<const HomelabSite> homelab = nullptr;  // set: plain HTTP, and `subject` is empty
};

// What a connection remembers between requests: the set of the machine that its last boot request named, because
// the document's flat artifact names do not say whose they are. Used by one request at a time.
struct Conversation {
    std::string artifact_set;
    std::string boot_id = {};         // of that boot request: what follows on the connection belongs to it
    unsigned artifacts_reported = 0;  // of that boot, to the log
    // The tenant of a certificate with this subject, as of that table.
    std::shared_ptr<const TenantTable> tenants = nullptr;
    CertificateSubject subject = {};
    std::string tenant = {};
};

// What became of a request; counted and shown by `show metadata`.
enum class Outcome {
    kNetboot,
    kLocalBoot,
    kUnknownMachine,
    kRefused,  // known, but not from here, not now, or not servable
    kNoTenant,
    kArtifact,
    kConfig,
    kMedia,
    kNotFound,
    kBadRequest,
    kShed,
    kError,
};
inline constexpr std::size_t kOutcomes = 12;
std::string_view name_of(Outcome outcome);

// A byte range of a representation: first byte and count (count > 0).
struct ByteRange {
    std::uint64_t first = 0;
    std::uint64_t count = 0;
    friend bool operator==(const ByteRange&, const ByteRange&) = default;
};

// An answer. The body is `body`, or `file`, or of it `window` or `parts`.
struct Response {
    unsigned status = 200;
    Outcome outcome = Outcome::kError;
    std::string content_type = {};
    std::string etag = {};  // bare hex digest, without quotes
    std::string body = {};
    std::shared_ptr<const OpenFile> file = nullptr;
    std::uint64_t file_size = 0;
    std::optional<ByteRange> window = std::nullopt;  // of the file; with status 206 it is named in Content-Range
    // Several windows of the file, as multipart/byteranges (RFC 9110 section 14.6): each with its own head, then `end`.
    struct Part {
        std::string head;
        ByteRange window;
    };
    std::vector<Part> parts = {};
    std::string end = {};      // after the last part
    std::string boot_id = {};  // sent as Nett-Boot-Id, unless it is empty
    bool no_store = false;
    bool accept_ranges = false;
    // Told of each part of the file that the peer's TCP has taken, on the connection's strand.
    std::function<void(ByteRange)> on_sent = nullptr;

    std::uint64_t content_length() const;
};

// A short text/plain answer.
Response plain(unsigned status, Outcome outcome, std::string text);
// The one mapping of error classes to HTTP statuses. The error's text never goes out: it may name things of others.
unsigned status_of(Code code);

// Status line and header fields, with the empty line. Shedding answers carry Retry-After.
std::string render_head(const Response& response, bool keep_alive, SystemTime now);

}  // namespace nett::metadata
