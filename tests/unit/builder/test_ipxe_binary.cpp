#include <gtest/gtest.h>

#include "tests/unit/builder/support.hpp"

namespace nett::builder {
namespace {

const std::string kAnchor(32, '\x5a');

TEST(TrustAnchor, ReplacesExactlyTheBuiltinFingerprint) {
    const std::string before = fake_ipxe();
    const auto after = replace_trust_anchor(before, kAnchor);
    ASSERT_TRUE(after) << after.error().to_string();
    ASSERT_EQ(after->size(), before.size());
    const std::size_t place = before.find(builtin_trust_anchor());
    EXPECT_EQ(after->substr(place, 32), kAnchor);
    EXPECT_EQ(after->substr(0, place), before.substr(0, place));
    EXPECT_EQ(after->substr(place + 32), before.substr(place + 32));
}

TEST(TrustAnchor, RefusesABinaryWithoutIt) {
    const auto patched = replace_trust_anchor(fake_ipxe(), kAnchor);
    ASSERT_TRUE(patched);
    const auto again = replace_trust_anchor(*patched, kAnchor);
    ASSERT_FALSE(again);
    EXPECT_EQ(again.error().code, Code::kInvalidArgument);
    EXPECT_NE(again.error().message.find("patched before"), std::string::npos) << again.error().message;
}

TEST(TrustAnchor, RefusesABinaryThatHoldsItTwice) {
    const auto result = replace_trust_anchor(fake_ipxe() + std::string(builtin_trust_anchor()), kAnchor);
    ASSERT_FALSE(result);
    EXPECT_NE(result.error().message.find("2 times"), std::string::npos) << result.error().message;
}

TEST(TrustAnchor, IsThirtyTwoBytesOfIpxesOwnRoot) {
    EXPECT_EQ(to_hex(builtin_trust_anchor()), "9faf717b7f8ca2f93c256c79f8ac5591895d66d1ff3bee6397a70d29c65eed1a");
}

TEST(IpxeBinary, TellsVersionAndRemovableName) {
    const auto amd64 = inspect_ipxe(fake_ipxe());
    ASSERT_TRUE(amd64) << amd64.error().to_string();
    EXPECT_EQ(amd64->version, "2.0.0+dfsg-5");
    EXPECT_EQ(amd64->removable_name, "BOOTX64.EFI");
    std::string arm = fake_ipxe();
    arm.replace(0x84, 2, "\x64\xaa");
    ASSERT_TRUE(inspect_ipxe(arm));
    EXPECT_EQ(inspect_ipxe(arm)->removable_name, "BOOTAA64.EFI");
}

TEST(IpxeBinary, RefusesWhatIsNoEfiApplication) {
    EXPECT_FALSE(inspect_ipxe(""));
    EXPECT_FALSE(inspect_ipxe("MZ"));
    EXPECT_FALSE(
        inspect_ipxe("\x7f"
                     "ELF and more"));
    std::string far = fake_ipxe();
    far.replace(0x3c, 4, "\xff\xff\xff\xff");
    EXPECT_FALSE(inspect_ipxe(far));
    std::string loongarch = fake_ipxe();
    loongarch.replace(0x84, 2, "\x64\x62");
    ASSERT_FALSE(inspect_ipxe(loongarch));
    EXPECT_NE(inspect_ipxe(loongarch).error().message.find("0x6264"), std::string::npos);
}

TEST(IpxeBinary, KnowsEllipticCurvesSinceTwo) {
    const IpxeBinary new_one{"2.0.0+dfsg-5", "BOOTX64.EFI"};
    const IpxeBinary old_one{"1.21.1+git20250501.dad20602+dfsg-1", "BOOTX64.EFI"};
    EXPECT_TRUE(check_key_family(new_one, KeyFamily::kP256));
    EXPECT_TRUE(check_key_family(new_one, KeyFamily::kRsa));
    EXPECT_FALSE(check_key_family(new_one, KeyFamily::kOther));
    EXPECT_TRUE(check_key_family(old_one, KeyFamily::kRsa));
    ASSERT_FALSE(check_key_family(old_one, KeyFamily::kP256));
    EXPECT_NE(check_key_family(old_one, KeyFamily::kP256).error().message.find("2.0.0"), std::string::npos);
}

}  // namespace
}  // namespace nett::builder
