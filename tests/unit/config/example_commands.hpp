// A small grammar with every kind of token, for tests and fuzzing.
#pragma once

#include <vector>

#include "agent/sdk/config.hpp"

namespace nett::test {

inline std::vector<ConfigCommand> example_commands() {
    return {
        {"", "hostname {name:word}", "name of this agent"},
        {"", "log level {level:choice:debug|info|warning|error}", "least level to log"},
        {"", "log format {format:choice:text|json}", "format of log lines"},
        {"", "banner {words:text}", "greeting"},
        {"", "plugin ra", "router advertisements", {}, {}, "ra"},
        {"ra", "aggregate {prefix:prefix6}", "where the ports' prefixes come from"},
        {"ra", "interval {seconds:int:1..1800}", "between two advertisements"},
        {"ra", "interface {name:word}", "one port's own settings", {}, {"name"}, "ra-interface"},
        {"ra", "ports {range:interfaces}", "ports that are served", {}, {"range"}},
        {"ra", "rdnss {address:address6} lifetime {seconds:int:0..9000}", "resolver", {}, {"address"}},
        {"ra-interface", "prefix {prefix:prefix6}", "instead of the aggregate's"},
        {"ra-interface", "description {words:text}", "for the reader"},
        {"", "plugin metadata", "boot metadata", {}, {}, "metadata"},
        {"metadata", "listen {endpoint:endpoint6}", "where to listen", {}, {"endpoint"}},
        {"metadata", "certificate {file:path}", "server certificate"},
        {"metadata", "address {address:ifaddress6}", "own address"},
    };
}

}  // namespace nett::test
