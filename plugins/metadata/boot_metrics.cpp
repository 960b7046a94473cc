#include "plugins/metadata/boot_metrics.hpp"

#include <functional>

namespace nett::metadata {

namespace {

// What a boot request can come to.
constexpr std::array kBootOutcomes{Outcome::kNetboot, Outcome::kLocalBoot, Outcome::kUnknownMachine,
                                   Outcome::kRefused, Outcome::kShed,      Outcome::kError};

std::size_t index_of(Outcome outcome) {
    return static_cast<std::size_t>(outcome);
}

}  // namespace

BootMetrics::BootMetrics(Metrics& metrics)
    : requests_(metrics.counter({"nett_boot_requests_total",
                                 "Requests for a boot decision by tenant and result.",
                                 {"tenant", "result"},
                                 kMaxSeries * kBootOutcomes.size()})) {
    auto& seconds = metrics.histogram(
        {"nett_boot_request_seconds", "Time to decide a boot request, with what has to be durable first.", {"result"}},
        latency_bounds());
    for (const auto outcome : kBootOutcomes) {
        seconds_[index_of(outcome)] = seconds.with({std::string(name_of(outcome))});
    }
}

const BootMetrics::Tenant& BootMetrics::of(std::string_view tenant) {
    auto& bucket = buckets_[std::hash<std::string_view>()(tenant) % kBuckets];
    for (const auto* one = bucket.load(std::memory_order_acquire); one != nullptr; one = one->next_) {
        if (one->name_ == tenant) return *one;
    }
    return add(bucket, tenant);
}

// A tenant's first request. Above the limit all newcomers share one entry, which the family counts as "other".
const BootMetrics::Tenant& BootMetrics::add(std::atomic<const Tenant*>& bucket, std::string_view name) {
    const std::lock_guard lock(adding_);
    for (const auto* one = bucket.load(std::memory_order_acquire); one != nullptr; one = one->next_) {
        if (one->name_ == name) return *one;
    }
    if (tenants_.size() >= kMaxSeries) return *tenants_.back();
    const bool last = tenants_.size() + 1 == kMaxSeries;
    Counters counters;
    for (const auto outcome : kBootOutcomes) {
        counters[index_of(outcome)] =
            requests_.with({last ? std::string("other") : std::string(name), std::string(name_of(outcome))});
    }
    tenants_.push_back(
        std::make_unique<const Tenant>(std::string(name), std::move(counters), bucket.load(std::memory_order_relaxed)));
    if (!last) bucket.store(tenants_.back().get(), std::memory_order_release);
    return *tenants_.back();
}

void BootMetrics::count(const Tenant& tenant, Outcome outcome, std::chrono::steady_clock::duration took) const {
    const auto index = index_of(outcome);
    if (tenant.counters_[index]) tenant.counters_[index]->add();
    if (seconds_[index]) seconds_[index]->observe(std::chrono::duration<double>(took).count());
}

}  // namespace nett::metadata
