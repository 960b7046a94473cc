#include "agent/core/webhooks/webhooks.hpp"

#include <array>
#include <map>
#include <random>
#include <utility>

#include <openssl/rand.h>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/json.hpp>

#include "agent/core/webhooks/queue.hpp"
#include "agent/core/webhooks/signature.hpp"
#include "agent/sdk/https_client.hpp"
#include "agent/sdk/log.hpp"
#include "agent/sdk/model.hpp"
#include "agent/sdk/strings.hpp"

namespace nett {

namespace {

namespace json = boost::json;

constexpr auto kAsTuple = asio::as_tuple(asio::use_awaitable);
constexpr const char* kComponent = "webhooks";
constexpr unsigned kGone = 410;  // RFC 9110 section 15.5.11: do not ask again

std::string message_id() {
    std::array<char, 12> bytes{};
    RAND_bytes(reinterpret_cast<unsigned char*>(bytes.data()), static_cast<int>(bytes.size()));
    return "msg_" + to_hex({bytes.data(), bytes.size()});
}

// Without the path, which has the token of many a receiver.
std::string shown_url(const std::string& text) {
    const auto url = HttpsUrl::parse(text);
    return url ? fmt::format("https://{}{}", url->authority(), url->target == "/" ? "" : "/…") : std::string("invalid");
}

double random_fraction() {
    thread_local std::minstd_rand generator{std::random_device{}()};
    return std::generate_canonical<double, 32>(generator);
}

}  // namespace

// One receiver.
struct Receiver {
    Receiver(WebhookSettings wanted, const WebhooksEnvironment& environment)
        : settings(std::move(wanted)),
          client(make_https_client(environment.loop)),
          wake(environment.loop),
          queued(environment.metrics.gauge({"nett_webhook_queue", "Messages not taken yet.", {"webhook"}})
                     .with({settings.name})),
          delivered(deliveries(environment.metrics).with({settings.name, "ok"})),
          failed(deliveries(environment.metrics).with({settings.name, "failed"})),
          dropped(environment.metrics
                      .counter({"nett_webhook_dropped_total", "Messages given up: too many, or too old.", {"webhook"}})
                      .with({settings.name})) {}

    static CounterFamily& deliveries(Metrics& metrics) {
        return metrics.counter(
            {"nett_webhook_deliveries_total", "Attempts to deliver a message by result.", {"webhook", "result"}});
    }

    void note_size() {
        queued->set(static_cast<double>(queue.size()));
        dropped->set_total(queue.dropped());
    }

    WebhookSettings settings;
    std::unique_ptr<HttpsClient> client;
    asio::steady_timer wake;
    WebhookQueue queue;
    bool leaving = false;  // ends its task
    bool running = false;
    bool dirty = false;   // its queue differs from what is stored
    bool stored = false;  // there is a record of it
    SystemTime last{};    // of the last attempt
    std::string last_result = "nothing was sent yet";
    std::shared_ptr<Gauge> queued;
    std::shared_ptr<Counter> delivered;
    std::shared_ptr<Counter> failed;
    std::shared_ptr<Counter> dropped;
};

struct Webhooks::Impl : std::enable_shared_from_this<Webhooks::Impl> {
    explicit Impl(WebhooksEnvironment e)
        : environment(std::move(e)), persist_timer(environment.loop), ended(environment.loop) {}

    std::string key_of(const Receiver& receiver) const { return environment.hostname + "/" + receiver.settings.name; }

    void on_event(const Event& event) {
        for (const auto& [name, receiver] : receivers) {
            if (!receiver->settings.wants(event.type)) continue;
            // News about a receiver's own trouble would only add to its queue.
            if (event.type == "health.changed" && event.subject.starts_with(kComponent)) continue;
            receiver->queue.push({message_id(), webhook_body(event, environment.hostname), event.time, 0});
            receiver->note_size();
            touch(*receiver);
            receiver->wake.cancel();
        }
    }

    void touch(Receiver& receiver) {
        receiver.dirty = true;
        if (std::exchange(persisting, true)) return;
        asio::co_spawn(environment.loop, persist_later(shared_from_this()), asio::detached);
    }

    void add(WebhookSettings settings) {
        auto receiver = std::make_shared<Receiver>(std::move(settings), environment);
        receivers[receiver->settings.name] = receiver;
        if (auto record = environment.store.get(kWebhookQueueKind, key_of(*receiver)); record && *record) {
            receiver->stored = true;
            if (auto restored = receiver->queue.restore((*record)->value); !restored) {
                log.error("the messages of an earlier run are lost",
                          {{"webhook", receiver->settings.name}, {"error", restored.error()}});
            }
        }
        receiver->note_size();
        receiver->running = true;
        ++tasks;
        asio::co_spawn(environment.loop, run(receiver),
                       [self = shared_from_this(), receiver](const std::exception_ptr&) {
                           receiver->running = false;
                           if (--self->tasks == 0) self->ended.cancel();
                       });
    }

