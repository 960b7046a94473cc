// Metrics: what a module counts, for Prometheus (agent/core/metrics serves them).
//
// A module asks the host's Metrics once for a family, and the family once for each series it needs; after that a count
// is one atomic operation, without lock, allocation or virtual call. Names follow Prometheus' conventions
// (prometheus.io/docs/practices/naming): nett_<what>_<unit>, base units, counters end in _total.
//
// Labels are for what is few and named by an operator: tenants, states, results. Never a machine, an address or
// anything a peer chooses: a family holds at most `max_series` series, and what comes later is counted in one series
// whose label values are all "other".
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "agent/sdk/subscription.hpp"

namespace nett {

// Only grows, until the agent ends. Thread-safe, wait-free.
class Counter {
public:
    void add(std::uint64_t by = 1) noexcept { value_.fetch_add(by, std::memory_order_relaxed); }
    // For a number that something else counts already; it must not shrink.
    void set_total(std::uint64_t value) noexcept { value_.store(value, std::memory_order_relaxed); }
    std::uint64_t value() const noexcept { return value_.load(std::memory_order_relaxed); }

private:
    std::atomic<std::uint64_t> value_{0};
};

// Goes up and down. Thread-safe.
class Gauge {
public:
    void set(double value) noexcept { value_.store(value, std::memory_order_relaxed); }
    double value() const noexcept { return value_.load(std::memory_order_relaxed); }

private:
    std::atomic<double> value_{0};
};

// A distribution over fixed buckets. Thread-safe; each number alone is exact, together they may be an observation
// apart.
class Histogram {
public:
    // `bounds`: the upper bounds of the buckets, ascending; the bucket above the last is implied.
    explicit Histogram(std::vector<double> bounds);
    void observe(double value) noexcept;

    const std::vector<double>& bounds() const { return bounds_; }
    // Observations of each bucket alone (not summed up), the last is above all bounds.
    std::vector<std::uint64_t> buckets() const;
    double sum() const noexcept { return sum_.load(std::memory_order_relaxed); }

private:
    std::vector<double> bounds_;
    std::unique_ptr<std::atomic<std::uint64_t>[]> counts_;
    std::atomic<double> sum_{0};
};

using LabelValues = std::vector<std::string>;
// Above the tenants times results of a large site; a scrape of a full family is about 100 KB.
inline constexpr std::size_t kMaxSeries = 1000;

// What a family is, fixed when it is made.
struct MetricInfo {
    std::string name;
    std::string help;                      // one line
    std::vector<std::string> labels = {};  // names of the labels; every series has a value for each
    std::size_t max_series = kMaxSeries;
};

// The series of one metric. Thread-safe; with() locks, so keep what it returns.
template <typename Instrument>
class MetricFamily {
public:
    using Make = std::function<std::shared_ptr<Instrument>()>;
    using Series = std::pair<LabelValues, std::shared_ptr<const Instrument>>;

    MetricFamily(MetricInfo info, Make make) : info_(std::move(info)), make_(std::move(make)) {}
    const MetricInfo& info() const { return info_; }

    // The series with these values, in the order of info().labels; made when it is not there. Values too few are empty.
    std::shared_ptr<Instrument> with(LabelValues values = {}) {
        values.resize(info_.labels.size());
        const std::lock_guard lock(mutex_);
        if (series_.size() >= info_.max_series && !series_.contains(values)) {
            values.assign(info_.labels.size(), "other");
        }
        auto& series = series_[std::move(values)];
        if (!series) series = make_();
        return series;
    }
    // Forgets series: of a deleted tenant, or all of a snapshot that is about to be taken again.
    void remove(const LabelValues& values) {
        const std::lock_guard lock(mutex_);
        series_.erase(values);
    }
    void clear() {
        const std::lock_guard lock(mutex_);
        series_.clear();
    }
    std::vector<Series> series() const {
        const std::lock_guard lock(mutex_);
        return {series_.begin(), series_.end()};
    }

private:
    const MetricInfo info_;
    const Make make_;
    mutable std::mutex mutex_;
    std::map<LabelValues, std::shared_ptr<Instrument>> series_;
};

using CounterFamily = MetricFamily<Counter>;
using GaugeFamily = MetricFamily<Gauge>;
using HistogramFamily = MetricFamily<Histogram>;

// Bounds in seconds for what a machine waits for: from a cached answer to the patience of a client.
std::vector<double> latency_bounds();

// The agent's metrics. A family lives as long as this. Asking for a name again gives the same family (a plugin that is
// started again); with other labels or another type that is a defect: it is logged, and the family is served nowhere.
// Thread-safe, except before_scrape().
class Metrics {
public:
    virtual ~Metrics() = default;
    virtual CounterFamily& counter(MetricInfo info) = 0;
    virtual GaugeFamily& gauge(MetricInfo info) = 0;
    virtual HistogramFamily& histogram(MetricInfo info, std::vector<double> bounds) = 0;
    // Called on the loop thread before each scrape is answered: for gauges that are cheaper asked for than kept. Must
    // be short. Loop thread only.
    [[nodiscard]] virtual Subscription before_scrape(std::function<void()> update) = 0;
};

// Counts, and nobody reads it: for tests of modules. Thread-safe, except for before_scrape().
class NullMetrics final : public Metrics {
public:
    CounterFamily& counter(MetricInfo info) override;
    GaugeFamily& gauge(MetricInfo info) override;
    HistogramFamily& histogram(MetricInfo info, std::vector<double> bounds) override;
    Subscription before_scrape(std::function<void()> update) override;

private:
    std::mutex mutex_;
    std::map<std::string, std::unique_ptr<CounterFamily>> counters_;
    std::map<std::string, std::unique_ptr<GaugeFamily>> gauges_;
    std::map<std::string, std::unique_ptr<HistogramFamily>> histograms_;
};

}  // namespace nett
