#include "plugins/bgp-anycast/service.hpp"

#include <algorithm>

#include <boost/json.hpp>

#include "agent/sdk/model.hpp"

namespace nett::anycast {
namespace {

namespace json = boost::json;

const Logger kLog("bgp-anycast");
constexpr const char* kComponent = "bgp-anycast";

}  // namespace

Service::Service(const Host& host)
    : host_(host), announcer_(host), check_timer_(host.loop), refresh_timer_(host.loop) {}

void Service::start(Settings settings) {
    running_ = true;
    since_ = host_.clock.system_now();
    decision_ = Decision(settings.rise, settings.fall);
    reconfigure(std::move(settings));
    health_ = host_.health.observe([this](const HealthCondition& condition) {
        // At most one early look between two of the timer's, so that a burst of changes is not a row of checks.
        if (condition.component != kComponent && !std::exchange(looked_early_, true)) check();
    });
}

void Service::reconfigure(Settings settings) {
    settings_ = std::move(settings);
    decision_.set_thresholds(settings_.rise, settings_.fall);
    announcer_.configure(settings_);
    arm_check();
    arm_refresh();
    report_health();
}

void Service::stop() {
    if (!std::exchange(running_, false)) return;
    health_.reset();
    check_timer_.cancel();
    refresh_timer_.cancel();
    bool was_announced = announcer_.announced();
    announcer_.withdraw();
    host_.frr.release(kComponent);
    host_.health.forget(kComponent);
    if (!was_announced) return;
    kLog.info("withdrawn", {{"address", settings_.address.to_string()}, {"reason", "the plugin stops"}});
    host_.events.publish(
        {"anycast.withdrawn", settings_.address.to_string(), "the plugin stops", {{"reason", "stop"}}, {}, 0});
}

void Service::check() {
    if (!running_) return;
    Verdict verdict = judge(host_.health.conditions(), settings_.required);
    shared_ = verdict.shared;
    if (decision_.check(verdict, host_.clock.steady_now())) {
        since_ = host_.clock.system_now();
        bool announce = decision_.announce();
        announce ? announcer_.announce() : announcer_.withdraw();
        kLog.info(announce ? "announced" : "withdrawn",
                  {{"address", settings_.address.to_string()}, {"reason", decision_.reason()}});
        host_.events.publish({announce ? "anycast.announced" : "anycast.withdrawn",
                              settings_.address.to_string(),
                              decision_.reason(),
                              {{"reason", decision_.reason()}},
                              {},
                              0});
    }
    report_health();
    arm_check();
}

void Service::arm_check() {
    check_timer_.expires_after(settings_.check_interval);
    check_timer_.async_wait([this](const boost::system::error_code& error) {
        if (error) return;
        looked_early_ = false;
        check();
    });
}

void Service::arm_refresh() {
    refresh_timer_.expires_after(std::chrono::duration_cast<std::chrono::milliseconds>(settings_.lease) / 3);
    refresh_timer_.async_wait([this](const boost::system::error_code& error) {
        if (error || !running_) return;
        announcer_.refresh();
        arm_refresh();
    });
}

void Service::report_health() {
    HealthCondition announcement{kComponent, "announcement", HealthScope::kInfo, HealthState::kOk, {}, {}, {}};
    if (announcer_.announced()) {
        announcement.message = fmt::format("{} is announced: {}", settings_.address.to_string(), decision_.reason());
    } else {
        announcement.state = HealthState::kDegraded;
        announcement.message = fmt::format("{} is withdrawn: {}", settings_.address.to_string(), decision_.reason());
        announcement.remedy = "repair what failed; see \"show anycast\"";
    }
    HealthCondition lease{kComponent, "lease", HealthScope::kInfo, HealthState::kOk, "the kernel takes the lease",
                          {},         {}};
    if (!announcer_.error().empty()) {
        lease.state = HealthState::kFailed;
        lease.message = announcer_.error();
        lease.remedy = fmt::format("nett needs CAP_NET_ADMIN and the interface {}", settings_.interface);
    }
    host_.health.report(std::move(announcement));
    host_.health.report(std::move(lease));
}

Output Service::show() const {
    SteadyTime now = host_.clock.steady_now();
    FrrDaemonStatus bgpd = host_.frr.status(FrrDaemon::kBgpd);
    json::array checks;
    for (const HealthCondition& condition : host_.health.conditions()) {
        bool counts = condition.scope == HealthScope::kLocal &&
                      (settings_.required.empty() || settings_.required.contains(condition.component));
        if (!counts) continue;
        checks.push_back(json::object{{"component", condition.component},
                                      {"name", condition.name},
                                      {"state", to_string(condition.state)},
                                      {"message", condition.message}});
    }
    json::object data{{"address", settings_.address.to_string()},
                      {"state", announcer_.announced() ? "announced" : "withdrawn"},
                      {"reason", decision_.reason()},
                      {"since", to_rfc3339(since_)},
                      {"interface", settings_.interface},
                      {"lease_s", settings_.lease.count()},
                      {"lease_error", announcer_.error()},
                      {"hold_down_s", decision_.hold_down(now).count()},
                      {"good_checks", decision_.good_checks()},
                      {"bad_checks", decision_.bad_checks()}};
    if (announcer_.announced()) {
        auto age = std::chrono::duration_cast<std::chrono::milliseconds>(now - announcer_.refreshed());
        data["refreshed_ms_ago"] = age.count();
    }
    if (settings_.gate) {
        data["gate"] = json::object{{"prefix_list", settings_.gate->list},
                                    {"sequence", settings_.gate->sequence},
                                    {"action", announcer_.announced() ? "permit" : "deny"},
                                    {"in_sync", bgpd.connected && bgpd.in_sync},
                                    {"error", bgpd.error}};
    }
    data["checks"] = std::move(checks);
    data["shared_troubles"] = json::value_from(shared_);
    return {std::move(data), {}, {}};
}

}  // namespace nett::anycast
