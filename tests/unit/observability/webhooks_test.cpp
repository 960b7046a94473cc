#include <cstdio>
#include <fstream>

#include <gtest/gtest.h>

#include "agent/core/webhooks/queue.hpp"
#include "agent/core/webhooks/settings.hpp"
#include "agent/core/webhooks/signature.hpp"

namespace nett {
namespace {

using namespace std::chrono_literals;

const SystemTime kNow{std::chrono::seconds(1'700'000'000)};

WebhookMessage message(const std::string& id, SystemTime time = kNow) {
    return {id, "{}", time, 0};
}

// The example of the Standard Webhooks libraries.
TEST(WebhookSignature, IsThatOfTheSpecification) {
    const std::string path = testing::TempDir() + "webhook-secret";
    std::ofstream(path) << "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n";
    const auto secret = read_webhook_secret(path);
    std::remove(path.c_str());
    ASSERT_TRUE(secret) << secret.error().to_string();
    EXPECT_EQ(sign_webhook(*secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, R"({"test": 2432232314})"),
              "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
}

TEST(WebhookSignature, AShortOrBrokenKeyIsRefusedAndNotShown) {
    const std::string path = testing::TempDir() + "webhook-secret";
    for (const auto* text : {"short", "whsec_c2hvcnQ=", "whsec_no base64 at all, however long it may be"}) {
        std::ofstream(path) << text;
        const auto secret = read_webhook_secret(path);
        ASSERT_FALSE(secret) << text;
        EXPECT_EQ(secret.error().to_string().find("short"), std::string::npos);
    }
    std::remove(path.c_str());
}

TEST(WebhookSettings, WantsWhatItsEventsBeginWith) {
    WebhookSettings hook;
    EXPECT_TRUE(hook.wants("machine.state"));
    EXPECT_FALSE(hook.wants("audit.change"));
    hook.events = {"audit.", "job.step"};
    EXPECT_TRUE(hook.wants("audit.change"));
    EXPECT_FALSE(hook.wants("machine.state"));
}

TEST(WebhookRetry, DoublesUpToItsLongestWithJitter) {
    EXPECT_EQ(retry_delay(1, 0), 500ms);
    EXPECT_LT(retry_delay(1, 0.999), 1s);
    EXPECT_EQ(retry_delay(4, 0), 4s);
    EXPECT_EQ(retry_delay(100, 0), std::chrono::milliseconds(kLongestRetry) / 2);
    EXPECT_LE(retry_delay(1000, 0.999), kLongestRetry);
}

TEST(WebhookQueue, KeepsTheNewestAndCountsWhatItDropped) {
    WebhookQueue queue;
    for (std::size_t i = 0; i < kMaxQueuedMessages + 3; ++i) queue.push(message(std::to_string(i)));
    EXPECT_EQ(queue.size(), kMaxQueuedMessages);
    EXPECT_EQ(queue.dropped(), 3U);
    EXPECT_EQ(queue.front(kNow)->id, "3");
}

TEST(WebhookQueue, DropsWhatIsTooOld) {
    WebhookQueue queue;
    queue.push(message("old", kNow - kMaxMessageAge - 1s));
    queue.push(message("new"));
    EXPECT_EQ(queue.front(kNow)->id, "new");
    EXPECT_EQ(queue.dropped(), 1U);
}

TEST(WebhookQueue, StoredMessagesComeFirstAfterARestart) {
    WebhookQueue before;
    before.push(message("a"));
    before.front(kNow)->attempts = 4;
    before.push(message("b"));
    WebhookQueue after;
    after.push(message("c"));
    ASSERT_TRUE(after.restore(before.encode()));
    EXPECT_EQ(after.front(kNow)->attempts, 4U);
    std::string order;
    for (; after.front(kNow) != nullptr; after.pop()) order += after.front(kNow)->id;
    EXPECT_EQ(order, "abc");
    for (const auto* bad :
         {"", "[]", R"({"messages":[{}]})", R"({"messages":[{"id":1,"body":"","time":"","attempts":0}]})"}) {
        EXPECT_FALSE(after.restore(bad)) << bad;
    }
}

TEST(WebhookBody, CarriesTheEvent) {
    const Event event{"machine.state", "node-1", "a → b", {{"to", "b"}}, kNow, 7};
    EXPECT_EQ(webhook_body(event, "meta-1"),
              R"({"type":"machine.state","timestamp":"2023-11-14T22:13:20.000Z","data":{"agent":"meta-1",)"
              R"("subject":"node-1","message":"a → b","fields":{"to":"b"}}})");
}

}  // namespace
}  // namespace nett
