// Codecs of BMCs, jobs, and the grants that jobs and boots make.
#include <algorithm>
#include <array>

#include "agent/sdk/model_codec.hpp"

namespace nett {

using namespace codec;

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

Transaction::Put put_of(const Bmc& value) {
    return plain_put(kBmcKind, value.name, value);
}

std::string job_key(std::string_view id) {
    constexpr std::size_t kWidth = 20;  // digits of 2^64, so that keys sort as numbers
    return std::string(kWidth - std::min(kWidth, id.size()), '0') + std::string(id);
}

bool is_ended(const Job& job) {
    constexpr std::array<std::string_view, 3> kEndedStates{"DONE", "FAILED", "CANCELLED"};
    return std::find(kEndedStates.begin(), kEndedStates.end(), job.state) != kEndedStates.end();
}

bool is_open(const Job& job) {
    return !is_ended(job) && !(job.acknowledged && job.state == "NEEDS_OPERATOR");
}

json::value to_json(const Job& value) {
    auto out = start();
    out["id"] = value.id;
    out["type"] = value.type;
    out["machine"] = value.machine;
    out["state"] = value.state;
    out["message"] = value.message;
    out["parameters"] = object_of(value.parameters);
    out["progress"] = value.progress;
    out["created"] = to_rfc3339(value.created);
    out["updated"] = to_rfc3339(value.updated);
    out["cancel_requested"] = value.cancel_requested;
    out["acknowledged"] = value.acknowledged;
    out["idempotency_key"] = value.idempotency_key;
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
        in.flag("acknowledged", out.acknowledged);
        in.text("idempotency_key", out.idempotency_key);
    });
}

Transaction::Put put_of(const Job& value) {
    auto put = plain_put(kJobKind, job_key(value.id), value);
    if (is_ended(value)) {
        add_group(put, kEndedJobIndex, "");
    } else {
        add_group(put, kOpenJobIndex, value.machine);
    }
    return put;
}

json::value to_json(const BootToken& value) {
    auto out = start();
    out["token_sha256"] = value.token_sha256;
    out["machine"] = value.machine;
    out["config_sha256"] = value.config_sha256;
    out["expires"] = to_rfc3339(value.expires);
    out["used"] = to_rfc3339(value.used);
    out["used_source"] = value.used_source;
    if (!value.boot_id.empty()) out["boot_id"] = value.boot_id;
    return out;
}

template <>
Result<BootToken> decode<BootToken>(std::string_view json_text) {
    return decode_with<BootToken>(json_text, "boot token", [](Reader& in, BootToken& out) {
        in.text("token_sha256", out.token_sha256);
        in.text("machine", out.machine);
        in.text("config_sha256", out.config_sha256);
        in.time("expires", out.expires);
        in.time("used", out.used);
        in.text("used_source", out.used_source);
        in.text("boot_id", out.boot_id);
    });
}

Transaction::Put put_of(const BootToken& value) {
    auto put = plain_put(kBootTokenKind, value.token_sha256, value);
    add_group(put, kExpiryIndex, to_rfc3339(value.expires));
    return put;
}

json::value to_json(const MediaGrant& value) {
    auto out = start();
    out["token_sha256"] = value.token_sha256;
    out["job"] = value.job;
    out["machine"] = value.machine;
    out["file"] = value.file;
    out["sha256"] = value.sha256;
    out["sources"] = array_of_texts(value.sources);
    out["expires"] = to_rfc3339(value.expires);
    return out;
}

template <>
Result<MediaGrant> decode<MediaGrant>(std::string_view json_text) {
    return decode_with<MediaGrant>(json_text, "media grant", [](Reader& in, MediaGrant& out) {
        in.text("token_sha256", out.token_sha256);
        in.text("job", out.job);
        in.text("machine", out.machine);
        in.text("file", out.file);
        in.text("sha256", out.sha256);
        in.each_parsed("sources", out.sources, Prefix6::parse);
        in.time("expires", out.expires);
    });
}

Transaction::Put put_of(const MediaGrant& value) {
    auto put = plain_put(kMediaGrantKind, value.token_sha256, value);
    add_group(put, kExpiryIndex, to_rfc3339(value.expires));
    return put;
}

json::value to_json(const IdempotencyRecord& value) {
    auto out = start();
    out["actor"] = value.actor;
    out["key"] = value.key;
    out["method"] = value.method;
    out["request_sha256"] = value.request_sha256;
    out["answer"] = value.answer;
    out["created"] = to_rfc3339(value.created);
    return out;
}

template <>
Result<IdempotencyRecord> decode<IdempotencyRecord>(std::string_view json_text) {
    return decode_with<IdempotencyRecord>(json_text, "idempotency record", [](Reader& in, IdempotencyRecord& out) {
        in.text("actor", out.actor);
        in.text("key", out.key);
        in.text("method", out.method);
        in.text("request_sha256", out.request_sha256);
        in.text("answer", out.answer);
        in.time("created", out.created);
    });
}

std::string idempotency_key(std::string_view actor, std::string_view key) {
    return fmt::format("{}/{}", actor, key);
}

Transaction::Put put_of(const IdempotencyRecord& value) {
    auto put = plain_put(kIdempotencyKind, idempotency_key(value.actor, value.key), value);
    add_group(put, kExpiryIndex, to_rfc3339(value.created + kIdempotencyAge));
    return put;
}

}  // namespace nett
