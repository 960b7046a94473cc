#include "agent/sdk/identity.hpp"

#include <gtest/gtest.h>

namespace nett {
namespace {

constexpr std::string_view kUuid = "4c4c4544-0042-3510-8051-b7c04f4d3432";

TEST(Identity, ReadsUuidsInEveryUsualSpelling) {
    for (const auto* text : {"4c4c4544-0042-3510-8051-b7c04f4d3432", "4C4C4544-0042-3510-8051-B7C04F4D3432",
                             "4c4c4544004235108051b7c04f4d3432"}) {
        EXPECT_EQ(canonical_uuid(text).value(), kUuid) << text;
    }
}

TEST(Identity, ReadsMacsInEveryUsualSpelling) {
    for (const auto* text :
         {"52:54:00:AB:cd:ef", "52-54-00-ab-cd-ef", "5254.00ab.cdef", "525400abcdef", "525400ABCDEF"}) {
        EXPECT_EQ(canonical_mac(text).value(), "52:54:00:ab:cd:ef") << text;
    }
}

TEST(Identity, RefusesMixedAndCutSpellings) {
    for (const auto* text : {"", "52:54:00:ab:cd", "52:54-00:ab:cd:ef", "52:54:00:ab:cd:eg", "52540:0abcdef",
                             "../../etc/passwd", "4c4c4544-00423510-8051-b7c04f4d3432"}) {
        EXPECT_FALSE(parse_machine_id(text)) << text;
    }
}

TEST(Identity, SharedUuidsCountAsNone) {
    for (const auto* text : {"00000000-0000-0000-0000-000000000000", "FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF",
                             "03000200-0400-0500-0006-000700080009", "00020003-0004-0005-0006-000700080009",
                             "01010101-0101-0101-0101-010101010101", "6AB5B300-538D-1014-9FB5-B0684D007B53"}) {
        const auto id = parse_machine_id(text);
        ASSERT_TRUE(id) << text;
        EXPECT_FALSE(id->uuid) << text;
        EXPECT_FALSE(id->mac) << text;
    }
}

TEST(Identity, TellsUuidFromMac) {
    EXPECT_EQ(parse_machine_id(kUuid)->uuid, kUuid);
    EXPECT_EQ(parse_machine_id("525400abcdef")->mac, "52:54:00:ab:cd:ef");
}

}  // namespace
}  // namespace nett
