// A value that the loop thread replaces and io threads read.
#pragma once

#include <memory>
#include <mutex>
#include <utility>

namespace nett::metadata {

// Readers keep what they loaded for as long as they need it. Thread-safe.
template <typename T>
class SharedValue {
public:
    SharedValue() = default;
    explicit SharedValue(std::shared_ptr<const T> value) : value_(std::move(value)) {}

    std::shared_ptr<const T> load() const {
        const std::lock_guard lock(mutex_);
        return value_;
    }
    void store(std::shared_ptr<const T> value) {
        const std::lock_guard lock(mutex_);
        value_.swap(value);  // the old value is released after the lock
    }

private:
    mutable std::mutex mutex_;
    std::shared_ptr<const T> value_;
};

}  // namespace nett::metadata
