// The agent's graph: the only place that knows how the rooms are joined, in which order they start and in which they
// stop.
#pragma once

#include <memory>

#include "agent/options.hpp"
#include "agent/sdk/result.hpp"
#include "agent/setup.hpp"

namespace nett {

// Everything in nettd, for the life of the process. Made and run on the main thread, which is the loop thread.
//
// Start: state file (locked) → key → kernel → FRR → shell → API socket bound → plugins → READY=1.
// Stop (SIGTERM, SIGINT): plugins in reverse order, so that the anycast address goes first, within kStopDeadline → API
// → FRR → state file. SIGHUP: the configuration file is read anew and every plugin reloads the files that it names.
class Agent {
public:
    // Opens everything that may be refused: a state file that another agent has, a key that others can read.
    static Result<std::unique_ptr<Agent>> assemble(const Options& options, Setup setup);
    ~Agent();

    // Runs until a signal; returns the exit status.
    int run();

private:
    struct Parts;
    explicit Agent(std::unique_ptr<Parts> parts);
    std::unique_ptr<Parts> parts_;
};

}  // namespace nett
