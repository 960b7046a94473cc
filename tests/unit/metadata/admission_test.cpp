#include "plugins/metadata/admission.hpp"

#include <gtest/gtest.h>

namespace nett::metadata {
namespace {

using Verdict = Admission::Verdict;

Address6 source(int network, int host = 1) {
    return boost::asio::ip::make_address_v6(fmt::format("2001:db8:0:{:x}::{:x}", network, host));
}

TEST(Admission, CountsAWholeNetworkAsOneSource) {
    Admission admission;
    admission.set_limits({100, 2});
    EXPECT_EQ(admission.enter(source(1, 1)), Verdict::kServe);
    EXPECT_EQ(admission.enter(source(1, 2)), Verdict::kServe);
    EXPECT_EQ(admission.enter(source(1, 3)), Verdict::kClose);
    EXPECT_EQ(admission.enter(source(2)), Verdict::kServe);
    admission.leave(source(1, 1));
    EXPECT_EQ(admission.enter(source(1, 4)), Verdict::kServe);
    EXPECT_EQ(admission.connections(), 3U);
}

TEST(Admission, CountsEachIpv4AddressAlone) {
    Admission admission;
    admission.set_limits({100, 1});
    const auto mapped = [](const char* text) { return boost::asio::ip::make_address_v6(text); };
    EXPECT_EQ(admission.enter(mapped("::ffff:192.168.0.7")), Verdict::kServe);
    EXPECT_EQ(admission.enter(mapped("::ffff:192.168.0.7")), Verdict::kClose);
    EXPECT_EQ(admission.enter(mapped("::ffff:192.168.0.8")), Verdict::kServe);
    admission.leave(mapped("::ffff:192.168.0.7"));
    EXPECT_EQ(admission.connections(), 1U);
}

TEST(Admission, ShedsAboveTheTotalAndClosesAboveThat) {
    Admission admission;
    admission.set_limits({8, 1});
    for (int i = 0; i < 8; ++i) EXPECT_EQ(admission.enter(source(i)), Verdict::kServe);
    EXPECT_EQ(admission.enter(source(8)), Verdict::kShed);
    EXPECT_EQ(admission.enter(source(9)), Verdict::kShed);
    EXPECT_EQ(admission.enter(source(10)), Verdict::kClose);
    admission.leave(source(3));
    admission.leave(source(8));
    admission.leave(source(9));
    EXPECT_EQ(admission.enter(source(3)), Verdict::kServe);
    EXPECT_EQ(admission.most(), 10U);
}

}  // namespace
}  // namespace nett::metadata
