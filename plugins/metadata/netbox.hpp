// Production prefixes out of NetBox: its answers become prefixes by machine. Pure: JSON text in, values out.
//
// NetBox REST API, /api/ipam/ip-addresses/ and /api/ipam/prefixes/: {"count", "next", "results": [{"id", "address" or
// "prefix", "status": {"value"}, "assigned_object": {"device": {"name"}}, "custom_fields": {…}}]}.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/sdk/address.hpp"
#include "agent/sdk/clock.hpp"
#include "agent/sdk/https_url.hpp"
#include "agent/sdk/result.hpp"
#include "agent/sdk/store.hpp"

namespace nett::metadata {

enum class NetboxObjects {
    kAddresses,  // an IP address is a production prefix of 128 bits
    kPrefixes,
};
enum class NetboxMatch { kName, kSerial };

// Where NetBox is: an HttpsUrl without a path, for its API has a place of its own.
Result<HttpsUrl> parse_netbox_origin(std::string_view url);

struct NetboxSettings {
    HttpsUrl origin;
    std::string token_file;
    std::string ca_file;
    NetboxObjects objects = NetboxObjects::kAddresses;
    std::string filter;  // query text: "role=loopback&status=active"
    std::string field;   // dotted path of the member that names the machine
    NetboxMatch match = NetboxMatch::kName;
    std::chrono::seconds refresh{300};
};
// The member that names the machine when no other is configured.
std::string_view default_netbox_field(NetboxObjects objects);
// Whether a filter is a query text that can stand in a request line, and sets neither limit nor offset.
bool is_netbox_filter(std::string_view text);

// Request target of the page that begins at `offset`.
std::string netbox_target(const NetboxSettings& settings, std::size_t offset);
// The Authorization field for a token: "Token …", and "Bearer …" for the tokens of NetBox 4.5 and later ("nbt_…").
// kInvalidArgument when it is empty or could break the header.
Result<std::string> netbox_authorization(std::string_view token_text);

// What NetBox says about one machine.
struct NetboxEntry {
    std::string machine;  // the member's text: a name or a serial number
    Prefix6 prefix;
    std::uint64_t id = 0;  // of the object in NetBox
    friend bool operator==(const NetboxEntry&, const NetboxEntry&) = default;
};
struct NetboxPage {
    std::vector<NetboxEntry> entries;
    std::size_t results = 0;  // objects on the page, entries or not: the next page's offset grows by that
    std::size_t skipped = 0;  // IPv4, or without the member that names a machine
    bool more = false;
};
// kDataLoss: no JSON object of that shape.
Result<NetboxPage> parse_netbox_page(std::string_view body, const NetboxSettings& settings);

// All pages together. A machine with two different prefixes, or a prefix of two machines, is nobody's: which one was
// meant is not ours to guess.
struct NetboxTable {
    std::map<std::string, NetboxEntry> entries;  // by machine
    std::vector<std::string> problems;           // one line each, for people
};
NetboxTable make_netbox_table(std::vector<NetboxEntry> entries);

// What is kept of an answer. Key: the machine's name or serial, as NetBox has it.
inline constexpr std::string_view kNetboxPrefixKind = "netbox-prefix";
struct NetboxPrefix {
    NetboxEntry entry;
    SystemTime fetched{};  // when NetBox first said so
    bool gone = false;     // NetBox does not list it any more; what was known holds
};
Transaction::Put put_of(const NetboxPrefix& value);
Result<NetboxPrefix> decode_netbox_prefix(std::string_view json_text);

// How long to wait after the n-th failure in a row (n > 0). `told` is the server's Retry-After.
std::chrono::seconds netbox_backoff(unsigned failures, std::chrono::seconds refresh,
                                    std::optional<std::chrono::seconds> told);

}  // namespace nett::metadata
