#include "tests/unit/inventory/inventory_fixture.hpp"

namespace nett::test {
namespace {

class JobsTest : public InventoryTest {
protected:
    void SetUp() override {
        put_tenant("tenant-a");
        ASSERT_TRUE(run(inventory_->put_bmc(bmc("node-1"), "hunter2", by_)));
        put_machine("node-1", 1);
    }
    void put_machine(std::string name, int number) {
        auto wanted = machine(std::move(name), fmt::format("52540000000{}", number));
        wanted.bmc = "node-1";
        ASSERT_TRUE(put(wanted));
    }
    Result<Job> provision(std::string machine) {
        return run(inventory_->create_job("provision", std::move(machine), {}, by_));
    }
    // As the plugin does.
    void set_job_state(const std::string& id, std::string state) {
        auto job = inventory_->job(id).value().value;
        job.state = std::move(state);
        Transaction transaction;
        transaction.puts.push_back(put_of(job));
        ASSERT_TRUE(run(store_->commit(transaction)));
    }
};

TEST_F(JobsTest, NumbersAscendAndAreNeverUsedAgain) {
    const auto first = provision("node-1").value();
    EXPECT_EQ(first.id, "1");
    EXPECT_EQ(first.state, "QUEUED");
    EXPECT_EQ(first.created, clock_.system_now());
    ASSERT_TRUE(run(inventory_->cancel_job("1", by_)));
    EXPECT_EQ(provision("node-1").value().id, "2");
    ASSERT_TRUE(run(inventory_->cancel_job("2", by_)));
    for (int i = 3; i <= 11; ++i) {
        ASSERT_TRUE(provision("node-1"));
        ASSERT_TRUE(run(inventory_->cancel_job(std::to_string(i), by_)));
    }
    const auto jobs = inventory_->jobs().value();
    ASSERT_EQ(jobs.size(), 11U);
    EXPECT_EQ(jobs.front().value.id, "1");
    EXPECT_EQ(jobs.back().value.id, "11") << "ascending by number, not by text";
    EXPECT_EQ(inventory_->jobs("9").value().size(), 2U);
}

TEST_F(JobsTest, OneRunningJobAMachine) {
    put_machine("node-2", 2);
    ASSERT_TRUE(provision("node-1"));
    const auto second = provision("node-1");
    EXPECT_EQ(second.error().code, Code::kFailedPrecondition);
    EXPECT_EQ(second.error().message, "job 1 of machine \"node-1\" runs (QUEUED); wait for it or say \"job 1 cancel\"");
    EXPECT_TRUE(provision("node-2"));
    EXPECT_EQ(run(inventory_->delete_machine("node-1", by_)).error().code, Code::kFailedPrecondition);
}

TEST_F(JobsTest, AJobThatWaitsForAnOperatorKeepsANewOneOffUntilItIsSeenTo) {
    ASSERT_TRUE(provision("node-1"));
    set_job_state("1", "NEEDS_OPERATOR");
    const auto second = provision("node-1");
    EXPECT_EQ(second.error().code, Code::kFailedPrecondition);
    EXPECT_NE(second.error().message.find("say \"job 1 acknowledge\" or \"job 1 cancel\""), std::string::npos)
        << second.error().message;
    ASSERT_TRUE(run(inventory_->acknowledge_job("1", by_)));
    EXPECT_EQ(provision("node-1").value().id, "2");
    EXPECT_EQ(run(inventory_->acknowledge_job("2", by_)).error().message,
              "job 2 does not wait for an operator: it is QUEUED");
}

TEST_F(JobsTest, RefusesAMachineThatCannotBeProvisioned) {
    const auto refused = [&](std::string_view part) {
        const auto result = provision("node-1");
        ASSERT_FALSE(result);
        EXPECT_NE(result.error().message.find(part), std::string::npos) << result.error().message;
    };
    EXPECT_EQ(provision("node-9").error().code, Code::kNotFound);
    ASSERT_TRUE(run(inventory_->set_machine_lock("node-1", true, by_)));
    refused("is locked; \"machine node-1 unlock\" lifts it");
    ASSERT_TRUE(run(inventory_->set_machine_lock("node-1", false, by_)));
    ASSERT_TRUE(run(inventory_->set_machine_state("node-1", MachineState::kActive, by_)));
    refused("say \"machine node-1 state reprovision\" first");
    ASSERT_TRUE(run(inventory_->set_machine_state("node-1", MachineState::kReprovision, by_)));
    EXPECT_TRUE(provision("node-1"));
    ASSERT_TRUE(run(inventory_->cancel_job("1", by_)));
    ASSERT_TRUE(put(machine("node-1", "525400000001")));
    refused("has no BMC");
    EXPECT_EQ(run(inventory_->create_job("explode", "node-1", {}, by_)).error().code, Code::kInvalidArgument);
    EXPECT_EQ(run(inventory_->create_job("provision", "node-1", {{"colour", "red"}}, by_)).error().code,
              Code::kInvalidArgument);
}

TEST_F(JobsTest, ParametersAreThoseOfTheType) {
    const auto create = [this](std::string type, std::map<std::string, std::string> parameters) {
        const auto job = run(inventory_->create_job(std::move(type), "node-1", std::move(parameters), by_));
        return job ? std::string() : job.error().message;
    };
    EXPECT_EQ(create("power", {}), "a power job needs the parameter action");
    EXPECT_EQ(create("power", {{"action", "bounce"}}),
              "\"bounce\" is no action of a power job; there are on, off, cycle, reset");
    EXPECT_EQ(create("check", {{"action", "on"}}), "a check job has no parameter \"action\"; it has none");
    EXPECT_EQ(create("boot", {{"action", "set"}, {"target", "Pxe"}, {"enabled", "once"}}), "");
}

TEST_F(JobsTest, ALockedMachineIsOnlyLookedAt) {
    ASSERT_TRUE(run(inventory_->set_machine_lock("node-1", true, by_)));
    EXPECT_EQ(run(inventory_->create_job("power", "node-1", {{"action", "off"}}, by_)).error().code,
              Code::kFailedPrecondition);
    EXPECT_TRUE(run(inventory_->create_job("inventory", "node-1", {}, by_)));
}

TEST_F(JobsTest, CancelEndsAQueuedJobAndAsksARunningOne) {
    ASSERT_TRUE(provision("node-1"));
    ASSERT_TRUE(run(inventory_->cancel_job("1", by_)));
    EXPECT_EQ(inventory_->job("1").value().value.state, "CANCELLED");
    EXPECT_EQ(run(inventory_->cancel_job("1", by_)).error().code, Code::kFailedPrecondition);
    ASSERT_TRUE(provision("node-1"));
    set_job_state("2", "INSERT");
    ASSERT_TRUE(run(inventory_->cancel_job("2", by_)));
    const auto job = inventory_->job("2").value().value;
    EXPECT_EQ(job.state, "INSERT");
    EXPECT_TRUE(job.cancel_requested);
    EXPECT_EQ(run(inventory_->cancel_job("77", by_)).error().code, Code::kNotFound);
}

TEST_F(JobsTest, ConcurrentJobsGetDifferentNumbers) {
    for (int i = 2; i < 8; ++i) put_machine(fmt::format("node-{}", i), i);
    std::vector<std::string> ids;
    for (int i = 1; i < 8; ++i) {
        asio::co_spawn(loop_, inventory_->create_job("provision", fmt::format("node-{}", i), {}, by_),
                       [&](const std::exception_ptr&, const Result<Job>& job) {
                           ids.push_back(job ? job->id : job.error().to_string());
                       });
    }
    loop_.restart();
    loop_.run();
    std::sort(ids.begin(), ids.end());
    EXPECT_EQ(ids, (std::vector<std::string>{"1", "2", "3", "4", "5", "6", "7"}));
}

TEST_F(JobsTest, BmcPasswordIsSealedAndKept) {
    const auto stored = [&] { return inventory_->bmcs().value().at(0).value; };
    EXPECT_EQ(secrets_->open(stored().sealed_password, "bmc/node-1/password").value(), "hunter2");
    auto changed = bmc("node-1");
    changed.username = "operator";
    changed.pinned_sha256 = "AB:" + std::string(62, 'c');
    ASSERT_TRUE(run(inventory_->put_bmc(changed, std::nullopt, by_)));
    EXPECT_EQ(stored().username, "operator");
    EXPECT_EQ(stored().pinned_sha256, "ab" + std::string(62, 'c'));
    EXPECT_EQ(secrets_->open(stored().sealed_password, "bmc/node-1/password").value(), "hunter2");
    ASSERT_TRUE(run(inventory_->put_bmc(bmc("node-1"), std::nullopt, by_)));
    EXPECT_EQ(stored().pinned_sha256, "ab" + std::string(62, 'c')) << "a pin stays while the endpoint does";
    auto moved = bmc("node-1");
    moved.endpoint = "https://[2001:DB8:bc::2]:8443/";
    ASSERT_TRUE(run(inventory_->put_bmc(moved, std::nullopt, by_)));
    EXPECT_EQ(stored().endpoint, "https://[2001:db8:bc::2]:8443");
    EXPECT_EQ(stored().pinned_sha256, "");
    EXPECT_EQ(run(inventory_->delete_bmc("node-1", by_)).error().code, Code::kFailedPrecondition) << "node-1 has it";
}

TEST_F(JobsTest, BmcEndpointIsAnIpv6OriginOverTls) {
    for (const auto* endpoint :
         {"http://[2001:db8::1]", "https://192.0.2.1", "https://bmc.example", "https://[2001:db8::1]/redfish",
          "https://user@[2001:db8::1]", "", "https://", "https://[::1", "https://[::1]:99999"}) {
        auto wrong = bmc("node-2");
        wrong.endpoint = endpoint;
        EXPECT_FALSE(run(inventory_->put_bmc(wrong, "x", by_))) << endpoint;
    }
}

}  // namespace
}  // namespace nett::test
