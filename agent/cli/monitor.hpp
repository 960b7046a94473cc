// Events beside the prompt: `terminal monitor`.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "agent/cli/client.hpp"

namespace nett::cli {

// What waits to be printed while a command or the pager has the terminal; beyond it the oldest lines go.
inline constexpr std::size_t kMaxMonitorBytes = 256 * 1024;

// One line at a time is followed, by a thread. `client` outlives it.
class Monitor {
public:
    Monitor(const Client& client, bool json);
    ~Monitor();
    Monitor(const Monitor&) = delete;
    Monitor& operator=(const Monitor&) = delete;

    // Follows this line from now on, instead of another; empty: none.
    void follow(const std::string& line);
    // Readable when take() has something.
    int descriptor() const { return wake_; }
    // What was said since the last call, whole lines.
    std::string take();

private:
    struct Following {
        RunningCall call;
        std::thread thread;
    };
    void add(const std::string& text);
    void end();

    const Client& client_;
    const bool json_;
    const int wake_;  // an eventfd
    std::unique_ptr<Following> following_;
    std::mutex mutex_;  // guards what follows
    std::string text_;
    bool cut_ = false;
};

}  // namespace nett::cli
