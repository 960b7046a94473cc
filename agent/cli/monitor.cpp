#include "agent/cli/monitor.hpp"

#include <cstdint>
#include <utility>

#include <sys/eventfd.h>
#include <unistd.h>

namespace nett::cli {

Monitor::Monitor(const Client& client, bool json)
    : client_(client), json_(json), wake_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

Monitor::~Monitor() {
    end();
    if (wake_ >= 0) close(wake_);
}

void Monitor::end() {
    if (!following_) return;
    following_->call.cancel(true);
    following_->thread.join();
    following_.reset();
}

void Monitor::follow(const std::string& line) {
    end();
    if (line.empty()) return;
    following_ = std::make_unique<Following>();
    following_->thread = std::thread([this, line, &call = following_->call] {
        const auto why = client_.follow(
            line, json_, [this](const std::string& text) { add(text); }, call);
        if (!why.empty()) add("% terminal monitor has ended: " + why + "\n");
    });
}

void Monitor::add(const std::string& text) {
    {
        const std::lock_guard lock(mutex_);
        text_ += text;
        if (text_.size() > kMaxMonitorBytes) {
            text_.erase(0, text_.find('\n', text_.size() - kMaxMonitorBytes) + 1);
            cut_ = true;
        }
    }
    const std::uint64_t one = 1;
    [[maybe_unused]] const auto written = write(wake_, &one, sizeof(one));  // full: it is readable already
}

std::string Monitor::take() {
    std::uint64_t count = 0;
    [[maybe_unused]] const auto got = read(wake_, &count, sizeof(count));
    const std::lock_guard lock(mutex_);
    auto out = std::exchange(text_, {});
    if (std::exchange(cut_, false)) out.insert(0, "% earlier events are left out\n");
    return out;
}

}  // namespace nett::cli
