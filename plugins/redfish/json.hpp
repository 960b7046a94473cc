// Reading JSON that a BMC made: capped, and never trusted to have the shape that DMTF's schemas promise.
#pragma once

#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <boost/json/value.hpp>

#include "agent/sdk/result.hpp"

namespace nett::redfish {

inline constexpr std::size_t kMaxJsonDepth = 32;
// Collections that matter here have a handful of members; more are ignored.
inline constexpr std::size_t kMaxArrayElements = 256;

// An object; kDataLoss for everything else, with the parser's reason. `body` is at most kMaxBodyBytes long.
Result<boost::json::object> parse_object(std::string_view body);

using Path = std::initializer_list<std::string_view>;

// The value behind nested members, or nullptr when a step is missing or no object.
const boost::json::value* at(const boost::json::object& object, Path path);
// Empty when absent or of another type.
std::string text_at(const boost::json::object& object, Path path);
std::vector<std::string> texts_at(const boost::json::object& object, Path path);
std::optional<bool> bool_at(const boost::json::object& object, Path path);
// The `@odata.id` of the object there.
std::string link_at(const boost::json::object& object, Path path);
// The `@odata.id` of each object of the array there.
std::vector<std::string> links_at(const boost::json::object& object, Path path);

}  // namespace nett::redfish
