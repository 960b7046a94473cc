// The agent's metrics: the families of agent/sdk/metrics.hpp, and Prometheus' text of them (prometheus-cpp).
#pragma once

#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <variant>
#include <vector>

#include "agent/sdk/log.hpp"
#include "agent/sdk/metrics.hpp"

namespace nett {

class MetricsRegistry final : public Metrics {
public:
    CounterFamily& counter(MetricInfo info) override;
    GaugeFamily& gauge(MetricInfo info) override;
    HistogramFamily& histogram(MetricInfo info, std::vector<double> bounds) override;
    [[nodiscard]] Subscription before_scrape(std::function<void()> update) override;

    // All families with a series, by name, in the text format 0.0.4. Loop thread: asks the modules first.
    std::string scrape();

private:
    using Family =
        std::variant<std::unique_ptr<CounterFamily>, std::unique_ptr<GaugeFamily>, std::unique_ptr<HistogramFamily>>;
    struct Updater {
        std::function<void()> update;
        bool active = true;
    };

    template <typename F, typename Make>
    F& family(MetricInfo info, Make make);

    Logger log_{"metrics"};
    std::mutex mutex_;  // guards the two below
    std::map<std::string, Family> families_;
    std::vector<Family> misfits_;  // asked for twice as different things: counted, and not served
    std::shared_ptr<std::list<Updater>> updaters_ = std::make_shared<std::list<Updater>>();
};

}  // namespace nett
