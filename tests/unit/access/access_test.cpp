#include "agent/core/access/access.hpp"

#include <gtest/gtest.h>

namespace nett {
namespace {

const Grants kGrants{{"ops.example", {Role::kOperator}},
                     {"root.example", {Role::kAdmin}},
                     {"eyes.example", {Role::kViewer}},
                     {"compute-a.example", {Role::kViewer, Scope::kTenant, "tenant-a"}},
                     {"tor-a", {Role::kViewer, Scope::kFabric, ""}},
                     {"gw-2", {Role::kViewer, Scope::kServer, ""}}};

Caller who(std::string_view name) {
    return caller_of_certificate(kGrants, name).value();
}

TEST(Access, ACommonNameWithoutRoleIsRefusedWithTheRemedy) {
    for (const std::string name : {"OPS.example", "ops.example.evil", "ops", ""}) {
        const auto caller = caller_of_certificate(kGrants, name);
        ASSERT_FALSE(caller) << name;
        EXPECT_EQ(caller.error().code, Code::kPermissionDenied);
    }
    EXPECT_NE(caller_of_certificate(kGrants, "x").error().message.find("\"api role ROLE common-name x\""),
              std::string::npos);
}

TEST(Access, TheActorIsTheCertificatesName) {
    EXPECT_EQ(who("ops.example").actor, "tls:ops.example");
}

// One row a caller: which needs it meets, in the order of Need.
TEST(Access, EveryRoleMeetsItsNeedsAndNoOther) {
    const std::vector<std::pair<std::string, std::string>> table{
        {"eyes.example", "irR-----"},      {"ops.example", "irRoO--s"}, {"root.example", "irRoOa-s"},
        {"compute-a.example", "i-R-O---"}, {"tor-a", "i-----f-"},       {"gw-2", "i------s"}};
    const std::string letters = "irRoOafs";
    for (const auto& [name, expected] : table) {
        std::string met;
        for (std::size_t i = 0; i < letters.size(); ++i) {
            met += check_need(who(name), static_cast<Need>(i)) ? letters[i] : '-';
        }
        EXPECT_EQ(met, expected) << name;
    }
}

TEST(Access, ARefusalNamesBothRoles) {
    const auto refused = check_need(who("compute-a.example"), Need::kAdminister);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().message, "this needs the role admin; tls:compute-a.example is tenant tenant-a");
}

TEST(Access, AMethodThatNobodyListedNeedsAnAdministrator) {
    EXPECT_EQ(need_of("/nett.v1.Inventory/DropEverything"), Need::kAdminister);
    EXPECT_EQ(need_of("/nett.v1.Inventory/ListMachines"), Need::kReadOwn);
}

TEST(Access, ATenantSeesItsOwnRecordsOnly) {
    EXPECT_TRUE(may_see(who("compute-a.example"), "tenant-a"));
    EXPECT_FALSE(may_see(who("compute-a.example"), "tenant-b"));
    EXPECT_FALSE(may_see(who("compute-a.example"), ""));
    EXPECT_TRUE(may_see(who("eyes.example"), "tenant-b"));
    EXPECT_FALSE(may_see(who("tor-a"), "tenant-a"));
    const auto hidden = check_own(who("compute-a.example"), "tenant-b", "machine \"node-1\"");
    ASSERT_FALSE(hidden);
    EXPECT_EQ(hidden.error().code, Code::kNotFound);
}

}  // namespace
}  // namespace nett
