// What an initramfs of Talos says about itself: the layers in its /extensions.yaml, to which a machine's config is
// added.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "agent/sdk/result.hpp"

namespace nett::builder {

// Finds one file in cpio archives of the "newc" format (Linux, Documentation/driver-api/early-userspace/buffer-format)
// that come one after the other, fed in pieces of any size. Of several the last counts, as it does for the kernel.
class CpioSearch {
public:
    explicit CpioSearch(std::string name) : name_(std::move(name)) {}

    void feed(std::string_view bytes);
    // Nothing more can be found: what was fed is no such archive.
    bool ended() const { return ended_; }
    bool has_found() const { return has_found_; }
    const std::string& found() const { return found_; }

private:
    // Takes the member at `at` of pending_ and moves on; false: more bytes are needed, or it has ended.
    bool take_member(std::size_t& at);

    std::string name_;
    std::string pending_;
    std::uint64_t skip_ = 0;  // bytes of a member that is not looked for
    bool ended_ = false;
    bool has_found_ = false;
    std::string found_;
};

// The text of /extensions.yaml in an initramfs, compressed as libarchive knows it or not; empty when it has none or the
// file is no initramfs. kInvalidArgument: it is damaged.
Result<std::string> extensions_of_initramfs(const std::string& path);

}  // namespace nett::builder
