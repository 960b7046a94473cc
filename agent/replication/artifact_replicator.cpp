#include "agent/replication/artifact_replicator.hpp"

#include <algorithm>
#include <utility>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/json.hpp>

namespace nett::replication {

namespace json = boost::json;

namespace {

constexpr std::chrono::seconds kTick{1};
constexpr std::chrono::seconds kLook{30};      // somebody may have removed a file
constexpr std::chrono::seconds kHereAgain{5};  // after this server was in the way
constexpr std::size_t kShownFetches = 20;

Awaitable<std::vector<std::string>> find_absent(const ArtifactFiles& files, std::vector<ArtifactFile> known) {
    std::vector<std::string> absent;
    for (const auto& file : known) {
        const auto size = files.size_of(file.sha256);
        if (!size || *size != file.size) absent.push_back(file.sha256);
    }
    co_return absent;
}

const char* label_of(FetchResult::Kind kind) {
    switch (kind) {
        case FetchResult::Kind::kDone:
            return "done";
        case FetchResult::Kind::kHere:
            return "here";
        case FetchResult::Kind::kAbsent:
            return "absent";
        case FetchResult::Kind::kPeer:
            return "peer";
        case FetchResult::Kind::kContent:
            return "content";
    }
    return "peer";
}

}  // namespace

ArtifactReplicator::ArtifactReplicator(const Context& context, Presence& presence, ArtifactParts parts)
    : c_(context),
      presence_(presence),
      parts_(std::move(parts)),
      fetched_bytes_(
          *parts_.metrics
               .counter({"nett_artifact_fetched_bytes_total", "Bytes of artifacts that came from other servers."})
               .with()),
      attempts_(parts_.metrics.counter({"nett_artifact_fetches_total",
                                        "Attempts to fetch an artifact from another server, by what came of them.",
                                        {"result"}})),
      missing_(
          *parts_.metrics.gauge({"nett_artifacts_missing", "Files of artifact sets that this server lacks."}).with()),
      pause_(context.loop),
      tasks_(context.loop, log_) {}

void ArtifactReplicator::start() {
    watch_ = parts_.store.watch(std::string(kArtifactSetKind), [this](const Change&) {
        sets_changed_ = true;
        hurry();
    });
    tasks_.spawn(run());
}

Awaitable<void> ArtifactReplicator::stop() {
    stopping_ = true;
    watch_.reset();
    parts_.downloader->stop();
    pause_.notify();
    co_await tasks_.join();
}

void ArtifactReplicator::set_endpoint(std::string endpoint) {
    endpoint_ = std::move(endpoint);
    hurry();
}

void ArtifactReplicator::hurry() {
    hurry_ = true;
    pause_.notify();
}

Awaitable<void> ArtifactReplicator::run() {
    while (!stopping_) {
        hurry_ = false;
        take_peers();
        if (sets_changed_ || c_.clock.steady_now() >= look_at_) co_await look();
        if (stopping_) break;
        take_wanted();
        start_fetches();
        give_up_stale();
        report();
        if (!hurry_) co_await pause_.wait(c_.clock.steady_now() + kTick);
    }
}

void ArtifactReplicator::take_peers() {
    const std::lock_guard lock(mutex_);
    peers_ = presence_.others();
}

Awaitable<void> ArtifactReplicator::look() {
    if (std::exchange(sets_changed_, false)) {
        const auto sets = parts_.store.list(kArtifactSetKind);
        if (sets) known_.clear();  // otherwise what is known holds
        for (const auto& record : sets ? *sets : std::vector<Record>{}) {
            const auto set = decode<ArtifactSet>(record.value);
            if (!set) continue;
            for (const auto& file : set->files) {
                if (!ArtifactFiles::is_digest(file.sha256)) continue;
                known_.try_emplace(file.sha256, file, set->name + "/" + file.name);
            }
        }
    }
    look_at_ = c_.clock.steady_now() + kLook;
    std::vector<ArtifactFile> files;
    for (const auto& [digest, known] : known_) files.push_back(known.first);
    auto work = find_absent(parts_.files, std::move(files));
    const auto absent = co_await asio::co_spawn(disk_, std::move(work), asio::use_awaitable);
    std::erase_if(fetches_, [&](const auto& entry) {
        const auto& fetch = entry.second;
        const bool is_absent = std::binary_search(absent.begin(), absent.end(), entry.first);
        return !fetch.running && !is_absent && (!fetch.wanted || !known_.contains(entry.first));
    });
    for (const auto& digest : absent) {
        const auto known = known_.find(digest);
        if (known != known_.end()) fetch_of(known->second.first, known->second.second);
    }
    looked_ = true;
}

ArtifactReplicator::Fetch& ArtifactReplicator::fetch_of(const ArtifactFile& file, const std::string& name) {
    auto& fetch = fetches_[file.sha256];
    if (fetch.file.sha256.empty()) {
        fetch.file = file;
        fetch.name = name;
        fetch.moved = c_.clock.steady_now();
    }
    return fetch;
}

// What clients ask for goes first.
void ArtifactReplicator::take_wanted() {
    std::deque<ArtifactFile> wanted;
    {
        const std::lock_guard lock(mutex_);
        wanted.swap(wanted_);
    }
    for (const auto& file : wanted) {
        const auto known = known_.find(file.sha256);
        auto& fetch = fetch_of(file, known == known_.end() ? file.sha256 : known->second.second);
        fetch.wanted = true;
        if (!fetch.running) fetch.moved = c_.clock.steady_now();
    }
}

void ArtifactReplicator::start_fetches() {
    const auto now = c_.clock.steady_now();
    for (const bool wanted : {true, false}) {
        for (auto& [digest, fetch] : fetches_) {
            if (running_ >= (wanted ? kFetchesWithWaiting : kFetchesAtOnce)) break;
            if (fetch.wanted != wanted || fetch.running || fetch.not_before > now) continue;
            auto peer = fetch.order.choose(presence_.others(), digest, now);
            if (!peer) continue;
            fetch.running = true;
            fetch.from = peer->name;
            ++running_;
            tasks_.spawn(bring(digest, std::move(*peer)));
        }
    }
}

Awaitable<void> ArtifactReplicator::bring(std::string sha256, ServerState peer) {
    auto& fetch = fetches_.at(sha256);  // stays while it is running
    const auto copy = copy_of(sha256, fetch.file.size);
    FetchTools tools{parts_.files, *parts_.downloader, disk_.get_executor(), fetched_bytes_};
    auto work = fetch_from(tools, fetch.file, peer.artifacts.endpoint, copy);
    const auto result = co_await std::move(work);
    --running_;
    fetch.running = false;
    attempts_.with({label_of(result.kind)})->add();
    if (!stopping_) note(fetch, peer, result);
    hurry();
}

void ArtifactReplicator::note(Fetch& fetch, const ServerState& peer, const FetchResult& result) {
    const auto now = c_.clock.steady_now();
    const auto digest = fetch.file.sha256;  // a copy: the fetch may go
    const bool same = std::exchange(fetch.trouble, result.reason) == result.reason;
    if (result.kind == FetchResult::Kind::kDone) {
        log_.info("an artifact has come from another server",
                  {{"file", fetch.name}, {"sha256", digest}, {"from", peer.name}, {"resumed_at", result.resumed_at}});
        parts_.events.publish(
            {"artifact.fetched",
             fetch.name,
             "from " + peer.name,
             {{"sha256", digest}, {"from", peer.name}, {"resumed_at", std::to_string(result.resumed_at)}}});
        drop_copy(digest, {});
        {
            const std::lock_guard lock(mutex_);
            given_up_.erase(digest);
        }
        fetches_.erase(digest);
        look_at_ = now;
        return;
    }
    if (result.kind == FetchResult::Kind::kHere) {
        fetch.not_before = now + kHereAgain;
    } else {
        fetch.order.failed(peer.name, now);
    }
    if (result.kind == FetchResult::Kind::kAbsent) return;
    const bool wrong = result.kind == FetchResult::Kind::kContent;
    if (wrong) drop_copy(digest, {Code::kDataLoss, result.reason, fetch.name});
    if (!wrong && (same || fetch.order.failures(peer.name) > 1)) return;  // said already
    log_.warning("an artifact does not come from another server",
                 {{"file", fetch.name}, {"sha256", digest}, {"from", peer.name}, {"error", result.reason}});
    parts_.events.publish({wrong ? "artifact.refused" : "artifact.fetch-failed",
                           fetch.name,
                           result.reason,
                           {{"sha256", digest}, {"from", peer.name}}});
}

// Those who wait are told when nothing has come for a while; the fetch itself is tried on.
void ArtifactReplicator::give_up_stale() {
    const auto now = c_.clock.steady_now();
    for (auto& [digest, fetch] : fetches_) {
        std::shared_ptr<ArrivingCopy> copy;
        {
            const std::lock_guard lock(mutex_);
            const auto found = copies_.find(digest);
            if (found == copies_.end()) continue;
            copy = found->second;
        }
        if (copy->received() != fetch.received) {
            fetch.received = copy->received();
            fetch.moved = now;
        }
        if (now - fetch.moved < kPatience) continue;
        drop_copy(digest, {Code::kUnavailable, "no other server sends it now: " + fetch.trouble, fetch.name});
        fetch.wanted = false;
        const std::lock_guard lock(mutex_);
        given_up_[digest] = now + kGivenUp;
    }
}

std::shared_ptr<ArrivingCopy> ArtifactReplicator::copy_of(const std::string& sha256, std::uint64_t size) {
    const std::lock_guard lock(mutex_);
    auto& copy = copies_[sha256];
    if (!copy || copy->size() != size) copy = std::make_shared<ArrivingCopy>(size);
    return copy;
}

void ArtifactReplicator::drop_copy(const std::string& sha256, const Error& reason) {
    std::shared_ptr<ArrivingCopy> copy;
    {
        const std::lock_guard lock(mutex_);
        const auto found = copies_.find(sha256);
        if (found == copies_.end()) return;
        copy = std::move(found->second);
        copies_.erase(found);
    }
    copy->give_up(reason);  // without effect on one that is whole
}

bool ArtifactReplicator::have(const std::string& sha256) const {
    const std::lock_guard lock(mutex_);
    const auto given_up = given_up_.find(sha256);
    if (given_up != given_up_.end() && given_up->second > c_.clock.steady_now()) return false;
    return std::any_of(peers_.begin(), peers_.end(), [&](const ServerState& peer) { return may_have(peer, sha256); });
}

std::shared_ptr<ArrivingFile> ArtifactReplicator::fetch(const std::string& sha256, std::uint64_t size) {
    if (!ArtifactFiles::is_digest(sha256) || !have(sha256)) return nullptr;
    auto copy = copy_of(sha256, size);
    ArtifactFile file;
    file.sha256 = sha256;
    file.size = size;
    {
        const std::lock_guard lock(mutex_);
        const auto same = [&](const ArtifactFile& one) { return one.sha256 == sha256; };
        if (std::none_of(wanted_.begin(), wanted_.end(), same)) wanted_.push_back(std::move(file));
    }
    asio::post(c_.loop, [this] { hurry(); });
    return copy;
}

void ArtifactReplicator::interrupt() {
    std::vector<std::shared_ptr<ArrivingCopy>> copies;
    {
        const std::lock_guard lock(mutex_);
        for (const auto& [digest, copy] : copies_) copies.push_back(copy);
    }
    for (const auto& copy : copies) copy->interrupt({Code::kUnavailable, "the service is stopping", {}});
}

void ArtifactReplicator::report() {
    if (!looked_) return;
    std::vector<std::string> digests;
    for (const auto& [digest, fetch] : fetches_) digests.push_back(digest);
    missing_.set(static_cast<double>(digests.size()));
    presence_.announce(artifact_state(endpoint_, digests));
    HealthCondition out{"replication", "artifacts", HealthScope::kInfo, HealthState::kOk, "complete", "", {}};
    if (!digests.empty()) {
        const auto& first = fetches_.begin()->second;
        out.state = HealthState::kDegraded;
        out.message = fmt::format("{} file(s) are missing; first: {}{}", digests.size(), first.name,
                                  first.trouble.empty() ? "" : ": " + first.trouble);
        out.remedy =
            "another server that has them needs \"api listen\" and \"api role server\" for this one's "
            "certificate; or import the artifact set again";
    }
    parts_.health.report(std::move(out));
}

json::object ArtifactReplicator::status() const {
    json::array fetching;
    for (const auto& [digest, fetch] : fetches_) {
        if (fetching.size() == kShownFetches) break;
        std::uint64_t received = 0;
        {
            const std::lock_guard lock(mutex_);
            const auto copy = copies_.find(digest);
            if (copy != copies_.end()) received = copy->second->received();
        }
        fetching.push_back({{"file", fetch.name},
                            {"sha256", digest},
                            {"size", fetch.file.size},
                            {"received", received},
                            {"from", fetch.running ? json::value(fetch.from) : json::value(nullptr)},
                            {"error", fetch.trouble}});
    }
    return {{"files", known_.size()},
            {"missing", fetches_.size()},
            {"complete", looked_ && fetches_.empty()},
            {"endpoint", endpoint_},
            {"fetched_bytes", fetched_bytes_.value()},
            {"fetching", std::move(fetching)}};
}

}  // namespace nett::replication
