#include "plugins/metadata/artifacts.hpp"

#include <array>
#include <chrono>
#include <utility>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "plugins/metadata/limits.hpp"

namespace nett::metadata {

namespace {

Result<const ArtifactFile*> file_of(const ArtifactSet& set, const std::string& name) {
    if (const auto* file = find_file(set, name)) return file;
    return fail(Code::kNotFound, "artifact set \"{}\" has no file \"{}\"", set.name, name);
}

}  // namespace

Artifacts::Artifacts(Store& store, EventBus& events, asio::any_io_executor loop, asio::any_io_executor io,
                     std::string directory, ArtifactPeers* peers)
    : store_(store),
      events_(events),
      io_(io),
      peers_(peers),
      verifier_(std::move(directory),
                [this](const auto& sha256, bool damaged, const auto& reason) { report(sha256, damaged, reason); }),
      tasks_(loop, log_),
      signal_(loop) {}

Result<void> Artifacts::start() {
    NETT_TRY(rebuild());
    watch_ = store_.watch(std::string(kArtifactSetKind), [this](const Change&) {
        if (auto rebuilt = rebuild(); !rebuilt) {
            log_.error("cannot read the artifact sets; the known ones hold", {{"error", rebuilt.error()}});
        }
        signal_.cancel();
    });
    fetched_ = events_.subscribe("artifact.fetched", [this](const Event&) { signal_.cancel(); });
    verifier_.start();
    stopping_ = false;
    closed_ = false;
    tasks_.spawn(patrol());
    return {};
}

Awaitable<void> Artifacts::stop() {
    stopping_ = true;
    verifier_.stop();
    watch_.reset();
    fetched_.reset();
    signal_.cancel();
    closed_ = true;
    if (peers_ != nullptr) peers_->interrupt();
    co_await tasks_.join();
}

Result<void> Artifacts::rebuild() {
    auto records = store_.list(kArtifactSetKind);
    if (!records) return fail(std::move(records.error()));
    std::vector<ArtifactSet> sets;
    for (const auto& record : *records) {
        auto set = decode<ArtifactSet>(record.value);
        if (!set) return fail(std::move(set.error()).in("artifact set " + record.key));
        sets.push_back(std::move(*set));
    }
    table_.store(std::make_shared<const ArtifactTable>(std::move(sets)));
    return {};
}

// Files that are new or have changed are hashed at once, so that no machine has to wait for it; then one after another
// again and again, slowly.
Awaitable<void> Artifacts::patrol() {
    using Clock = std::chrono::steady_clock;
    std::string last;
    auto due = Clock::now() + kRehashPause;
    while (!stopping_) {
        const auto table = table_.load();
        for (const auto& [digest, file] : table->files()) {
            if (!stopping_) co_await check(file, false);
        }
        if (Clock::now() >= due && !stopping_) {
            const auto next = table->files().upper_bound(last);
            if (next == table->files().end()) {
                last.clear();
                due = Clock::now() + kRehashPause;
            } else {
                co_await check(next->second, true);
                last = next->first;
                due = Clock::now() + std::chrono::seconds(1 + next->second.size / kRehashBytesPerSecond);
            }
        }
        if (stopping_ || table != table_.load()) continue;
        signal_.expires_at(due);
        co_await signal_.async_wait(asio::as_tuple(asio::use_awaitable));
    }
}

// On an io thread. What comes of it is reported by the verifier.
Awaitable<void> Artifacts::check(ArtifactFile file, bool again) {
    auto work = again ? verifier_.verify(file.sha256, file.size) : verifier_.open(file.sha256, file.size);
    co_await asio::co_spawn(io_, std::move(work), asio::use_awaitable);
}

void Artifacts::report(const std::string& sha256, bool damaged, const std::string& reason) {
    verdicts_.fetch_add(1, std::memory_order_release);
    const auto names = names_of(sha256);
    if (damaged) {
        fetch_anew(sha256);
        log_.error("an artifact is damaged and not served", {{"files", names}, {"sha256", sha256}, {"reason", reason}});
    } else {
        log_.info("a damaged artifact is whole again", {{"files", names}, {"sha256", sha256}});
    }
    events_.publish({damaged ? "artifact.corrupt" : "artifact.restored",
                     names,
                     damaged ? reason : "it has its digest again",
                     {{"sha256", sha256}, {"files", names}, {"reason", reason}}});
}

void Artifacts::fetch_anew(const std::string& sha256) {
    const auto table = table_.load();
    const auto file = table->files().find(sha256);
    if (peers_ != nullptr && file != table->files().end()) peers_->fetch(sha256, file->second.size);
}

// "talos/vmlinuz, other/vmlinuz".
std::string Artifacts::names_of(const std::string& sha256) const {
    std::string out;
    const auto table = table_.load();
    for (const auto& [name, set] : table->sets()) {
        for (const auto& file : set.files) {
            if (file.sha256 == sha256) out += (out.empty() ? "" : ", ") + name + "/" + file.name;
        }
    }
    return out;
}

Result<std::shared_ptr<const ArtifactSet>> Artifacts::set(const std::string& name) const {
    const auto table = table_.load();
    if (const auto* known = table->find(name)) return std::shared_ptr<const ArtifactSet>(table, known);
    // The watch may be a moment behind a commit that its author has been told of.
    auto record = store_.get(kArtifactSetKind, name);
    if (!record) return fail(std::move(record.error()));
    if (!*record) return fail(Code::kNotFound, "no artifact set \"{}\"; see \"show artifacts\"", name);
    auto set = decode<ArtifactSet>((*record)->value);
    if (!set) return fail(std::move(set.error()).in("artifact set " + name));
    return std::make_shared<const ArtifactSet>(std::move(*set));
}

Awaitable<FileVerifier::OpenResult> Artifacts::open(ArtifactFile file) {
    auto opened = co_await verifier_.open(file.sha256, file.size);
    if (opened || !comes_from_peer(file.sha256, opened.error())) co_return opened;
    auto arriving = closed_ ? nullptr : peers_->fetch(file.sha256, file.size);
    if (!arriving) co_return opened;
    // An answer is begun when there is something to send.
    auto there = co_await arriving->wait(0);
    if (!there) co_return fail(std::move(there.error()));
    co_return OpenFile::arriving(std::move(arriving));
}

bool Artifacts::comes_from_peer(const std::string& sha256, const Error& why) const {
    return peers_ != nullptr && why.code == Code::kDataLoss && peers_->have(sha256);
}

Awaitable<Result<void>> Artifacts::prepare(std::shared_ptr<const ArtifactSet> set) {
    const std::array names{set->kernel, set->initramfs};
    for (const auto& name : names) {
        auto file = file_of(*set, name);
        if (!file) co_return fail(std::move(file.error()));
        auto opened = co_await verifier_.open((*file)->sha256, (*file)->size);
        if (opened) continue;
        if (!comes_from_peer((*file)->sha256, opened.error()))
            co_return fail(std::move(opened.error()).in(set->name + "/" + name));
    }
    co_return Result<void>{};
}

Result<void> Artifacts::check_bootable(const ArtifactSet& set) const {
    for (const auto& name : {set.kernel, set.initramfs}) {
        auto file = file_of(set, name);
        if (!file) return fail(std::move(file.error()));
        auto opened = verifier_.open_known((*file)->sha256, (*file)->size);
        if (!opened && !comes_from_peer((*file)->sha256, opened.error()))
            return fail(std::move(opened.error()).in(set.name + "/" + name));
    }
    return {};
}

Artifacts::Missing Artifacts::missing() const {
    Missing out;
    const auto table = table_.load();
    for (const auto& [name, set] : table->sets()) {
        for (const auto& file : set.files) {
            const auto trouble = verifier_.trouble(file.sha256, file.size);
            if (!trouble) continue;
            const bool arriving = peers_ != nullptr && peers_->have(file.sha256);
            (arriving ? out.arriving : out.lost).push_back(fmt::format("{}/{}: {}", name, file.name, *trouble));
        }
    }
    return out;
}

}  // namespace nett::metadata
