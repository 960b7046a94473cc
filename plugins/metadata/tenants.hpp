// Whose certificate this is: the tenants' match rules, compiled.
#pragma once

#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "agent/sdk/model.hpp"
#include "agent/sdk/result.hpp"
#include "agent/sdk/store.hpp"
#include "plugins/metadata/http.hpp"
#include "plugins/metadata/shared_value.hpp"

namespace nett::metadata {

// Immutable, so safe to share. Cost of a match: one look-up for each label of the CN and for each OU.
class TenantTable {
public:
    explicit TenantTable(const std::vector<Tenant>& tenants);

    // The tenant's name. The most specific rule decides: the whole CN, then the longest suffix, then the OU.
    // kPermissionDenied when none matches, when the deciding rule is claimed by several tenants, or when the subject
    // has several CNs or unprintable characters (it could then read differently to others).
    Result<std::string> match(const CertificateSubject& subject) const;
    std::size_t size() const { return size_; }

private:
    // Names of the tenants that claim a value; more than one is a conflict.
    using Claims = std::unordered_map<std::string, std::vector<std::string>>;

    Claims common_names_;
    Claims suffixes_;         // "boot.example": the name itself and every name below it
    Claims proper_suffixes_;  // written ".boot.example": only names below it
    Claims units_;
    std::size_t size_ = 0;
};

// The table of the tenants in the store, rebuilt when they change.
class TenantCache {
public:
    // Loop thread. Reads the tenants and follows their changes; an unreadable store is an error.
    Result<void> start(Store& store);
    void stop();

    // Any thread.
    std::shared_ptr<const TenantTable> table() const { return table_.load(); }

private:
    Result<void> rebuild(const Store& store);

    SharedValue<TenantTable> table_{std::make_shared<const TenantTable>(std::vector<Tenant>{})};
    Subscription watch_;
};

}  // namespace nett::metadata
