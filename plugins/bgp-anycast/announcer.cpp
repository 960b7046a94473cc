#include "plugins/bgp-anycast/announcer.hpp"

namespace nett::anycast {
namespace {

const Logger kLog("bgp-anycast");
constexpr const char* kOwner = "bgp-anycast";

InterfaceAddress address_of(const Settings& settings) {
    return {settings.address.address(), settings.address.length()};
}

}  // namespace

void Announcer::configure(const Settings& settings) {
    bool moves = configured_ && (settings_.address != settings.address || settings_.interface != settings.interface);
    if (moves) remove_address();
    bool first = !configured_;
    settings_ = settings;
    configured_ = true;
    put_gate(announced_);
    if (announced_) {
        put_address();
    } else if (first) {
        // An earlier run of the agent may have left it; default deny.
        remove_address();
    }
}

void Announcer::announce() {
    announced_ = true;
    put_address();
    put_gate(true);
}

void Announcer::withdraw() {
    announced_ = false;
    put_gate(false);
    remove_address();
}

void Announcer::refresh() {
    if (announced_) put_address();
}

// Denied, not deleted: FRR lets everything pass a prefix list without entries.
void Announcer::put_gate(bool permit) {
    std::vector<PrefixListEntry> entries;
    if (settings_.gate) entries.push_back({settings_.gate->list, settings_.gate->sequence, permit, settings_.address});
    host_.frr.declare_prefix_list(kOwner, std::move(entries));
}

void Announcer::put_address() {
    LinkAddress address{address_of(settings_), settings_.lease, std::chrono::seconds(0)};
    auto result = host_.net.put_address(settings_.interface, address, true);
    std::string error = result ? std::string() : result.error().to_string();
    if (error != error_ && !error.empty()) kLog.error("cannot lease the address", {{"error", error}});
    error_ = std::move(error);
    if (result) refreshed_ = host_.clock.steady_now();
}

void Announcer::remove_address() {
    auto result = host_.net.remove_address(settings_.interface, address_of(settings_));
    // The lease ends by itself in any case.
    if (!result) kLog.warning("cannot remove the address; it ends with its lease", {{"error", result.error()}});
}

}  // namespace nett::anycast
