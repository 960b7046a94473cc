#include "plugins/redfish/progress.hpp"

#include <array>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "agent/sdk/model.hpp"
#include "plugins/redfish/json.hpp"

namespace nett::redfish {
namespace {

namespace json = boost::json;

constexpr int kSchemaVersion = 1;

constexpr std::array<std::string_view, 17> kStepNames{
    "QUEUED", "PROBE",  "POWER_OFF", "EJECT",   "INSERT", "OVERRIDE", "VERIFY",    "POWER_ON",      "RESET",
    "CLEAR",  "RECORD", "BOOT_WAIT", "CLEANUP", "DONE",   "FAILED",   "CANCELLED", "NEEDS_OPERATOR"};

json::array encode_slots(const std::vector<MediaSlot>& slots) {
    json::array out;
    for (const MediaSlot& slot : slots) {
        json::object entry;
        entry["uri"] = slot.uri;
        entry["insert"] = slot.insert_target;
        entry["eject"] = slot.eject_target;
        out.push_back(std::move(entry));
    }
    return out;
}

json::array encode_history(const std::vector<StepTime>& history) {
    json::array out;
    for (const StepTime& entry : history) {
        json::object line;
        line["step"] = to_string(entry.step);
        line["since"] = to_rfc3339(entry.since);
        out.push_back(std::move(line));
    }
    return out;
}

// Reads members of one object and keeps the first error.
class Reader {
public:
    explicit Reader(const json::object& object) : object_(object) {}

    void take(std::string_view name, std::string& out) { out = text_at(object_, {name}); }
    void take(std::string_view name, bool& out) { out = bool_at(object_, {name}).value_or(false); }
    void take(std::string_view name, SystemTime& out) {
        const std::string text = text_at(object_, {name});
        if (text.empty()) return;
        if (auto time = parse_rfc3339(text)) {
            out = *time;
        } else {
            broken(name);
        }
    }
    void take(std::string_view name, Step& out) {
        if (auto step = parse_step(text_at(object_, {name}))) {
            out = *step;
        } else {
            broken(name);
        }
    }
    template <typename T>
    requires std::is_integral_v<T>
    void take(std::string_view name, T& out) {
        const json::value* value = at(object_, {name});
        json::error_code error;
        const auto number = value == nullptr ? 0 : value->to_number<std::int64_t>(error);
        if (error || number < 0) return broken(name);
        out = static_cast<T>(number);
    }
    void broken(std::string_view name) {
        if (error_.empty()) error_ = name;
    }
    const std::string& error() const { return error_; }

private:
    const json::object& object_;
    std::string error_;
};

void take_lists(const json::object& object, Reader& reader, Progress& out) {
    if (const json::value* result = at(object, {"result"})) out.result = json::serialize(*result);
    out.reset_types = texts_at(object, {"reset_types"});
    const json::value* slots = at(object, {"slots"});
    if (slots != nullptr && slots->is_array()) {
        for (const json::value& element : slots->get_array()) {
            if (const json::object* slot = element.if_object()) {
                out.slots.push_back({text_at(*slot, {"uri"}), text_at(*slot, {"insert"}), text_at(*slot, {"eject"})});
            }
        }
    }
    const json::value* history = at(object, {"history"});
    if (history != nullptr && history->is_array()) {
        for (const json::value& element : history->get_array()) {
            const json::object* line = element.if_object();
            if (line == nullptr) return reader.broken("history");
            Reader inner(*line);
            StepTime entry;
            inner.take("step", entry.step);
            inner.take("since", entry.since);
            if (!inner.error().empty()) return reader.broken("history");
            out.history.push_back(entry);
        }
    }
    const bool needs_slot = out.step == Step::kEject || out.step == Step::kInsert;
    if (out.slot >= out.slots.size() && (needs_slot || out.slot > 0)) reader.broken("slot");
}

// One list of the plain members for both directions.
template <typename Visitor, typename P>
void visit_members(Visitor&& visit, P& p) {
    visit("step", p.step);
    visit("step_since", p.step_since);
    visit("rested_in", p.rested_in);
    visit("outcome", p.outcome);
    visit("message", p.message);
    visit("profile", p.profile);
    visit("sealed_image", p.sealed_image);
    visit("image_scheme", p.image_scheme);
    visit("system", p.system);
    visit("settings", p.settings);
    visit("reset_target", p.reset_target);
    visit("boot_target", p.boot_target);
    visit("has_mode", p.has_mode);
    visit("http_boot", p.http_boot);
    visit("server_boot", p.server_boot);
    visit("last_reset", p.last_reset);
    visit("slot", p.slot);
    visit("rung", p.rung);
    visit("etag_rung", p.etag_rung);
    visit("use_settings", p.use_settings);
    visit("boot_places", p.boot_places);
    visit("clear_rung", p.clear_rung);
    visit("conflicts", p.conflicts);
    visit("attempt", p.attempt);
    visit("intent_at", p.intent_at);
    visit("task", p.task);
    visit("rounds", p.rounds);
    visit("power_before", p.power_before);
    visit("boots_before", p.boots_before);
    visit("booted", p.booted);
    visit("powered_on_at", p.powered_on_at);
    visit("session", p.session);
    visit("last_request", p.last_request);
    visit("last_response", p.last_response);
}

struct Writer {
    json::object& object;

