#include "plugins/bgp-anycast/verdict.hpp"

#include <gtest/gtest.h>

namespace nett::anycast {
namespace {

HealthCondition condition(std::string component, HealthScope scope, HealthState state) {
    return {std::move(component), "listener", scope, state, "a message", "", {}};
}

constexpr auto kLocal = HealthScope::kLocal;
constexpr auto kShared = HealthScope::kShared;
constexpr auto kInfo = HealthScope::kInfo;
constexpr auto kOk = HealthState::kOk;
constexpr auto kDegraded = HealthState::kDegraded;
constexpr auto kFailed = HealthState::kFailed;

TEST(AnycastVerdict, ByConditions) {
    const std::set<std::string> none, metadata{"metadata"};
    struct Row {
        const char* what;
        std::vector<HealthCondition> conditions;
        std::set<std::string> required;
        bool healthy;
        bool vouched = false;
    };
    const std::vector<Row> rows{
        {"nothing vouches", {}, none, false},
        {"a configured check vouches", {}, none, true, true},
        {"a check does not speak for a required component", {}, metadata, false, true},
        {"a required component that reports only what all share is there",
         {condition("metadata", kLocal, kOk), condition("replication", kShared, kOk)},
         {"metadata", "replication"},
         true},
        {"a required component that only informs is not",
         {condition("metadata", kLocal, kOk), condition("replication", kInfo, kOk)},
         {"metadata", "replication"},
         false},
        {"a check does not make up for a failure", {condition("metadata", kLocal, kFailed)}, none, false, true},
        {"only information", {condition("frr", kInfo, kOk)}, none, false},
        {"information may fail", {condition("metadata", kLocal, kOk), condition("frr", kInfo, kFailed)}, none, true},
        {"a local failure", {condition("metadata", kLocal, kFailed)}, none, false},
        {"degraded is better than none", {condition("metadata", kLocal, kDegraded)}, none, true},
        {"shared trouble is not local",
         {condition("metadata", kLocal, kOk), condition("f", kShared, kFailed)},
         none,
         true},
        {"one of two fails by default",
         {condition("metadata", kLocal, kOk), condition("s", kLocal, kFailed)},
         none,
         false},
        {"not required", {condition("metadata", kLocal, kOk), condition("s", kLocal, kFailed)}, metadata, true},
        {"the required one is silent", {condition("store", kLocal, kOk)}, metadata, false},
        {"the required one only informs", {condition("metadata", kInfo, kOk)}, metadata, false},
    };
    for (const Row& row : rows)
        EXPECT_EQ(row.healthy, judge(row.conditions, row.required, row.vouched).healthy) << row.what;
}

TEST(AnycastVerdict, NamesWhatFailedAndWhatIsShared) {
    Verdict verdict = judge({condition("metadata", kLocal, kFailed), condition("factory", kShared, kFailed),
                             condition("mirror", kShared, kDegraded)},
                            {}, false);
    EXPECT_EQ("metadata/listener: a message", verdict.reason);
    EXPECT_EQ(std::vector<std::string>{"factory/listener: a message"}, verdict.shared);
}

}  // namespace
}  // namespace nett::anycast
