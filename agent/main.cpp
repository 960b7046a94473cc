// nettd: reads its command line and configuration, then runs the agent until it is told to stop.
#include <cstdio>
#include <cstdlib>

#include "agent/agent.hpp"
#include "agent/options.hpp"
#include "agent/print_commands.hpp"
#include "agent/setup.hpp"
#include "agent/withdraw.hpp"

namespace {

// Everything that was found, on standard error; true when the configuration can be used.
bool report(const nett::Setup& setup) {
    for (const auto& refused : setup.plugins.refused) {
        std::fprintf(stderr, "plugin refused: %s\n", refused.to_string().c_str());
    }
    for (const auto& finding : setup.config.diagnostics) std::fprintf(stderr, "%s\n", finding.to_string().c_str());
    return setup.config.ok();
}

}  // namespace

int main(int argc, char** argv) {
    // Every scanner's failed handshake would be a line of gRPC's own; what matters is a health condition or an error.
    setenv("GRPC_VERBOSITY", "NONE", 0);
    const nett::Options options = nett::parse_options(argc, argv);
    if (options.print_commands) return nett::print_commands(options);
    auto setup = nett::prepare(options, !options.check_config || options.allow_missing_ports);
    if (!setup) {
        std::fprintf(stderr, "nettd: %s\n", setup.error().to_string().c_str());
        return EXIT_FAILURE;
    }
    // Mistakes in the configuration are no reason to leave an address behind.
    if (options.withdraw) return nett::withdraw(*setup);
    const bool usable = report(*setup);
    if (options.check_config) {
        if (usable) std::printf("%s: the configuration is good\n", options.config.c_str());
        return usable ? EXIT_SUCCESS : EXIT_FAILURE;
    }
    if (!usable) {
        std::fprintf(stderr, "nettd: not started; correct %s (\"nettd --check-config\" checks it)\n",
                     options.config.c_str());
        return EXIT_FAILURE;
    }
    auto agent = nett::Agent::assemble(options, std::move(*setup));
    if (!agent) {
        std::fprintf(stderr, "nettd: %s\n", agent.error().to_string().c_str());
        return EXIT_FAILURE;
    }
    return (*agent)->run();
}
