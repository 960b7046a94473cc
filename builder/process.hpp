// Running the tools that make images: no shell, a fixed environment, output captured.
#pragma once

#include <string>
#include <vector>

#include "agent/sdk/result.hpp"

namespace nett::builder {

// Runs `arguments[0]` (looked up in PATH, then in /usr/sbin and /sbin, where sgdisk lives) and waits for it. Its
// environment is PATH plus `environment` ("NAME=value"), stdin is /dev/null. Errors: kFailedPrecondition when the tool
// is not installed, with the Debian package to install; kResourceExhausted when it ran out of space, kInternal with the
// end of what it printed when it fails otherwise.
Result<void> run_tool(const std::vector<std::string>& arguments, const std::vector<std::string>& environment);

// The same, and answers with all that it wrote to its standard output; errors quote its standard error.
Result<std::string> tool_output(const std::vector<std::string>& arguments, const std::vector<std::string>& environment);

}  // namespace nett::builder
