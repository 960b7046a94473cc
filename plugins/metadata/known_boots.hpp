// Boot decisions that changed nothing, kept until anything may have changed that they were made from.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "agent/sdk/clock.hpp"
#include "agent/sdk/store.hpp"
#include "plugins/metadata/artifact_table.hpp"
#include "plugins/metadata/http.hpp"
#include "plugins/metadata/port_table.hpp"
#include "plugins/metadata/service_settings.hpp"

namespace nett::metadata {

// What a decision was made from, all of it: any commit, whatever of, is another basis. Taken before the first record is
// read, so that what changes meanwhile makes the basis an old one.
//
// Where servers share their state the revision speaks of shared records only. Of this server's own ones a decision
// depends on the ports of `ra` alone, and `ports` is what they come to.
struct BootBasis {
    Revision revision = 0;       // of the store
    std::uint64_t verdicts = 0;  // Artifacts::verdicts()
    std::shared_ptr<const ArtifactTable> artifacts;
    std::shared_ptr<const PortTable::Ports> ports;
    std::shared_ptr<const ServiceSettings> settings;
    friend bool operator==(const BootBasis&, const BootBasis&) = default;
};

// A decision without any consequence but that it is counted: no change of the machine, no wipe, no hold, no token.
struct KnownBoot {
    std::string machine;  // record key
    bool netboot = false;
    std::string script;  // of a netboot
    std::string set;     // that the script boots
    // Of the boot that was decided on: whoever asks the same within a second is still at it.
    std::string boot_id = {};
};

// Thread-safe. Holds decisions of one basis only, at most kMaxKnownBoots, each for kKnownBootAge: what depends on the
// time (the window of the loop breaker) or on files (a kernel that was deleted) is looked at again then.
class KnownBoots {
public:
    // Everything of a request that a decision depends on: who, from where, to which address, for what.
    static std::string question(const std::string& tenant, const Peer& peer, std::string_view target);

    // nullptr: to be decided.
    std::shared_ptr<const KnownBoot> find(const std::string& question, const BootBasis& basis, SteadyTime now) const;
    void note(std::string question, const BootBasis& basis, KnownBoot boot, SteadyTime now);

private:
    struct Entry {
        std::shared_ptr<const KnownBoot> boot;
        SteadyTime decided;
    };

    mutable std::mutex mutex_;
    BootBasis basis_;
    SteadyTime since_{};  // of the basis' revision
    std::unordered_map<std::string, Entry> entries_;
};

}  // namespace nett::metadata
