#include "agent/core/metrics/agent_metrics.hpp"

#include <array>

#include "agent/core/metrics/process.hpp"
#include "agent/sdk/lifecycle.hpp"
#include "agent/sdk/records.hpp"

namespace nett {

namespace {

constexpr std::array kStates{MachineState::kNew,         MachineState::kProvisioning, MachineState::kActive,
                             MachineState::kReprovision, MachineState::kMaintenance,  MachineState::kDecommission};
// Jobs that have not ended: at most one a machine. A scrape reads no more of them than this.
constexpr std::size_t kMaxOpenJobs = 1000;

double seconds_of(SystemTime time) {
    return std::chrono::duration<double>(time.time_since_epoch()).count();
}

std::string field(const Event& event, const std::string& name) {
    const auto found = event.fields.find(name);
    return found == event.fields.end() ? std::string() : found->second;
}

}  // namespace

AgentMetrics::AgentMetrics(AgentMetricsSources sources)
    : sources_(std::move(sources)),
      machines_by_state_(
          sources_.metrics.gauge({"nett_machines", "Registered machines by lifecycle state.", {"state"}})),
      machines_held_(
          sources_.metrics.gauge({"nett_machines_held", "Machines that boot their disk until they are released."})
              .with()),
      jobs_by_state_(sources_.metrics.gauge({"nett_jobs", "Jobs that have not ended, by state.", {"state"}})),
      job_steps_(sources_.metrics.counter(
          {"nett_job_steps_total", "Steps that jobs came to; DONE, FAILED, CANCELLED are results.", {"type", "step"}})),
      machine_transitions_(sources_.metrics.counter(
          {"nett_machine_transitions_total", "Changes of machines' lifecycle states.", {"from", "to"}})),
      anycast_transitions_(
          sources_.metrics.counter({"nett_anycast_transitions_total", "Changes of the anycast announcement.", {"to"}})),
      ra_drift_(sources_.metrics.counter(
          {"nett_ra_drift_total", "Router advertisement settings found changed by others and repaired.", {"where"}})),
      events_(sources_.metrics.counter({"nett_events_total", "Events by component.", {"component"}})),
      frr_connected_(sources_.metrics.gauge(
          {"nett_frr_connected", "1 while the FRRouting daemon that is needed answers.", {"daemon"}})),
      frr_in_sync_(sources_.metrics.gauge(
          {"nett_frr_in_sync", "1 while the FRRouting daemon has what was declared.", {"daemon"}})),
      frr_repairs_(sources_.metrics.counter(
          {"nett_frr_repairs_total", "Times that declared configuration was lost and programmed again.", {"daemon"}})),
      health_(sources_.metrics.gauge({"nett_health_state",
                                      "Health conditions: 0 ok, 1 degraded, 2 failed.",
                                      {"component", "condition", "scope"}})),
      certificate_end_(sources_.metrics.gauge({"nett_certificate_expiry_timestamp_seconds",
                                               "When a certificate of this agent ends, Unix time.",
                                               {"certificate"}})),
      revision_(sources_.metrics.gauge({"nett_state_revision", "Revision of the state file."}).with()) {
    sources_.metrics.gauge({"nett_build_info", "Always 1.", {"version"}}).with({sources_.version})->set(1);
    sources_.metrics.gauge({"process_start_time_seconds", "Start of the agent, Unix time."})
        .with()
        ->set(seconds_of(sources_.started));
    take_census();
    on_change_ = sources_.store.watch(std::string(kMachineKind), [this](const Change& change) { follow(change); });
    on_event_ = sources_.events.subscribe("", [this](const Event& event) { count(event); });
    on_scrape_ = sources_.metrics.before_scrape([this] { update(); });
}

void AgentMetrics::take_census() {
    const auto machines = read_records<Machine>(sources_.store, kMachineKind);
    if (!machines) return;  // the store reports its own health
    for (const auto& one : *machines) machines_[one.value.name] = {one.value.state, !one.value.hold.reason.empty()};
}

void AgentMetrics::follow(const Change& change) {
    if (!change.value) {
        machines_.erase(change.key);
        return;
    }
    const auto machine = decode<Machine>(*change.value);
    if (machine) machines_[change.key] = {machine->state, !machine->hold.reason.empty()};
}

void AgentMetrics::count(const Event& event) {
    events_.with({event.type.substr(0, event.type.find('.'))})->add();
    if (event.type == "machine.state") {
        machine_transitions_.with({field(event, "from"), field(event, "to")})->add();
    } else if (event.type == "job.step") {
        const auto job = read_record<Job>(sources_.store, kJobKind, job_key(field(event, "job")));
        job_steps_.with({job && *job ? (*job)->value.type : "unknown", field(event, "step")})->add();
    } else if (event.type == "ra.drift") {
        ra_drift_.with({field(event, "where")})->add();
    } else if (event.type.starts_with("anycast.") && event.type != "anycast.mode") {
        anycast_transitions_.with({event.type.substr(event.type.find('.') + 1)})->add();
    }
}

void AgentMetrics::update() {
    revision_->set(static_cast<double>(sources_.store.revision()));
    update_machines();
    update_jobs();
    update_frr();
    update_health();
    const auto end = sources_.api_certificate_end();
    if (end) {
        certificate_end_.with({"api"})->set(seconds_of(*end));
    } else {
        certificate_end_.remove({"api"});
    }
    put_process_metrics(sources_.metrics);
}

void AgentMetrics::update_machines() {
    std::map<MachineState, double> counts;
    double held = 0;
    for (const auto& [name, machine] : machines_) {
        ++counts[machine.state];
        held += machine.held ? 1 : 0;
    }
    for (const auto state : kStates) machines_by_state_.with({std::string(to_string(state))})->set(counts[state]);
    machines_held_->set(held);
}

void AgentMetrics::update_jobs() {
    const auto open = decode_records<Job>(sources_.store.scan(kJobKind, kOpenJobIndex, "", "", kMaxOpenJobs));
    jobs_by_state_.clear();
    std::map<std::string, double> counts{{"NEEDS_OPERATOR", 0}, {"QUEUED", 0}};  // there also when there is none
    if (open) {
        for (const auto& job : *open) ++counts[job.value.state];
    }
    for (const auto& [state, number] : counts) jobs_by_state_.with({state})->set(number);
}

void AgentMetrics::update_frr() {
    for (const auto daemon : {FrrDaemon::kZebra, FrrDaemon::kBgpd}) {
        const auto status = sources_.frr.status(daemon);
        const LabelValues labels{std::string(to_string(daemon))};
        if (!status.configured) {
            frr_connected_.remove(labels);
            frr_in_sync_.remove(labels);
            continue;
        }
        frr_connected_.with(labels)->set(status.connected ? 1 : 0);
        frr_in_sync_.with(labels)->set(status.in_sync ? 1 : 0);
        frr_repairs_.with(labels)->set_total(status.repairs);
    }
}

void AgentMetrics::update_health() {
    health_.clear();
    for (const auto& one : sources_.health.conditions()) {
        health_.with({one.component, one.name, std::string(to_string(one.scope))})
            ->set(one.state == HealthState::kOk         ? 0
                  : one.state == HealthState::kDegraded ? 1
                                                        : 2);
    }
}

}  // namespace nett
