// Runs FRR's vtysh, without a shell in between.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "agent/sdk/result.hpp"

namespace nett {

// Longer than a commit of 512 ports takes (1.4 s), shorter than an operator's patience with a daemon that hangs.
inline constexpr std::chrono::seconds kVtyshTimeout{10};
inline constexpr std::size_t kMaxVtyshOutput = 16 * 1024 * 1024;
inline constexpr std::size_t kMaxVtyshErrors = 4096;

// One vtysh and the arguments that come first in every call ("--vty_socket", "/run/frr").
//
// Calls are blocking, at most `timeout`: then the process is killed. kInvalidArgument for a command with control
// characters, kUnavailable when vtysh cannot be started or reaches no daemon, kFailedPrecondition with its own words
// when it fails otherwise, kDeadlineExceeded, kResourceExhausted; kUnavailable also once cancelled. What vtysh writes
// to its standard error ("Can't open /etc/frr/vtysh.conf") never mixes with the answer. Thread-safe.
class Vtysh {
public:
    Vtysh(std::string path, std::vector<std::string> arguments);
    Vtysh(const Vtysh&) = delete;
    Vtysh& operator=(const Vtysh&) = delete;
    ~Vtysh();

    // Runs `arguments… -c command` and returns its standard output.
    Result<std::string> show(const std::string& command, std::chrono::milliseconds timeout = kVtyshTimeout) const;
    // The same, asking one daemon only: a daemon that hangs does not hold up the others' answers.
    Result<std::string> show(const std::string& daemon, const std::string& command,
                             std::chrono::milliseconds timeout = kVtyshTimeout) const;
    // Applies lines as a configuration file, as one transaction; what vtysh says on its standard output, which has the
    // daemon's refusals although the exit status is 0.
    Result<std::string> configure(const std::string& daemon, const std::vector<std::string>& lines,
                                  std::chrono::milliseconds timeout = kVtyshTimeout) const;

    // Ends every call, now and later: for the end of the process.
    void cancel() const;

private:
    Result<std::string> run(std::vector<std::string> more, int input, std::chrono::milliseconds timeout) const;

    std::string path_;
    std::vector<std::string> arguments_;
    int cancelled_;  // eventfd, readable once cancelled
};

}  // namespace nett
