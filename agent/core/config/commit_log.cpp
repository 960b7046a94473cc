#include "agent/core/config/commit_log.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <functional>

#include <sys/stat.h>
#include <unistd.h>

#include <boost/json.hpp>

#include "agent/core/config/candidate.hpp"
#include "agent/sdk/model.hpp"
#include "agent/sdk/strings.hpp"

namespace nett {

namespace {

namespace json = boost::json;

constexpr std::size_t kLargestFile = 8U << 20U;  // a configuration and its fallback
constexpr std::string_view kSuffix = ".conf";
constexpr std::string_view kUnconfirmed = "/unconfirmed";
constexpr mode_t kFolderMode = 0700;

tl::unexpected<Error> system_error(std::string_view what, const std::string& path) {
    const int number = errno;
    return fail(Error{Code::kUnavailable, fmt::format("cannot {}: {}", what, std::strerror(number)), path});
}

// "! actor unix:root" → "unix:root".
std::string heading(std::string_view text, std::string_view name) {
    const auto line = fmt::format("! {} ", name);
    for (const auto one : split(text, '\n')) {
        if (!one.starts_with('!')) break;
        if (one.starts_with(line)) return std::string(one.substr(line.size()));
    }
    return {};
}

std::string_view behind_headings(std::string_view text) {
    while (text.starts_with("! ")) {
        const auto end = text.find('\n');
        text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    }
    return text;
}

}  // namespace

Result<CommitLog> CommitLog::open(std::string folder) {
    if (::mkdir(folder.c_str(), kFolderMode) != 0 && errno != EEXIST) return system_error("make the folder", folder);
    return CommitLog(std::move(folder));
}

std::string CommitLog::path_of(std::uint64_t revision) const {
    return fmt::format("{}/{}{}", folder_, revision, kSuffix);
}

std::vector<std::uint64_t> CommitLog::revisions() const {
    std::vector<std::uint64_t> out;
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator(folder_, error)) {
        const auto name = entry.path().filename().string();
        if (!name.ends_with(kSuffix)) continue;
        const auto number = parse_integer(std::string_view(name).substr(0, name.size() - kSuffix.size()), 1, INT64_MAX);
        if (number) out.push_back(static_cast<std::uint64_t>(*number));
    }
    std::sort(out.begin(), out.end(), std::greater<>());
    return out;
}

std::vector<CommitRecord> CommitLog::load() const {
    std::vector<CommitRecord> out;
    for (const auto revision : revisions()) {
        if (out.size() == kKeptCommits) break;
        const auto text = read_file(path_of(revision), kLargestFile);
        if (!text) continue;
        const auto time = parse_rfc3339(heading(*text, "time"));
        out.push_back(
            {revision, time ? *time : SystemTime{}, heading(*text, "actor"), std::string(behind_headings(*text))});
    }
    return out;
}

Result<void> CommitLog::append(const CommitRecord& record) const {
    std::string actor = record.actor;
    std::replace(actor.begin(), actor.end(), '\n', ' ');
    NETT_TRY(write_private_file(path_of(record.revision),
                                fmt::format("! revision {}\n! time {}\n! actor {}\n{}", record.revision,
                                            to_rfc3339(record.time), actor, record.text)));
    const auto kept = revisions();
    for (auto i = kKeptCommits; i < kept.size(); ++i) ::unlink(path_of(kept[i]).c_str());
    return {};
}

Result<std::optional<Unconfirmed>> CommitLog::unconfirmed() const {
    const auto path = folder_ + std::string(kUnconfirmed);
    auto text = read_file(path, kLargestFile);
    if (!text && text.error().code == Code::kNotFound) return std::nullopt;
    if (!text) return fail(std::move(text.error()));
    try {
        const auto object = json::parse(*text).as_object();
        const auto deadline = parse_rfc3339(json::value_to<std::string>(object.at("deadline")));
        if (!deadline) return fail(Error{Code::kDataLoss, "has no deadline; remove it", path});
        return Unconfirmed{object.at("revision").to_number<std::uint64_t>(), *deadline,
                           json::value_to<std::string>(object.at("actor")),
                           json::value_to<std::string>(object.at("fallback"))};
    } catch (const std::exception& error) {
        return fail(Error{Code::kDataLoss, fmt::format("makes no sense ({}); remove it", error.what()), path});
    }
}

Result<void> CommitLog::set_unconfirmed(const Unconfirmed& pending) const {
    const json::object object{{"revision", pending.revision},
                              {"deadline", to_rfc3339(pending.deadline)},
                              {"actor", pending.actor},
                              {"fallback", pending.fallback}};
    return write_private_file(folder_ + std::string(kUnconfirmed), json::serialize(object) + "\n");
}

Result<void> CommitLog::clear_unconfirmed() const {
    const auto path = folder_ + std::string(kUnconfirmed);
    if (::unlink(path.c_str()) != 0 && errno != ENOENT) return system_error("remove", path);
    return {};
}

}  // namespace nett
