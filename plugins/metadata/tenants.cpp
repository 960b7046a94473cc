#include "plugins/metadata/tenants.hpp"

#include <algorithm>
#include <set>

#include "agent/sdk/log.hpp"

namespace nett::metadata {

namespace {

void claim(std::unordered_map<std::string, std::vector<std::string>>& claims, std::string value,
           const std::string& tenant) {
    if (value.empty()) return;
    auto& names = claims[std::move(value)];
    if (std::find(names.begin(), names.end(), tenant) == names.end()) names.push_back(tenant);
}

bool is_printable(const std::string& text) {
    return !text.empty() && std::all_of(text.begin(), text.end(),
                                        [](char c) { return static_cast<unsigned char>(c) >= 0x20 && c != 0x7f; });
}

Result<std::string> only_one(const std::set<std::string>& tenants, std::string_view rule) {
    if (tenants.size() == 1) return *tenants.begin();
    return fail(Code::kPermissionDenied, "{} tenants claim {}; make their match rules distinct", tenants.size(), rule);
}

}  // namespace

TenantTable::TenantTable(const std::vector<Tenant>& tenants) : size_(tenants.size()) {
    for (const auto& tenant : tenants) {
        for (const auto& name : tenant.common_names) claim(common_names_, name, tenant.name);
        for (const auto& unit : tenant.organizational_units) claim(units_, unit, tenant.name);
        for (const auto& suffix : tenant.common_name_suffixes) {
            if (suffix.starts_with('.')) {
                claim(proper_suffixes_, suffix.substr(1), tenant.name);
            } else {
                claim(suffixes_, suffix, tenant.name);
            }
        }
    }
}

Result<std::string> TenantTable::match(const CertificateSubject& subject) const {
    if (subject.common_names.size() > 1) return fail(Code::kPermissionDenied, "the subject has several common names");
    const auto& units = subject.organizational_units;
    if (!std::all_of(subject.common_names.begin(), subject.common_names.end(), is_printable) ||
        !std::all_of(units.begin(), units.end(), is_printable)) {
        return fail(Code::kPermissionDenied, "the subject has unprintable characters");
    }
    std::set<std::string> tenants;
    const auto add = [&](const Claims& claims, const std::string& value) {
        const auto found = claims.find(value);
        if (found != claims.end()) tenants.insert(found->second.begin(), found->second.end());
    };
    if (!subject.common_names.empty()) {
        const auto& name = subject.common_names.front();
        add(common_names_, name);
        if (!tenants.empty()) return only_one(tenants, "this common name");
        for (std::size_t at = 0; at != std::string::npos;) {
            const auto rest = name.substr(at);
            add(suffixes_, rest);
            if (at > 0) add(proper_suffixes_, rest);
            if (!tenants.empty()) return only_one(tenants, "this common name's suffix");
            const auto dot = name.find('.', at);
            at = dot == std::string::npos ? dot : dot + 1;
        }
    }
    for (const auto& unit : units) add(units_, unit);
    if (!tenants.empty()) return only_one(tenants, "these organizational units");
    return fail(Code::kPermissionDenied, "no tenant matches this certificate");
}

Result<void> TenantCache::start(Store& store) {
    watch_ = store.watch(std::string(kTenantKind), [this, &store](const Change&) {
        if (auto rebuilt = rebuild(store); !rebuilt) {
            Logger("metadata").error("cannot read the tenants; the known ones hold", {{"error", rebuilt.error()}});
        }
    });
    return rebuild(store);
}

void TenantCache::stop() {
    watch_.reset();
}

Result<void> TenantCache::rebuild(const Store& store) {
    auto records = store.list(kTenantKind);
    if (!records) return fail(std::move(records.error()));
    std::vector<Tenant> tenants;
    for (const auto& record : *records) {
        auto tenant = decode<Tenant>(record.value);
        if (!tenant) return fail(std::move(tenant.error()).in("tenant " + record.key));
        tenants.push_back(std::move(*tenant));
    }
    table_.store(std::make_shared<const TenantTable>(tenants));
    return {};
}

}  // namespace nett::metadata
