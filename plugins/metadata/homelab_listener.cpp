#include "plugins/metadata/homelab_listener.hpp"

#include <utility>

#include <boost/json.hpp>

#include "plugins/metadata/limits.hpp"

namespace nett::metadata {

HomelabListener::HomelabListener(const Host& host, RequestHandler inner)
    : store_(host.store),
      service_(host.store, std::move(inner)),
      server_(std::make_shared<Server>(host.loop, host.io, host.clock,
                                       [this](Request request, const Peer& peer, Conversation& conversation) {
                                           return service_.handle(std::move(request), peer, conversation);
                                       })) {
    server_->set_limits({kHomelabMaxConnections, kHomelabMaxConnectionsPerSource});
}

Result<HomelabListener::Prepared> HomelabListener::prepare(HomelabSettings settings) {
    auto listeners = server_->open(settings.listen);
    if (!listeners) return fail(std::move(listeners.error()).in("homelab"));
    return Prepared{std::move(settings), std::move(*listeners)};
}

void HomelabListener::adopt(Prepared prepared) {
    settings_ = prepared.settings;
    service_.set_settings(std::move(prepared.settings));
    server_->adopt(std::move(prepared.listeners));
}

Awaitable<void> HomelabListener::stop(SteadyTime deadline) {
    co_await server_->stop(deadline);
}

HealthCondition HomelabListener::health() const {
    HealthCondition condition{"metadata", "homelab", HealthScope::kInfo, HealthState::kOk, "off", {}, {}};
    if (settings_.listen.empty()) return condition;
    condition.message = "accepting, without encryption";
    if (const auto trouble = server_->trouble(); !trouble.empty()) {
        condition.state = HealthState::kFailed;
        condition.message = trouble;
        condition.remedy = "is the limit of open files reached?";
    }
    const auto tenant = store_.get(kTenantKind, settings_.tenant);
    if (condition.state == HealthState::kOk && tenant && !*tenant) {
        condition.state = HealthState::kDegraded;
        condition.message = "there is no tenant \"" + settings_.tenant + "\": no machine boots";
        condition.remedy = "talos-fabric-builder tenant add " + settings_.tenant;
    }
    return condition;
}

void HomelabListener::add_to(std::vector<OtherListener>& listeners) const {
    add_listeners(listeners, "homelab", *server_);
}

Output HomelabListener::show() const {
    const auto& counters = server_->counters();
    boost::json::array listeners;
    std::string text;
    for (const auto& endpoint : settings_.listen) {
        const auto url = "http://" + homelab_authority(endpoint) + "/talos/talos.ipxe";
        listeners.emplace_back(url);
        text += (text.empty() ? "" : ", ") + url;
    }
    Output out;
    out.text = fmt::format("script        {}\ntenant        {}\nconnections   {} now, {} accepted\nbytes sent    {}\n",
                           text.empty() ? "off" : text, settings_.tenant, server_->admission().connections(),
                           counters.accepted.load(), counters.bytes_sent.load());
    boost::json::object requests;
    for (std::size_t i = 0; i < kOutcomes; ++i) {
        const auto name = name_of(static_cast<Outcome>(i));
        const auto count = counters.outcomes[i].load();
        requests[name] = count;
        if (count != 0) out.text += fmt::format("  {:<17} {}\n", name, count);
    }
    out.data = boost::json::object{{"scripts", std::move(listeners)},
                                   {"tenant", settings_.tenant},
                                   {"connections", server_->admission().connections()},
                                   {"bytes_sent", counters.bytes_sent.load()},
                                   {"requests", std::move(requests)}};
    return out;
}

}  // namespace nett::metadata
