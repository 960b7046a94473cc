// Which router advertisements to program: desired against actual, and how removed prefixes leave. Pure.
#pragma once

#include <chrono>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "agent/sdk/clock.hpp"
#include "agent/sdk/frr.hpp"

namespace nett {

// What zebra has for one interface. Values that nett never programs (a prefix without the autonomous flag, no router
// lifetime) show as `exact == false`: different from anything desired.
struct RaActual {
    bool send = false;
    bool exact = true;
    RaInterface config;  // prefixes and DNS servers in ascending order
};
using RaTable = std::map<std::string, RaActual, std::less<>>;

// One batch for zebra, committed together.
struct RaChange {
    std::vector<RaInterface> put;  // advertise exactly this (list entries not named here stay, see the two below)
    std::vector<std::pair<std::string, Prefix6>> delete_prefixes;
    std::vector<std::pair<std::string, Address6>> delete_dns_servers;
    std::vector<std::string> clear;  // no RA any more, everything back to its default
    std::vector<FrrDrift> drift;     // what had been programmed before and differs now
    bool empty() const { return put.empty() && delete_prefixes.empty() && delete_dns_servers.empty() && clear.empty(); }
};

// In the words of `show ra drift`: how zebra's state differs from what had been programmed. "" when it does not.
std::string difference(const RaActual* actual, const RaInterface& programmed);

// Ascending prefixes and DNS servers, so that two descriptions of the same RA are equal.
RaInterface normalized(RaInterface interface);

// A prefix that is dropped from an RA lives on in the hosts for its whole lifetime (measured: 7,186 s). So it is
// advertised with preferred lifetime 0 for kRaDeprecationIntervals first (RFC 4862 section 5.5.4: deprecated addresses
// start no new connections), and then removed; an interface that is dropped says router lifetime 0 meanwhile. Valid
// lifetime: hosts ignore reductions below two hours (RFC 4862 section 5.5.3 e), a short one only ends what is short
// already.
inline constexpr std::chrono::seconds kDeprecatedValidLifetime{60};

// The memory behind plan(): which interfaces are ours and which prefixes are on their way out.
class RaPlanner {
public:
    using Declared = std::map<std::string, RaInterface, std::less<>>;

    // What to program so that zebra's state becomes the declared one; empty when it is. Call it again at each
    // reconcile. A prefix that is in `actual` and not declared leaves the same way, whoever put it there: a declared
    // interface is wholly ours. A declared prefix with valid lifetime 0 is not there: at once, without a farewell.
    RaChange plan(const Declared& declared, const RaTable& actual, SteadyTime now);

    // This interface was declared before, maybe by an earlier run of the agent: if it is not declared at the next
    // plan(), it or the prefixes that it has lost leave properly.
    void adopt(const RaInterface& interface) {
        interfaces_.try_emplace(interface.name, Managed{interface, {}, {}, false, {}});
    }

    // Nothing is ours any more, also nothing on its way out.
    bool idle() const { return interfaces_.empty(); }

    // Leaves what is programmed and forgets that it was ours.
    void forget(const std::string& interface) { interfaces_.erase(interface); }

private:
    struct Managed {
        RaInterface declared;                      // the last one
        RaInterface programmed;                    // the last target: other than `declared` while prefixes leave
        std::map<Prefix6, SteadyTime> deprecated;  // until when
        bool leaving = false;
        SteadyTime leaves_at{};
    };

    void plan_declared(RaChange& change, const RaInterface& wanted, const RaActual* actual, SteadyTime now);
    // True when nothing of it is left.
    bool plan_leaving(RaChange& change, Managed& managed, const RaActual* actual, SteadyTime now);
    static void retire_prefixes(Managed& managed, const RaInterface& wanted, const RaActual* actual, SteadyTime now);
    // `drift`: how zebra's state differs from what had been programmed; "" when it does not.
    static void program(RaChange& change, Managed& managed, RaInterface target, const RaActual* actual,
                        std::string drift);

    std::map<std::string, Managed, std::less<>> interfaces_;
};

}  // namespace nett
