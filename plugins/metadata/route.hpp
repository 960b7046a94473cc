// The URL space: a request target becomes one of three routes, or an error. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "agent/sdk/identity.hpp"
#include "agent/sdk/result.hpp"

namespace nett::metadata {

// GET /v1/boot/{id}[?mac=…][&uuid=…]: the path's id first, the query for what the path does not give.
struct BootRoute {
    MachineId id;
};

// GET /v1/config/{id}, /v1/config/{id}/extensions.yaml, /v1/config/{id}/config.sqsh
enum class ConfigPart { kYaml, kExtensions, kSquashfs };
struct ConfigRoute {
    MachineId id;
    ConfigPart part = ConfigPart::kYaml;
};

// GET /v1/artifacts/{set}/{file}, and the document's flat /v1/artifacts/{file} (set empty).
struct ArtifactRoute {
    std::string set;
    std::string file;
};

using Route = std::variant<BootRoute, ConfigRoute, ArtifactRoute>;

// kInvalidArgument: no target a client of ours would send (not origin-form, "..", encoded slashes, bad ids).
// kNotFound: well-formed, but no such resource.
Result<Route> parse_target(std::string_view target);

// What may stand as one path segment in our URLs, and so as a name of a set or of a file: letters, digits and
// "._+-", not starting with a dot, at most kMaxSegmentBytes.
bool is_plain_name(std::string_view text);

}  // namespace nett::metadata
