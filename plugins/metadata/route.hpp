// The URL space: a request target becomes one of three routes, or an error. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "agent/sdk/identity.hpp"
#include "agent/sdk/result.hpp"

namespace nett::metadata {

// Which machine a request is about, in the order in which it is looked for.
struct AskedId {
    MachineId id;        // UUID, then MAC
    std::string serial;  // as sent; empty: none that is usable
    bool empty() const { return !id.uuid && !id.mac && serial.empty(); }
};

// GET /v1/boot/{id}[?mac=…][&uuid=…][&serial=…], as Talos' PXE guide has it: the path's id first, the query for what
// the path does not give. The path's id may be absent: iPXE expands a setting that it does not have to nothing.
struct BootRoute {
    AskedId asked;
};

// GET /v1/config/{id}, /v1/config/{id}/extensions.yaml, /v1/config/{id}/config.sqsh, with the same query, and ?t=TOKEN
// on the token listener.
enum class ConfigPart { kYaml, kExtensions, kSquashfs };
struct ConfigRoute {
    AskedId asked;
    ConfigPart part = ConfigPart::kYaml;
    std::string token;
};

// GET /v1/artifacts/{set}/{file}, /v1/artifacts/{version}/{architecture}/[{schematic}/]{file} (then `set` is empty),
// and the document's flat /v1/artifacts/{file} (all but `file` empty), where the query may say of which machine.
struct ArtifactRoute {
    std::string set;
    std::string version;
    std::string architecture;
    std::string schematic;
    std::string file;
    AskedId asked;
};

using Route = std::variant<BootRoute, ConfigRoute, ArtifactRoute>;

// kInvalidArgument: no target a client of ours would send (not origin-form, "..", encoded slashes, bad ids).
// kNotFound: well-formed, but no such resource.
Result<Route> parse_target(std::string_view target);

// What may stand as one path segment in our URLs, and so as a name of a set or of a file: letters, digits and
// "._+-", not starting with a dot, at most kMaxSegmentBytes.
bool is_plain_name(std::string_view text);

}  // namespace nett::metadata
