#include "plugins/metadata/late_wipes.hpp"

#include <utility>

#include <boost/asio/post.hpp>

#include "agent/sdk/records.hpp"
#include "plugins/metadata/boot_plan.hpp"
#include "plugins/metadata/limits.hpp"

namespace nett::metadata {

LateWipes::LateWipes(Store& store, EventBus& events, asio::any_io_executor loop)
    : store_(store),
      events_(events),
      loop_(loop),
      tasks_(loop, log_),
      signal_(std::make_shared<asio::steady_timer>(loop)) {}

void LateWipes::start() {
    stopping_ = false;
    watch_ = store_.watch(std::string(kMachineKind), [this](const Change& change) { follow(change); });
    tasks_.spawn(run());
}

Awaitable<void> LateWipes::stop() {
    stopping_ = true;
    signal_->cancel();
    co_await tasks_.join();
    watch_.reset();
}

void LateWipes::begin(const std::string& reason, std::string key, Machine before, Revision revision) {
    const std::lock_guard lock(mutex_);
    if (open_.size() >= kMaxLateWipes) return;
    open_[reason] = {std::move(key), std::move(before), revision};
}

void LateWipes::answered(const std::string& reason) {
    const std::lock_guard lock(mutex_);
    open_.erase(reason);
}

void LateWipes::given_up(const std::string& reason) {
    {
        const std::lock_guard lock(mutex_);
        const auto found = open_.find(reason);
        if (found == open_.end()) return;
        found->second.given_up = true;
        changed_ = true;
    }
    asio::post(loop_, [signal = signal_] { signal->cancel(); });
}

void LateWipes::follow(const Change& change) {
    {
        const std::lock_guard lock(mutex_);
        for (auto& [reason, write] : open_) {
            if (write.key != change.key) continue;
            if (reason == change.reason) write.stored = change.revision;
            changed_ = true;
        }
        if (!changed_) return;
    }
    signal_->cancel();
}

Awaitable<void> LateWipes::run() {
    while (!stopping_) {
        std::map<std::string, Write> open;
        {
            const std::lock_guard lock(mutex_);
            open = open_;
            changed_ = false;
        }
        bool again = false;
        for (auto& [reason, write] : open) {
            if (!write.given_up) continue;
            auto look = settle(std::move(write));
            const auto found = co_await std::move(look);
            again = again || found == Look::kAgain;
            if (found == Look::kSettled) answered(reason);
        }
        {
            const std::lock_guard lock(mutex_);
            if (stopping_ || changed_) continue;
        }
        signal_->expires_at(again ? std::chrono::steady_clock::now() + kRecordInterval
                                  : asio::steady_timer::time_point::max());
        co_await signal_->async_wait(asio::as_tuple(asio::use_awaitable));
    }
}

Awaitable<LateWipes::Look> LateWipes::settle(Write write) {
    const auto record = store_.get(kMachineKind, write.key);
    if (!record) co_return Look::kAgain;
    const Revision now = *record ? (*record)->revision : 0;
    if (now == write.revision) co_return Look::kNothingYet;
    // The write in doubt compares the record: what was changed otherwise, it cannot change any more.
    if (write.stored == 0 || now == 0) co_return Look::kSettled;
    if (now != write.stored) {
        tell("machine.wipe-lost", write.before,
             "the order to wipe was used up by a boot that was sent to the disk, and the machine was changed since; "
             "order "
             "it again if it is still wanted");
        co_return Look::kSettled;
    }
    Transaction transaction;
    transaction.actor = kActor;
    transaction.reason = "the boot that would have wiped was sent to its disk";
    transaction.compares.push_back(unchanged(kMachineKind, write.key, now));
    transaction.puts.push_back(put_of(write.before));
    const auto written = co_await store_.commit(std::move(transaction));
    if (!written) co_return Look::kAgain;
    tell("machine.wipe-restored", write.before,
         "the order to wipe stands again: the boot that used it up was not served");
    co_return Look::kSettled;
}

void LateWipes::tell(const std::string& type, const Machine& machine, const std::string& text) {
    log_.warning(text, {{"machine", machine.name}});
    events_.publish({type, machine.name, text, {{"machine", machine.name}, {"tenant", machine.tenant}}});
}

}  // namespace nett::metadata
