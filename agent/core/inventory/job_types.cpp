#include "agent/core/inventory/job_types.hpp"

#include <algorithm>
#include <array>

#include <fmt/ranges.h>

#include "agent/core/inventory/validate.hpp"

namespace nett {

namespace {

constexpr std::array<std::string_view, 4> kPowerActions{"on", "off", "cycle", "reset"};
constexpr std::array<std::string_view, 2> kMediaActions{"insert", "eject"};
constexpr std::array<std::string_view, 2> kBootActions{"set", "clear"};
constexpr std::array<std::string_view, 2> kBootTerms{"once", "continuous"};

constexpr std::array<JobParameter, 1> kProvision{{{"image-url", {}, false}}};
constexpr std::array<JobParameter, 1> kPower{{{"action", kPowerActions, true}}};
constexpr std::array<JobParameter, 2> kMedia{{{"action", kMediaActions, true}, {"image-url", {}, false}}};
constexpr std::array<JobParameter, 3> kBoot{
    {{"action", kBootActions, true}, {"target", {}, false}, {"enabled", kBootTerms, false}}};

constexpr std::array<JobType, 6> kTypes{{
    {"provision", "Boot it from the image through its BMC", kProvision, true, true},
    {"power", "Power it on or off, or reset it", kPower, true, false},
    {"media", "Insert an image as its virtual CD, or eject it", kMedia, true, false},
    {"boot", "Set or clear what it boots from next", kBoot, true, false},
    {"inventory", "Take UUID, serial and MAC addresses from its BMC, or find what differs", {}, false, false},
    {"check", "Find out what its BMC can do, and change nothing", {}, false, false},
}};

Result<void> check_parameter(const JobType& type, const std::string& name, const std::string& value) {
    const auto found = std::find_if(type.parameters.begin(), type.parameters.end(),
                                    [&](const JobParameter& parameter) { return parameter.name == name; });
    if (found == type.parameters.end()) {
        std::vector<std::string_view> names;
        for (const auto& parameter : type.parameters) names.push_back(parameter.name);
        return fail(Code::kInvalidArgument, "a {} job has no parameter \"{}\"; it has {}", type.name, name,
                    names.empty() ? "none" : fmt::format("{}", fmt::join(names, ", ")));
    }
    NETT_TRY(check_text(name, value, kMaxKernelArgs));
    const auto& choices = found->choices;
    if (!choices.empty() && std::find(choices.begin(), choices.end(), value) == choices.end()) {
        return fail(Code::kInvalidArgument, "\"{}\" is no {} of a {} job; there are {}", value, name, type.name,
                    fmt::join(choices, ", "));
    }
    return {};
}

}  // namespace

std::span<const JobType> job_types() {
    return kTypes;
}

Result<const JobType*> check_job(std::string_view type, const std::map<std::string, std::string>& parameters) {
    const auto* found = std::find_if(kTypes.begin(), kTypes.end(), [&](const JobType& t) { return t.name == type; });
    if (found == kTypes.end()) {
        std::vector<std::string_view> names;
        for (const auto& known : kTypes) names.push_back(known.name);
        return fail(Code::kInvalidArgument, "\"{}\" is not a type of job; there are {}", type, fmt::join(names, ", "));
    }
    for (const auto& [name, value] : parameters) NETT_TRY(check_parameter(*found, name, value));
    for (const auto& parameter : found->parameters) {
        if (parameter.required && !parameters.contains(std::string(parameter.name))) {
            return fail(Code::kInvalidArgument, "a {} job needs the parameter {}", type, parameter.name);
        }
    }
    return found;
}

}  // namespace nett
