#include "plugins/metadata/tenants.hpp"

#include <gtest/gtest.h>

namespace nett::metadata {
namespace {

Tenant tenant(std::string name, std::vector<std::string> names, std::vector<std::string> suffixes = {},
              std::vector<std::string> units = {}) {
    Tenant value;
    value.name = std::move(name);
    value.common_names = std::move(names);
    value.common_name_suffixes = std::move(suffixes);
    value.organizational_units = std::move(units);
    return value;
}

std::string match(const TenantTable& table, std::vector<std::string> names, std::vector<std::string> units = {}) {
    const auto name = table.match({std::move(names), std::move(units)});
    if (name) return *name;
    EXPECT_EQ(name.error().code, Code::kPermissionDenied);
    return "refused";
}

TEST(TenantTable, TheMostSpecificRuleDecides) {
    const TenantTable table({tenant("exact", {"x.a.example"}), tenant("long", {}, {"a.example"}),
                             tenant("short", {}, {".example"}), tenant("unit", {}, {}, {"ops"})});
    EXPECT_EQ(match(table, {"x.a.example"}), "exact");
    EXPECT_EQ(match(table, {"y.a.example"}), "long");
    EXPECT_EQ(match(table, {"a.example"}), "long");
    EXPECT_EQ(match(table, {"b.example"}), "short");
    EXPECT_EQ(match(table, {"elsewhere"}, {"ops"}), "unit");
    EXPECT_EQ(match(table, {}, {"ops"}), "unit");
}

TEST(TenantTable, SuffixesEndOnLabelBoundaries) {
    const TenantTable table({tenant("a", {}, {"a.example"}), tenant("below", {}, {".b.example"})});
    EXPECT_EQ(match(table, {"evila.example"}), "refused");
    EXPECT_EQ(match(table, {"a.example.evil"}), "refused");
    EXPECT_EQ(match(table, {"b.example"}), "refused");
    EXPECT_EQ(match(table, {"x.b.example"}), "below");
    EXPECT_EQ(match(table, {""}), "refused");
}

TEST(TenantTable, RefusesWhatCouldBeReadTwoWays) {
    const TenantTable table({tenant("a", {"same"}), tenant("b", {"same", "b"}), tenant("c", {}, {}, {"c"})});
    EXPECT_EQ(match(table, {"same"}), "refused");
    EXPECT_EQ(match(table, {"b", "x"}), "refused");
    EXPECT_EQ(match(table, {"b"}), "b");
    EXPECT_EQ(match(table, {std::string("b\0x", 3)}), "refused");
    EXPECT_EQ(match(table, {"b\n"}), "refused");
    EXPECT_EQ(match(table, {"B"}), "refused");
    EXPECT_EQ(match(table, {"x"}, {"c", std::string("\0", 1)}), "refused");
    EXPECT_EQ(match(TenantTable({}), {"b"}), "refused");
}

}  // namespace
}  // namespace nett::metadata
