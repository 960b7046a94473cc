#include "agent/core/inventory/commands.hpp"
#include "agent/core/inventory/job_commands.hpp"
#include "agent/sdk/job_image.hpp"

#include <boost/json.hpp>

#include "tests/unit/inventory/inventory_fixture.hpp"

namespace nett::test {
namespace {

class InventoryCommandsTest : public InventoryTest {
protected:
    void SetUp() override {
        put_tenant("tenant-a");
        auto wanted = machine("node-1", "525400000001");
        wanted.bmc = "node-1";
        ASSERT_TRUE(run(inventory_->put_bmc(bmc("node-1"), "hunter2", by_)));
        ASSERT_TRUE(put(wanted, "secret config"));
    }
    std::vector<OpCommand> all_commands() {
        auto commands = inventory_commands(*inventory_);
        for (auto& command : job_commands(*inventory_, *store_)) commands.push_back(std::move(command));
        return commands;
    }
    Result<Output> call(const std::string& pattern, std::map<std::string, std::string, std::less<>> args = {}) {
        for (const auto& command : all_commands()) {
            if (command.pattern != pattern) continue;
            CommandCall call{std::move(args), "unix:root", [](const Output&) {}};
            return await_on(loop_, command.run(std::move(call)));
        }
        return fail(Code::kNotFound, "no command {}", pattern);
    }
};

TEST_F(InventoryCommandsTest, ShowMachinesIsATable) {
    const auto output = call("show machines").value();
    std::string titles;
    for (const auto& column : output.columns) titles += column.title + "|";
    EXPECT_EQ(titles, "Name|Tenant|State|UUID|Held|Boots|Last boot|Artifact set|");
    const auto& row = output.data.as_array().at(0).as_object();
    for (const auto& column : output.columns) EXPECT_TRUE(row.contains(column.key)) << column.key;
    EXPECT_EQ(row.at("name"), "node-1");
    EXPECT_EQ(row.begin()->key(), "name") << "what goes in comes out in the same order";
    EXPECT_EQ(row.at("state"), "new");
}

TEST_F(InventoryCommandsTest, ShowsNoSecret) {
    for (const auto* pattern :
         {"show machines", "show bmc", "show tenants", "show artifacts", "show jobs", "show unknown-machines"}) {
        const auto output = call(pattern);
        ASSERT_TRUE(output) << pattern;
        EXPECT_EQ(boost::json::serialize(output->data).find("v1:"), std::string::npos) << pattern;
    }
    const auto shown = call("show machine {name:word:@machines}", {{"name", "node-1"}}).value();
    EXPECT_EQ(boost::json::serialize(shown.data).find("v1:"), std::string::npos);
    EXPECT_EQ(shown.data.as_object().at("config_size"), 13);
}

TEST_F(InventoryCommandsTest, CommandsChangeMachines) {
    const auto locked = call("machine {name:word:@machines} lock", {{"name", "node-1"}});
    ASSERT_TRUE(locked) << locked.error().to_string();
    EXPECT_EQ(locked->text, "machine node-1 is locked\n");
    EXPECT_TRUE(inventory_->machine("node-1").value().value.locked);
    EXPECT_EQ(store_->changes(0, 100).value().back().actor, "unix:root");
    ASSERT_TRUE(call("machine {name:word:@machines} unlock", {{"name", "node-1"}}));
    ASSERT_TRUE(call("machine provision {name:word:@machines}", {{"name", "node-1"}}));
    const auto job = call("show job {id:word:@jobs}", {{"id", "1"}}).value();
    EXPECT_EQ(job.data.as_object().at("machine"), "node-1");
    ASSERT_TRUE(call("job {id:word:@jobs} cancel", {{"id", "1"}}));
    EXPECT_EQ(call("show machine {name:word:@machines}", {{"name", "node-9"}}).error().code, Code::kNotFound);
}

TEST_F(InventoryCommandsTest, AnImageUrlIsSealedAndShownWithoutItsToken) {
    ASSERT_TRUE(
        call("machine media {name:word:@machines} {action:choice:insert} image-url {image-url:word}",
             {{"name", "node-1"}, {"action", "insert"}, {"image-url", "https://[2001:db8::1]/m/s3cret/a.iso"}}));
    const auto job = call("show job {id:word:@jobs}", {{"id", "1"}}).value();
    EXPECT_EQ(job.data.as_object().at("parameters").as_object().at("image-url"), "https://[2001:db8::1]/…/a.iso");
    const auto record = store_->get(kJobKind, job_key("1")).value().value();
    EXPECT_EQ(record.value.find("s3cret"), std::string::npos);
    const auto sealed = inventory_->job("1").value().value.parameters.at(kJobImageUrl);
    EXPECT_EQ(secrets_->open(sealed, job_image_context("1")).value(), "https://[2001:db8::1]/m/s3cret/a.iso");
}

TEST_F(InventoryCommandsTest, FollowingEndsWithTheJobAndFailsWithIt) {
    ASSERT_TRUE(call("machine check {name:word:@machines}", {{"name", "node-1"}}));
    ASSERT_TRUE(call("job {id:word:@jobs} cancel", {{"id", "1"}}));
    const auto followed = call("show job {id:word:@jobs} --follow", {{"id", "1"}});
    ASSERT_FALSE(followed);
    EXPECT_EQ(followed.error().message, "job 1 is CANCELLED: cancelled before it began");
}

TEST_F(InventoryCommandsTest, CompletionsAreLive) {
    const auto sources = inventory_completions(*inventory_);
    EXPECT_EQ(sources.at("machines")(), std::vector<std::string>{"node-1"});
    EXPECT_TRUE(sources.at("jobs")().empty());
    ASSERT_TRUE(run(inventory_->create_job("provision", "node-1", {}, by_)));
    EXPECT_EQ(sources.at("jobs")(), std::vector<std::string>{"1"});
}

// Every source that a pattern names is there.
TEST_F(InventoryCommandsTest, PatternsNameExistingSources) {
    const auto sources = inventory_completions(*inventory_);
    for (const auto& command : all_commands()) {
        const auto at = command.pattern.find('@');
        if (at == std::string::npos) continue;
        EXPECT_TRUE(sources.contains(command.pattern.substr(at + 1, command.pattern.find('}', at) - at - 1)))
            << command.pattern;
    }
}

}  // namespace
}  // namespace nett::test
