#include "agent/replication/layout.hpp"

#include <algorithm>

#include <boost/json.hpp>

#include "agent/sdk/strings.hpp"

namespace nett::replication {

namespace json = boost::json;

namespace {

constexpr std::string_view kStatePart = "/state/";
constexpr std::string_view kRecordPart = "record/";
constexpr std::string_view kIndexPart = "index/";
constexpr std::string_view kServerPart = "/server/";

// The object of a text, or kDataLoss.
Result<json::object> object_of(std::string_view text, std::string_view what) {
    json::error_code error;
    auto value = json::parse(json::string_view(text.data(), text.size()), error);
    if (error || !value.is_object()) return fail(Code::kDataLoss, "{} in etcd is not readable", what);
    return std::move(value.as_object());
}

std::string text_of(const json::object& object, std::string_view name) {
    const auto* found = object.if_contains(name);
    return found != nullptr && found->is_string() ? std::string(found->as_string()) : std::string();
}

template <typename Number>
Number number_of(const json::object& object, std::string_view name) {
    const auto* found = object.if_contains(name);
    json::error_code error;
    if (found == nullptr || !found->is_number()) return 0;
    const auto number = found->to_number<Number>(error);
    return error ? 0 : number;
}

bool truth_of(const json::object& object, std::string_view name) {
    const auto* found = object.if_contains(name);
    return found != nullptr && found->is_bool() && found->as_bool();
}

}  // namespace

EtcdRange range_of_prefix(std::string prefix) {
    EtcdRange range{prefix, std::move(prefix)};
    // Our prefixes end in "/": there is always a next byte.
    range.end.back() = static_cast<char>(range.end.back() + 1);
    return range;
}

// etcd takes the longest of a transaction's lists.
std::size_t EtcdTxn::operations() const {
    return std::max(compares.size(), puts.size() + deletes.size()) + reads.size();
}

std::string Layout::record(std::string_view kind, std::string_view key) const {
    return fmt::format("{}/state/record/{}/{}", prefix_, kind, key);
}

std::string Layout::index(std::string_view kind, const IndexEntry& entry) const {
    return fmt::format("{}/state/index/{}/{}/{}", prefix_, kind, entry.index, entry.value);
}

std::string Layout::server(std::string_view name) const {
    return fmt::format("{}/server/{}", prefix_, name);
}

StateKey Layout::parse(std::string_view key) const {
    if (!key.starts_with(prefix_)) return {};
    key.remove_prefix(prefix_.size());
    if (!key.starts_with(kStatePart)) return {};
    key.remove_prefix(kStatePart.size());
    if (key == "last") return {StateKey::Sort::kLast, {}, {}};
    if (key.starts_with(kIndexPart)) return {StateKey::Sort::kIndex, {}, {}};
    if (!key.starts_with(kRecordPart)) return {};
    key.remove_prefix(kRecordPart.size());
    const auto slash = key.find('/');
    if (slash == std::string_view::npos || slash == 0 || slash + 1 == key.size()) return {};
    return {StateKey::Sort::kRecord, std::string(key.substr(0, slash)), std::string(key.substr(slash + 1))};
}

std::string Layout::server_name(std::string_view key) const {
    key.remove_prefix(std::min(key.size(), prefix_.size() + kServerPart.size()));
    return std::string(key);
}

bool is_claim(const IndexEntry& entry, std::string_view key) {
    const auto size = entry.value.size();
    return !(size > key.size() && entry.value.ends_with(key) && entry.value[size - key.size() - 1] == '/');
}

std::string encode_record(std::string_view value, const std::vector<IndexEntry>& indexes) {
    json::array entries;
    for (const auto& entry : indexes) entries.push_back(json::array{entry.index, entry.value});
    return json::serialize(json::object{{"indexes", std::move(entries)}}) + "\n" + std::string(value);
}

Result<RecordText> decode_record_text(std::string_view text) {
    const auto line = text.find('\n');
    if (line == std::string_view::npos) return fail(Code::kDataLoss, "a record in etcd has no head");
    const auto head = object_of(text.substr(0, line), "a record's head");
    if (!head) return fail(head.error());
    RecordText out{std::string(text.substr(line + 1)), {}};
    const auto* indexes = head->if_contains("indexes");
    if (indexes == nullptr || !indexes->is_array()) return fail(Code::kDataLoss, "a record in etcd has no indexes");
    for (const auto& one : indexes->as_array()) {
        const auto* pair = one.if_array();
        if (pair == nullptr || pair->size() != 2 || !(*pair)[0].is_string() || !(*pair)[1].is_string()) {
            return fail(Code::kDataLoss, "a record in etcd has an index entry that is none");
        }
        out.indexes.push_back({std::string((*pair)[0].as_string()), std::string((*pair)[1].as_string())});
    }
    return out;
}

std::string encode(const Stamp& stamp) {
    return json::serialize(
        json::object{{"id", stamp.id}, {"server", stamp.server}, {"actor", stamp.actor}, {"reason", stamp.reason}});
}

Result<Stamp> decode_stamp(std::string_view text) {
    const auto object = object_of(text, "the last transaction");
    if (!object) return fail(object.error());
    return Stamp{text_of(*object, "id"), text_of(*object, "server"), text_of(*object, "actor"),
                 text_of(*object, "reason")};
}

std::string encode(const Meta& meta) {
    return json::serialize(json::object{{"format", meta.format},
                                        {"cluster", meta.cluster},
                                        {"state", meta.importing ? "importing" : "ready"},
                                        {"proof", meta.proof}});
}

Result<Meta> decode_meta(std::string_view text) {
    const auto object = object_of(text, "the cluster's description");
    if (!object) return fail(object.error());
    Meta meta;
    meta.format = number_of<int>(*object, "format");
    meta.cluster = number_of<std::uint64_t>(*object, "cluster");
    meta.importing = text_of(*object, "state") != "ready";
    meta.proof = text_of(*object, "proof");
    if (meta.format == 0 || meta.cluster == 0) {
        return fail(Code::kDataLoss, "the cluster's description in etcd is not readable");
    }
    return meta;
}

std::string encode(const ServerState& state) {
    json::array missing(state.artifacts.missing.begin(), state.artifacts.missing.end());
    json::object artifacts{{"endpoint", state.artifacts.endpoint},
                           {"missing_files", state.artifacts.missing_files},
                           {"missing", std::move(missing)}};
    return json::serialize(json::object{{"name", state.name},
                                        {"instance", state.instance},
                                        {"version", state.version},
                                        {"revision", state.revision},
                                        {"age_ms", state.age_ms},
                                        {"announcing", state.announcing},
                                        {"artifacts", std::move(artifacts)}});
}

namespace {

ArtifactState artifacts_of(const json::object& server) {
    ArtifactState out;
    const auto* found = server.if_contains("artifacts");
    if (found == nullptr || !found->is_object()) return out;
    out.endpoint = text_of(found->as_object(), "endpoint");
    out.missing_files = number_of<std::int64_t>(found->as_object(), "missing_files");
    const auto* missing = found->as_object().if_contains("missing");
    if (missing == nullptr || !missing->is_array()) return out;
    for (const auto& one : missing->as_array()) {
        if (one.is_string()) out.missing.emplace_back(one.as_string());
    }
    return out;
}

}  // namespace

Result<ServerState> decode_server(std::string_view text) {
    const auto object = object_of(text, "a server's description");
    if (!object) return fail(object.error());
    ServerState state{text_of(*object, "name"), text_of(*object, "instance"), text_of(*object, "version")};
    state.revision = number_of<Revision>(*object, "revision");
    state.age_ms = number_of<std::int64_t>(*object, "age_ms");
    state.announcing = truth_of(*object, "announcing");
    state.artifacts = artifacts_of(*object);
    return state;
}

}  // namespace nett::replication
