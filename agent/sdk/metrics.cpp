#include "agent/sdk/metrics.hpp"

#include <algorithm>

namespace nett {

Histogram::Histogram(std::vector<double> bounds)
    : bounds_(std::move(bounds)), counts_(std::make_unique<std::atomic<std::uint64_t>[]>(bounds_.size() + 1)) {}

void Histogram::observe(double value) noexcept {
    const auto bucket = std::lower_bound(bounds_.begin(), bounds_.end(), value) - bounds_.begin();
    counts_[static_cast<std::size_t>(bucket)].fetch_add(1, std::memory_order_relaxed);
    sum_.fetch_add(value, std::memory_order_relaxed);
}

std::vector<std::uint64_t> Histogram::buckets() const {
    std::vector<std::uint64_t> out;
    for (std::size_t i = 0; i <= bounds_.size(); ++i) out.push_back(counts_[i].load(std::memory_order_relaxed));
    return out;
}

std::vector<double> latency_bounds() {
    return {0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10};
}

CounterFamily& NullMetrics::counter(MetricInfo info) {
    const std::lock_guard lock(mutex_);
    auto& family = counters_[info.name];
    if (!family) {
        family = std::make_unique<CounterFamily>(std::move(info), [] { return std::make_shared<Counter>(); });
    }
    return *family;
}

GaugeFamily& NullMetrics::gauge(MetricInfo info) {
    const std::lock_guard lock(mutex_);
    auto& family = gauges_[info.name];
    if (!family) family = std::make_unique<GaugeFamily>(std::move(info), [] { return std::make_shared<Gauge>(); });
    return *family;
}

HistogramFamily& NullMetrics::histogram(MetricInfo info, std::vector<double> bounds) {
    const std::lock_guard lock(mutex_);
    auto& family = histograms_[info.name];
    if (!family) {
        family = std::make_unique<HistogramFamily>(
            std::move(info), [bounds = std::move(bounds)] { return std::make_shared<Histogram>(bounds); });
    }
    return *family;
}

Subscription NullMetrics::before_scrape(std::function<void()>) {
    return {};
}

}  // namespace nett
