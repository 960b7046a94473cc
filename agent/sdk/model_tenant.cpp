// Codecs of what tenants have in common for their machines: tenants, profiles, prefix pools and allocations.
#include "agent/sdk/model_codec.hpp"

namespace nett {

using namespace codec;

namespace {

json::object deadlines_json(const Profile& value) {
    json::object out;
    for (const auto& [state, limit] : value.deadlines) out[to_string(state)] = limit.count();
    return out;
}

// Replaces the defaults: an empty object is no deadline at all.
void read_deadlines(Reader& in, Profile& out) {
    const auto* value = in.member("deadlines");
    if (value == nullptr) return;
    if (!value->is_object()) return in.wrong("deadlines");
    out.deadlines.clear();
    for (const auto& [name, limit] : value->get_object()) {
        json::error_code error;
        const auto state = parse_machine_state(name);
        const auto seconds = limit.to_number<std::int64_t>(error);
        if (!state || error) return in.wrong("deadlines");
        out.deadlines[*state] = std::chrono::seconds(seconds);
    }
}

}  // namespace

json::value to_json(const Tenant& value) {
    auto out = start();
    out["name"] = value.name;
    out["common_names"] = array_of(value.common_names);
    out["common_name_suffixes"] = array_of(value.common_name_suffixes);
    out["organizational_units"] = array_of(value.organizational_units);
    out["machine_quota"] = value.machine_quota;
    json::array rules;
    for (const auto& rule : value.auto_enrol) {
        rules.push_back({{"ports", array_of(rule.ports)},
                         {"uuids", array_of(rule.uuids)},
                         {"mac_prefixes", array_of(rule.mac_prefixes)},
                         {"profile", rule.profile},
                         {"name_pattern", rule.name_pattern}});
    }
    out["auto_enrol"] = std::move(rules);
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
        in.each_object("auto_enrol", [&](Reader& rule) {
            AutoEnrolRule read;
            rule.texts("ports", read.ports);
            rule.texts("uuids", read.uuids);
            rule.texts("mac_prefixes", read.mac_prefixes);
            rule.text("profile", read.profile);
            rule.text("name_pattern", read.name_pattern);
            out.auto_enrol.push_back(std::move(read));
        });
    });
}

Transaction::Put put_of(const Tenant& value) {
    return plain_put(kTenantKind, value.name, value);
}

std::string profile_key(std::string_view tenant, std::string_view name) {
    return fmt::format("{}/{}", tenant, name);
}

json::value to_json(const Profile& value) {
    auto out = start();
    out["tenant"] = value.tenant;
    out["name"] = value.name;
    out["artifact_set"] = value.artifact_set;
    out["rescue_set"] = value.rescue_set;
    out["erase_set"] = value.erase_set;
    out["kernel_args"] = value.kernel_args;
    out["prefix_pool"] = value.prefix_pool;
    out["delivery"] = value.delivery ? to_string(*value.delivery) : "";
    out["templates"] = object_of(value.templates);
    out["deadlines"] = deadlines_json(value);
    out["confirm"] = to_string(value.confirm);
    out["boot_loop"] = {{"boots", value.boot_loop.boots}, {"minutes", value.boot_loop.minutes}};
    return out;
}

template <>
Result<Profile> decode<Profile>(std::string_view json_text) {
    return decode_with<Profile>(json_text, "profile", [](Reader& in, Profile& out) {
        in.text("tenant", out.tenant);
        in.text("name", out.name);
        in.text("artifact_set", out.artifact_set);
        in.text("rescue_set", out.rescue_set);
        in.text("erase_set", out.erase_set);
        in.text("kernel_args", out.kernel_args);
        in.text("prefix_pool", out.prefix_pool);
        std::string delivery;
        in.text("delivery", delivery);
        if (!delivery.empty()) {
            out.delivery = ConfigDelivery::kEmbedded;
            in.parsed("delivery", *out.delivery, parse_config_delivery);
        }
        in.object("templates", out.templates);
        read_deadlines(in, out);
        in.parsed("confirm", out.confirm, parse_confirm_by);
        in.one_object("boot_loop", [&](Reader& limit) {
            limit.number("boots", out.boot_loop.boots);
            limit.number("minutes", out.boot_loop.minutes);
        });
    });
}

Transaction::Put put_of(const Profile& value) {
    return plain_put(kProfileKind, profile_key(value.tenant, value.name), value);
}

json::value to_json(const PrefixPool& value) {
    auto out = start();
    out["name"] = value.name;
    out["tenant"] = value.tenant;
    out["prefix"] = value.prefix.to_string();
    out["length"] = value.length;
    return out;
}

template <>
Result<PrefixPool> decode<PrefixPool>(std::string_view json_text) {
    return decode_with<PrefixPool>(json_text, "prefix pool", [](Reader& in, PrefixPool& out) {
        in.text("name", out.name);
        in.text("tenant", out.tenant);
        in.parsed("prefix", out.prefix, Prefix6::parse);
        in.number("length", out.length);
    });
}

Transaction::Put put_of(const PrefixPool& value) {
    return plain_put(kPrefixPoolKind, value.name, value);
}

std::string allocation_key(std::string_view pool, std::string_view machine) {
    return fmt::format("{}/{}", pool, machine);
}

json::value to_json(const Allocation& value) {
    auto out = start();
    out["pool"] = value.pool;
    out["machine"] = value.machine;
    out["prefix"] = value.prefix.to_string();
    out["since"] = to_rfc3339(value.since);
    return out;
}

template <>
Result<Allocation> decode<Allocation>(std::string_view json_text) {
    return decode_with<Allocation>(json_text, "allocation", [](Reader& in, Allocation& out) {
        in.text("pool", out.pool);
        in.text("machine", out.machine);
        in.parsed("prefix", out.prefix, Prefix6::parse);
        in.time("since", out.since);
    });
}

Transaction::Put put_of(const Allocation& value) {
    auto put = plain_put(kAllocationKind, allocation_key(value.pool, value.machine), value);
    put.indexes.push_back({std::string(kPrefixIndex), value.prefix.to_string()});
    add_group(put, kPoolIndex, value.pool);
    return put;
}

}  // namespace nett
