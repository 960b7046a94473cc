#include "builder/talos/strategic_merge.hpp"

#include <algorithm>
#include <array>
#include <optional>

#include "builder/talos/yaml_text.hpp"

namespace nett::builder {
namespace {

enum class ListRule { kAppend, kReplace, kByKey, kReplaceByKey };

struct Rule {
    std::string_view kind;  // of the document; empty: the v1alpha1 one, which has none
    std::string_view path;  // without places in lists
    ListRule rule;
    std::string_view key = {};
};

// merge:"replace" tags and Merge() methods of Talos' config types, v1.12 to v1.14.
constexpr std::array kRules{
    Rule{"", "cluster.network.podSubnets", ListRule::kReplace},
    Rule{"", "cluster.network.serviceSubnets", ListRule::kReplace},
    Rule{"", "cluster.apiServer.auditPolicy", ListRule::kReplace},
    Rule{"", "cluster.apiServer.admissionControl", ListRule::kByKey, "name"},
    Rule{"", "machine.network.interfaces", ListRule::kByKey, "interface"},
    Rule{"", "machine.network.interfaces.vlans", ListRule::kByKey, "vlanId"},
    Rule{"KubeNetworkConfig", "podSubnets", ListRule::kReplace},
    Rule{"KubeNetworkConfig", "serviceSubnets", ListRule::kReplace},
    Rule{"KubeAuditPolicyConfig", "configuration", ListRule::kReplace},
    Rule{"KubeAuthenticationConfig", "configuration", ListRule::kReplace},
    Rule{"NetworkRuleConfig", "ingress", ListRule::kReplace},
    Rule{"NetworkRuleConfig", "portSelector.ports", ListRule::kReplace},
    Rule{"ExtensionServiceConfig", "configFiles", ListRule::kByKey, "mountPath"},
    Rule{"ImageVerificationConfig", "rules", ListRule::kReplaceByKey, "image"},
    Rule{"BGPInstanceConfig", "advertise", ListRule::kReplace},
    Rule{"BGPInstanceConfig", "importRoutes", ListRule::kReplace},
    Rule{"BGPInstanceConfig", "neighbors", ListRule::kReplace},
};

constexpr std::string_view kDirective = "$patch";

std::string scalar(const YAML::Node& node, const std::string& key) {
    if (!node.IsMap()) return {};
    for (const auto& member : node) {
        if (member.first.IsScalar() && member.first.Scalar() == key && member.second.IsScalar())
            return member.second.Scalar();
    }
    return {};
}

bool is_delete(const YAML::Node& node) {
    return scalar(node, std::string(kDirective)) == "delete";
}

// "kind/name"; the v1alpha1 document has neither.
struct Identity {
    std::string kind;
    std::string text;
    explicit Identity(const YAML::Node& root)
        : kind(scalar(root, "kind")),
          text(scalar(root, "apiVersion") + "/" + kind + "/" + (kind.empty() ? "" : scalar(root, "name"))) {
        if (kind.empty()) text = "v1alpha1";
    }
};

// Talos takes a zero value of a patch for one that is not there, unless it is new.
bool is_zero(const YAML::Node& node) {
    return node.IsScalar() && (node.Scalar().empty() || (node.Tag() == "?" && node.Scalar() == "0"));
}

class Merger {
public:
    Merger(YamlText& document, std::string kind) : document_(document), kind_(std::move(kind)) {}

    Result<void> deletes(const YamlPath& path, const YAML::Node& patch);
    Result<void> merge(const YamlPath& path, const YAML::Node& patch);

private:
    const Rule* rule_of(const YamlPath& path) const;
    Result<void> merge_member(const YamlPath& path, const std::string& key, const YAML::Node& value);
    Result<void> merge_list(const YamlPath& path, const YAML::Node& items);
    Result<void> delete_item(const YamlPath& list, const YAML::Node& item);
    std::optional<std::size_t> item_with(const YamlPath& list, const std::string& key, const std::string& value) const;
    template <typename... Args>
    tl::unexpected<Error> refuse(const YAML::Node& at, fmt::format_string<Args...> format, Args&&... args) const {
        return fail(Code::kInvalidArgument, "line {}: {}", at.Mark().line + 1,
                    fmt::format(format, std::forward<Args>(args)...));
    }

