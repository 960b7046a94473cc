#include "plugins/bgp-anycast/service.hpp"

#include <functional>

#include <boost/asio/detached.hpp>
#include <boost/json.hpp>

#include "tests/unit/bgp-anycast/fixture.hpp"
#include "tests/unit/support/fake_fabric.hpp"
#include "tests/unit/support/memory_store.hpp"

namespace nett::anycast {
namespace {

using namespace std::chrono_literals;

using Words = std::vector<std::string>;

constexpr auto kOk = HealthState::kOk;
constexpr auto kFailed = HealthState::kFailed;

const std::string kBase =
    " address 2001:db8:ffff::1/128\n gate prefix-list NETT-ANYCAST sequence 5\n require metadata\n rise 2\n fall 2\n";
const std::string kConfig = kBase + " drain off\n";
const std::string kDrain = " drain prefix-list NETT-DRAIN sequence 7\n drain-time 0\n";

class FakeDevice final : public Device {
public:
    FakeDevice(test::FakeNet& net, std::string name) : net_(net), name_(std::move(name)) { net_.add_link(name_); }
    ~FakeDevice() override { net_.drop_link(name_); }
    const std::string& name() const override { return name_; }

private:
    test::FakeNet& net_;
    std::string name_;
};

// Answers at once with what the test says.
class FakeProbe final : public Probe {
public:
    explicit FakeProbe(CheckResult result) : result_(std::move(result)) {}
    Awaitable<CheckResult> run() override { co_return result_; }
    void cancel() override {}

private:
    CheckResult result_;
};

class AnycastService : public testing::Test {
protected:
    void SetUp() override {
        net_.add_link("lo");
        net_.journal = frr_.journal = &journal_;
    }
    void TearDown() override { stop(); }
    void start(const std::string& lines = kConfig) {
        service_.start(settings(lines));
        loop_.poll();
        journal_.clear();
    }
    void stop() {
        auto stopping = [this]() -> Awaitable<void> { co_await service_.stop(clock_.steady_now() + 10s); };
        asio::co_spawn(loop_, stopping(), asio::detached);
        loop_.restart();
        loop_.run();
    }
    template <typename Task>
    void run(Task task) {
        asio::co_spawn(loop_, std::move(task), asio::detached);
        loop_.restart();
        loop_.poll();
    }
    void set_mode(Mode mode) {
        auto task = [this, mode]() -> Awaitable<void> { co_await service_.set_mode(mode, "a test", "unix:root"); };
        run(task());
    }
    void check_now() {
        auto task = [this]() -> Awaitable<void> { co_await service_.check_now(); };
        run(task());
    }
    void metadata(HealthState state, HealthScope scope = HealthScope::kLocal, std::string name = "listener") {
        health_.report({"metadata", std::move(name), scope, state, "listener", "", {}});
    }
    void look_twice() { service_.look(), service_.look(); }
    void announce() {
        metadata(kOk);
        look_twice();
        EXPECT_EQ(Stance::kAnnounced, service_.stance());
        journal_.clear();
    }
    bool on(const std::string& interface) { return net_.has(interface, "2001:db8:ffff::1/128"); }
    bool permits(std::size_t entry = 0) { return frr_.prefix_lists["bgp-anycast"].at(entry).permit; }
    std::string reason() { return std::string(service_.show().data.at("reason").as_string()); }

