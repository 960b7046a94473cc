#include "builder/step_ca.hpp"

#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "agent/sdk/strings.hpp"
#include "builder/file.hpp"
#include "builder/process.hpp"
#include "builder/x509.hpp"

namespace nett::builder {
namespace {

constexpr std::size_t kMaxFileBytes = 1 << 20;

std::string settings_path(const std::string& folder) {
    return folder + "/step-ca.json";
}

std::string text_of(const boost::json::object& object, std::string_view name) {
    const auto* value = object.if_contains(name);
    return value != nullptr && value->is_string() ? std::string(value->get_string()) : std::string();
}

// step's own words, without its coloured list of settings and its advice on debugging.
std::string reason_of(const std::string& message) {
    std::string result;
    for (const std::string_view line : split(message, '\n')) {
        if (line.empty() || line.find('\x1b') != std::string_view::npos || line.starts_with("Re-run with")) continue;
        result += (result.empty() ? "" : " ") + std::string(trim(line));
    }
    return result.empty() ? message : result;
}

// What step says, turned into what the operator can do about it.
Error explain(Error error, const StepAuthority& authority) {
    error.message = reason_of(error.message);
    const auto says = [&](std::string_view words) { return error.message.find(words) != std::string::npos; };
    error.context = authority.url;
    if (says("connection refused") || says("no such host") || says("i/o timeout") || says("no route to host")) {
        error.code = Code::kUnavailable;
        error.message = "step-ca does not answer there; is it running? (" + error.message + ")";
    } else if (says("more than the authorized maximum")) {
        error.code = Code::kPermissionDenied;
        error.message =
            "the provisioner does not allow certificates that long: raise its maxTLSCertDuration, e.g. \"step "
            "ca provisioner update NAME --x509-max-dur=8760h\", or ask for fewer --days (" +
            error.message + ")";
    } else if (says("certificate signed by unknown authority") || says("failed to verify certificate")) {
        error.code = Code::kPermissionDenied;
        error.message = "step-ca's certificate does not chain to this folder's root.pem (" + error.message + ")";
    } else if (says("failed to decrypt") || says("lacked necessary authorization") || says("token is expired") ||
               says("do not match")) {
        error.code = Code::kPermissionDenied;
        error.message =
            "step-ca refused: is it the right password of the provisioner, or a token that is new and for "
            "this name? (" +
            error.message + ")";
    }
    return error;
}

std::vector<std::string> arguments_of(const StepAuthority& authority, const StepRequest& request,
                                      const WorkFolder& work) {
    std::vector<std::string> words{"step",
                                   "ca",
                                   "certificate",
                                   request.common_name,
                                   work.at("made.pem"),
                                   work.at("made.key"),
                                   "--ca-url",
                                   authority.url,
                                   "--root",
                                   request.folder + "/root.pem",
                                   "--kty",
                                   "EC",
                                   "--curve",
                                   "P-256",
                                   "--not-after",
                                   fmt::format("{}h", request.days * 24)};
    for (const Address6& address : request.addresses) {
        words.insert(words.end(), {"--san", address.to_string()});
    }
    if (!request.organizational_unit.empty()) {
        words.insert(words.end(), {"--set", "organizationalUnit=" + request.organizational_unit});
    }
    if (!request.token_file.empty()) return words;
    if (!authority.provisioner.empty()) words.insert(words.end(), {"--provisioner", authority.provisioner});
    words.insert(words.end(), {"--provisioner-password-file", authority.password_file});
    return words;
}

Result<void> check_made(const Credential& made, const StepRequest& request) {
    const auto chain = parse_certificates(made.certificate);
    if (!chain) return fail(chain.error());
    const std::string wanted = "OU=" + request.organizational_unit;
    if (!request.organizational_unit.empty() && chain->front().subject.find(wanted) == std::string::npos) {
        return fail(Code::kFailedPrecondition,
                    "step-ca left the organizational unit out: its provisioner's template has to take "
                    "{{{{ .Insecure.User.organizationalUnit }}}}");
    }
    return {};
}

}  // namespace

Result<std::optional<StepAuthority>> read_step_authority(const std::string& folder) {
    const std::string path = settings_path(folder);
    if (!file_exists(path)) return std::optional<StepAuthority>();
    const auto text = read_file(path, kMaxFileBytes);
    if (!text) return fail(text.error());
    boost::system::error_code code;
    const auto value = boost::json::parse(*text, code);
    if (code || !value.is_object() || text_of(value.get_object(), "url").empty()) {
        return fail(Error{Code::kInvalidArgument,
                          "is no JSON object with \"url\"; write it anew by \"pki step --force\"", path});
    }
    const auto& object = value.get_object();
    return StepAuthority{text_of(object, "url"), text_of(object, "provisioner"), text_of(object, "password_file")};
}

Result<std::vector<std::string>> use_step_authority(const std::string& folder, const StepAuthority& authority,
                                                    const std::string& root_file, bool force) {
    const auto root = read_file(root_file, kMaxFileBytes);
    if (!root) return fail(root.error());
    const auto parsed = parse_certificates(*root);
    if (!parsed) return fail(Error(parsed.error()).in(root_file));
    if (parsed->size() != 1 || !parsed->front().is_self_signed) {
        return fail(
            Error{Code::kInvalidArgument, "holds not one root: \"step ca root FILE\" writes the CA's", root_file});
    }
    if (file_exists(folder + "/root.key")) {
        return fail(Error{Code::kAlreadyExists, "this folder has a CA of its own: take another folder for step-ca's",
                          folder + "/root.key"});
    }
    if (file_exists(settings_path(folder)) && !force) {
        return fail(Error{Code::kAlreadyExists, "exists already; --force replaces it", settings_path(folder)});
    }
    const boost::json::object object{
        {"url", authority.url}, {"provisioner", authority.provisioner}, {"password_file", authority.password_file}};
    NETT_TRY(make_directories(folder));
    const std::vector<NewFile> files{{folder + "/root.pem", *root, kPublicMode},
                                     {folder + "/clients.pem", *root, kPublicMode},
                                     {settings_path(folder), boost::json::serialize(object) + "\n", kPublicMode}};
    NETT_TRY(write_files(files));
    return std::vector<std::string>{files[0].path, files[1].path, files[2].path};
}

Result<Credential> issue_by_step(const StepAuthority& authority, const StepRequest& request) {
    if (request.token_file.empty() && authority.password_file.empty()) {
        return fail(
            Code::kFailedPrecondition,
            "step-ca wants a token or a provisioner: give --token-file, or set the provisioner up by \"pki step "
            "--force --provisioner-password-file\"");
    }
    const auto work = WorkFolder::beside(request.folder + "/root.pem");
    if (!work) return fail(work.error());
    // A token on the command line would be seen by every user of this host.
    std::vector<std::string> environment{"STEPPATH=" + work->at("step"), "HOME=" + work->at("home"), "LC_ALL=C"};
    if (!request.token_file.empty()) {
        const auto token = read_file(request.token_file, kMaxFileBytes);
        if (!token) return fail(token.error());
        environment.push_back("STEP_TOKEN=" + std::string(trim(*token)));
    }
    auto done = run_tool(arguments_of(authority, request, *work), environment);
    if (!done && done.error().code == Code::kFailedPrecondition) return fail(std::move(done.error()));
    if (!done) return fail(explain(std::move(done.error()), authority));
    auto certificate = read_file(work->at("made.pem"), kMaxFileBytes);
    if (!certificate) return fail(std::move(certificate.error()));
    auto key = read_file(work->at("made.key"), kMaxFileBytes);
    if (!key) return fail(std::move(key.error()));
    Credential made{std::move(*certificate), std::move(*key)};
    NETT_TRY(check_made(made, request));
    return made;
}

}  // namespace nett::builder
