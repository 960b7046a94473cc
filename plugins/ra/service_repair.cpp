// A port whose address others have replaced by the same one ("ip address replace", other lifetimes).
//
// zebra takes the address for a second one, forgets that the prefix is configured and advertises it with lifetimes of
// its own, 30 and 7 days (FRR 10.3, rtadv_prefix_set); its northbound shows nothing of it. And if the address went now,
// zebra would free what its northbound still refers to (rtadv_prefix_reset). So everything is made anew, in the one
// order that is safe: the prefix goes, the address goes, zebra has seen that, the prefix comes, the address comes.
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/json.hpp>

#include "plugins/ra/service.hpp"

namespace nett::ra {
namespace {

namespace json = boost::json;

const Logger kLog("ra");
constexpr const char* kOwner = "ra";
constexpr std::chrono::milliseconds kRepairPoll{30};
// zebra commits in milliseconds; one that hangs is tried again at the next tick.
constexpr int kRepairPolls = 150;

// Whether `show interface json` has the address on the port, whatever its length.
bool has_address(const json::object& interfaces, const std::string& port, const Address6& address) {
    const json::value* entry = interfaces.if_contains(port);
    const json::value* list = entry && entry->is_object() ? entry->as_object().if_contains("ipAddresses") : nullptr;
    if (list == nullptr || !list->is_array()) return false;
    for (const json::value& item : list->as_array()) {
        const json::value* text = item.is_object() ? item.as_object().if_contains("address") : nullptr;
        if (text == nullptr || !text->is_string()) continue;
        std::string_view words(text->as_string());
        auto found = parse_address6(words.substr(0, words.find('/')));
        if (found && *found == address) return true;
    }
    return false;
}

}  // namespace

Awaitable<void> Service::pause() {
    pause_.expires_after(kRepairPoll);
    boost::system::error_code ignored;
    co_await pause_.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
}

Awaitable<bool> Service::zebra_in_sync() {
    for (int i = 0; i < kRepairPolls && !stopping_; ++i) {
        FrrDaemonStatus zebra = host_.frr.status(FrrDaemon::kZebra);
        if (zebra.in_sync || !zebra.connected) co_return zebra.in_sync;
        co_await pause();
    }
    co_return false;
}

Awaitable<Result<bool>> Service::zebra_knows_address_of(std::set<std::string> ports) const {
    auto text = co_await host_.frr.show_json("show interface");
    if (!text) co_return fail(std::move(text.error()));
    boost::system::error_code error;
    json::value interfaces = json::parse(*text, error);
    if (error || !interfaces.is_object()) co_return fail(Code::kDataLoss, "zebra's interfaces are not understood");
    bool known = false;
    for (const std::string& port : ports) {
        auto record = records_.find(port);
        known = known ||
                (record != records_.end() && has_address(interfaces.as_object(), port, record->second.prefix.host(1)));
    }
    co_return known;
}

Awaitable<void> Service::repair_replaced() {
    if (kernel_.replaced().empty() || !host_.frr.status(FrrDaemon::kZebra).in_sync) co_return;
    co_await lock();
    std::set<std::string> ports = kernel_.replaced();
    std::erase_if(ports, [this](const std::string& port) { return !kernel_.confirmed(port); });
    // Without knowing when zebra has seen the address go, nothing of this is safe.
    auto readable = co_await zebra_knows_address_of(ports);
    if (!readable) kLog.warning("a replaced address stays as it is", {{"error", readable.error()}});
    if (readable && !stopping_ && !ports.empty()) co_await program_anew(std::move(ports));
    unlock();
}

Awaitable<void> Service::program_anew(std::set<std::string> ports) {
    kernel_.set_aside(ports);
    std::vector<RaInterface> without = *declared_;
    for (RaInterface& interface : without) {
        if (!ports.contains(interface.name)) continue;
        for (RaPrefix& prefix : interface.prefixes) prefix.valid_lifetime = prefix.preferred_lifetime = {};
    }
    host_.frr.declare_ra(kOwner, std::move(without));
    bool gone = co_await zebra_in_sync();
    if (gone) {
        kernel_.clear_aside(records_);
        // Also beyond kRepairPolls: the prefix must not come before zebra has seen that. A restart shows it, too.
        for (bool known = true; known && host_.frr.status(FrrDaemon::kZebra).connected;) {
            auto asked = co_await zebra_knows_address_of(ports);
            known = asked ? *asked : !stopping_;
            if (known) co_await pause();
        }
    }
    host_.frr.declare_ra(kOwner, *declared_);
    bool back = co_await zebra_in_sync();
    kernel_.resume();
    put_kernel_state();
    kLog.info("replaced addresses were programmed anew",
              {{"ports", fmt::format("{}", fmt::join(ports, ","))}, {"done", gone && back ? "yes" : "no"}});
}

}  // namespace nett::ra