    asio::io_context loop_;
    ManualClock clock_;
    test::FakeEvents events_;
    test::FakeHealth health_;
    test::MemoryStore store_;
    test::NoSecrets secrets_;
    test::FakeFrr frr_;
    test::FakeNet net_;
    Words journal_;
    NullMetrics metrics_;
    Host host_{loop_.get_executor(),
               loop_.get_executor(),
               clock_,
               events_,
               health_,
               store_,
               secrets_,
               frr_,
               net_,
               "meta-1",
               "/nowhere",
               metrics_};
    std::optional<Error> device_fault_;
    std::map<std::string, CheckResult> results_;
    Words local_paths_;
    Platform platform_{[this](const std::string& name) -> Result<std::unique_ptr<Device>> {
                           if (device_fault_) return fail(Error(*device_fault_));
                           return std::make_unique<FakeDevice>(net_, name);
                       },
                       [this](const Address6& address) -> Result<void> {
                           local_paths_.push_back(address.to_string());
                           return {};
                       },
                       [this](const Address6& address) -> Result<void> {
                           std::erase(local_paths_, address.to_string());
                           return {};
                       },
                       [this](const CheckSettings& check, const Address6&) -> std::shared_ptr<Probe> {
                           return std::make_shared<FakeProbe>(results_[check.name]);
                       }};
    Service service_{host_, platform_};
};

TEST_F(AnycastService, BeginsDeniedAndTakesAwayWhatAnEarlierRunLeft) {
    net_.on_link["lo"] = {{InterfaceAddress::parse("2001:db8:ffff::1/128").value(), 2s, 0s}};
    start();
    EXPECT_FALSE(on("lo"));
    EXPECT_FALSE(permits());
    EXPECT_EQ(HealthState::kDegraded, health_.state("bgp-anycast", "announcement"));
}

TEST_F(AnycastService, AnnouncesAddressFirstOnADeviceOfItsOwn) {
    start();
    metadata(kOk);
    look_twice();
    EXPECT_EQ((Words{"put-address", "declare-prefix-list permit"}), journal_);
    EXPECT_TRUE(on("nett-anycast"));
    EXPECT_TRUE(permits());
    EXPECT_EQ(Words{"anycast.announced"}, events_.types());
    const LinkAddress& lease = net_.on_link["nett-anycast"].at(0);
    EXPECT_EQ(3s, lease.valid_lifetime);
    EXPECT_EQ(0s, lease.preferred_lifetime);
}

TEST_F(AnycastService, WithdrawsGateFirst) {
    start();
    announce();
    metadata(kFailed);
    look_twice();
    EXPECT_EQ((Words{"declare-prefix-list deny", "remove-address"}), journal_);
    EXPECT_FALSE(on("nett-anycast"));
    EXPECT_EQ("anycast.withdrawn", events_.published.back().type);
    EXPECT_EQ("metadata/listener: listener", events_.published.back().message);
}

TEST_F(AnycastService, WithoutATunDeviceItUsesTheLoopbackAndSaysSo) {
    device_fault_ = Error{Code::kUnavailable, "/dev/net/tun: No such file or directory", {}};
    start();
    announce();
    EXPECT_TRUE(on("lo"));
    EXPECT_EQ(HealthState::kDegraded, health_.state("bgp-anycast", "device"));
}

TEST_F(AnycastService, MakesADeviceAnewThatSomebodyDeleted) {
    start();
    announce();
    net_.drop_link("nett-anycast");
    service_.reconfigure(settings(kConfig + " lease 9\n"));
    EXPECT_TRUE(on("nett-anycast"));
}

TEST_F(AnycastService, ABurstOfChangesIsOneLook) {
    metadata(kOk);
    start();
    announce();
    for (int i = 0; i < 5; ++i) metadata(kFailed, HealthScope::kLocal, std::to_string(i));
    EXPECT_EQ(Stance::kAnnounced, service_.stance());
    service_.look();
    EXPECT_EQ(Stance::kWithdrawn, service_.stance());
}

TEST_F(AnycastService, SharedTroubleOnlyMakesLessPreferred) {
    start(kBase + kDrain);
    announce();
    metadata(kFailed, HealthScope::kShared, "factory");
    look_twice();
    EXPECT_EQ(Stance::kDePreferred, service_.stance());
    EXPECT_TRUE(on("nett-anycast"));
    EXPECT_TRUE(permits(0));
    EXPECT_TRUE(permits(1));
    metadata(kOk, HealthScope::kShared, "factory");
    look_twice();
    EXPECT_EQ(Stance::kAnnounced, service_.stance());
    EXPECT_FALSE(permits(1));
}

TEST_F(AnycastService, StopWithdrawsAndLetsGo) {
    start(kBase + kDrain);
    announce();
    stop();
    EXPECT_EQ((Words{"declare-prefix-list deny", "declare-prefix-list deny", "remove-address"}), journal_);
    EXPECT_EQ(Words{"bgp-anycast"}, frr_.released);
    EXPECT_FALSE(net_.link("nett-anycast"));
    EXPECT_TRUE(local_paths_.empty());
    stop();
    EXPECT_EQ(3u, journal_.size());
}

TEST_F(AnycastService, StopDrainsFirstWhenBgpdFollows) {
    start(kBase + kDrain);
    announce();
    frr_.sync(FrrDaemon::kBgpd);
    stop();
    EXPECT_EQ((Words{"put-address", "declare-prefix-list permit", "declare-prefix-list deny",
                     "declare-prefix-list deny", "remove-address"}),
              journal_);
}

TEST_F(AnycastService, NeverPutsBackAnAddressThatTheKernelTookBeforeItChecked) {
    start();
    announce();
    net_.on_link["nett-anycast"].clear();  // as the kernel does when the lease ends
    clock_.advance(3s);
    service_.look();
    EXPECT_EQ(Stance::kWithdrawn, service_.stance());
    EXPECT_EQ((Words{"declare-prefix-list deny", "remove-address"}), journal_);
    EXPECT_EQ("the agent stood still for 3.0 s, longer than its lease; checking first", reason());
    metadata(kFailed);
    look_twice();
    EXPECT_EQ(Stance::kWithdrawn, service_.stance());
    metadata(kOk);
    look_twice();
    EXPECT_EQ(Stance::kAnnounced, service_.stance());
}

TEST_F(AnycastService, AConfiguredCheckWithdrawsAtOnce) {
    results_["web"] = {true, "status 200"};
    start(kConfig + " check web http\n  target [::1]:80\n  rise 1\n  fall 1\n");
    announce();
    results_["web"] = {false, "status 503"};
    check_now();
    EXPECT_EQ(Stance::kWithdrawn, service_.stance());
    EXPECT_EQ("check web: status 503", reason());
}

TEST_F(AnycastService, ASharedCheckNeverWithdraws) {
    results_["upstream"] = {false, "connect: Connection refused"};
    start(kBase + kDrain + " check upstream tcp\n  target [2001:db8::9]:53\n  class shared\n  fall 1\n");
    metadata(kOk);
    look_twice();
    EXPECT_EQ(Stance::kDePreferred, service_.stance());
}

TEST_F(AnycastService, ACheckThatIsAddedDoesNotWithdrawBeforeItsFirstResult) {
    start();
    announce();
    service_.reconfigure(settings(kConfig + " check web tcp\n  target [::1]:80\n"));
    service_.evaluate();
    EXPECT_EQ(Stance::kAnnounced, service_.stance());
}

TEST_F(AnycastService, ChecksAloneVouchForAServer) {
    results_["web"] = {true, "connected"};
    start(" address 2001:db8:ffff::1/128\n check web tcp\n  target [::1]:80\n  rise 1\n");
    look_twice();
    EXPECT_EQ(Stance::kAnnounced, service_.stance());
    EXPECT_EQ("no component objects; check web up", reason());
}

TEST_F(AnycastService, MaintenanceSurvivesARestart) {
    start();
    announce();
    set_mode(Mode::kMaintenance);
    clock_.advance(150ms);  // nobody answers that something is under way
    service_.evaluate();
    EXPECT_EQ(Stance::kWithdrawn, service_.stance());
    stop();
    start();
    metadata(kOk);
    look_twice();
    EXPECT_EQ(Stance::kWithdrawn, service_.stance());
    EXPECT_EQ("maintenance: a test", reason());
    EXPECT_EQ(HealthState::kDegraded, health_.state("bgp-anycast", "mode"));
    set_mode(Mode::kActive);
    EXPECT_EQ(Stance::kAnnounced, service_.stance());
}

Words phases(const std::vector<Event>& events) {
    Words found;
    for (const Event& event : events) {
        if (event.type == "handover.request") found.push_back(event.fields.at("phase"));
    }
    return found;
}

class AnycastHandover : public AnycastService {
protected:
    const std::string address_ = "2001:db8:ffff::1";
    void begin(Mode mode, const std::string& drain = " drain prefix-list NETT-DRAIN sequence 7\n drain-time 2000\n") {
        frr_.bgpd.connected = true;
        start(kBase + drain);
        announce();
        set_mode(mode);
        EXPECT_EQ(Stance::kDePreferred, service_.stance());
        EXPECT_EQ(Words{"begin"}, phases(events_.published));
    }
    void check_fails(const std::function<void()>& meanwhile = [] {}) {
        frr_.bgpd.connected = true;
        results_["web"] = {true, "status 200"};
        start(kConfig + " check web http\n  target [::1]:80\n  rise 1\n  fall 1\n");
        announce();
        results_["web"] = {false, "status 503"};
        meanwhile();
        check_now();
    }
    void after(std::chrono::milliseconds time) {
        clock_.advance(time);
        service_.evaluate();
    }
    void expect_left() {
        EXPECT_EQ(Stance::kWithdrawn, service_.stance());
        EXPECT_FALSE(permits());
        EXPECT_FALSE(on("nett-anycast"));
        EXPECT_EQ((Words{"begin", "end"}), phases(events_.published));
    }
};

TEST_F(AnycastHandover, MaintenanceWaitsForWhatTheServiceHasUnderWay) {
    begin(Mode::kMaintenance);
    service_.on_handover(address_, "holding");
    after(1900ms);
    // Nothing turns away from what is still being served.
    EXPECT_FALSE(permits(1));
    EXPECT_TRUE(permits());
    service_.on_handover(address_, "quiet");
    // The gate first; the address stays until the fabric has followed.
    EXPECT_FALSE(permits());
    EXPECT_TRUE(on("nett-anycast"));
    after(250ms);
    expect_left();
}

TEST_F(AnycastHandover, MaintenanceWaitsNoLongerThanTheDrainTime) {
    begin(Mode::kMaintenance);
    service_.on_handover(address_, "holding");
    after(2s);
    EXPECT_FALSE(permits());
    EXPECT_TRUE(on("nett-anycast"));
    after(250ms);
    expect_left();
}

TEST_F(AnycastHandover, WithoutAnAnswerTheFabricTurnsAwayFirst) {
    begin(Mode::kMaintenance);
    service_.on_handover("2001:db8:ffff::2", "holding");
    EXPECT_FALSE(permits(1));
    after(150ms);
    EXPECT_TRUE(permits(1));
    EXPECT_EQ(Stance::kDePreferred, service_.stance());
    after(1850ms);
    expect_left();
}

TEST_F(AnycastHandover, WithoutAnAnswerAndWithoutADrainThereIsNothingToWaitFor) {
    begin(Mode::kMaintenance, " drain off\n drain-time 2000\n");
    after(150ms);
    expect_left();
}

TEST_F(AnycastHandover, ResumingEndsIt) {
    begin(Mode::kMaintenance);
    service_.on_handover(address_, "holding");
    set_mode(Mode::kActive);
    EXPECT_EQ(Stance::kAnnounced, service_.stance());
    EXPECT_EQ((Words{"begin", "end"}), phases(events_.published));
    service_.on_handover(address_, "quiet");
    EXPECT_EQ(Stance::kAnnounced, service_.stance());
    EXPECT_TRUE(permits());
}

TEST_F(AnycastHandover, AFailureHandsNothingOver) {
    start(kBase + kDrain);
    announce();
    metadata(kFailed);
    look_twice();
    EXPECT_EQ(Stance::kWithdrawn, service_.stance());
    EXPECT_TRUE(phases(events_.published).empty());
}

TEST_F(AnycastHandover, AFailedCheckClosesTheGateAtOnceAndLetsEndWhatIsUnderWay) {
    check_fails();
    EXPECT_EQ(Stance::kWithdrawn, service_.stance());
    EXPECT_FALSE(permits());
    EXPECT_TRUE(on("nett-anycast"));
    EXPECT_EQ(Words{"begin"}, phases(events_.published));
    service_.on_handover(address_, "holding");
    service_.on_handover(address_, "quiet");
    after(249ms);
    EXPECT_TRUE(on("nett-anycast"));
    after(1ms);
    expect_left();
}

TEST_F(AnycastHandover, AFailedCheckOfAServiceThatIsNotWellTakesTheAddressAtOnce) {
    check_fails([this] { metadata(kFailed), service_.look(); });
    EXPECT_FALSE(permits());
    EXPECT_FALSE(on("nett-anycast"));
    EXPECT_TRUE(phases(events_.published).empty());
}

TEST_F(AnycastHandover, AFailedCheckTakesTheAddressAtOnceWhenBgpdDoesNotFollow) {
    check_fails([this] { frr_.bgpd.connected = false; });
    EXPECT_FALSE(on("nett-anycast"));
}

TEST_F(AnycastHandover, AStopRightAfterAFailedCheckLeavesNothing) {
    check_fails();
    stop();
    EXPECT_FALSE(permits());
    EXPECT_FALSE(on("nett-anycast"));
}

TEST_F(AnycastHandover, AFailureMeanwhileWithdrawsAtOnce) {
    begin(Mode::kMaintenance);
    service_.on_handover(address_, "holding");
    metadata(kFailed);
    look_twice();
    expect_left();
}

TEST_F(AnycastHandover, ADrainLetsGoAndThenGoesOnServing) {
    begin(Mode::kDrain);
    service_.on_handover(address_, "holding");
    EXPECT_FALSE(permits(1));
    service_.on_handover(address_, "quiet");
    EXPECT_TRUE(permits(1));
    EXPECT_EQ(Words{"begin"}, phases(events_.published));
    after(2s);
    EXPECT_EQ((Words{"begin", "end"}), phases(events_.published));
    EXPECT_EQ(Stance::kDePreferred, service_.stance());
    EXPECT_TRUE(permits());
    EXPECT_TRUE(on("nett-anycast"));
}

TEST_F(AnycastHandover, ResumingIntoSharedTroubleClosesNoGate) {
    begin(Mode::kMaintenance);
    service_.on_handover(address_, "holding");
    metadata(kFailed, HealthScope::kShared, "upstream");
    look_twice();
    set_mode(Mode::kActive);
    EXPECT_EQ(Stance::kDePreferred, service_.stance());
    EXPECT_EQ((Words{"begin", "end"}), phases(events_.published));
    service_.on_handover(address_, "quiet");
    after(2s);
    EXPECT_TRUE(permits());
    EXPECT_TRUE(permits(1));
    EXPECT_TRUE(on("nett-anycast"));
}

TEST_F(AnycastHandover, SharedTroubleHandsNothingOver) {
    start(kBase + kDrain);
    announce();
    metadata(kFailed, HealthScope::kShared, "upstream");
    look_twice();
    EXPECT_EQ(Stance::kDePreferred, service_.stance());
    EXPECT_TRUE(phases(events_.published).empty());
}

TEST_F(AnycastHandover, AStopHandsOverToo) {
    frr_.bgpd.connected = true;
    start(kBase + " drain prefix-list NETT-DRAIN sequence 7\n drain-time 8000\n");
    announce();
    auto answer = [this]() -> Awaitable<void> {
        service_.on_handover(address_, "holding");
        service_.on_handover(address_, "quiet");
        co_return;
    };
    auto stopping = [this]() -> Awaitable<void> { co_await service_.stop(clock_.steady_now() + 10s); };
    run(stopping());
    EXPECT_TRUE(permits());
    run(answer());
    EXPECT_FALSE(permits());
    EXPECT_TRUE(on("nett-anycast"));
    loop_.restart();
    loop_.run();
    EXPECT_FALSE(on("nett-anycast"));
    EXPECT_EQ((Words{"begin", "end"}), phases(events_.published));
}

TEST_F(AnycastService, ADryRunDecidesAndTouchesNothing) {
    start(kConfig + " dry-run\n");
    metadata(kOk);
    look_twice();
    EXPECT_EQ(Stance::kAnnounced, service_.stance());
    EXPECT_EQ(Words{}, journal_);
    EXPECT_FALSE(on("lo"));
    EXPECT_FALSE(net_.link("nett-anycast"));
    service_.reconfigure(settings(kConfig));
    EXPECT_TRUE(on("nett-anycast"));
    service_.reconfigure(settings(kConfig + " dry-run\n"));
    EXPECT_FALSE(on("nett-anycast"));
    EXPECT_FALSE(permits());
}

TEST_F(AnycastService, KeepsAHistory) {
    start();
    announce();
    metadata(kFailed);
    look_twice();
    boost::json::array rows = service_.show_history().data.as_array();
    ASSERT_EQ(3u, rows.size());
    EXPECT_EQ("started", rows[0].at("state").as_string());
    EXPECT_EQ("announced", rows[1].at("state").as_string());
    EXPECT_EQ("metadata/listener: listener", rows[2].at("reason").as_string());
}

TEST_F(AnycastService, WorksWithoutBgpdsGate) {
    start(" address 2001:db8:ffff::1/128\n gate off\n drain off\n");
    announce();
    EXPECT_TRUE(on("nett-anycast"));
    EXPECT_TRUE(frr_.prefix_lists["bgp-anycast"].empty());
}

TEST_F(AnycastService, MovesToANewInterface) {
    net_.add_link("eth0");
    start();
    announce();
    service_.reconfigure(settings(kConfig + " interface eth0\n"));
    EXPECT_FALSE(net_.link("nett-anycast"));
    EXPECT_TRUE(on("eth0"));
}

TEST_F(AnycastService, ANewAddressMovesTheAnnouncementAndTheLocalPath) {
    start();
    announce();
    service_.reconfigure(settings(" address 2001:db8:ffff::2/128\n require metadata\n"));
    EXPECT_FALSE(on("nett-anycast"));
    EXPECT_TRUE(net_.has("nett-anycast", "2001:db8:ffff::2/128"));
    EXPECT_EQ(Words{"2001:db8:ffff::2"}, local_paths_);
}

TEST_F(AnycastService, ANewLeaseLeavesTheAddressInPlace) {
    start();
    announce();
    service_.reconfigure(settings(kConfig + " lease 9\n"));
    EXPECT_EQ((Words{"declare-prefix-list permit", "put-address"}), journal_);
    EXPECT_EQ(9s, net_.on_link["nett-anycast"].at(0).valid_lifetime);
}

TEST_F(AnycastService, SaysWhenTheKernelRefusesTheLease) {
    start();
    net_.fault = Error{Code::kPermissionDenied, "Operation not permitted", {}};
    metadata(kOk);
    look_twice();
    EXPECT_EQ(kFailed, health_.state("bgp-anycast", "lease"));
    net_.fault.reset();
}

TEST_F(AnycastService, NamesWhatFrrsConfigurationLacks) {
    frr_.shown_text = "router bgp 4200000003\n";
    start();
    EXPECT_EQ(HealthState::kDegraded, health_.state("bgp-anycast", "frr-config"));
    boost::json::value shown = service_.show().data;
    EXPECT_EQ("redistribute connected route-map NETT-META",
              shown.at("frr_config").at("missing").at(0).at("missing").as_string());
}

TEST_F(AnycastService, ShowsWhatDecides) {
    start();
    announce();
    frr_.sync(FrrDaemon::kBgpd);
    Output output = service_.show();
    const boost::json::value& shown = output.data;
    EXPECT_EQ("announced", shown.at("state").as_string());
    EXPECT_EQ("metadata healthy", shown.at("reason").as_string());
    EXPECT_EQ("permit", shown.at("gate").at("action").as_string());
    EXPECT_TRUE(shown.at("gate").at("in_sync").as_bool());
    EXPECT_EQ(1u, shown.at("checks").as_array().size());
    EXPECT_EQ(0u, output.text.find("2001:db8:ffff::1/128 is announced: metadata healthy\n")) << output.text;
}

}  // namespace
}  // namespace nett::anycast
