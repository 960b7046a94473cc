#include "plugins/bgp-anycast/announcer.hpp"

#include <algorithm>

namespace nett::anycast {
namespace {

const Logger kLog("bgp-anycast");
constexpr const char* kOwner = "bgp-anycast";
const std::string kFallback = kFallbackInterface;

InterfaceAddress address_of(const Settings& settings) {
    return {settings.address.address(), settings.address.length()};
}

}  // namespace

const std::string& Announcer::interface() const {
    if (!settings_.interface.empty()) return settings_.interface;
    return device_ ? device_->name() : kFallback;
}

void Announcer::configure(const Settings& settings) {
    bool moves = configured_ && (settings_.address != settings.address || settings_.interface != settings.interface ||
                                 settings_.tun_device != settings.tun_device);
    if (moves) {
        remove_address(interface());
        device_.reset();
    }
    if (configured_ && settings.dry_run && announced()) apply(Stance::kWithdrawn);
    bool first = !std::exchange(configured_, true);
    settings_ = settings;
    if (settings_.dry_run) return release();
    open_device();
    put_lists();
    if (announced()) {
        put_address();
    } else if (first) {
        // An earlier run of the agent may have left it; default deny.
        remove_address(interface());
        if (device_) remove_address(kFallback);
    }
}

void Announcer::apply(Stance stance) {
    if (settings_.dry_run) return;
    stance_ = stance;
    held_ = false;
    gate_open_ = announced();
    if (announced()) {
        put_address();
        put_lists();
    } else {
        put_lists();
        remove_address(interface());
    }
}

void Announcer::hold() {
    if (settings_.dry_run || !announced()) return;
    stance_ = Stance::kDePreferred;
    held_ = true;
}

void Announcer::close_gate() {
    if (settings_.dry_run) return;
    gate_open_ = false;
    put_lists();
}

void Announcer::refresh() {
    if (announced()) put_address();
}

bool Announcer::lease_lost() const {
    return announced() && error_.empty() && host_.clock.steady_now() - refreshed_ >= settings_.lease;
}

void Announcer::release() {
    device_.reset();
    stance_ = Stance::kWithdrawn;
    gate_open_ = false;
}

// Denied, not deleted: FRR lets everything pass a prefix list without entries.
void Announcer::put_lists() {
    std::vector<PrefixListEntry> entries;
    auto add = [&](const std::optional<ListEntry>& entry, bool permit) {
        if (entry) entries.push_back({entry->list, entry->sequence, permit, settings_.address});
    };
    add(settings_.gate, gate_open_);
    add(settings_.drain, drains());
    host_.frr.declare_prefix_list(kOwner, std::move(entries));
}

void Announcer::open_device() {
    if (device_ || !settings_.interface.empty()) return;
    auto opened = open_device_(settings_.tun_device);
    std::string error = opened ? std::string() : opened.error().to_string();
    if (!error.empty() && error != device_error_) {
        kLog.warning("no TUN device; a killed agent keeps the address until its lease ends",
                     {{"interface", kFallback}, {"error", error}});
    }
    device_error_ = std::move(error);
    if (opened) device_ = std::move(*opened);
}

void Announcer::put_address() {
    LinkAddress address{address_of(settings_), settings_.lease, std::chrono::seconds(0)};
    auto result = host_.net.put_address(interface(), address, true);
    if (!result && device_ && result.error().code == Code::kNotFound) {
        // Somebody deleted the device.
        device_.reset();
        open_device();
        result = host_.net.put_address(interface(), address, true);
    }
    std::string error = result ? std::string() : result.error().to_string();
    if (error != error_ && !error.empty()) kLog.error("cannot lease the address", {{"error", error}});
    error_ = std::move(error);
    if (result) refreshed_ = host_.clock.steady_now();
}

void Announcer::remove_address(const std::string& interface) {
    auto result = host_.net.remove_address(interface, address_of(settings_));
    // The lease ends by itself in any case.
    if (!result) kLog.warning("cannot remove the address; it ends with its lease", {{"error", result.error()}});
}

}  // namespace nett::anycast
