#include "plugins/metadata/netbox_service.hpp"

#include <gtest/gtest.h>
#include <boost/json/serialize.hpp>

#include "plugins/metadata/netbox_settings.hpp"
#include "tests/unit/metadata/service_fixture.hpp"
#include "tests/unit/metadata/settings_lines.hpp"

namespace nett::metadata::test {
namespace {

// Answers what a test has put into it; asks for nothing.
class FakeNetbox final : public HttpsClient {
public:
    std::vector<Result<HttpsAnswer>> answers;
    std::vector<std::string> targets;
    std::string authorization;

    Awaitable<Result<HttpsAnswer>> send(HttpsRequest request) override {
        targets.push_back(request.url.target);
        authorization = request.headers.at(0).second;
        if (answers.empty()) co_return fail(Code::kUnavailable, "connection refused");
        auto answer = std::move(answers.front());
        answers.erase(answers.begin());
        co_return answer;
    }
    void abort() override {}
};

std::string address(const std::string& device, const std::string& text, int id = 1) {
    return fmt::format(R"({{"id": {}, "address": "{}", "assigned_object": {{"device": {{"name": "{}"}}}}}})", id, text,
                       device);
}
HttpsAnswer page(const std::vector<std::string>& results, bool more = false) {
    return {200,
            fmt::format(R"({{"next": {}, "results": [{}]}})", more ? "\"http://elsewhere/\"" : "null",
                        fmt::join(results, ",")),
            {}};
}

class NetboxServiceTest : public testing::Test {
protected:
    NetboxServiceTest() {
        std::ofstream(token_file_) << "secret-token\n";
        settings_.origin = parse_netbox_origin("https://netbox.example").value();
        settings_.token_file = token_file_;
        settings_.field = default_netbox_field(NetboxObjects::kAddresses);
        EXPECT_TRUE(service_.start());
        settle();
    }
    ~NetboxServiceTest() override {
        run(context_, with_result(service_.stop()));
        std::filesystem::remove(token_file_);
    }

    // Everything that can happen without time passing.
    void settle() {
        context_.restart();
        while (context_.poll() != 0) {
        }
    }
    void read(std::vector<Result<HttpsAnswer>> answers) {
        client_->answers = std::move(answers);
        service_.set_settings(settings_);
        settle();
    }
    void enrol(const std::string& name, ProductionMode mode = ProductionMode::kNetbox, const std::string& prefix = "") {
        Machine machine;
        machine.name = name;
        machine.tenant = "tenant-a";
        machine.serial = "SN-" + name;
        machine.production.mode = mode;
        machine.production.prefix = prefix;
        store_.put(put_of(machine));
        settle();
    }
    std::string prefix_of(const std::string& name) {
        return decode<Machine>(store_.get(kMachineKind, name).value()->value).value().production.prefix;
    }
    NetboxPrefix known(const std::string& key) {
        return decode_netbox_prefix(store_.get(kNetboxPrefixKind, key).value()->value).value();
    }

