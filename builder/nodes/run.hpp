// nodes.yaml to machines that boot: "plan" says what would be done, "apply" does it. Every step looks at what is there
// first and does what is missing, so that a run that was stopped anywhere is finished by the next one.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include <boost/asio/ip/tcp.hpp>

#include "builder/outcome.hpp"

namespace nett::builder {

struct NodesRequest {
    std::string nodes_file;
    boost::asio::ip::tcp::endpoint metadata_server;
    std::string output = ".";  // where images go
    bool prune = false;
    bool refresh_credentials = false;
    std::chrono::seconds boot_deadline{900};  // a BMC that is slow at everything needs some ten minutes
    std::vector<std::string> servers;
    std::string reason;
    bool json = false;
    bool start = true;  // machines, through their BMCs
};

// Touches nothing. Errors: the file's problems, agents that cannot be reached, changes that an agent would refuse.
Outcome plan_nodes(const NodesRequest& request);

// Lines of progress go to standard output as the steps end; the last one is the outcome's text.
Outcome apply_nodes(const NodesRequest& request);

struct Loaded;
// The same with a file that has been read.
Outcome apply_loaded(const NodesRequest& request, const Loaded& loaded);

}  // namespace nett::builder
