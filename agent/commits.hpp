// What a restart of the agent makes of a commit that waits for its confirmation.
#pragma once

#include <string>

#include "agent/core/config/commit_log.hpp"
#include "agent/sdk/clock.hpp"
#include "agent/sdk/result.hpp"
#include "agent/setup.hpp"

namespace nett {

// Where the agent keeps its commits: beside its state file.
std::string commit_folder(const std::string& state_file);

// Puts the unconfirmed configuration into `setup` in the place of the file's, so that the agent goes on where it was;
// when its time is over, the one from before it. Who it is by: "file", or why it is another. What cannot be used is
// told in the log, and the file counts.
std::string resume_unconfirmed(const CommitLog& log, SystemTime now, Setup& setup);

}  // namespace nett