    YamlText& document_;
    std::string kind_;
};

const Rule* Merger::rule_of(const YamlPath& path) const {
    YamlPath keys;
    std::copy_if(path.begin(), path.end(), std::back_inserter(keys),
                 [](const PathStep& step) { return std::holds_alternative<std::string>(step); });
    const std::string text = to_string(keys);
    const auto found = std::find_if(kRules.begin(), kRules.end(),
                                    [&](const Rule& rule) { return rule.kind == kind_ && rule.path == text; });
    return found == kRules.end() ? nullptr : &*found;
}

std::optional<std::size_t> Merger::item_with(const YamlPath& list, const std::string& key,
                                             const std::string& value) const {
    const YAML::Node items = document_.find(list);
    for (std::size_t i = 0; items.IsSequence() && i < items.size(); ++i) {
        if (scalar(items[i], key) == value) return i;
    }
    return std::nullopt;
}

Result<void> Merger::delete_item(const YamlPath& list, const YAML::Node& item) {
    for (const auto& member : item) {
        const std::string key = member.first.Scalar();
        if (key == kDirective) continue;
        const auto place = item_with(list, key, member.second.IsScalar() ? member.second.Scalar() : std::string());
        if (!place)
            return refuse(item, "{} has no item with {}: {} to delete", to_string(list), key, member.second.Scalar());
        YamlPath path = list;
        path.emplace_back(*place);
        return document_.erase(path);
    }
    return refuse(item, "an item to delete is found by another key: write e.g. \"- interface: eth0\" with it");
}

Result<void> Merger::deletes(const YamlPath& path, const YAML::Node& patch) {
    if (patch.IsSequence()) {
        for (const auto& item : patch) {
            if (is_delete(item)) NETT_TRY(delete_item(path, item));
        }
        return {};
    }
    if (!patch.IsMap()) return {};
    for (const auto& member : patch) {
        YamlPath inner = path;
        inner.emplace_back(member.first.Scalar());
        if (!is_delete(member.second)) {
            NETT_TRY(deletes(inner, member.second));
            continue;
        }
        if (!document_.find(inner).IsDefined())
            return refuse(member.first, "there is no {} to delete", to_string(inner));
        NETT_TRY(document_.erase(inner));
    }
    return {};
}

bool has_delete(const YAML::Node& node) {
    if (is_delete(node)) return true;
    if (node.IsMap()) {
        for (const auto& member : node) {
            if (has_delete(member.second)) return true;
        }
    }
    return node.IsSequence() &&
           std::any_of(node.begin(), node.end(), [](const auto& item) { return has_delete(item); });
}

// A patch without what is to be deleted: done already. What has nothing to delete is the same node, with its line.
YAML::Node without_deletes(const YAML::Node& node) {
    if (!has_delete(node)) return node;
    if (node.IsMap()) {
        YAML::Node out(YAML::NodeType::Map);
        for (const auto& member : node) {
            if (is_delete(member.second) || member.first.Scalar() == kDirective) continue;
            YAML::Node inner = without_deletes(member.second);
            const bool emptied = (inner.IsMap() || inner.IsSequence()) && inner.size() == 0 && member.second.size() > 0;
            if (!emptied) out.force_insert(member.first, inner);
        }
        return out;
    }
    if (!node.IsSequence()) return YAML::Clone(node);
    YAML::Node out(YAML::NodeType::Sequence);
    for (const auto& item : node) {
        if (!is_delete(item)) out.push_back(without_deletes(item));
    }
    return out;
}

Result<void> Merger::merge_list(const YamlPath& path, const YAML::Node& items) {
    const Rule* rule = rule_of(path);
    if (rule != nullptr && rule->rule == ListRule::kReplace) return document_.set(path, items);
    for (const auto& item : items) {
        const std::string value = rule == nullptr ? std::string() : scalar(item, std::string(rule->key));
        const auto place = value.empty() ? std::nullopt : item_with(path, std::string(rule->key), value);
        YamlPath inner = path;
        if (place) inner.emplace_back(*place);
        if (place && rule->rule == ListRule::kReplaceByKey) {
            NETT_TRY(document_.set(inner, item));
        } else if (place) {
            NETT_TRY(merge(inner, item));
        } else {
            NETT_TRY(document_.append(path, item));
        }
    }
    return {};
}

Result<void> Merger::merge_member(const YamlPath& path, const std::string& key, const YAML::Node& value) {
    YamlPath inner = path;
    inner.emplace_back(key);
    const YAML::Node present = document_.find(inner);
    if (!present.IsDefined()) return document_.insert(path, key, value);
    if (is_zero(value)) return {};
    const bool empty = present.IsNull() || ((present.IsMap() || present.IsSequence()) && present.size() == 0);
    if (empty) return document_.set(inner, value);
    const Rule* rule = rule_of(inner);
    if (value.IsMap() && rule != nullptr && rule->rule == ListRule::kReplace) return document_.set(inner, value);
    if (value.IsMap() && present.IsMap()) return merge(inner, value);
    if (value.IsSequence() && present.IsSequence()) return merge_list(inner, value);
    // extraArgs take a text or a list of texts.
    if (!value.IsMap() && !present.IsMap()) return document_.set(inner, value);
    return refuse(value, "{} is {} in the config, and {} in the patch", to_string(inner),
                  present.IsMap() ? "a mapping" : "a value or a list",
                  value.IsMap() ? "a mapping" : "a value or a list");
}

Result<void> Merger::merge(const YamlPath& path, const YAML::Node& patch) {
    for (const auto& member : patch) {
        if (member.second.IsNull()) continue;
        NETT_TRY(merge_member(path, member.first.Scalar(), member.second));
    }
    return {};
}

struct Document {
    YamlText text;
    std::string identity;  // empty: no mapping, kept as it is
};

Result<std::vector<Document>> documents_of(std::string_view stream) {
    std::vector<Document> documents;
    int line = 0;
    for (std::string& part : split_documents(stream)) {
        const int lines = static_cast<int>(std::count(part.begin(), part.end(), '\n'));
        auto text = YamlText::parse(std::move(part));
        if (!text)
            return fail(std::move(text.error()).in(fmt::format("in the document that begins at line {}", line + 1)));
        std::string identity = text->root().IsMap() ? Identity(text->root()).text : std::string();
        documents.push_back({std::move(*text), std::move(identity)});
        line += lines;
    }
    return documents;
}

// A document of the patch that the config lacks; its first line may or may not be the marker.
std::string as_document(std::string text) {
    if (!text.ends_with('\n')) text += '\n';
    if (text.starts_with("---")) return text;
    return "---\n" + text;
}

Result<void> apply(std::vector<Document>& config, const Document& patch) {
    const YAML::Node& root = patch.text.root();
    if (root.IsNull()) return {};
    if (!root.IsMap())
        return fail(Code::kInvalidArgument, "a patch is a mapping; JSON patches cannot be used with several documents");
    const auto target =
        std::find_if(config.begin(), config.end(), [&](const Document& one) { return one.identity == patch.identity; });
    if (is_delete(root)) {
        if (target == config.end() || patch.identity == "v1alpha1")
            return fail(Code::kInvalidArgument, "there is no document {} to delete", patch.identity);
        config.erase(target);
        return {};
    }
    if (target == config.end()) {
        auto added = YamlText::parse(as_document(patch.text.text()));
        if (!added) return fail(std::move(added.error()));
        config.push_back({std::move(*added), patch.identity});
        return {};
    }
    Merger merger(target->text, Identity(root).kind);
    NETT_TRY(merger.deletes({}, root));
    return merger.merge({}, without_deletes(root));
}

}  // namespace

Result<std::string> strategic_merge(std::string_view config, std::string_view patch) {
    auto documents = documents_of(config);
    if (!documents) return fail(std::move(documents.error()));
    const auto patches = documents_of(patch);
    if (!patches) return fail(Error(patches.error()).in("patch"));
    for (const Document& one : *patches) {
        if (auto done = apply(*documents, one); !done) return fail(std::move(done.error()).in(one.identity));
    }
    std::string result;
    for (const Document& one : *documents) {
        if (!result.empty() && !result.ends_with('\n')) result += '\n';
        result += one.text.text();
    }
    return result;
}

}  // namespace nett::builder