    void end(Receiver& receiver) {
        receiver.leaving = true;
        receiver.client->abort();
        receiver.wake.cancel();
    }

    void apply(std::vector<WebhookSettings> wanted) {
        std::map<std::string, std::shared_ptr<Receiver>> before;
        before.swap(receivers);
        for (auto& settings : wanted) {
            const auto known = before.find(settings.name);
            if (known == before.end()) {
                add(std::move(settings));
                continue;
            }
            known->second->settings = std::move(settings);  // the next attempt uses it
            known->second->wake.cancel();
            receivers.insert(before.extract(known));
        }
        for (const auto& [name, receiver] : before) {
            end(*receiver);
            environment.metrics.gauge({"nett_webhook_queue", "", {"webhook"}}).remove({name});
            environment.health.forget(kComponent);
            receiver->queue = WebhookQueue();
            leaving.push_back(receiver);
            touch(*receiver);
        }
    }

    Awaitable<void> run(std::shared_ptr<Receiver> receiver) {
        while (!receiver->leaving) {
            auto* message = receiver->queue.front(environment.clock.system_now());
            receiver->note_size();
            if (message == nullptr) {
                receiver->wake.expires_at(asio::steady_timer::time_point::max());
                co_await receiver->wake.async_wait(kAsTuple);
                continue;
            }
            const std::string id = message->id;
            const unsigned attempts = ++message->attempts;
            auto order = order_of(*receiver, *message);
            Result<unsigned> status = order ? Result<unsigned>(0U) : fail(Error(order.error()));
            if (order) {
                const auto answer = co_await receiver->client->send(std::move(*order));
                status = answer ? Result<unsigned>(answer->status) : fail(Error(answer.error()));
            }
            if (receiver->leaving) co_return;
            const bool taken = settle(*receiver, id, status);
            if (taken) continue;
            report(*receiver, attempts);
            receiver->wake.expires_after(retry_delay(attempts, random_fraction()));
            co_await wait_out(*receiver);
        }
    }

    // A new event does not shorten the delay; new settings and the end do.
    Awaitable<void> wait_out(Receiver& receiver) {
        const auto until = receiver.wake.expiry();
        const auto settings = receiver.settings;
        while (!receiver.leaving && receiver.settings == settings && std::chrono::steady_clock::now() < until) {
            receiver.wake.expires_at(until);
            co_await receiver.wake.async_wait(kAsTuple);
        }
    }

    Result<HttpsRequest> order_of(const Receiver& receiver, const WebhookMessage& message) const {
        auto url = HttpsUrl::parse(receiver.settings.url);
        if (!url) return fail(std::move(url.error()));
        HttpsRequest order;
        order.url = std::move(*url);
        order.ca_file = receiver.settings.ca_file;
        order.ca_setting = "ca file";
        order.method = HttpsRequest::Method::kPost;
        order.timeout = kWebhookTimeout;
        order.body = message.body;
        const auto now =
            std::chrono::duration_cast<std::chrono::seconds>(environment.clock.system_now().time_since_epoch()).count();
        order.headers = {{"webhook-id", message.id}, {"webhook-timestamp", std::to_string(now)}};
        if (receiver.settings.secret_file.empty()) return order;
        // Read each time: a new secret needs no reload.
        auto secret = read_webhook_secret(receiver.settings.secret_file);
        if (!secret) return fail(std::move(secret.error()));
        order.headers.emplace_back("webhook-signature", sign_webhook(*secret, message.id, now, message.body));
        return order;
    }

    // Notes what became of an attempt; true when the message is done with.
    bool settle(Receiver& receiver, const std::string& id, const Result<unsigned>& status) {
        receiver.last = environment.clock.system_now();
        receiver.last_result = status ? fmt::format("status {}", *status) : status.error().to_string();
        const bool good = status && *status >= 200 && *status < 300;
        (good ? receiver.delivered : receiver.failed)->add();
        touch(receiver);
        if (!good && !(status && *status == kGone)) return false;
        // The queue may have dropped it meanwhile.
        const auto* front = receiver.queue.front(environment.clock.system_now());
        if (front != nullptr && front->id == id) receiver.queue.pop();
        receiver.note_size();
        report(receiver, 0);
        return true;
    }