    asio::io_context context_;
    const std::string token_file_ =
        testing::TempDir() + "token-" + testing::UnitTest::GetInstance()->current_test_info()->name();
    nett::test::MemoryStore store_;
    EventList events_;
    ManualClock clock_;
    NetboxSettings settings_;
    FakeNetbox* client_ = new FakeNetbox;  // owned by the service
    NetboxService service_{{context_.get_executor(), store_, events_, clock_}, std::unique_ptr<HttpsClient>(client_)};
};

TEST_F(NetboxServiceTest, GivesMachinesThePrefixThatNetboxHasForThem) {
    enrol("node-1");
    enrol("node-2", ProductionMode::kNone);
    read({page({address("node-1", "2001:db8:1::1/128"), address("node-2", "2001:db8:1::2/128")})});
    EXPECT_EQ(prefix_of("node-1"), "2001:db8:1::1/128");
    EXPECT_EQ(prefix_of("node-2"), "");
    EXPECT_EQ(client_->authorization, "Token secret-token");
    EXPECT_TRUE(events_.has("machine.prefix"));
    EXPECT_EQ(service_.health().state, HealthState::kOk);
}

TEST_F(NetboxServiceTest, AMachineRegisteredLaterIsGivenWhatIsKnown) {
    read({page({address("node-1", "2001:db8:1::1/128")})});
    enrol("node-1");
    EXPECT_EQ(prefix_of("node-1"), "2001:db8:1::1/128");
    EXPECT_EQ(client_->targets.size(), 1U);
}

TEST_F(NetboxServiceTest, ReadsPageAfterPageByItsOwnCount) {
    read({page({address("a", "2001:db8:1::1/128"), address("b", "2001:db8:1::2/128")}, true),
          page({address("c", "2001:db8:1::3/128")})});
    ASSERT_EQ(client_->targets.size(), 2U);
    EXPECT_NE(client_->targets[1].find("&offset=2&"), std::string::npos);
    EXPECT_EQ(known("c").entry.prefix.to_string(), "2001:db8:1::3/128");
}

TEST_F(NetboxServiceTest, WhatIsKnownHoldsWhileNetboxIsDownOrOdd) {
    enrol("node-1");
    read({page({address("node-1", "2001:db8:1::1/128")})});
    const std::vector<Result<HttpsAnswer>> troubles{fail(Code::kUnavailable, "connection refused"),
                                                    HttpsAnswer{401, "", {}},
                                                    HttpsAnswer{429, "", {}},
                                                    HttpsAnswer{500, "", {}},
                                                    HttpsAnswer{302, "", {}},
                                                    HttpsAnswer{200, "<html>", {}}};
    for (const auto& trouble : troubles) {
        read({trouble});
        EXPECT_EQ(service_.health().state, HealthState::kDegraded);
        EXPECT_EQ(service_.health().scope, HealthScope::kInfo);
        EXPECT_EQ(prefix_of("node-1"), "2001:db8:1::1/128");
        EXPECT_FALSE(known("node-1").gone);
    }
    read({page({address("node-1", "2001:db8:1::1/128")})});
    EXPECT_EQ(service_.health().state, HealthState::kOk);
}

TEST_F(NetboxServiceTest, APageThatFailsLeavesTheOnesBeforeItUnused) {
    read({page({address("a", "2001:db8:1::1/128")}, true), HttpsAnswer{500, "", {}}});
    EXPECT_FALSE(store_.get(kNetboxPrefixKind, "a").value());
}

TEST_F(NetboxServiceTest, WhatNetboxDoesNotListAnyMoreIsKeptAndMarked) {
    enrol("node-1");
    read({page({address("node-1", "2001:db8:1::1/128")})});
    read({page({})});
    EXPECT_TRUE(known("node-1").gone);
    EXPECT_EQ(prefix_of("node-1"), "2001:db8:1::1/128");
    read({page({address("node-1", "2001:db8:1::1/128")})});
    EXPECT_FALSE(known("node-1").gone);
}

TEST_F(NetboxServiceTest, AnotherPrefixInNetboxReplacesTheMachines) {
    enrol("node-1");
    read({page({address("node-1", "2001:db8:1::1/128")})});
    read({page({address("node-1", "2001:db8:1::9/128")})});
    EXPECT_EQ(prefix_of("node-1"), "2001:db8:1::9/128");
}

TEST_F(NetboxServiceTest, APrefixThatAnotherMachineHasIsAProblemThatIsTold) {
    enrol("node-0", ProductionMode::kStatic, "2001:db8:1::1/128");
    enrol("node-1");
    read({page({address("node-1", "2001:db8:1::1/128")})});
    EXPECT_EQ(prefix_of("node-1"), "");
    const auto health = service_.health();
    EXPECT_EQ(health.state, HealthState::kDegraded);
    EXPECT_TRUE(health.message.starts_with("node-1: ")) << health.message;
}

TEST_F(NetboxServiceTest, MachinesCanBeKnownByTheirSerialNumbers) {
    settings_.match = NetboxMatch::kSerial;
    enrol("node-1");
    read({page({address("SN-node-1", "2001:db8:1::1/128")})});
    EXPECT_EQ(prefix_of("node-1"), "2001:db8:1::1/128");
}

TEST_F(NetboxServiceTest, AReadingThatChangesNothingWritesNothing) {
    enrol("node-1");
    read({page({address("node-1", "2001:db8:1::1/128")})});
    const auto before = store_.revision();
    read({page({address("node-1", "2001:db8:1::1/128")})});
    EXPECT_EQ(store_.revision(), before);
}

TEST_F(NetboxServiceTest, ItsTokenIsShownNowhere) {
    read({page({address("node-1", "2001:db8:1::1/128")})});
    std::filesystem::remove(token_file_);
    read({});
    const auto shown = service_.show().value();
    EXPECT_EQ((shown.text + boost::json::serialize(shown.data) + service_.health().message).find("secret-token"),
              std::string::npos);
}

TEST(NetboxConfig, NeedsATokenAndACa) {
    const auto found =
        texts_of(validate_netbox(plugin_entry({{"netbox url", {{"origin", "https://netbox.example"}}}})));
    ASSERT_EQ(found.size(), 2U);
    EXPECT_NE(found[0].find("error: \"netbox token-file\" is missing"), std::string::npos);
    EXPECT_NE(found[1].find("error: \"netbox ca\" is missing"), std::string::npos);
    EXPECT_TRUE(validate_netbox(plugin_entry({})).empty());
    EXPECT_FALSE(netbox_settings_of(plugin_entry({}).children()));
}

TEST(NetboxConfig, HasADefaultFieldForEachKindOfObject) {
    const auto settings = [](const char* kind) {
        return netbox_settings_of(plugin_entry({{"netbox url", {{"origin", "https://netbox.example"}}},
                                                {"netbox objects", {{"kind", kind}}}})
                                      .children())
            .value();
    };
    EXPECT_EQ(settings("ip-addresses").field, "assigned_object.device");
    EXPECT_EQ(settings("prefixes").field, "custom_fields.device");
    EXPECT_EQ(settings("prefixes").refresh, std::chrono::seconds(300));
}

}  // namespace
}  // namespace nett::metadata::test
