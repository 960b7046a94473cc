// Times as google.protobuf.Timestamp.
#pragma once

#include <google/protobuf/timestamp.pb.h>

#include "agent/sdk/clock.hpp"

namespace nett {

inline void set_timestamp(SystemTime time, google::protobuf::Timestamp* out) {
    const auto since_epoch = time.time_since_epoch();
    const auto seconds = std::chrono::floor<std::chrono::seconds>(since_epoch);
    out->set_seconds(seconds.count());
    out->set_nanos(static_cast<int>(std::chrono::nanoseconds(since_epoch - seconds).count()));
}

}  // namespace nett