    void operator()(std::string_view name, const std::string& value) const { set(name, json::value(value)); }
    void operator()(std::string_view name, bool value) const { set(name, json::value(value)); }
    void operator()(std::string_view name, SystemTime value) const { set(name, json::value(to_rfc3339(value))); }
    void operator()(std::string_view name, Step value) const { set(name, json::value(to_string(value))); }
    void operator()(std::string_view name, int value) const { set(name, json::value(value)); }
    void operator()(std::string_view name, std::uint64_t value) const { set(name, json::value(value)); }
    void set(std::string_view name, json::value value) const {
        object.insert_or_assign({name.data(), name.size()}, std::move(value));
    }
};

}  // namespace

std::string_view to_string(Step step) {
    return kStepNames.at(static_cast<std::size_t>(step));
}

Result<Step> parse_step(std::string_view text) {
    for (std::size_t i = 0; i < kStepNames.size(); ++i) {
        if (kStepNames[i] == text) return static_cast<Step>(i);
    }
    return fail(Code::kDataLoss, "\"{}\" is no state of a job", text);
}

bool is_final(Step step) {
    return step == Step::kDone || step == Step::kFailed || step == Step::kCancelled;
}
bool is_at_rest(Step step) {
    return is_final(step) || step == Step::kNeedsOperator;
}

std::string encode_progress(const Progress& progress) {
    json::object object;
    object["schema"] = kSchemaVersion;
    visit_members(Writer{object}, progress);
    json::array types;
    for (const std::string& type : progress.reset_types) types.emplace_back(type);
    object["reset_types"] = std::move(types);
    object["slots"] = encode_slots(progress.slots);
    object["history"] = encode_history(progress.history);
    // An object in the text as well, so that whoever shows a job's progress shows it as such.
    json::error_code error;
    if (auto result = json::parse(progress.result, error); !error) object["result"] = std::move(result);
    return json::serialize(object);
}

Result<Progress> decode_progress(std::string_view text) {
    if (text.empty()) return Progress{};
    json::error_code error;
    json::value value = json::parse({text.data(), text.size()}, error);
    const json::object* object = error ? nullptr : value.if_object();
    const json::value* schema = object == nullptr ? nullptr : at(*object, {"schema"});
    if (schema == nullptr || !schema->is_int64() || schema->get_int64() != kSchemaVersion) {
        return fail(Code::kDataLoss, "the job's progress was written by another version of the plugin");
    }
    Progress progress;
    Reader reader(*object);
    visit_members([&](std::string_view name, auto& member) { reader.take(name, member); }, progress);
    take_lists(*object, reader, progress);
    if (!reader.error().empty()) return fail(Code::kDataLoss, "the job's progress has a bad \"{}\"", reader.error());
    return progress;
}

}  // namespace nett::redfish
