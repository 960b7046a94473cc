// JSON codecs of the records in the state file. One member list a type: encode() and decode() of each stand side by
// side.
#include "agent/sdk/model.hpp"

#include <array>
#include <charconv>
#include <ctime>

#include <boost/json.hpp>

#include "agent/sdk/strings.hpp"

namespace nett {

namespace json = boost::json;

namespace {

// Version of the JSON shapes below; a record of a later one is not guessed at.
constexpr std::int64_t kRecordVersion = 1;

// Reads members of an object; the first that has the wrong type is remembered.
class Reader {
public:
    explicit Reader(const json::object& object) : object_(object) {}

    void text(std::string_view name, std::string& out) {
        if (const auto* value = member(name)) {
            if (const auto* text = value->if_string()) {
                out.assign(text->data(), text->size());
            } else {
                wrong(name);
            }
        }
    }
    template <typename T>
    void number(std::string_view name, T& out) {
        if (const auto* value = member(name)) {
            json::error_code error;
            out = value->to_number<T>(error);
            if (error) wrong(name);
        }
    }
    void flag(std::string_view name, bool& out) {
        if (const auto* value = member(name)) {
            if (value->is_bool()) {
                out = value->get_bool();
            } else {
                wrong(name);
            }
        }
    }
    void texts(std::string_view name, std::vector<std::string>& out) {
        each(name, [&](const json::value& item) {
            if (const auto* text = item.if_string()) {
                out.emplace_back(text->data(), text->size());
            } else {
                wrong(name);
            }
        });
    }
    void time(std::string_view name, SystemTime& out) {
        std::string text;
        this->text(name, text);
        auto parsed = parse_rfc3339(text);
        if (parsed) {
            out = *parsed;
        } else {
            wrong(name);
        }
    }
    template <typename T, typename Parse>
    void parsed(std::string_view name, T& out, Parse parse) {
        std::string text;
        this->text(name, text);
        auto value = parse(text);
        if (value) {
            out = *value;
        } else {
            wrong(name);
        }
    }
    template <typename F>
    void each(std::string_view name, F&& use) {
        if (const auto* value = member(name)) {
            if (const auto* array = value->if_array()) {
                for (const auto& item : *array) use(item);
            } else {
                wrong(name);
            }
        }
    }
    template <typename F>
    void each_object(std::string_view name, F&& use) {
        each(name, [&](const json::value& item) {
            if (const auto* object = item.if_object()) {
                Reader reader(*object);
                use(reader);
                if (!reader.wrong_.empty()) wrong(name);
            } else {
                wrong(name);
            }
        });
    }
    void object(std::string_view name, std::map<std::string, std::string>& out) {
        const auto* value = member(name);
        if (value == nullptr) return;
        if (!value->is_object()) return wrong(name);
        for (const auto& [key, item] : value->get_object()) {
            if (!item.is_string()) return wrong(name);
            out[std::string(key)] = std::string(item.get_string());
        }
    }
    const json::value* member(std::string_view name) const { return object_.if_contains(name); }
    void wrong(std::string_view name) {
        if (wrong_.empty()) wrong_ = name;
    }
    const std::string& first_wrong() const { return wrong_; }

private:
    const json::object& object_;
    std::string wrong_;
};

json::array array_of(const std::vector<std::string>& texts) {
    json::array out;
    for (const auto& text : texts) out.emplace_back(text);
    return out;
}

json::object start() {
    return json::object{{"version", kRecordVersion}};
}

// Parses the text, checks the version, runs `read`, and says which member was wrong.
template <typename T, typename Read>
Result<T> decode_with(std::string_view text, std::string_view what, Read read) {
    json::error_code error;
    const json::value parsed = json::parse(text, error);
    if (error || !parsed.is_object()) {
        return fail(Code::kDataLoss, "the stored {} is not a JSON object", what);
    }
    Reader reader(parsed.get_object());
    std::int64_t version = 0;
    reader.number("version", version);
    if (version != kRecordVersion) {
        return fail(Code::kDataLoss, "the stored {} has version {}; this agent knows version {}", what, version,
                    kRecordVersion);
    }
    T value;
    read(reader, value);
    if (!reader.first_wrong().empty()) {
        return fail(Code::kDataLoss, "the stored {} has an unusable member \"{}\"", what, reader.first_wrong());
    }
    return value;
}

}  // namespace

std::string_view to_string(MachineState state) {
    switch (state) {
        case MachineState::kNew:
            return "new";
        case MachineState::kProvisioning:
            return "provisioning";
        case MachineState::kActive:
            return "active";
        case MachineState::kReprovision:
            return "reprovision";
        case MachineState::kMaintenance:
            return "maintenance";
        case MachineState::kDecommission:
            return "decommission";
    }
    return "";
}

Result<MachineState> parse_machine_state(std::string_view text) {
    for (const auto state : {MachineState::kNew, MachineState::kProvisioning, MachineState::kActive,
                             MachineState::kReprovision, MachineState::kMaintenance, MachineState::kDecommission}) {
        if (text == to_string(state)) return state;
    }
    return fail(Code::kInvalidArgument,
                "\"{}\" is not a state; states are new, provisioning, active, reprovision, maintenance, decommission",
                text);
}

std::string_view to_string(ConfigDelivery delivery) {
    switch (delivery) {
        case ConfigDelivery::kEmbedded:
            return "embedded";
        case ConfigDelivery::kToken:
            return "token";
        case ConfigDelivery::kUrl:
            return "url";
    }
    return "";
}

Result<ConfigDelivery> parse_config_delivery(std::string_view text) {
    for (const auto delivery : {ConfigDelivery::kEmbedded, ConfigDelivery::kToken, ConfigDelivery::kUrl}) {
        if (text == to_string(delivery)) return delivery;
    }
    return fail(Code::kInvalidArgument, "\"{}\" is not a delivery; it is embedded, token or url", text);
}

std::string job_key(std::string_view id) {
    constexpr std::size_t kWidth = 20;  // digits of 2^64, so that keys sort as numbers
    return std::string(kWidth - std::min(kWidth, id.size()), '0') + std::string(id);
}

// ---- Tenant ----

json::value to_json(const Tenant& value) {
    auto out = start();
    out["name"] = value.name;
    out["common_names"] = array_of(value.common_names);
    out["common_name_suffixes"] = array_of(value.common_name_suffixes);
    out["organizational_units"] = array_of(value.organizational_units);
    out["machine_quota"] = value.machine_quota;
    return out;
}

template <>
Result<Tenant> decode<Tenant>(std::string_view json_text) {
    return decode_with<Tenant>(json_text, "tenant", [](Reader& in, Tenant& out) {
        in.text("name", out.name);
        in.texts("common_names", out.common_names);
        in.texts("common_name_suffixes", out.common_name_suffixes);
        in.texts("organizational_units", out.organizational_units);
        in.number("machine_quota", out.machine_quota);
    });
}

// ---- Machine ----

json::value to_json(const Machine& value) {
    auto out = start();
    out["name"] = value.name;
    out["tenant"] = value.tenant;
    out["uuid"] = value.uuid;
    out["macs"] = array_of(value.macs);
    out["serial"] = value.serial;
    out["state"] = to_string(value.state);
    out["state_since"] = to_rfc3339(value.state_since);
    out["locked"] = value.locked;
    out["wipe_pending"] = value.wipe_pending;
    out["artifact_set"] = value.artifact_set;
    out["kernel_args"] = value.kernel_args;
    out["delivery"] = to_string(value.delivery);
    out["sealed_config"] = value.sealed_config;
    out["config_sha256"] = value.config_sha256;
    out["config_size"] = value.config_size;
    json::array ports;
    for (const auto& port : value.ports) ports.push_back({{"port", port.port}, {"prefix", port.prefix.to_string()}});
    out["ports"] = std::move(ports);
    out["bmc"] = value.bmc;
    out["boots"] = value.boots;
    out["last_boot_time"] = to_rfc3339(value.last_boot.time);
    out["last_boot_source"] = value.last_boot.source;
    out["last_boot_outcome"] = value.last_boot.outcome;
    return out;
}

template <>
Result<Machine> decode<Machine>(std::string_view json_text) {
    return decode_with<Machine>(json_text, "machine", [](Reader& in, Machine& out) {
        in.text("name", out.name);
        in.text("tenant", out.tenant);
        in.text("uuid", out.uuid);
        in.texts("macs", out.macs);
        in.text("serial", out.serial);
        in.parsed("state", out.state, parse_machine_state);
        in.time("state_since", out.state_since);
        in.flag("locked", out.locked);
        in.flag("wipe_pending", out.wipe_pending);
        in.text("artifact_set", out.artifact_set);
        in.text("kernel_args", out.kernel_args);
        in.parsed("delivery", out.delivery, parse_config_delivery);
        in.text("sealed_config", out.sealed_config);
        in.text("config_sha256", out.config_sha256);
        in.number("config_size", out.config_size);
        in.each_object("ports", [&](Reader& port) {
            PortBinding binding;
            port.text("port", binding.port);
            port.parsed("prefix", binding.prefix, Prefix6::parse);
            out.ports.push_back(std::move(binding));
        });
        in.text("bmc", out.bmc);
        in.number("boots", out.boots);
        in.time("last_boot_time", out.last_boot.time);
        in.text("last_boot_source", out.last_boot.source);
        in.text("last_boot_outcome", out.last_boot.outcome);
    });
}

// ---- UnknownMachine ----

json::value to_json(const UnknownMachine& value) {
    auto out = start();
    out["id"] = value.id;
    out["tenant"] = value.tenant;
    out["source"] = value.source;
    out["first_seen"] = to_rfc3339(value.first_seen);
    out["last_seen"] = to_rfc3339(value.last_seen);
    out["requests"] = value.requests;
    return out;
}

template <>
Result<UnknownMachine> decode<UnknownMachine>(std::string_view json_text) {
    return decode_with<UnknownMachine>(json_text, "unknown machine", [](Reader& in, UnknownMachine& out) {
        in.text("id", out.id);
        in.text("tenant", out.tenant);
        in.text("source", out.source);
        in.time("first_seen", out.first_seen);
        in.time("last_seen", out.last_seen);
        in.number("requests", out.requests);
    });
}

// ---- ArtifactSet ----

json::value to_json(const ArtifactSet& value) {
    auto out = start();
    out["name"] = value.name;
    // "version" is the record's; the set's own version has a name of its own.
    out["set_version"] = value.version;
    out["architecture"] = value.architecture;
    out["schematic"] = value.schematic;
    out["command_line"] = value.command_line;
    json::array files;
    for (const auto& file : value.files) {
        files.push_back({{"name", file.name}, {"sha256", file.sha256}, {"size", file.size}});
    }
    out["files"] = std::move(files);
    out["kernel"] = value.kernel;
    out["initramfs"] = value.initramfs;
    out["extension_layers"] = value.extension_layers;
    return out;
}

template <>
Result<ArtifactSet> decode<ArtifactSet>(std::string_view json_text) {
    return decode_with<ArtifactSet>(json_text, "artifact set", [](Reader& in, ArtifactSet& out) {
        in.text("name", out.name);
        in.text("set_version", out.version);
        in.text("architecture", out.architecture);
        in.text("schematic", out.schematic);
        in.text("command_line", out.command_line);
        in.each_object("files", [&](Reader& file) {
            ArtifactFile read;
            file.text("name", read.name);
            file.text("sha256", read.sha256);
            file.number("size", read.size);
            out.files.push_back(std::move(read));
        });
        in.text("kernel", out.kernel);
        in.text("initramfs", out.initramfs);
        in.text("extension_layers", out.extension_layers);
    });
}

// ---- Bmc ----

json::value to_json(const Bmc& value) {
    auto out = start();
    out["name"] = value.name;
    out["endpoint"] = value.endpoint;
    out["username"] = value.username;
    out["sealed_password"] = value.sealed_password;
    out["system_path"] = value.system_path;
    out["ca_file"] = value.ca_file;
    out["pinned_sha256"] = value.pinned_sha256;
    return out;
}

template <>
Result<Bmc> decode<Bmc>(std::string_view json_text) {
    return decode_with<Bmc>(json_text, "BMC", [](Reader& in, Bmc& out) {
        in.text("name", out.name);
        in.text("endpoint", out.endpoint);
        in.text("username", out.username);
        in.text("sealed_password", out.sealed_password);
        in.text("system_path", out.system_path);
        in.text("ca_file", out.ca_file);
        in.text("pinned_sha256", out.pinned_sha256);
    });
}

// ---- Job ----

json::value to_json(const Job& value) {
    auto out = start();
    out["id"] = value.id;
    out["type"] = value.type;
    out["machine"] = value.machine;
    out["state"] = value.state;
    out["message"] = value.message;
    json::object parameters;
    for (const auto& [name, text] : value.parameters) parameters[name] = text;
    out["parameters"] = std::move(parameters);
    out["progress"] = value.progress;
    out["created"] = to_rfc3339(value.created);
    out["updated"] = to_rfc3339(value.updated);
    out["cancel_requested"] = value.cancel_requested;
    return out;
}

template <>
Result<Job> decode<Job>(std::string_view json_text) {
    return decode_with<Job>(json_text, "job", [](Reader& in, Job& out) {
        in.text("id", out.id);
        in.text("type", out.type);
        in.text("machine", out.machine);
        in.text("state", out.state);
        in.text("message", out.message);
        in.object("parameters", out.parameters);
        in.text("progress", out.progress);
        in.time("created", out.created);
        in.time("updated", out.updated);
        in.flag("cancel_requested", out.cancel_requested);
    });
}

// ---- Puts ----

namespace {

template <typename T>
Transaction::Put plain_put(std::string_view kind, std::string key, const T& value) {
    return {std::string(kind), std::move(key), json::serialize(to_json(value)), {}};
}

}  // namespace

Transaction::Put put_of(const Tenant& value) {
    return plain_put(kTenantKind, value.name, value);
}

Transaction::Put put_of(const Machine& value) {
    auto put = plain_put(kMachineKind, value.name, value);
    if (!value.uuid.empty()) put.indexes.push_back({std::string(kUuidIndex), value.uuid});
    for (const auto& mac : value.macs) put.indexes.push_back({std::string(kMacIndex), mac});
    return put;
}

Transaction::Put put_of(const UnknownMachine& value) {
    return plain_put(kUnknownMachineKind, value.id, value);
}

Transaction::Put put_of(const ArtifactSet& value) {
    return plain_put(kArtifactSetKind, value.name, value);
}

Transaction::Put put_of(const Bmc& value) {
    return plain_put(kBmcKind, value.name, value);
}

Transaction::Put put_of(const Job& value) {
    return plain_put(kJobKind, job_key(value.id), value);
}

// ---- Time ----

std::string to_rfc3339(SystemTime time) {
    using std::chrono::duration_cast;
    const auto since_epoch = duration_cast<std::chrono::milliseconds>(time.time_since_epoch());
    if (since_epoch.count() == 0) return {};
    const auto seconds = std::chrono::floor<std::chrono::seconds>(since_epoch);
    const std::time_t whole = seconds.count();
    std::tm parts{};
    ::gmtime_r(&whole, &parts);
    return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", parts.tm_year + 1900, parts.tm_mon + 1,
                       parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec, (since_epoch - seconds).count());
}

