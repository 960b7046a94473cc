#include "builder/pki_status.hpp"

#include <algorithm>
#include <filesystem>
#include <set>

#include "agent/sdk/strings.hpp"
#include "builder/inspect.hpp"
#include "builder/x509.hpp"

namespace nett::builder {
namespace {

constexpr std::size_t kMaxPemBytes = 1 << 20;

std::string lower_extension(const std::filesystem::path& path) {
    std::string text = path.extension();
    std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return std::tolower(c); });
    return text;
}

bool is_pem(const std::filesystem::path& path) {
    const std::string extension = lower_extension(path);
    return extension == ".pem" || extension == ".crt";
}

bool is_image(const std::filesystem::path& path) {
    const std::string extension = lower_extension(path);
    return extension == ".img" || extension == ".iso" || extension == ".efi";
}

std::string kind_of(const Certificate& certificate) {
    if (certificate.is_authority) return certificate.is_self_signed ? "root" : "intermediate";
    if (certificate.for_server) return certificate.for_client ? "server and client" : "server";
    return "client";
}

class Survey {
public:
    Survey(SystemTime now, std::chrono::hours warning) : now_(now), warning_(warning) {}

    void add(const std::filesystem::path& path, bool given) {
        std::error_code code;
        if (std::filesystem::is_directory(path, code)) return add_folder(path);
        const auto added = is_image(path) ? add_image(path) : add_pem(path);
        if (!added && given) unreadable(path, added.error());
    }

    std::vector<StatusEntry> take() { return std::move(entries_); }

private:
    void add_folder(const std::filesystem::path& folder) {
        std::error_code code;
        std::vector<std::filesystem::path> paths;
        for (auto it = std::filesystem::recursive_directory_iterator(
                 folder, std::filesystem::directory_options::skip_permission_denied, code);
             !code && it != std::filesystem::recursive_directory_iterator(); it.increment(code)) {
            if (it->is_regular_file(code) && (is_pem(it->path()) || is_image(it->path()))) paths.push_back(it->path());
        }
        if (code) unreadable(folder, {Code::kPermissionDenied, code.message(), {}});
        std::sort(paths.begin(), paths.end());
        for (const auto& path : paths) add(path, false);
    }

    // Each certificate once, where it is found first, the leaf of a chain always.
    Result<void> add_pem(const std::filesystem::path& path) {
        const auto text = read_file(path, kMaxPemBytes);
        if (!text) {
            unreadable(path, text.error());
            return {};
        }
        const auto chain = parse_certificates(*text);
        if (!chain) return fail(chain.error());
        for (std::size_t i = 0; i < chain->size(); ++i) {
            const Certificate& one = (*chain)[i];
            if (!seen_.insert(one.der).second && i > 0) continue;
            entries_.push_back({path,
                                kind_of(one),
                                one.subject,
                                one.not_before,
                                one.not_after,
                                validity_at(one.not_before, one.not_after, now_, warning_),
                                {}});
        }
        return {};
    }

    Result<void> add_image(const std::filesystem::path& path) {
        const auto facts = inspect_image(path);
        if (!facts) return fail(facts.error());
        const SystemTime until = std::min(facts->tenant.not_after, facts->trust_anchor_expires);
        entries_.push_back({path, "image " + facts->medium, facts->tenant.subject, facts->tenant.not_before, until,
                            validity_at(facts->tenant.not_before, until, now_, warning_), "asks " + facts->server});
        return {};
    }

    void unreadable(const std::filesystem::path& path, const Error& error) {
        entries_.push_back({path, "", "", {}, {}, Validity::kUnreadable, error.message});
    }

    SystemTime now_;
    std::chrono::hours warning_;
    std::set<std::string> seen_;
    std::vector<StatusEntry> entries_;
};

}  // namespace

std::string_view to_string(Validity validity) {
    switch (validity) {
        case Validity::kGood:
            return "valid";
        case Validity::kExpiring:
            return "expiring";
        case Validity::kExpired:
            return "expired";
        case Validity::kNotYetValid:
            return "not-yet-valid";
        case Validity::kUnreadable:
            break;
    }
    return "unreadable";
}

Validity validity_at(SystemTime not_before, SystemTime not_after, SystemTime now, std::chrono::hours warning) {
    if (not_after <= now) return Validity::kExpired;
    if (not_before > now) return Validity::kNotYetValid;
    return not_after - now < warning ? Validity::kExpiring : Validity::kGood;
}

std::vector<StatusEntry> pki_status(const std::vector<std::string>& paths, SystemTime now, std::chrono::hours warning) {
    Survey survey(now, warning);
    for (const std::string& path : paths) survey.add(path, true);
    return survey.take();
}

}  // namespace nett::builder
