#include "agent/core/metrics/registry.hpp"

#include <limits>

#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

namespace nett {

namespace {

using prometheus::ClientMetric;
using prometheus::MetricType;

void put(ClientMetric& out, const Counter& counter) {
    out.counter.value = static_cast<double>(counter.value());
}

void put(ClientMetric& out, const Gauge& gauge) {
    out.gauge.value = gauge.value();
}

void put(ClientMetric& out, const Histogram& histogram) {
    std::uint64_t seen = 0;
    const auto buckets = histogram.buckets();
    for (std::size_t i = 0; i < buckets.size(); ++i) {
        seen += buckets[i];
        const double bound =
            i < histogram.bounds().size() ? histogram.bounds()[i] : std::numeric_limits<double>::infinity();
        out.histogram.bucket.push_back({seen, bound});
    }
    out.histogram.sample_count = seen;
    out.histogram.sample_sum = histogram.sum();
}

template <typename Instrument>
constexpr MetricType kType = MetricType::Untyped;
template <>
constexpr MetricType kType<Counter> = MetricType::Counter;
template <>
constexpr MetricType kType<Gauge> = MetricType::Gauge;
template <>
constexpr MetricType kType<Histogram> = MetricType::Histogram;

template <typename Instrument>
prometheus::MetricFamily collect(const MetricFamily<Instrument>& family) {
    prometheus::MetricFamily out;
    out.name = family.info().name;
    out.help = family.info().help;
    out.type = kType<Instrument>;
    for (const auto& [values, instrument] : family.series()) {
        auto& metric = out.metric.emplace_back();
        for (std::size_t i = 0; i < values.size(); ++i) {
            metric.label.push_back({family.info().labels[i], values[i]});
        }
        put(metric, *instrument);
    }
    return out;
}

}  // namespace

template <typename F, typename Make>
F& MetricsRegistry::family(MetricInfo info, Make make) {
    const std::lock_guard lock(mutex_);
    const auto known = families_.find(info.name);
    if (known != families_.end()) {
        const auto* same = std::get_if<std::unique_ptr<F>>(&known->second);
        if (same != nullptr && (*same)->info().labels == info.labels) return **same;
        log_.error("a metric is registered twice as different things; the second is not served", {{"name", info.name}});
    }
    auto made = std::make_unique<F>(std::move(info), std::move(make));
    F& family = *made;
    if (known == families_.end()) {
        families_.emplace(family.info().name, std::move(made));
    } else {
        misfits_.emplace_back(std::move(made));
    }
    return family;
}

CounterFamily& MetricsRegistry::counter(MetricInfo info) {
    return family<CounterFamily>(std::move(info), [] { return std::make_shared<Counter>(); });
}

GaugeFamily& MetricsRegistry::gauge(MetricInfo info) {
    return family<GaugeFamily>(std::move(info), [] { return std::make_shared<Gauge>(); });
}

HistogramFamily& MetricsRegistry::histogram(MetricInfo info, std::vector<double> bounds) {
    return family<HistogramFamily>(std::move(info),
                                   [bounds = std::move(bounds)] { return std::make_shared<Histogram>(bounds); });
}

Subscription MetricsRegistry::before_scrape(std::function<void()> update) {
    auto& updater = updaters_->emplace_back(Updater{std::move(update)});
    return Subscription([&updater, list = std::weak_ptr(updaters_)] {
        if (!list.expired()) updater.active = false;
    });
}

std::string MetricsRegistry::scrape() {
    const auto updaters = updaters_;
    for (auto& updater : *updaters) {
        if (updater.active) updater.update();
    }
    // Erased only here: an update may end its own or another's subscription while the list is walked.
    updaters->remove_if([](const Updater& one) { return !one.active; });
    std::vector<prometheus::MetricFamily> out;
    {
        const std::lock_guard lock(mutex_);
        for (const auto& [name, family] : families_) {
            auto collected = std::visit([](const auto& one) { return collect(*one); }, family);
            if (!collected.metric.empty()) out.push_back(std::move(collected));
        }
    }
    return prometheus::TextSerializer().Serialize(out);
}

}  // namespace nett
