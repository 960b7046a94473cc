// pki status: what expires when.
#include <memory>

#include <boost/json/array.hpp>

#include "agent/sdk/model.hpp"
#include "builder/outcome.hpp"
#include "builder/pki_status.hpp"

namespace nett::builder {
namespace {

struct Options {
    std::vector<std::string> paths;
    int days = kDefaultWarningDays;
};

std::string row_of(const StatusEntry& entry) {
    const std::string until = entry.validity == Validity::kUnreadable ? std::string("-") : to_rfc3339(entry.not_after);
    return fmt::format("{:<13} {:<24} {:<18} {}{}{}\n", to_string(entry.validity), until, entry.kind, entry.path,
                       entry.subject.empty() ? "" : "  " + entry.subject,
                       entry.detail.empty() ? "" : "  (" + entry.detail + ")");
}

boost::json::object json_of(const StatusEntry& entry) {
    boost::json::object object{{"path", entry.path}, {"state", to_string(entry.validity)}};
    if (entry.validity != Validity::kUnreadable) {
        object["kind"] = entry.kind;
        object["subject"] = entry.subject;
        object["not_before"] = to_rfc3339(entry.not_before);
        object["not_after"] = to_rfc3339(entry.not_after);
    }
    if (!entry.detail.empty()) object["detail"] = entry.detail;
    return object;
}

Outcome report(const Options& options) {
    Outcome outcome;
    boost::json::array entries;
    std::size_t bad = 0;
    const auto found =
        pki_status(options.paths, std::chrono::system_clock::now(), std::chrono::hours(24) * options.days);
    outcome.text = fmt::format("{:<13} {:<24} {:<18} {}\n", "STATE", "VALID UNTIL", "KIND", "FILE");
    for (const StatusEntry& entry : found) {
        outcome.text += row_of(entry);
        entries.push_back(json_of(entry));
        if (entry.validity != Validity::kGood) ++bad;
    }
    outcome.json["entries"] = std::move(entries);
    if (found.empty()) outcome.errors.push_back({Code::kNotFound, "no certificate and no image is there", {}});
    if (bad > 0) {
        outcome.errors.push_back(
            {Code::kFailedPrecondition,
             fmt::format("{} of {} are not valid for {} more days: renew them", bad, found.size(), options.days),
             {}});
    }
    return outcome;
}

}  // namespace

void add_pki_status_command(CLI::App& pki, Invocation& invocation) {
    CLI::App* status = pki.add_subcommand(
        "status", "List certificates and images with their expiry; exit status 1 when something is about to expire");
    auto options = std::make_shared<Options>();
    status->add_option("PATH", options->paths, "Folders, PEM files and images")->required();
    status->add_option("--warn-days", options->days, "What expires within as many days counts as about to")
        ->default_val(kDefaultWarningDays)
        ->check(CLI::Range(0, 3650));
    status->callback([&invocation, options] { invocation.action = [options] { return report(*options); }; });
}

}  // namespace nett::builder
