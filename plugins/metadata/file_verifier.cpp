#include "plugins/metadata/file_verifier.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include <openssl/evp.h>
#include <boost/asio/async_result.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "agent/sdk/free_with.hpp"
#include "agent/sdk/strings.hpp"
#include "plugins/metadata/limits.hpp"

namespace nett::metadata {

namespace {

// The digest becomes a path.
bool is_digest(const std::string& text) {
    return text.size() == 64 && std::all_of(text.begin(), text.end(),
                                            [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

using Digest = std::unique_ptr<EVP_MD_CTX, FreeWith<EVP_MD_CTX_free>>;

}  // namespace

FileVerifier::OpenResult FileVerifier::open_plain(const std::string& sha256, std::uint64_t size) const {
    if (!is_digest(sha256)) return fail(Code::kDataLoss, "the record of an artifact has no digest");
    auto opened = OpenFile::open(directory_ + "/sha256/" + sha256, size);
    // It is in a record: that it is absent is a loss, not a client's mistake.
    if (!opened && opened.error().code == Code::kNotFound) opened.error().code = Code::kDataLoss;
    return opened;
}

// kUnavailable: not hashed as it is now.
Result<void> FileVerifier::verdict(const std::string& sha256, const FileIdentity& identity) const {
    const std::lock_guard lock(mutex_);
    const auto entry = entries_.find(sha256);
    if (entry == entries_.end() || !entry->second.known || entry->second.identity != identity) {
        return fail(Code::kUnavailable, "{} is not verified yet", sha256);
    }
    if (entry->second.damage.empty()) return {};
    return fail(Code::kDataLoss, "{}", entry->second.damage);
}

FileVerifier::OpenResult FileVerifier::open_known(const std::string& sha256, std::uint64_t size) const {
    auto file = open_plain(sha256, size);
    if (!file) return file;
    NETT_TRY(verdict(sha256, (*file)->identity()));
    return file;
}

std::optional<std::string> FileVerifier::trouble(const std::string& sha256, std::uint64_t size) const {
    const auto file = open_known(sha256, size);
    if (file || file.error().code == Code::kUnavailable) return std::nullopt;
    return file.error().message;
}

Awaitable<FileVerifier::OpenResult> FileVerifier::open(std::string sha256, std::uint64_t size) {
    for (;;) {
        auto known = open_known(sha256, size);
        if (known || known.error().code != Code::kUnavailable) co_return known;
        const bool mine = co_await begin(sha256);
        if (!mine) continue;  // somebody else has hashed it: look again
        co_return co_await judge(sha256, size);
    }
}

Awaitable<FileVerifier::OpenResult> FileVerifier::verify(std::string sha256, std::uint64_t size) {
    const bool mine = co_await begin(sha256);
    if (!mine) co_return co_await open(std::move(sha256), size);
    co_return co_await judge(sha256, size);
}

// After begin(): hashes, and ends what begin() began.
Awaitable<FileVerifier::OpenResult> FileVerifier::judge(const std::string& sha256, std::uint64_t size) {
    auto file = open_plain(sha256, size);
    if (!file) {
        finish(sha256, {}, std::string());
        co_return file;
    }
    const auto found = co_await hash(*file);
    finish(sha256, (*file)->identity(), found);
    if (!found) co_return fail(Error(found.error()));
    auto known = verdict(sha256, (*file)->identity());
    if (!known) co_return fail(std::move(known.error()));
    co_return file;
}

Awaitable<bool> FileVerifier::begin(const std::string& sha256) {
    const auto executor = co_await asio::this_coro::executor;
    {
        const std::lock_guard lock(mutex_);
        if (!std::exchange(entries_[sha256].hashing, true)) co_return true;
    }
    auto wait = [this, executor, &sha256](auto handler) {
        const std::lock_guard lock(mutex_);
        auto& entry = entries_[sha256];
        if (entry.hashing) {
            entry.waiting.push_back({executor, std::move(handler)});
        } else {  // done in between
            asio::post(executor, std::move(handler));
        }
    };
    co_await asio::async_initiate<const asio::use_awaitable_t<>, void()>(wait, asio::use_awaitable);
    co_return false;
}

// `found` is the digest that the bytes have, empty when the file is gone; an error when they could not be read, of
// which kUnavailable says nothing about the file.
void FileVerifier::finish(const std::string& sha256, const FileIdentity& identity, const Result<std::string>& found) {
    const bool read = !found || !found->empty();
    const bool judged = read && (found || found.error().code != Code::kUnavailable);
    std::vector<Waiter> waiting;
    bool was_damaged = false;
    std::string damage;
    {
        const std::lock_guard lock(mutex_);
        auto& entry = entries_[sha256];
        entry.hashing = false;
        waiting = std::exchange(entry.waiting, {});
        was_damaged = !entry.damage.empty();
        if (judged) {
            if (!found) {
                entry.damage = found.error().message;
            } else if (*found != sha256) {
                entry.damage = fmt::format("its bytes have SHA-256 {}; import the artifact set again", *found);
            } else {
                entry.damage.clear();
            }
            entry.known = true;
            entry.identity = identity;
        }
        damage = entry.damage;
    }
    for (auto& waiter : waiting) asio::post(waiter.executor, std::move(waiter.resume));
    if (was_damaged != !damage.empty()) report_(sha256, !damage.empty(), damage);
}

Awaitable<Result<std::string>> FileVerifier::hash(std::shared_ptr<const OpenFile> file) const {
    const auto executor = co_await asio::this_coro::executor;
    Digest digest(EVP_MD_CTX_new());
    if (!digest || EVP_DigestInit_ex(digest.get(), EVP_sha256(), nullptr) != 1) {
        co_return fail(Code::kInternal, "OpenSSL has no SHA-256");
    }
    std::vector<char> buffer(kHashSliceBytes);
    for (std::uint64_t offset = 0;;) {
        if (stopping_) co_return fail(Code::kUnavailable, "the service is stopping");
        const auto got = file->read_at(offset, buffer.data(), buffer.size());
        if (!got) co_return fail(Error(got.error()));
        EVP_DigestUpdate(digest.get(), buffer.data(), *got);
        offset += *got;
        if (*got < buffer.size()) break;
        co_await asio::post(executor, asio::use_awaitable);
    }
    std::array<unsigned char, EVP_MAX_MD_SIZE> bytes{};
    unsigned int size = 0;
    EVP_DigestFinal_ex(digest.get(), bytes.data(), &size);
    co_return to_hex(std::string_view(reinterpret_cast<const char*>(bytes.data()), size));
}

}  // namespace nett::metadata
