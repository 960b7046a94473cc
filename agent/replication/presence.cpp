#include "agent/replication/presence.hpp"

#include <algorithm>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

#include "agent/sdk/servers.hpp"

namespace nett::replication {

namespace {

constexpr std::chrono::seconds kBeat{1};
constexpr std::chrono::milliseconds kBeatAgain{300};  // after a failure: the next member
constexpr std::chrono::seconds kLease{10};            // how long a server that died counts as alive
// A lease is not renewed but replaced: a record is always under one that has this much less to live, at most.
constexpr std::chrono::seconds kLeaseAge{3};
// The watch brings what etcd has within milliseconds; one that is silent for so long is given up.
constexpr std::chrono::seconds kSilence{3};
// This many members in a row did not serve a transaction: nothing can be stored. One failure may be one dead member,
// the next one that was asked while the others chose their leader: it lost the transaction.
constexpr int kFailuresToObstacle = 4;
constexpr std::chrono::seconds kFailureTime{2};

}  // namespace

Presence::Presence(const Context& context, Follower& follower, HealthRegistry& health, EventBus& events,
                   std::chrono::seconds max_lag)
    : c_(context), follower_(follower), health_(health), max_lag_(max_lag), pause_(context.loop), ended_(context.loop) {
    self_.name = c_.name;
    self_.instance = c_.instance;
    self_.version = c_.version;
    self_.age_ms = -1;
    publish_records({});
    announcements_ = events.subscribe("anycast.", [this](const Event& event) {
        if (event.type == "anycast.mode") return;
        self_.announcing = event.type == "anycast.announced" || event.type == "anycast.de-preferred";
    });
}

void Presence::start() {
    running_ = true;
    report();
    asio::co_spawn(c_.loop, run(), asio::detached);  // stop() waits for it
}

Awaitable<void> Presence::stop() {
    stopping_ = true;
    announcements_.reset();
    pause_.notify();
    while (running_) co_await ended_.wait(SteadyTime::max());
}

Awaitable<void> Presence::run() {
    while (!stopping_) {
        auto done = co_await beat();
        if (stopping_) break;
        if (done) {
            if (failures_ >= kFailuresToObstacle) log_.info("etcd answers again", {{"member", c_.etcd.endpoint()}});
            if (failures_ > 0) follower_.hurry();
            failures_ = 0;
            trouble_.clear();
        } else {
            // Members that refuse at once for want of a leader count no faster than silent ones: an election takes its
            // time.
            const bool counts = failures_ == 0 || c_.clock.steady_now() - counted_ >= kFailureTime;
            if (counts) {
                ++failures_;
                counted_ = c_.clock.steady_now();
            }
            if (counts && failures_ == kFailuresToObstacle) {
                log_.error("etcd is out of reach; boots go on from the local copy, nothing can be stored",
                           {{"error", done.error()}});
            }
            trouble_ = done.error().to_string();
        }
        report();
        co_await pause_.wait(c_.clock.steady_now() + (done ? std::chrono::milliseconds(kBeat) : kBeatAgain));
    }
    if (lease_ != 0) {
        const auto revoked = co_await c_.etcd.revoke_lease(lease_);
        if (!revoked) log_.info("this server's record stays until its lease ends", {{"error", revoked.error()}});
    }
    running_ = false;
    ended_.notify();
}

Awaitable<Result<void>> Presence::renew_lease() {
    if (lease_ != 0 && c_.clock.steady_now() - lease_granted_ < kLeaseAge) co_return Result<void>{};
    const auto asked = c_.clock.steady_now();
    auto lease = co_await c_.etcd.grant_lease(kLease);
    if (!lease) co_return fail(std::move(lease.error()));
    lease_ = *lease;
    lease_granted_ = asked;
    co_return Result<void>{};
}

// Somebody changed this server's record: this server's earlier run, its lease's end, or another server of its name.
Awaitable<Result<void>> Presence::take_name() {
    EtcdRange range{c_.layout.server(c_.name), ""};
    auto page = co_await c_.etcd.range(std::move(range), 0, 1);
    if (!page) co_return fail(std::move(page.error()));
    own_record_ = 0;
    if (page->entries.empty()) co_return Result<void>{};
    const auto there = decode_server(page->entries.front().value);
    if (there && there->instance != c_.instance) {
        co_return fail(Code::kFailedPrecondition,
                       "another server of the name \"{}\" is alive: give each its own \"hostname\"", c_.name);
    }
    own_record_ = page->entries.front().mod_revision;
    co_return Result<void>{};
}

Awaitable<Result<void>> Presence::beat() {
    NETT_CO_TRY(co_await renew_lease());
    if (own_record_ == 0) NETT_CO_TRY(co_await take_name());
    const auto now_old = age();
    self_.age_ms = now_old ? now_old->count() : -1;
    self_.revision = follower_.applied();
    EtcdTxn txn;
    txn.compares.push_back({c_.layout.server(c_.name), own_record_});
    txn.puts.push_back({c_.layout.server(c_.name), encode(self_), lease_});
    txn.reads = {{c_.layout.last(), ""}, c_.layout.servers()};
    const auto asked = c_.clock.steady_now();
    auto answer = co_await c_.etcd.txn(std::move(txn));
    if (!answer) {
        own_record_ = 0;  // it may have been done
        co_return fail(std::move(answer.error()));
    }
    own_record_ = answer->succeeded ? answer->revision : 0;
    if (answer->reads.size() != 2) co_return fail(Code::kInternal, "etcd's answer lacks a part");
    take_answer(*answer, asked);
    co_return Result<void>{};
}

void Presence::take_answer(const EtcdTxnAnswer& answer, SteadyTime asked) {
    last_answer_ = asked;
    head_ = answer.reads[0].empty() ? 0 : answer.reads[0].front().mod_revision;
    others_.clear();
    for (const auto& entry : answer.reads[1]) {
        if (c_.layout.server_name(entry.key) == c_.name) continue;
        if (auto other = decode_server(entry.value)) others_.push_back(std::move(*other));
    }
    publish_records(answer.reads[1]);
    look_at_age(asked, head_);
}

// The copy is as fresh as the latest question whose answer it has reached.
void Presence::look_at_age(SteadyTime asked, Revision head) {
    if (follower_.refused()) return;
    const auto applied = follower_.applied();
    if (awaited_ && applied >= awaited_->second) {
        fresh_as_of_ = awaited_->first;
        awaited_.reset();
    }
    if (applied >= head) {
        fresh_as_of_ = asked;
        awaited_.reset();
        return;
    }
    if (!awaited_) awaited_ = {asked, head};
    if (asked - awaited_->first < kSilence || follower_.doing() != "following") return;
    log_.warning("the watch is behind; asking another member", {{"applied", applied}, {"head", head}});
    awaited_ = {asked, head};
    follower_.kick();
}

void Presence::publish_records(const std::vector<EtcdKeyValue>& servers) {
    std::vector<Record> records;
    bool self = false;
    for (const auto& entry : servers) {
        auto name = c_.layout.server_name(entry.key);
        self = self || name == c_.name;
        records.push_back({std::string(kServerKind), std::move(name), entry.value, entry.mod_revision});
    }
    if (!self) records.push_back({std::string(kServerKind), c_.name, encode(self_), own_record_});
    std::sort(records.begin(), records.end(), [](const Record& a, const Record& b) { return a.key < b.key; });
    const std::lock_guard lock(mutex_);
    records_ = std::move(records);
}

std::vector<Record> Presence::records() const {
    const std::lock_guard lock(mutex_);
    return records_;
}

std::optional<std::chrono::milliseconds> Presence::age() const {
    if (!fresh_as_of_) return std::nullopt;
    return std::chrono::duration_cast<std::chrono::milliseconds>(c_.clock.steady_now() - *fresh_as_of_);
}

std::optional<Error> Presence::obstacle() const {
    if (follower_.refused()) return follower_.refused();
    if (failures_ < kFailuresToObstacle) return std::nullopt;
    return Error{Code::kUnavailable,
                 fmt::format("the servers' common state cannot be changed now: etcd is out of reach or has no quorum "
                             "({}); see \"show replication\", and try again when a majority of its members is up",
                             trouble_),
                 {}};
}

void Presence::doubt() {
    pause_.notify();
}

Standing Presence::standing() const {
    return {follower_.refused(), age(), max_lag_, etcd_answers(), others_};
}

void Presence::report() {
    health_.report(judge(standing()));
    HealthCondition etcd{"replication", "etcd", HealthScope::kInfo, HealthState::kOk, "", "", {}};
    etcd.message = "answers; member " + c_.etcd.endpoint();
    if (!etcd_answers()) {
        etcd.state = failures_ < kFailuresToObstacle ? HealthState::kDegraded : HealthState::kFailed;
        etcd.message = trouble_.empty() ? "has not been asked yet" : trouble_;
        etcd.remedy = "are a majority of etcd's members up and in reach, and do its certificates fit?";
    }
    health_.report(std::move(etcd));
}

}  // namespace nett::replication
