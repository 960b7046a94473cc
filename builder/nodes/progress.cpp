#include "builder/nodes/progress.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace nett::builder {
namespace {

constexpr std::uint64_t kBarWidth = 24;
constexpr std::string_view kEraseLine = "\r\033[K";  // ECMA-48 EL

}  // namespace

void Progress::erase() {
    if (terminal_) out_ << kEraseLine;
}

void Progress::begin(std::string step) {
    step_ = std::move(step);
    show(0, 0, "");
}

void Progress::show(std::uint64_t done, std::uint64_t all, const std::string& what) {
    if (quiet_ || !terminal_) return;
    erase();
    out_ << step_ << "...";
    if (all != 0) {
        const std::uint64_t filled = std::min(done, all) * kBarWidth / all;
        out_ << fmt::format(" [{}{}] {} %", std::string(filled, '#'), std::string(kBarWidth - filled, '-'),
                            std::min(done, all) * 100 / all);
    }
    if (!what.empty()) out_ << ' ' << what;
    out_.flush();
}

void Progress::end(const std::string& result) {
    if (quiet_) return;
    erase();
    out_ << step_ << "... " << result << std::endl;
}

void Progress::line(const std::string& text) {
    if (quiet_) return;
    erase();
    out_ << text << std::endl;
}

}  // namespace nett::builder
