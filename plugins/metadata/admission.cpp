#include "plugins/metadata/admission.hpp"

#include <algorithm>

#include "plugins/metadata/limits.hpp"

namespace nett::metadata {

namespace {

Address6 network_of(const Address6& source) {
    // An IPv4 client of a homelab: all of IPv4 is one /64 otherwise.
    if (source.is_v4_mapped()) return source;
    return Prefix6(source, kSourcePrefixLength).address();
}

}  // namespace

void Admission::set_limits(ConnectionLimits limits) {
    const std::lock_guard lock(mutex_);
    limits_ = limits;
}

Admission::Verdict Admission::enter(const Address6& source) {
    const Address6 network = network_of(source);
    const std::lock_guard lock(mutex_);
    const auto total = static_cast<std::size_t>(limits_.total);
    if (connections_ >= total + total / kShedShareDivisor + 1) return Verdict::kClose;
    auto& count = sources_[network];
    if (count >= limits_.per_source) return Verdict::kClose;
    ++count;
    ++connections_;
    most_ = std::max(most_, connections_);
    return connections_ > total ? Verdict::kShed : Verdict::kServe;
}

void Admission::leave(const Address6& source) {
    const Address6 network = network_of(source);
    const std::lock_guard lock(mutex_);
    const auto found = sources_.find(network);
    if (--found->second == 0) sources_.erase(found);
    --connections_;
}

std::size_t Admission::connections() const {
    const std::lock_guard lock(mutex_);
    return connections_;
}

std::size_t Admission::most() const {
    const std::lock_guard lock(mutex_);
    return most_;
}

}  // namespace nett::metadata
