// nettd's command line.
#pragma once

#include <string>

#include "agent/sdk/result.hpp"

namespace nett {

struct Options {
    std::string config = "/etc/nett/nett.conf";
    std::string plugin_directory;  // default: where the packages install them
    bool check_config = false;
    bool allow_missing_ports = false;
    bool withdraw = false;
    bool print_commands = false;
};

// Parses argv. For --help, --version and mistakes it prints what is due and the process ends (statuses 0 and 2).
Options parse_options(int argc, char** argv);

}  // namespace nett
