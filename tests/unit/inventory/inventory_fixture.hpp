// The vocabulary of the inventory's tests: an inventory on a real store in a temporary directory.
#pragma once

#include <string>
#include <vector>

#include "agent/core/inventory/inventory.hpp"
#include "agent/core/store/secret_box.hpp"
#include "tests/unit/store/store_fixture.hpp"

namespace nett::test {

// Keeps what is published.
class RecordingEvents final : public EventBus {
public:
    void publish(Event event) override { events.push_back(std::move(event)); }
    Subscription subscribe(std::string, Handler) override { return Subscription(); }

    std::vector<Event> events;
};

inline Tenant tenant(std::string name) {
    Tenant out;
    out.common_name_suffixes = {name + ".boot.example"};
    out.name = std::move(name);
    return out;
}

inline Machine machine(std::string name, std::string mac) {
    Machine out;
    out.name = std::move(name);
    out.tenant = "tenant-a";
    out.macs = {std::move(mac)};
    return out;
}

inline Bmc bmc(std::string name) {
    Bmc out;
    out.name = std::move(name);
    out.endpoint = "https://[2001:db8:bc::1]";
    out.username = "admin";
    return out;
}

class InventoryTest : public ::testing::Test {
protected:
    InventoryTest() {
        store_ = SqliteStore::open(directory_ / "state.db", loop_.get_executor()).value();
        secrets_ = open_secret_box(directory_ / "secret.key").value();
        inventory_ = Inventory::open({*store_, *secrets_, events_, clock_}, directory_ / "artifacts").value();
    }

    template <typename T>
    T run(Awaitable<T> work) {
        return await_on(loop_, std::move(work));
    }
    void put_tenant(std::string name) { ASSERT_TRUE(run(inventory_->put_tenant(tenant(std::move(name)), by_))); }
    Result<Revision> put(Machine machine, std::optional<std::string> config = std::nullopt) {
        return run(inventory_->put_machine(std::move(machine), std::move(config), by_));
    }
    // Stores a file and returns its digest.
    std::string store_file(std::string_view content) {
        auto import = inventory_->artifact_files().begin_import().value();
        EXPECT_TRUE(import.append(content));
        return import.finish("", 0).value().sha256;
    }
    ArtifactSet artifact_set(std::string name) {
        ArtifactSet set;
        set.name = std::move(name);
        set.architecture = "amd64";
        set.files = {{"vmlinuz", store_file("kernel"), 0}, {"initramfs.xz", store_file("initramfs"), 0}};
        set.kernel = "vmlinuz";
        set.initramfs = "initramfs.xz";
        return set;
    }

    const By by_{"unix:root", "test"};
    TemporaryDirectory directory_;
    asio::io_context loop_{1};
    ManualClock clock_;
    RecordingEvents events_;
    std::unique_ptr<SqliteStore> store_;
    std::unique_ptr<SecretBox> secrets_;
    std::unique_ptr<Inventory> inventory_;
};

}  // namespace nett::test
