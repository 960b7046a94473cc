#include "builder/pki.hpp"

#include <algorithm>

#include <sys/stat.h>

#include "agent/sdk/strings.hpp"
#include "builder/authority.hpp"
#include "builder/file.hpp"
#include "builder/values.hpp"
#include "builder/x509.hpp"

namespace nett::builder {
namespace {

constexpr std::size_t kMaxPemBytes = 1 << 20;
// A tenant's certificate is judged by servers, whose clocks are right.
constexpr auto kClientMargin = std::chrono::hours(24);

using Days = std::chrono::duration<int, std::ratio<86400>>;

std::string file_of(const PkiRequest& request, std::string_view name) {
    return request.folder + "/" + std::string(name);
}

std::vector<std::string> paths_of(const std::vector<NewFile>& files) {
    std::vector<std::string> result;
    for (const NewFile& file : files) result.push_back(file.path);
    return result;
}

Result<void> refuse_existing(const std::vector<NewFile>& files, bool force, std::string_view remedy) {
    for (const NewFile& file : files) {
        if (!force && file_exists(file.path)) {
            return fail(Error{Code::kAlreadyExists, fmt::format("exists already; {}", remedy), file.path});
        }
    }
    return {};
}

Result<std::vector<std::string>> store(const std::vector<NewFile>& files) {
    NETT_TRY(write_files(files));
    return paths_of(files);
}

struct Root {
    Credential credential;
    KeyFamily family = KeyFamily::kP256;
    SystemTime not_after{};
};

Result<Credential> issue_server(const PkiRequest& request, const std::vector<Address6>& addresses, const Root& root) {
    CertificateSpec spec{CertificateRole::kServer, "nett metadata server", {}, addresses, root.family};
    spec.not_before = request.now - Days(request.backdate_days);
    spec.not_after = std::min<SystemTime>(request.now + Days(request.days), root.not_after);
    return issue(spec, root.credential);
}

std::vector<NewFile> server_files(const PkiRequest& request, const Credential& server, const Credential& root) {
    return {{file_of(request, "server.key"), server.key, kPrivateMode},
            {file_of(request, "server.pem"), server.certificate + root.certificate, kPublicMode}};
}

Result<Root> read_root(const PkiRequest& request) {
    auto certificate = read_file(file_of(request, "root.pem"), kMaxPemBytes);
    if (!certificate) {
        certificate.error().message += "; make the PKI with \"talos-fabric-builder pki init\"";
        return fail(std::move(certificate.error()));
    }
    auto key = read_file(file_of(request, "root.key"), kMaxPemBytes);
    if (!key) return fail(std::move(key.error()));
    auto parsed = parse_certificates(*certificate);
    if (!parsed) return fail(std::move(parsed.error()).in(file_of(request, "root.pem")));
    if (parsed->front().not_after <= request.now) {
        return fail(Error{Code::kFailedPrecondition, "the root has expired; make a new PKI and new images",
                          file_of(request, "root.pem")});
    }
    return Root{{std::move(*certificate), std::move(*key)}, parsed->front().key, parsed->front().not_after};
}

}  // namespace

Result<std::vector<std::string>> init_pki(const PkiRequest& request, const std::vector<Address6>& server_addresses,
                                          KeyFamily family) {
    CertificateSpec spec{CertificateRole::kRoot, "nett platform root", {}, {}, family};
    spec.not_before = request.now - Days(request.backdate_days);
    spec.not_after = request.now + Days(std::max(kRootDays, request.days));
    auto root = issue(spec, {});
    if (!root) return fail(std::move(root.error()));
    auto server = issue_server(request, server_addresses, {*root, family, spec.not_after});
    if (!server) return fail(std::move(server.error()));
    std::vector<NewFile> files{{file_of(request, "root.key"), root->key, kPrivateMode},
                               {file_of(request, "root.pem"), root->certificate, kPublicMode}};
    for (NewFile& file : server_files(request, *server, *root)) files.push_back(std::move(file));
    NETT_TRY(refuse_existing(files, request.force,
                             "\"pki server\" renews the server's certificate; --force makes a new root, after which "
                             "every image has to be made again"));
    NETT_TRY(make_directories(request.folder));
    return store(files);
}

Result<std::vector<std::string>> renew_server(const PkiRequest& request,
                                              const std::vector<Address6>& server_addresses) {
    auto root = read_root(request);
    if (!root) return fail(std::move(root.error()));
    auto server = issue_server(request, server_addresses, *root);
    if (!server) return fail(std::move(server.error()));
    return store(server_files(request, *server, root->credential));
}

namespace {

// <name>.pem and <name>.key of what `spec` describes.
Result<std::vector<std::string>> issue_named(const PkiRequest& request, const std::string& name, CertificateSpec spec) {
    NETT_TRY(check_name(name));
    if (name == "root" || name == "server") {
        return fail(Code::kInvalidArgument, "it cannot be named \"{}\": the PKI's own files are", name);
    }
    auto root = read_root(request);
    if (!root) return fail(std::move(root.error()));
    spec.family = root->family;
    spec.not_before = request.now - kClientMargin;
    spec.not_after = std::min<SystemTime>(request.now + Days(request.days), root->not_after);
    auto made = issue(spec, root->credential);
    if (!made) return fail(std::move(made.error()));
    const std::vector<NewFile> files{{file_of(request, name + ".key"), made->key, kPrivateMode},
                                     {file_of(request, name + ".pem"), made->certificate, kPublicMode}};
    NETT_TRY(refuse_existing(files, request.force, "--force replaces the key and the certificate"));
    return store(files);
}

}  // namespace

Result<std::vector<std::string>> issue_tenant(const PkiRequest& request, const TenantSubject& subject) {
    const std::string common_name = subject.common_name.empty() ? subject.name + ".boot.example" : subject.common_name;
    return issue_named(request, subject.name, {CertificateRole::kClient, common_name, subject.organizational_unit, {}});
}

Result<std::vector<std::string>> issue_api(const PkiRequest& request, const ApiSubject& subject) {
    const std::string common_name = subject.common_name.empty() ? subject.name : subject.common_name;
    const auto role = subject.addresses.empty() ? CertificateRole::kClient : CertificateRole::kAgent;
    return issue_named(request, subject.name, {role, common_name, {}, subject.addresses});
}

}  // namespace nett::builder
