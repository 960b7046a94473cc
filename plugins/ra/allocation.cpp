#include "plugins/ra/allocation.hpp"

#include <algorithm>
#include <set>

#include <boost/json.hpp>

namespace nett::ra {
namespace {

namespace json = boost::json;

class Allocator {
public:
    Allocator(const Settings& settings, const PortRecords& known) : settings_(settings), records_(known) {
        for (auto& [name, record] : records_) {
            record.active = record.farewell = false;
            if (record.index) holders_[*record.index] = name;
        }
    }

    Result<PortRecords> run(const std::vector<std::string>& ports) {
        for (const std::string& port : ports) {
            if (auto it = settings_.overrides.find(port); it != settings_.overrides.end()) {
                if (auto index = records_[port].index) holders_.erase(*index);
                records_[port] = PortRecord{std::nullopt, it->second, std::nullopt, true, false};
            }
        }
        std::vector<std::string> homeless;
        for (const std::string& port : ports) {
            if (settings_.overrides.contains(port)) continue;
            if (!keep(port)) homeless.push_back(port);
        }
        for (const std::string& port : homeless) NETT_TRY(settle(port));
        NETT_TRY(check_distinct());
        return std::move(records_);
    }

private:
    // A known port stays where it is, also when the aggregate itself was renumbered.
    bool keep(const std::string& port) {
        auto it = records_.find(port);
        if (it == records_.end() || !it->second.index ||
            *it->second.index >= settings_.aggregate->count(kPortPrefixLength)) {
            return false;
        }
        activate(port, *it->second.index);
        return true;
    }

    void activate(const std::string& port, std::uint64_t index) {
        records_[port] =
            PortRecord{index, settings_.aggregate->subnet(index, kPortPrefixLength), settings_.aggregate, true, false};
        holders_[index] = port;
    }

    // Prefixes that other ports have by configuration, and indices that other ports hold.
    bool is_free(std::uint64_t index, bool take_inactive) const {
        Prefix6 prefix = settings_.aggregate->subnet(index, kPortPrefixLength);
        for (const auto& [port, configured] : settings_.overrides) {
            if (configured.overlaps(prefix)) return false;
        }
        auto holder = holders_.find(index);
        return holder == holders_.end() || (take_inactive && !records_.at(holder->second).active);
    }

    Result<void> settle(const std::string& port) {
        std::uint64_t count = settings_.aggregate->count(kPortPrefixLength);
        for (bool take_inactive : {false, true}) {
            // What was not free for the last port is not free for this one.
            for (std::uint64_t step = take_inactive ? 1 : next_step_; step <= count; ++step) {
                if (!take_inactive) next_step_ = step + 1;
                std::uint64_t index = step % count;
                if (!is_free(index, take_inactive)) continue;
                if (auto holder = holders_.find(index); holder != holders_.end()) records_.erase(holder->second);
                activate(port, index);
                return {};
            }
        }
        return fail(Code::kResourceExhausted, "aggregate {} has no /64 left for port {}; use a shorter prefix",
                    settings_.aggregate->to_string(), port);
    }

    Result<void> check_distinct() const {
        for (const auto& [port, prefix] : settings_.overrides) {
            for (const auto& [name, record] : records_) {
                if (name == port || !record.active || !record.prefix.overlaps(prefix)) continue;
                return fail(Code::kFailedPrecondition,
                            "{} cannot be port {}'s: port {} has it already; choose another, see \"show ra\"",
                            prefix.to_string(), port, name);
            }
        }
        return {};
    }

    const Settings& settings_;
    PortRecords records_;
    std::map<std::uint64_t, std::string> holders_;  // which port has which index, active or not
    std::uint64_t next_step_ = 1;
};

}  // namespace

std::string to_json(const PortRecord& record) {
    json::object object;
    if (record.index) object["index"] = *record.index;
    object["prefix"] = record.prefix.to_string();
    if (record.aggregate) object["aggregate"] = record.aggregate->to_string();
    object["active"] = record.active;
    if (record.farewell) object["farewell"] = true;
    return json::serialize(object);
}

Result<PortRecord> parse_port_record(std::string_view text) {
    try {
        const json::value root = json::parse(text);
        PortRecord record;
        if (const json::value* index = root.as_object().if_contains("index"))
            record.index = index->to_number<std::uint64_t>();
        auto prefix = Prefix6::parse(std::string_view(root.at("prefix").as_string()));
        if (!prefix) return fail(Code::kDataLoss, "{}", prefix.error().message);
        record.prefix = *prefix;
        if (const json::value* aggregate = root.as_object().if_contains("aggregate")) {
            auto parsed = Prefix6::parse(std::string_view(aggregate->as_string()));
            if (!parsed) return fail(Code::kDataLoss, "{}", parsed.error().message);
            record.aggregate = *parsed;
        }
        record.active = root.at("active").as_bool();
        if (const json::value* farewell = root.as_object().if_contains("farewell"))
            record.farewell = farewell->as_bool();
        return record;
    } catch (const std::exception& error) {
        return fail(Code::kDataLoss, "not a port record: {}", error.what());
    }
}

Result<PortRecords> allocate(const Settings& settings, const std::vector<std::string>& ports,
                             const PortRecords& known) {
    return Allocator(settings, known).run(ports);
}

}  // namespace nett::ra