    void report(const Receiver& receiver, unsigned attempts) {
        const bool failing = attempts >= kAttemptsBeforeHealth;
        if (!failing && attempts != 0) return;
        environment.health.report({kComponent, receiver.settings.name, HealthScope::kInfo,
                                   failing ? HealthState::kDegraded : HealthState::kOk,
                                   failing ? receiver.last_result : "",
                                   failing ? "see that the receiver runs and answers 2xx; \"show webhooks\"" : ""});
    }

    Awaitable<void> persist_later(std::shared_ptr<Impl> self) {
        persist_timer.expires_after(kPersistDelay);
        co_await persist_timer.async_wait(kAsTuple);
        persisting = false;
        if (!stopping) co_await persist();
    }

    Awaitable<void> persist() {
        Transaction transaction;
        transaction.actor = "nettd";
        transaction.reason = "messages that a webhook's receiver has not taken";
        const auto add_record = [&](Receiver& receiver) {
            if (!std::exchange(receiver.dirty, false)) return;
            if (receiver.queue.size() > 0) {
                transaction.puts.push_back({std::string(kWebhookQueueKind), key_of(receiver), receiver.queue.encode()});
                receiver.stored = true;
            } else if (std::exchange(receiver.stored, false)) {
                transaction.deletes.push_back({std::string(kWebhookQueueKind), key_of(receiver)});
            }
        };
        for (const auto& [name, receiver] : receivers) add_record(*receiver);
        for (const auto& receiver : leaving) add_record(*receiver);
        leaving.clear();
        if (transaction.puts.empty() && transaction.deletes.empty()) co_return;
        auto committed = co_await environment.store.commit(std::move(transaction));
        if (!committed) log.warning("messages of webhooks are not stored", {{"error", committed.error()}});
    }

    Logger log{"webhooks"};
    WebhooksEnvironment environment;
    std::map<std::string, std::shared_ptr<Receiver>> receivers;
    std::vector<std::shared_ptr<Receiver>> leaving;  // whose records are still to be deleted
    asio::steady_timer persist_timer;
    asio::steady_timer ended;
    Subscription subscription;
    int tasks = 0;
    bool persisting = false;
    bool stopping = false;
};

Webhooks::Webhooks(WebhooksEnvironment environment) : impl_(std::make_shared<Impl>(std::move(environment))) {}
Webhooks::~Webhooks() = default;

void Webhooks::start(std::vector<WebhookSettings> settings) {
    impl_->subscription =
        impl_->environment.events.subscribe("", [impl = impl_.get()](const Event& event) { impl->on_event(event); });
    impl_->apply(std::move(settings));
}

void Webhooks::apply(std::vector<WebhookSettings> settings) {
    impl_->apply(std::move(settings));
}

Awaitable<void> Webhooks::stop() {
    const auto impl = impl_;
    if (std::exchange(impl->stopping, true)) co_return;
    impl->subscription.reset();
    impl->persist_timer.cancel();
    for (const auto& [name, receiver] : impl->receivers) impl->end(*receiver);
    while (impl->tasks > 0) {
        impl->ended.expires_at(asio::steady_timer::time_point::max());
        co_await impl->ended.async_wait(kAsTuple);
    }
    co_await impl->persist();
}

Output Webhooks::show() const {
    json::array rows;
    for (const auto& [name, receiver] : impl_->receivers) {
        rows.push_back({{"name", name},
                        {"url", shown_url(receiver->settings.url)},
                        {"signed", !receiver->settings.secret_file.empty()},
                        {"queued", receiver->queue.size()},
                        {"delivered", receiver->delivered->value()},
                        {"failed", receiver->failed->value()},
                        {"dropped", receiver->queue.dropped()},
                        {"last_time", to_rfc3339(receiver->last)},
                        {"last_result", receiver->last_result}});
    }
    return {std::move(rows),
            {{"name", "Webhook"},
             {"url", "URL"},
             {"queued", "Queued"},
             {"delivered", "Delivered"},
             {"failed", "Failed"},
             {"dropped", "Dropped"},
             {"last_result", "Last attempt"}}};
}

std::vector<OpCommand> webhook_show_commands(const Webhooks& webhooks) {
    return {{"show webhooks",
             "Receivers of events: what they took, and what waits for them",
             {{"show", "Show state"}},
             Role::kViewer,
             [&webhooks](CommandCall) -> Awaitable<Result<Output>> { co_return webhooks.show(); }}};
}

}  // namespace nett
