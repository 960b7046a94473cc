// A metadata service with two tenants, one machine, one artifact set, and no network.
#pragma once

#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include "agent/sdk/strings.hpp"
#include "plugins/metadata/service.hpp"
#include "tests/unit/metadata/fake_peers.hpp"
#include "tests/unit/support/memory_store.hpp"

namespace nett::metadata::test {

inline constexpr const char* kUuid = "4c4c4544-0042-3510-8051-b7c04f4d3432";
inline constexpr const char* kMac = "52:54:00:12:34:56";
inline constexpr const char* kConfig = "version: v1alpha1\nmachine:\n  type: worker\n";

// Binds a text to its context without hiding it.
class PlainBox final : public SecretBox {
public:
    Result<std::string> seal(std::string_view plaintext, std::string_view context) const override {
        return std::string(context) + "|" + std::string(plaintext);
    }
    Result<std::string> open(std::string_view sealed, std::string_view context) const override {
        const std::string prefix = std::string(context) + "|";
        if (!sealed.starts_with(prefix)) return fail(Code::kDataLoss, "sealed for something else");
        return std::string(sealed.substr(prefix.size()));
    }
};

class EventList final : public EventBus {
public:
    std::vector<Event> events;
    void publish(Event event) override { events.push_back(std::move(event)); }
    Subscription subscribe(std::string, Handler) override { return {}; }
    std::ptrdiff_t count(std::string_view type) const {
        return std::count_if(events.begin(), events.end(), [&](const auto& one) { return one.type == type; });
    }
    bool has(std::string_view type) const {
        return std::any_of(events.begin(), events.end(), [&](const auto& one) { return one.type == type; });
    }
};

// Runs one coroutine to its end; other work of the context goes on meanwhile.
template <typename T>
T run(asio::io_context& context, Awaitable<T> task) {
    std::optional<T> result;
    asio::co_spawn(context, std::move(task), [&](std::exception_ptr failure, T value) {
        EXPECT_FALSE(failure);
        result = std::move(value);
    });
    context.restart();  // it stopped if it had run out of work before
    while (!result) EXPECT_EQ(context.run_one(), 1U);
    return std::move(*result);
}
inline Awaitable<bool> with_result(Awaitable<void> task) {
    co_await std::move(task);
    co_return true;
}

class ServiceTest : public testing::Test {
protected:
    ServiceTest() {
        std::filesystem::create_directories(directory_ + "/sha256");
        Tenant a;
        a.name = "tenant-a";
        a.common_names = {"a.boot.example"};
        Tenant b;
        b.name = "tenant-b";
        b.common_names = {"b.boot.example"};
        store.put(put_of(a));
        store.put(put_of(b));
        ArtifactSet set;
        set.name = "talos";
        set.kernel = "vmlinuz";
        set.initramfs = "initramfs.xz";
        set.files = {add_file("vmlinuz", "kernel bytes"), add_file("initramfs.xz", "initramfs bytes")};
        store.put(put_of(set));
        EXPECT_TRUE(tenants_.start(store));
        EXPECT_TRUE(ports_.start(store, "tor-a"));
        EXPECT_TRUE(recorder_.start());
        EXPECT_TRUE(artifacts_.start());
        late_wipes_.start();
        ServiceSettings settings;
        settings.server_address = Address6(boost::asio::ip::make_address_v6("2001:db8:ffff::1"));
        service_.set_settings(settings);
        settings_ = settings;
    }
    ~ServiceTest() override {
        store.before_commit = nullptr;  // it may refer to what the test's body had
        run(context_, with_result(late_wipes_.stop()));
        run(context_, with_result(artifacts_.stop()));
        run(context_, with_result(recorder_.stop()));
        ports_.stop();
        tenants_.stop();
        std::filesystem::remove_all(directory_);
    }

    ArtifactFile add_file(const std::string& name, const std::string& bytes) {
        const auto digest = sha256_hex(bytes);
        const std::string path = directory_ + "/sha256/" + digest;
        std::ofstream(path + ".new") << bytes;
        std::filesystem::rename(path + ".new", path);  // as an import does
        return {name, digest, bytes.size()};
    }
    // In place, and with the former mtime: what a fault of the disk looks like to all but ctime.
    static void overwrite(const std::string& path, const std::string& bytes) {
        const auto before = std::filesystem::last_write_time(path);
        std::ofstream(path, std::ios::in | std::ios::out) << bytes;
        std::filesystem::last_write_time(path, before);
    }

    Machine node(MachineState state = MachineState::kNew) const {
        Machine machine;
        machine.name = "node-1";
        machine.tenant = "tenant-a";
        machine.uuid = kUuid;
        machine.macs = {kMac};
        machine.state = state;
        machine.artifact_set = "talos";
        machine.config_sha256 = sha256_hex(kConfig);
        return machine;
    }
    // With a config, if the machine has the digest of one.
    void enrol(const Machine& machine) {
        store.put(put_of(machine));
        if (machine.config_sha256.empty()) return;
        MachineConfig config{machine.name, PlainBox().seal(kConfig, machine_config_context(machine.name)).value(),
                             machine.config_sha256, std::string_view(kConfig).size()};
        store.put(put_of(config));
    }
    BootHistory boots(const std::string& name = "node-1") const {
        const auto record = store.get(kBootHistoryKind, name).value();
        return record ? decode<BootHistory>(record->value).value() : BootHistory{};
    }
    Machine stored(const std::string& name = "node-1") const {
        return decode<Machine>(store.get(kMachineKind, name).value()->value).value();
    }
    // Writes what the recorder has collected.
    void flush() {
        run(context_, with_result(recorder_.stop()));
        EXPECT_TRUE(recorder_.start());
    }

    static Peer peer_of(const std::string& common_name, const std::string& source = "2001:db8:b000:7::5") {
        Peer peer;
        peer.source = boost::asio::ip::make_address_v6(source);
        peer.local = {boost::asio::ip::make_address_v6("2001:db8:ffff::1"), 443};
        peer.subject.common_names = {common_name};
        return peer;
    }
    Response ask(Request request, const Peer& peer) {
        return run(context_, service_.handle(std::move(request), peer, conversation_));
    }
    Response get(const std::string& target, const Peer& peer = peer_of("a.boot.example")) {
        return ask({Method::kGet, target}, peer);
    }
    Response redeem(const std::string& target, const std::string& source = "2001:db8:b000:7::5") {
        auto peer = peer_of("", source);
        peer.subject = {};
        return run(context_, service_.handle_token({Method::kGet, target}, peer));
    }
    Response boot(const Peer& peer = peer_of("a.boot.example")) { return get(std::string("/v1/boot/") + kUuid, peer); }

    asio::io_context context_;
    std::string directory_ =
        testing::TempDir() + "metadata-" + testing::UnitTest::GetInstance()->current_test_info()->name();
    nett::test::MemoryStore store;
    PlainBox secrets_;
    EventList events_;
    ManualClock clock_;
    TenantCache tenants_;
    PortTable ports_;
    Recorder recorder_{store, context_.get_executor(), clock_};
    FakePeers peers_;  // without files unless a test gives them some
    Artifacts artifacts_{store, events_, context_.get_executor(), context_.get_executor(), directory_, &peers_};
    LateWipes late_wipes_{store, events_, context_.get_executor()};
    Service service_{{store, secrets_, events_, clock_, &late_wipes_}, tenants_, ports_, recorder_, artifacts_};
    ServiceSettings settings_;
    Conversation conversation_;
};

}  // namespace nett::metadata::test