Result<SystemTime> parse_rfc3339(std::string_view text) {
    if (text.empty()) return SystemTime{};
    // Exactly what to_rfc3339 writes: YYYY-MM-DDTHH:MM:SS.mmmZ
    constexpr std::string_view kShape = "dddd-dd-ddTdd:dd:dd.dddZ";
    bool fits = text.size() == kShape.size();
    for (std::size_t i = 0; fits && i < kShape.size(); ++i) {
        fits = kShape[i] == 'd' ? (text[i] >= '0' && text[i] <= '9') : text[i] == kShape[i];
    }
    if (!fits) return fail(Code::kInvalidArgument, "\"{}\" is not a time like 2026-11-21T11:05:00.000Z", text);
    const auto number = [&](std::size_t at, std::size_t size) {
        int value = 0;
        std::from_chars(text.data() + at, text.data() + at + size, value);
        return value;
    };
    std::tm parts{};
    parts.tm_year = number(0, 4) - 1900;
    parts.tm_mon = number(5, 2) - 1;
    parts.tm_mday = number(8, 2);
    parts.tm_hour = number(11, 2);
    parts.tm_min = number(14, 2);
    parts.tm_sec = number(17, 2);
    const std::time_t whole = ::timegm(&parts);
    return std::chrono::system_clock::from_time_t(whole) + std::chrono::milliseconds(number(20, 3));
}

}  // namespace nett
