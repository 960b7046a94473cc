// Port ranges: "swp1-48", "Ethernet0-188 step 4", "swp1,swp3-4,!swp2".
#include <algorithm>

#include "agent/sdk/config.hpp"
#include "agent/sdk/strings.hpp"

namespace nett {

namespace {

constexpr std::int64_t kHighestPortNumber = 65535;  // no switch numbers its ports higher
constexpr std::size_t kMaxInterfaceName = 15;       // IFNAMSIZ - 1

// One comma-separated item.
struct Item {
    bool excluded = false;
    std::string stem;  // "swp" of a range, or the whole name
    bool is_range = false;
    std::int64_t first = 0;
    std::int64_t last = 0;
    std::int64_t step = 1;

    bool matches(std::string_view name) const {
        if (!is_range) return name == stem;
        if (!name.starts_with(stem)) return false;
        const auto digits = name.substr(stem.size());
        if (digits.size() > 1 && digits.front() == '0') return false;
        const auto number = parse_integer(digits, first, last);
        return number && (*number - first) % step == 0;
    }
};

bool is_name(std::string_view text) {
    constexpr std::string_view kRefused = "/ \t,!";
    return !text.empty() && text.size() <= kMaxInterfaceName && text.find_first_of(kRefused) == std::string_view::npos;
}

// "Ethernet0-188 step 4" → its numbers; a name that merely holds a dash ("br-lan") stays a name.
Result<Item> parse_item(std::string_view text) {
    Item item;
    std::string_view rest = trim(text);
    if (rest.starts_with('!')) {
        item.excluded = true;
        rest = trim(rest.substr(1));
    }
    std::string_view step;
    if (const auto at = rest.find(" step "); at != std::string_view::npos) {
        step = trim(rest.substr(at + 6));
        rest = trim(rest.substr(0, at));
    }
    item.stem = std::string(rest);
    const auto dash = rest.rfind('-');
    const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
    const bool range = dash != std::string_view::npos && dash > 0 && dash + 1 < rest.size() &&
                       is_digit(rest[dash - 1]) &&
                       std::all_of(rest.begin() + static_cast<std::ptrdiff_t>(dash) + 1, rest.end(), is_digit);
    if (range) {
        auto number_at = dash;
        while (number_at > 0 && is_digit(rest[number_at - 1])) --number_at;
        auto first = parse_integer(rest.substr(number_at, dash - number_at), 0, kHighestPortNumber);
        auto last = parse_integer(rest.substr(dash + 1), 0, kHighestPortNumber);
        if (!first) return fail(std::move(first.error()));
        if (!last) return fail(std::move(last.error()));
        if (*last < *first) {
            return fail(Code::kInvalidArgument, "\"{}\": the range ends before it begins", rest);
        }
        item.is_range = true;
        item.stem = std::string(rest.substr(0, number_at));
        item.first = *first;
        item.last = *last;
    }
    if (!step.empty()) {
        if (!range)
            return fail(Code::kInvalidArgument, "\"{}\": \"step\" goes with a range, e.g. Ethernet0-188 step 4", rest);
        auto by = parse_integer(step, 1, kHighestPortNumber);
        if (!by) return fail(std::move(by.error()));
        item.step = *by;
    }
    if (!is_name(range ? item.stem + "0" : item.stem)) {
        return fail(Code::kInvalidArgument,
                    "\"{}\" is not an interface or a range; write e.g. swp1-48, Ethernet0-188 step 4 or swp1,swp5",
                    trim(text));
    }
    return item;
}

Result<std::vector<Item>> parse_items(std::string_view text) {
    std::vector<Item> items;
    for (const auto part : split(text, ',')) {
        auto item = parse_item(part);
        if (!item) return fail(std::move(item.error()));
        items.push_back(std::move(*item));
    }
    return items;
}

}  // namespace

Result<void> check_interfaces(std::string_view text) {
    NETT_TRY(parse_items(text));
    return {};
}

Result<std::vector<std::string>> resolve_interfaces(std::string_view text, const std::vector<std::string>& existing) {
    auto items = parse_items(text);
    if (!items) return fail(std::move(items.error()));
    std::vector<std::string> found;
    for (const auto& name : existing) {
        bool included = false;
        bool excluded = false;
        for (const auto& item : *items) {
            if (item.matches(name)) (item.excluded ? excluded : included) = true;
        }
        if (included && !excluded) found.push_back(name);
    }
    std::sort(found.begin(), found.end(), natural_less);
    found.erase(std::unique(found.begin(), found.end()), found.end());
    return found;
}

bool natural_less(std::string_view a, std::string_view b) {
    const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
    std::size_t i = 0;
    std::size_t j = 0;
    while (i < a.size() && j < b.size()) {
        if (!is_digit(a[i]) || !is_digit(b[j])) {
            if (a[i] != b[j]) return a[i] < b[j];
            ++i;
            ++j;
            continue;
        }
        auto end_a = i;
        auto end_b = j;
        while (end_a < a.size() && is_digit(a[end_a])) ++end_a;
        while (end_b < b.size() && is_digit(b[end_b])) ++end_b;
        auto number_a = a.substr(i, end_a - i);
        auto number_b = b.substr(j, end_b - j);
        number_a.remove_prefix(std::min(number_a.find_first_not_of('0'), number_a.size()));
        number_b.remove_prefix(std::min(number_b.find_first_not_of('0'), number_b.size()));
        if (number_a.size() != number_b.size()) return number_a.size() < number_b.size();
        if (number_a != number_b) return number_a < number_b;
        i = end_a;
        j = end_b;
    }
    if (a.size() - i != b.size() - j) return a.size() - i < b.size() - j;
    return a < b;
}

}  // namespace nett
