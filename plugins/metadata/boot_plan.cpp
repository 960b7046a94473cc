#include "plugins/metadata/boot_plan.hpp"

#include <utility>

#include "agent/sdk/prefixes.hpp"
#include "agent/sdk/records.hpp"
#include "agent/sdk/strings.hpp"
#include "plugins/metadata/homelab_boot.hpp"
#include "plugins/metadata/limits.hpp"

namespace nett::metadata {

namespace {

constexpr std::uint16_t kHttpsPort = 443;

std::string authority_of(const ServiceSettings& settings, const Peer& peer, std::uint16_t port) {
    const auto address = settings.server_address.value_or(peer.local.address().to_v6());
    if (port == kHttpsPort) return fmt::format("[{}]", address.to_string());
    return fmt::format("[{}]:{}", address.to_string(), port);
}

Cause cause_of(const BootAsk& ask, std::string reason) {
    return {ask.now, kActor, std::move(reason), true, ask.boot_id};
}

void put_machine(const FoundMachine& found, BootPlan& plan) {
    plan.transaction.compares.push_back(unchanged(kMachineKind, found.key, found.revision));
    plan.transaction.puts.push_back(put_of(plan.after));
    plan.transaction.actor = kActor;
    plan.transaction.reason = plan.cause.reason + ", boot " + plan.cause.boot_id;  // one boot's and no other's
}

// What a template may say about the machine.
std::map<std::string, std::string, std::less<>> facts_of(const Machine& machine, const BootAsk& ask) {
    std::map<std::string, std::string, std::less<>> facts{
        {"machine", machine.name},
        {"tenant", machine.tenant},
        {"profile", machine.profile},
        {"uuid", machine.uuid},
        {"serial", machine.serial},
        {"prefix", machine.production.prefix},
        {"state", std::string(to_string(machine.state))},
    };
    if (!machine.macs.empty()) facts["mac"] = machine.macs.front();
    if (const auto* binding = fitting_port(machine, ask.peer.source, ask.port)) facts["port"] = binding->port;
    return facts;
}

// The token of this boot: its record, and the end of the last one.
Result<void> add_token(const Store& store, const Machine& machine, const BootAsk& ask, BootScriptInput& input,
                       BootPlan& plan) {
    if (ask.settings.token_port == 0) {
        return fail(Code::kFailedPrecondition,
                    "config delivery \"token\" needs a listener of its own; set \"token-listen [ADDRESS]:PORT\" in "
                    "\"plugin metadata\"");
    }
    input.token_authority = authority_of(ask.settings, ask.peer, ask.settings.token_port);
    input.token = ask.new_token;
    input.early = ask.settings.trusted_root;
    BootToken token;
    token.token_sha256 = sha256_hex(ask.new_token);
    token.machine = machine.name;
    token.config_sha256 = machine.config_sha256;
    token.expires = ask.now + ask.settings.token_lifetime;
    token.boot_id = ask.boot_id;
    plan.token_sha256 = token.token_sha256;
    plan.transaction.puts.push_back(put_of(token));
    if (!ask.superseded_token.empty()) {
        plan.transaction.deletes.push_back({std::string(kBootTokenKind), ask.superseded_token});
    }
    // Every new token takes some that have expired with it, so that they do not pile up.
    auto oldest = decode_records<BootToken>(store.scan(kBootTokenKind, kExpiryIndex, "", "", kExpiredTokensAtOnce));
    if (!oldest) return fail(std::move(oldest.error()));
    for (const auto& one : *oldest) {
        if (one.value.expires > ask.now || one.value.token_sha256 == ask.superseded_token) continue;
        plan.transaction.deletes.push_back({std::string(kBootTokenKind), one.value.token_sha256});
    }
    return {};
}

bool differs(const Machine& before, const Machine& after) {
    return before.state != after.state || before.wipe_pending != after.wipe_pending ||
           before.erase.fetched != after.erase.fetched || before.production.prefix != after.production.prefix;
}

// The loop breaker: this boot is not served any more, nor are those after it.
Result<bool> broke_loop(const Store& store, const FoundMachine& found, const Profile& profile, const BootAsk& ask,
                        BootPlan& plan) {
    auto history = read_record<BootHistory>(store, kBootHistoryKind, found.key);
    if (!history) return fail(std::move(history.error()));
    if (!*history || !is_boot_loop((*history)->value, found.machine, profile.boot_loop, ask.now)) return false;
    const auto& recent = (*history)->value.recent;
    if (!recent.empty() && ask.now - recent.back() < kSameBoot) {
        // More of the boot that was counted. Remembered as long as it is that one: a client that asks in a loop gets
        // here, and must not become the dearest of all.
        plan.lasting = ask.now + kKnownBootAge - recent.back() <= kSameBoot;
        return false;
    }
    plan.cause = cause_of(ask, fmt::format("boot loop: it has netbooted {} times within {} minutes",
                                           profile.boot_loop.boots, profile.boot_loop.minutes));
    auto held = apply(found.machine, LifecycleEvent::kBootLoop, plan.cause);
    if (!held) return fail(std::move(held.error()));
    plan.after = std::move(*held);
    plan.kind = BootKind::kDisk;
    put_machine(found, plan);
    return true;
}

}  // namespace

bool serves_config(const Machine& machine) {
    const auto kind = boot_decision(machine);
    return kind == BootKind::kInstall || kind == BootKind::kWipe;
}

ConfigDelivery delivery_of(const Machine& machine, const Profile& profile, const Peer& peer) {
    // A homelab's scripts name the config's URL, whatever the machine's usual delivery: Talos can fetch plain HTTP.
    if (peer.homelab) return ConfigDelivery::kUrl;
    return profile.delivery.value_or(machine.delivery);
}

Result<std::string> set_name_for(const Machine& machine, const Profile& profile, BootKind kind,
                                 const ServiceSettings& settings) {
    std::string own = machine.artifact_set.empty() ? profile.artifact_set : machine.artifact_set;
    if (kind == BootKind::kErase) {
        own = profile.erase_set.empty() ? settings.erase_set : profile.erase_set;
        if (own.empty()) {
            return fail(Code::kFailedPrecondition,
                        "no erase set is configured; set \"erase-set NAME\" in the profile or in \"plugin metadata\"");
        }
    }
    if (kind == BootKind::kRescue) {
        const auto& rescue = profile.rescue_set.empty() ? settings.rescue_set : profile.rescue_set;
        if (!rescue.empty()) own = rescue;
    }
    if (own.empty()) return fail(Code::kFailedPrecondition, "neither the machine nor its profile has an artifact set");
    return own;
}

Result<BootPlan> plan_boot(const Store& store, const Artifacts& artifacts, const FoundMachine& found,
                           const BootAsk& ask) {
    const auto& machine = found.machine;
    BootPlan plan;
    plan.kind = boot_decision(machine);
    plan.before = machine;
    plan.after = machine;
    if (plan.kind == BootKind::kDisk) return plan;
    auto profile = effective_profile(store, machine);
    if (!profile) return fail(std::move(profile.error()));
    auto broken = broke_loop(store, found, *profile, ask, plan);
    if (!broken) return fail(std::move(broken.error()));
    if (*broken) return plan;

    auto name = set_name_for(machine, *profile, plan.kind, ask.settings);
    if (!name) return fail(std::move(name.error()));
    auto set = artifacts.set(*name);
    if (!set) return fail(std::move(set.error()));
    if (serves_config(machine) && machine.config_sha256.empty()) {
        return fail(Code::kFailedPrecondition, "no machine config is registered");
    }
    // Before anything is wiped: what it boots next must be here.
    NETT_TRY(artifacts.check_bootable(**set));
    plan.cause = cause_of(ask, "boot served: " + std::string(to_string(plan.kind)));
    auto after = apply(machine, LifecycleEvent::kBoot, plan.cause);
    if (!after) return fail(std::move(after.error()));
    plan.after = std::move(*after);
    if (serves_config(machine)) NETT_TRY(allocate_prefix(store, plan.after, ask.now, plan.transaction));

    BootScriptInput input;
    input.authority = authority_of(ask.settings, ask.peer, ask.peer.local.port());
    input.machine_id = found.url_id;
    input.set = **set;
    input.profile_args = profile->kernel_args;
    input.kernel_args = machine.kernel_args;
    input.kind = plan.kind;
    input.delivery = delivery_of(machine, *profile, ask.peer);
    input.fetch_timeout = ask.settings.fetch_timeout;
    input.facts = facts_of(plan.after, ask);
    const auto text = profile->templates.find(std::string(to_string(plan.kind)));
    if (text != profile->templates.end()) input.text = text->second;
    if (serves_config(machine) && input.delivery == ConfigDelivery::kToken) {
        NETT_TRY(add_token(store, plan.after, ask, input, plan));
    }
    auto script = ask.peer.homelab ? render_homelab_boot(input, *ask.peer.homelab) : render_boot_script(input);
    if (!script) return fail(std::move(script.error()));
    plan.script = std::move(*script);
    plan.set = (*set)->name;
    // A token alone need not lose against another change of the machine, but it must be the machine that was decided
    // on.
    if (differs(plan.before, plan.after) || plan.is_durable_first()) put_machine(found, plan);
    return plan;
}

}  // namespace nett::metadata
