#include "builder/fetch.hpp"

#include <cstdlib>
#include <filesystem>

#include "agent/sdk/strings.hpp"
#include "builder/artifact_upload.hpp"
#include "builder/file.hpp"
#include "builder/process.hpp"

namespace nett::builder {
namespace {

constexpr std::string_view kHttps = "https://";
constexpr std::string_view kHttp = "http://";
constexpr std::string_view kConnectSeconds = "15";
// A transfer slower than this for as long is given up, and can be gone on with.
constexpr std::string_view kSlowestBytesPerSecond = "1024";
constexpr std::string_view kSlowSeconds = "30";

std::string environment_value(const char* name) {
    const char* value = std::getenv(name);
    return value != nullptr ? value : "";
}

// Whoever needs a proxy for curl needs it for us.
std::vector<std::string> curl_environment() {
    std::vector<std::string> environment{"LC_ALL=C", "HOME=/nonexistent"};
    for (const char* name :
         {"http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", "no_proxy", "NO_PROXY"}) {
        const std::string value = environment_value(name);
        if (!value.empty()) environment.push_back(std::string(name) + "=" + value);
    }
    return environment;
}

std::vector<std::string> curl_arguments(const FetchRequest& request, const std::string& output) {
    const std::string protocols = request.url.starts_with(kHttps) ? "=https" : "=http,https";
    std::vector<std::string> words{"curl", "--fail", "--location", "--silent", "--show-error", "--globoff"};
    words.insert(words.end(), {"--proto", protocols, "--proto-redir", protocols, "--continue-at", "-"});
    words.insert(words.end(), {"--connect-timeout", std::string(kConnectSeconds), "--speed-limit",
                               std::string(kSlowestBytesPerSecond), "--speed-time", std::string(kSlowSeconds)});
    if (!request.ca_file.empty()) words.insert(words.end(), {"--cacert", request.ca_file});
    words.insert(words.end(), {"--output", output, request.url});
    return words;
}

Error explain(Error error, const FetchRequest& request) {
    const auto says = [&](std::string_view words) { return error.message.find(words) != std::string::npos; };
    error.context = request.url;
    if (error.code != Code::kInternal) return error;
    if (says("error: 404")) {
        error.code = Code::kNotFound;
        error.message = "the server has no such file (404): check version, architecture and schematic";
    } else if (says("curl: (60)")) {
        error.code = Code::kPermissionDenied;
        error.message = "the server's certificate is not trusted: give its CA by --url-ca (" + error.message + ")";
    } else if (says("curl: (23)")) {
        error.code = Code::kResourceExhausted;
        error.message = "cannot write to the cache: make room there or give another folder by --cache";
    } else {
        error.code = Code::kUnavailable;
        error.message += "; run the command again, it goes on where it stopped";
    }
    return error;
}

// Fetches into `part`, behind what is there. A server that cannot go on is asked for the whole.
Result<void> transfer(const FetchRequest& request, const std::string& part) {
    auto done = run_tool(curl_arguments(request, part), curl_environment());
    if (done || !file_exists(part)) return done;
    const std::string& message = done.error().message;
    const bool cannot_resume = message.find("curl: (33)") != std::string::npos ||
                               message.find("curl: (36)") != std::string::npos ||
                               message.find("error: 416") != std::string::npos;
    if (!cannot_resume) return done;
    std::filesystem::remove(part);
    return run_tool(curl_arguments(request, part), curl_environment());
}

std::string digest_of(const std::string& path) {
    const auto described = describe_file(path);
    return described ? described->sha256 : "";
}

Result<void> check_request(const FetchRequest& request, const std::string& name) {
    if (!is_url(request.url) || name.empty()) {
        return fail(Error{Code::kInvalidArgument, "is no URL of a file: expected https://HOST/.../FILE", request.url});
    }
    if (request.sha256.empty() && !request.url.starts_with(kHttps)) {
        return fail(Error{Code::kInvalidArgument,
                          "plain HTTP says nothing about who sends: give the file's SHA-256, or use https",
                          request.url});
    }
    return {};
}

}  // namespace

bool is_url(std::string_view text) {
    return text.starts_with(kHttps) || text.starts_with(kHttp);
}

Result<std::string> default_cache() {
    if (const auto cache = environment_value("XDG_CACHE_HOME"); !cache.empty()) return cache + "/talos-fabric-builder";
    if (const auto home = environment_value("HOME"); !home.empty()) return home + "/.cache/talos-fabric-builder";
    return fail(Code::kFailedPrecondition, "there is no home folder to keep downloads in: give a folder by --cache");
}

Result<std::string> fetch(const FetchRequest& request) {
    const std::string name = request.url.substr(request.url.rfind('/') + 1);
    NETT_TRY(check_request(request, name));
    auto cache = request.cache.empty() ? default_cache() : Result<std::string>(request.cache);
    if (!cache) return cache;
    // The same name of two versions is two files.
    const std::string folder = *cache + "/" + sha256_hex(request.url).substr(0, 16);
    NETT_TRY(make_directories(folder));
    std::string path = folder + "/" + name;
    if (!request.sha256.empty() && file_exists(path) && digest_of(path) == request.sha256) return path;
    const std::string part = path + ".part";
    if (auto done = transfer(request, part); !done) return fail(explain(std::move(done.error()), request));
    if (!request.sha256.empty()) {
        const std::string found = digest_of(part);
        if (found != request.sha256) {
            std::filesystem::remove(part);
            return fail(
                Error{Code::kDataLoss,
                      fmt::format("the server sent SHA-256 {}, not {}: the file is thrown away", found, request.sha256),
                      request.url});
        }
    }
    NETT_TRY(publish_file(part, path));
    return path;
}

}  // namespace nett::builder
