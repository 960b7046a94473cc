#include "agent/options.hpp"

#include <cstdlib>

#include <CLI/CLI.hpp>

#include "agent/sdk/build_id.hpp"

namespace nett {

namespace {
constexpr int kUsageStatus = 2;
}

Options parse_options(int argc, char** argv) {
    Options options;
    options.plugin_directory = NETT_PLUGIN_DIRECTORY;
    CLI::App app{"nettd: the router agent that turns bare machines into Talos nodes of an IPv6-only fabric"};
    app.set_version_flag("--version", fmt::format("nettd {} ({})", kVersion, kBuildId));
    app.add_option("--config", options.config, "Configuration file")->capture_default_str();
    app.add_option("--plugin-dir", options.plugin_directory, "Directory of the plugins (nett-*.so)")
        ->capture_default_str();
    app.add_flag("--check-config", options.check_config,
                 "Check the configuration file, print every finding, and exit with 0 or 1");
    app.add_flag("--allow-missing-ports", options.allow_missing_ports,
                 "With --check-config: a port range that matches no link is a warning, as at boot");
    app.add_flag(
        "--withdraw", options.withdraw,
        "Take away what must not outlive the agent (the anycast address) and exit; for systemd's ExecStopPost=");
    app.add_flag("--print-commands", options.print_commands,
                 "Print the configuration commands of the agent and its plugins as JSON, and exit");
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        const int status = app.exit(error);
        std::exit(status == 0 ? EXIT_SUCCESS : kUsageStatus);
    }
    return options;
}

}  // namespace nett
