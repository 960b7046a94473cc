// What the agent itself tells Prometheus: machines, jobs, FRRouting, health, state file, process; and what events
// count.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/sdk/clock.hpp"
#include "agent/sdk/event.hpp"
#include "agent/sdk/frr.hpp"
#include "agent/sdk/health.hpp"
#include "agent/sdk/metrics.hpp"
#include "agent/sdk/model.hpp"
#include "agent/sdk/store.hpp"

namespace nett {

// References outlive the metrics.
struct AgentMetricsSources {
    Metrics& metrics;
    EventBus& events;
    const HealthRegistry& health;
    Store& store;
    const Frr& frr;
    std::string version;
    SystemTime started{};
    // When the API's certificate ends; nullopt: it has none, or none that can be read.
    std::function<std::optional<SystemTime>()> api_certificate_end;
};

// Loop thread only, from construction to destruction.
class AgentMetrics {
public:
    explicit AgentMetrics(AgentMetricsSources sources);

private:
    void count(const Event& event);
    void follow(const Change& change);
    void take_census();
    void update();
    void update_machines();
    void update_jobs();
    void update_frr();
    void update_health();

    struct Seen {
        MachineState state = MachineState::kNew;
        bool held = false;
    };

    AgentMetricsSources sources_;
    std::map<std::string, Seen> machines_;  // kept by the changes: a scrape reads no machine record
    GaugeFamily& machines_by_state_;
    std::shared_ptr<Gauge> machines_held_;
    GaugeFamily& jobs_by_state_;
    CounterFamily& job_steps_;
    CounterFamily& machine_transitions_;
    CounterFamily& anycast_transitions_;
    CounterFamily& ra_drift_;
    CounterFamily& events_;
    GaugeFamily& frr_connected_;
    GaugeFamily& frr_in_sync_;
    CounterFamily& frr_repairs_;
    GaugeFamily& health_;
    GaugeFamily& certificate_end_;
    std::shared_ptr<Gauge> revision_;
    Subscription on_event_;
    Subscription on_change_;
    Subscription on_scrape_;
};

}  // namespace nett
