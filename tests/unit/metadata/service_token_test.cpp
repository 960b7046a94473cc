// Delivery "token": minted with the script, good once, for one machine and one config.
#include <string>

#include "tests/unit/metadata/service_fixture.hpp"

namespace nett::metadata::test {
namespace {

class BootTokens : public ServiceTest {
protected:
    BootTokens() {
        settings_.token_port = 8444;
        settings_.token_lifetime = std::chrono::minutes(15);
        settings_.trusted_root = "ROOT";
        service_.set_settings(settings_);
        enrol(token_node());
    }
    Machine token_node(MachineState state = MachineState::kNew) const {
        auto machine = node(state);
        machine.delivery = ConfigDelivery::kToken;
        return machine;
    }
    // The path and query that the next script tells Talos.
    std::string target_of(const std::string& script) {
        const std::string before = "talos.config=https://[2001:db8:ffff::1]:8444";
        const auto begin = script.find(before);
        EXPECT_NE(begin, std::string::npos) << script;
        const auto from = begin + before.size();
        return script.substr(from, script.find(' ', from) - from);
    }
    std::string boot_target() { return target_of(boot().body); }
};

TEST_F(BootTokens, FetchTheConfigOnceWithoutACertificate) {
    const auto script = boot().body;
    EXPECT_NE(script.find(" talos.config.early=ROOT\n"), std::string::npos) << script;
    const auto target = target_of(script);
    const auto answer = redeem(target);
    EXPECT_EQ(answer.status, 200U);
    EXPECT_EQ(answer.body, kConfig);
    EXPECT_TRUE(answer.no_store);
    EXPECT_EQ(redeem(target, "2001:db8:b000:7::6").status, 404U);
    EXPECT_EQ(redeem(target).status, 200U) << "a retry of the same client";
    clock_.advance(kBootTokenRetry + std::chrono::seconds(1));
    EXPECT_EQ(redeem(target).status, 404U);
    EXPECT_EQ(events_.count("machine.config"), 2);
}

TEST_F(BootTokens, OnlyTheirDigestIsStored) {
    const auto target = boot_target();
    const auto token = target.substr(target.find("?t=") + 3);
    EXPECT_EQ(token.size(), 64U);
    const auto records = store.list(kBootTokenKind).value();
    ASSERT_EQ(records.size(), 1U);
    EXPECT_EQ(records[0].key, sha256_hex(token));
    EXPECT_EQ(records[0].value.find(token), std::string::npos);
}

TEST_F(BootTokens, AreDurableBeforeTheScriptAndUsedUpBeforeTheConfig) {
    store.commit_fault = Error{Code::kUnavailable, "disk full", {}};
    EXPECT_EQ(boot().status, 503U);
    store.commit_fault.reset();
    const auto target = boot_target();
    store.commit_fault = Error{Code::kUnavailable, "disk full", {}};
    EXPECT_EQ(redeem(target).status, 503U);
    store.commit_fault.reset();
    EXPECT_EQ(redeem(target).status, 200U);
}

TEST_F(BootTokens, OfTwoWhoAskAtOnceOneGetsIt) {
    const auto target = boot_target();
    bool raced = false;
    store.before_commit = [&] {
        if (std::exchange(raced, true)) return;
        auto record = store.list(kBootTokenKind).value().front();
        auto token = decode<BootToken>(record.value).value();
        token.used = clock_.system_now();
        token.used_source = "2001:db8::bad";
        store.put(put_of(token));
    };
    EXPECT_EQ(redeem(target).status, 404U);
}

TEST_F(BootTokens, EndWithTimeWithTheNextScriptAndWithTheInstallation) {
    auto target = boot_target();
    clock_.advance(std::chrono::minutes(15));
    EXPECT_EQ(redeem(target).status, 404U);
    const auto first = boot_target();
    const auto second = boot_target();
    EXPECT_EQ(redeem(first).status, 404U);
    EXPECT_EQ(redeem(second).status, 200U);
    target = boot_target();
    enrol(token_node(MachineState::kActive));
    EXPECT_EQ(redeem(target).status, 404U);
    enrol(token_node(MachineState::kProvisioning));
    auto other = token_node(MachineState::kProvisioning);
    other.config_sha256 = sha256_hex("another config");
    enrol(other);
    EXPECT_EQ(redeem(target).status, 404U);
}

TEST_F(BootTokens, OfAnEarlierRunAreRevokedByTheNextScript) {
    const auto first = boot_target();
    Service restarted{{store, secrets_, events_, clock_}, tenants_, ports_, recorder_, artifacts_};
    restarted.set_settings(settings_);
    ASSERT_TRUE(restarted.start());
    const auto script = run(context_, restarted.handle({Method::kGet, std::string("/v1/boot/") + kUuid},
                                                       peer_of("a.boot.example"), conversation_));
    EXPECT_EQ(redeem(first).status, 404U);
    EXPECT_EQ(redeem(target_of(script.body)).status, 200U);
}

TEST_F(BootTokens, AreOfOneMachineAndItsPorts) {
    auto machine = token_node();
    machine.ports = {{"tor-a/swp7", Prefix6::parse("2001:db8:b000:7::/64").value()}};
    enrol(machine);
    const auto target = boot_target();
    EXPECT_EQ(redeem(target, "2001:db8:b000:8::5").status, 404U);
    auto foreign = target;
    foreign.replace(foreign.find(kUuid), 8, "00000001");
    EXPECT_EQ(redeem(foreign).status, 404U);
    EXPECT_EQ(redeem(target).status, 200U);
}

TEST_F(BootTokens, OpenNothingElse) {
    const auto target = boot_target();
    const auto nothing = redeem("/v1/config/" + std::string(kUuid));
    EXPECT_EQ(nothing.status, 404U);
    auto with_part = target;
    with_part.insert(with_part.find('?'), "/config.sqsh");
    const auto token = target.substr(target.find("?t=") + 3);
    for (const auto& other : {with_part, "/v1/boot/" + std::string(kUuid) + "?t=" + token,
                              std::string("/v1/artifacts/talos/vmlinuz?t=") + token, target + "0",
                              std::string("/v1/config/") + kUuid + "?t=%00", std::string("/")}) {
        const auto answer = redeem(other);
        EXPECT_EQ(answer.status, 404U) << other;
        EXPECT_EQ(answer.body, nothing.body);
    }
    EXPECT_EQ(get(target).status, 404U) << "not where a certificate is needed";
}

TEST_F(BootTokens, ThatHaveExpiredAreForgotten) {
    for (int i = 0; i < 3; ++i) {
        auto machine = token_node();
        machine.name = "node-" + std::to_string(i + 2);
        machine.uuid = "5c4c4544-0042-3510-8051-b7c04f4d000" + std::to_string(i);
        machine.macs.clear();
        enrol(machine);
        EXPECT_EQ(get("/v1/boot/" + machine.uuid).status, 200U);
    }
    EXPECT_EQ(store.list(kBootTokenKind).value().size(), 3U);
    clock_.advance(std::chrono::minutes(16));
    boot();
    EXPECT_EQ(store.list(kBootTokenKind).value().size(), 1U);
}

TEST_F(BootTokens, AnEmbeddedMachineHasNone) {
    enrol(node());
    EXPECT_EQ(boot().body.find("?t="), std::string::npos);
    EXPECT_TRUE(store.list(kBootTokenKind).value().empty());
}

}  // namespace
}  // namespace nett::metadata::test
