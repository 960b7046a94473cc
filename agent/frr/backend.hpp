// How agent/frr reaches the daemons: one backend a daemon, used by one worker thread at a time.
#pragma once

#include <chrono>
#include <memory>
#include <set>
#include <string>

#include "agent/frr/prefix_list.hpp"
#include "agent/frr/ra_plan.hpp"
#include "agent/sdk/result.hpp"

namespace nett {

// Blocking. kUnavailable and kDeadlineExceeded mean that the daemon is not there; everything else that it refused.
class FrrBackend {
public:
    virtual ~FrrBackend() = default;

    virtual std::string_view name() const = 0;  // "grpc", "vtysh"
    // Reaches the daemon and says whether its northbound is safe to use; asked once after each (re)connection.
    virtual Result<bool> probe_hardened() = 0;

    // How often a daemon in sync is read: what reading costs decides.
    virtual std::chrono::milliseconds poll_interval() const { return std::chrono::milliseconds(2000); }

    // Thread-safe and free of cost: the daemon that answered the last call is known to have gone. A backend that does
    // not hear of that says false.
    virtual bool connection_lost() const { return false; }

    virtual Result<RaTable> read_ra() = 0;
    virtual Result<void> apply_ra(const RaChange& change) = 0;

    virtual Result<PrefixListTable> read_prefix_lists(const std::set<std::string>& lists) = 0;
    virtual Result<void> apply_prefix_lists(const PrefixListChange& change) = 0;

    // Thread-safe: ends a call that is under way. Only for the end of the process: it kills the stock module's server.
    virtual void cancel() = 0;
};

// `target` is a gRPC target: "unix:/run/frr/zebra-grpc.sock", "[::1]:50051".
std::shared_ptr<FrrBackend> make_grpc_backend(const std::string& target);
// For stock FRR. `arguments` come first in each call of vtysh: {"--vty_socket", "/run/frr"}.
std::shared_ptr<FrrBackend> make_vtysh_backend(FrrDaemon daemon, std::string path, std::vector<std::string> arguments);

}  // namespace nett
