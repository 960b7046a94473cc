// Boot requests by tenant and result, with how long their answers took: for Prometheus.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "agent/sdk/metrics.hpp"
#include "plugins/metadata/http.hpp"

namespace nett::metadata {

// A request takes no lock and allocates nothing: it finds its tenant's counters in a table that only grows, up to
// kMaxSeries tenants. Thread-safe.
class BootMetrics {
public:
    explicit BootMetrics(Metrics& metrics);

    // A tenant's counters, for count(). Valid for as long as this.
    class Tenant;
    const Tenant& of(std::string_view tenant);
    void count(const Tenant& tenant, Outcome outcome, std::chrono::steady_clock::duration took) const;

private:
    using Counters = std::array<std::shared_ptr<Counter>, kOutcomes>;
    static constexpr std::size_t kBuckets = 256;  // a large site has some hundred tenants

    const Tenant& add(std::atomic<const Tenant*>& bucket, std::string_view name);

    CounterFamily& requests_;
    std::array<std::shared_ptr<Histogram>, kOutcomes> seconds_;
    std::array<std::atomic<const Tenant*>, kBuckets> buckets_{};
    std::mutex adding_;  // guards what follows
    std::vector<std::unique_ptr<const Tenant>> tenants_;
};

class BootMetrics::Tenant {
public:
    Tenant(std::string name, Counters counters, const Tenant* next)
        : name_(std::move(name)), counters_(std::move(counters)), next_(next) {}

private:
    friend class BootMetrics;
    const std::string name_;
    const Counters counters_;
    const Tenant* const next_;  // in its bucket
};

}  // namespace nett::metadata
