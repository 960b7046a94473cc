#include "plugins/metadata/outgoing.hpp"

#include <algorithm>
#include <cstring>

namespace nett::metadata {

namespace {

std::size_t copy(std::string_view text, std::uint64_t offset, char* buffer, std::size_t capacity) {
    const auto count = std::min<std::size_t>(text.size() - static_cast<std::size_t>(offset), capacity);
    std::memcpy(buffer, text.data() + offset, count);
    return count;
}

Result<std::size_t> read(const OpenFile& file, ByteRange window, std::uint64_t offset, char* buffer,
                         std::size_t capacity) {
    const auto wanted = std::min<std::uint64_t>(window.count - offset, capacity);
    auto got = file.read_at(window.first + offset, buffer, static_cast<std::size_t>(wanted));
    if (got && *got == 0) return fail(Code::kDataLoss, "an artifact is shorter than its record says");
    return got;
}

}  // namespace

Outgoing::Outgoing(const Response& response, bool head_only, bool keep_alive, SystemTime now)
    : response_(response), head_(render_head(response, keep_alive, now)) {
    const bool with_body = !head_only && response.status != 304;
    size_ = head_.size() + (with_body ? response.content_length() : 0);
}

// The head; then the body, or the whole file or its window, or each part's head and window and the end.
std::size_t Outgoing::runs() const {
    return response_.parts.empty() ? 2 : 2 * response_.parts.size() + 2;
}

Outgoing::Run Outgoing::run(std::size_t index) const {
    if (index == 0) return {head_, {}};
    if (!response_.file) return {response_.body, {}};
    if (response_.parts.empty()) return {{}, response_.window.value_or(ByteRange{0, response_.file_size})};
    const auto part = (index - 1) / 2;
    if (part == response_.parts.size()) return {response_.end, {}};
    if (index % 2 == 1) return {response_.parts[part].head, {}};
    return {{}, response_.parts[part].window};
}

Result<std::size_t> Outgoing::fill(std::uint64_t offset, char* buffer, std::size_t capacity) const {
    capacity = static_cast<std::size_t>(std::min<std::uint64_t>(capacity, size_ - offset));
    std::size_t done = 0;
    for (std::size_t i = 0; i < runs() && done < capacity; ++i) {
        const auto one = run(i);
        if (offset >= one.size()) {
            offset -= one.size();
            continue;
        }
        if (!one.text.empty()) {
            done += copy(one.text, offset, buffer + done, capacity - done);
        } else {
            auto got = read(*response_.file, one.window, offset, buffer + done, capacity - done);
            // What comes before a part that has not arrived goes out.
            if (!got) return got.error().code == Code::kUnavailable && done > 0 ? Result<std::size_t>(done) : got;
            done += *got;
            if (*got < one.window.count - offset) break;
        }
        offset = 0;
    }
    return done;
}

Awaitable<bool> Outgoing::arrival(std::uint64_t offset) const {
    auto* const arriving = response_.file ? response_.file->arriving() : nullptr;
    for (std::size_t i = 0; arriving != nullptr && i < runs(); ++i) {
        const auto one = run(i);
        if (offset < one.size()) {
            const auto there = co_await arriving->wait(one.window.first + offset);
            co_return there.has_value();
        }
        offset -= one.size();
    }
    co_return false;
}

void Outgoing::report(std::uint64_t offset, std::uint64_t count) const {
    if (!response_.on_sent) return;
    for (std::size_t i = 0; i < runs() && count > 0; ++i) {
        const auto one = run(i);
        if (offset >= one.size()) {
            offset -= one.size();
            continue;
        }
        const auto sent = std::min(count, one.size() - offset);
        if (one.text.empty()) response_.on_sent({one.window.first + offset, sent});
        count -= sent;
        offset = 0;
    }
}

}  // namespace nett::metadata
