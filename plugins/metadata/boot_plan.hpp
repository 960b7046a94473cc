// What one boot request comes to: from the machine as it was read to the script, and to what must be on disk before the
// script is answered. Reads local state only, writes nothing.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "agent/sdk/lifecycle.hpp"
#include "agent/sdk/model.hpp"
#include "agent/sdk/result.hpp"
#include "agent/sdk/store.hpp"
#include "plugins/metadata/artifacts.hpp"
#include "plugins/metadata/boot_script.hpp"
#include "plugins/metadata/http.hpp"
#include "plugins/metadata/machines.hpp"
#include "plugins/metadata/service_settings.hpp"

namespace nett::metadata {

inline constexpr const char* kActor = "plugin:metadata";

struct BootPlan {
    BootKind kind = BootKind::kDisk;
    std::string script;  // empty: the disk
    std::string set;     // that the script boots
    Machine before;
    Machine after;  // as it is once the transaction is committed
    Cause cause;
    // Without consequences, and good for the same question for a second if no record changes.
    bool lasting = true;
    // What is to be durable before the answer: the state, the wipe that is served once, a hold, an allocation, a token.
    // Without puts: nothing.
    Transaction transaction;
    std::string token_sha256;  // of the token in the script; empty: none
    bool is_durable_first() const { return !transaction.puts.empty(); }
};

// Whether a machine's config is handed out: what it boots now installs it.
bool serves_config(const Machine& machine);
// How: the profile's way, else the machine's own; by URL at a homelab's listener.
ConfigDelivery delivery_of(const Machine& machine, const Profile& profile, const Peer& peer);
// The set of a boot of this kind. kFailedPrecondition with the remedy when there is none.
Result<std::string> set_name_for(const Machine& machine, const Profile& profile, BootKind kind,
                                 const ServiceSettings& settings);

// Who asks, when, and what is only known at run time.
struct BootAsk {
    const Peer& peer;
    const ServiceSettings& settings;
    SystemTime now{};
    std::string new_token;  // for a script that carries one
    std::string
        superseded_token;      // record key of the token of the machine's last script, revoked by this one; or empty
    std::string boot_id = {};  // of the request
    std::string port = {};     // that its source is behind; empty: unknown
};

// Errors are reasons for the operator: the machine boots its disk and keeps its state. kUnavailable:
// Artifacts::prepare() comes first.
Result<BootPlan> plan_boot(const Store& store, const Artifacts& artifacts, const FoundMachine& found,
                           const BootAsk& ask);

}  // namespace nett::metadata
