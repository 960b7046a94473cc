#include "builder/pki.hpp"

#include <algorithm>
#include <filesystem>
#include <optional>
#include <set>

#include "agent/sdk/model.hpp"
#include "agent/sdk/strings.hpp"
#include "builder/authority.hpp"
#include "builder/file.hpp"
#include "builder/step_ca.hpp"
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
    Credential credential;  // without a key when the CA is step-ca
    KeyFamily family = KeyFamily::kP256;
    SystemTime not_after{};
    std::optional<StepAuthority> step;
    std::string cross;  // while it takes over: itself signed by the old root, and the old root; PEM
    std::string old;
};

// The certificate of a spec, from the folder's own CA or from step-ca. Times are step-ca's business when that is asked.
Result<Credential> issue_from(const PkiRequest& request, const CertificateSpec& spec, const Root& root) {
    if (!root.step) return issue(spec, root.credential);
    return issue_by_step(*root.step, {request.folder, spec.common_name, spec.organizational_unit, spec.addresses,
                                      request.days, request.token_file});
}

Result<Credential> issue_server(const PkiRequest& request, const std::vector<Address6>& addresses, const Root& root) {
    CertificateSpec spec{CertificateRole::kServer, "nett metadata server", {}, addresses, root.family};
    spec.not_before = request.now - Days(request.backdate_days);
    spec.not_after = std::min<SystemTime>(request.now + Days(request.days), root.not_after);
    return issue_from(request, spec, root);
}

// What follows the server's certificate: the root, as iPXE wants it. While a root takes over, also the same root signed
// by the old one, and that: a client that trusts the new root stops at it, one that trusts the old root goes on.
std::string chain_of(const Root& root) {
    return root.credential.certificate + root.cross + root.old;
}

std::vector<NewFile> server_files(const PkiRequest& request, const Credential& server, const Root& root) {
    return {{file_of(request, "server.key"), server.key, kPrivateMode},
            {file_of(request, "server.pem"), server.certificate + chain_of(root), kPublicMode}};
}

Result<std::string> read_if_there(const std::string& path) {
    if (!file_exists(path)) return std::string();
    return read_file(path, kMaxPemBytes);
}

Result<Root> read_root(const PkiRequest& request) {
    Root root;
    auto step = read_step_authority(request.folder);
    if (!step) return fail(std::move(step.error()));
    root.step = std::move(*step);
    auto certificate = read_file(file_of(request, "root.pem"), kMaxPemBytes);
    if (!certificate) {
        certificate.error().message += "; make the PKI with \"talos-fabric-builder pki init\" or \"pki step\"";
        return fail(std::move(certificate.error()));
    }
    root.credential.certificate = std::move(*certificate);
    if (!root.step) {
        auto key = read_file(file_of(request, "root.key"), kMaxPemBytes);
        if (!key) return fail(std::move(key.error()));
        root.credential.key = std::move(*key);
    }
    for (const auto& [name, text] : {std::pair("root-cross.pem", &root.cross), std::pair("root-old.pem", &root.old)}) {
        auto read = read_if_there(file_of(request, name));
        if (!read) return fail(std::move(read.error()));
        *text = std::move(*read);
    }
    auto parsed = parse_certificates(root.credential.certificate);
    if (!parsed) return fail(std::move(parsed.error()).in(file_of(request, "root.pem")));
    root.family = parsed->front().key;
    root.not_after = parsed->front().not_after;
    if (root.not_after <= request.now) {
        return fail(Error{Code::kFailedPrecondition, "the root has expired; make a new PKI and new images",
                          file_of(request, "root.pem")});
    }
    return root;
}

CertificateSpec root_spec(const PkiRequest& request, std::string name, KeyFamily family) {
    CertificateSpec spec{CertificateRole::kRoot, std::move(name), {}, {}, family};
    spec.not_before = request.now - Days(request.backdate_days);
    spec.not_after = request.now + Days(std::max(kRootDays, request.days));
    return spec;
}

// What a root that has been taken over from leaves.
void remove_old_root(const PkiRequest& request) {
    for (const char* name : {"root-old.key", "root-old.pem", "root-cross.pem"}) {
        std::error_code ignored;
        std::filesystem::remove(file_of(request, name), ignored);
    }
}

// The folder's certificates that are still of the old root, by their files' names.
Result<std::vector<std::string>> left_behind(const PkiRequest& request, const Certificate& old) {
    std::vector<std::string> names;
    std::error_code code;
    for (const auto& entry : std::filesystem::directory_iterator(request.folder, code)) {
        const std::string name = entry.path().filename();
        if (!name.ends_with(".pem") || name.starts_with("root") || name == "clients.pem") continue;
        const auto text = read_file(entry.path(), kMaxPemBytes);
        if (!text) return fail(text.error());
        const auto chain = parse_certificates(*text);
        if (chain && chain->front().issuer == old.subject && chain->front().not_after > request.now)
            names.push_back(name);
    }
    std::sort(names.begin(), names.end());
    return names;
}

// The first certificate of a PEM text, as text.
std::string first_of(const std::string& pem) {
    constexpr std::string_view kEnd = "-----END CERTIFICATE-----\n";
    const std::size_t end = pem.find(kEnd);
    return end == std::string::npos ? pem : pem.substr(0, end + kEnd.size());
}

}  // namespace

Result<std::vector<std::string>> init_pki(const PkiRequest& request, const std::vector<Address6>& server_addresses,
                                          KeyFamily family) {
    const CertificateSpec spec = root_spec(request, "nett platform root", family);
    auto made = issue(spec, {});
    if (!made) return fail(std::move(made.error()));
    const Root root{std::move(*made), family, spec.not_after, {}, {}, {}};
    auto server = issue_server(request, server_addresses, root);
    if (!server) return fail(std::move(server.error()));
    std::vector<NewFile> files{{file_of(request, "root.key"), root.credential.key, kPrivateMode},
                               {file_of(request, "root.pem"), root.credential.certificate, kPublicMode},
                               {file_of(request, "clients.pem"), root.credential.certificate, kPublicMode}};
    for (NewFile& file : server_files(request, *server, root)) files.push_back(std::move(file));
    NETT_TRY(refuse_existing(files, request.force,
                             "\"pki server\" renews the server's certificate, \"pki rotate\" replaces the root step by "
                             "step; --force makes a new root, after which every image has to be made again"));
    NETT_TRY(make_directories(request.folder));
    auto written = store(files);
    if (written) remove_old_root(request);
    return written;
}

Result<std::vector<std::string>> renew_server(const PkiRequest& request,
                                              const std::vector<Address6>& server_addresses) {
    auto root = read_root(request);
    if (!root) return fail(std::move(root.error()));
    auto server = issue_server(request, server_addresses, *root);
    if (!server) return fail(std::move(server.error()));
    return store(server_files(request, *server, *root));
}

namespace {

// <name>.pem and <name>.key of what `spec` describes.
Result<std::vector<std::string>> issue_named(const PkiRequest& request, const std::string& name, CertificateSpec spec) {
    NETT_TRY(check_name(name));
    static const std::set<std::string> kOwn{"root", "server", "clients", "root-old", "root-cross"};
    if (kOwn.contains(name)) {
        return fail(Code::kInvalidArgument, "it cannot be named \"{}\": the PKI's own files are", name);
    }
    auto root = read_root(request);
    if (!root) return fail(std::move(root.error()));
    spec.family = root->family;
    spec.not_before = request.now - kClientMargin;
    spec.not_after = std::min<SystemTime>(request.now + Days(request.days), root->not_after);
    const std::vector<NewFile> existing{{file_of(request, name + ".key"), {}}, {file_of(request, name + ".pem"), {}}};
    NETT_TRY(refuse_existing(existing, request.force, "--force replaces the key and the certificate"));
    auto made = issue_from(request, spec, *root);
    if (!made) return fail(std::move(made.error()));
    const std::vector<NewFile> files{{file_of(request, name + ".key"), made->key, kPrivateMode},
                                     {file_of(request, name + ".pem"), made->certificate, kPublicMode}};
    return store(files);
}

}  // namespace

Result<std::vector<std::string>> start_rotation(const PkiRequest& request,
                                                const std::vector<Address6>& server_addresses) {
    auto old = read_root(request);
    if (!old) return fail(std::move(old.error()));
    if (old->step) return fail(Code::kFailedPrecondition, "the CA is step-ca: its root is rotated there");
    if (!old->old.empty()) {
        return fail(Error{Code::kFailedPrecondition, "a rotation is under way: end it by --finish",
                          file_of(request, "root-old.pem")});
    }
    // A name of its own: chains are built by names.
    const CertificateSpec spec = root_spec(request, "nett platform root " + to_rfc3339(request.now), old->family);
    auto made = issue(spec, {});
    if (!made) return fail(std::move(made.error()));
    auto cross = cross_sign(*made, old->credential);
    if (!cross) return fail(std::move(cross.error()));
    const Root root{std::move(*made), old->family, spec.not_after, {}, std::move(*cross), old->credential.certificate};
    auto server = issue_server(request, server_addresses, root);
    if (!server) return fail(std::move(server.error()));
    // The old root first: renames that stop half-way lose no key.
    std::vector<NewFile> files{{file_of(request, "root-old.key"), old->credential.key, kPrivateMode},
                               {file_of(request, "root-old.pem"), root.old, kPublicMode},
                               {file_of(request, "root-cross.pem"), root.cross, kPublicMode},
                               {file_of(request, "clients.pem"), root.credential.certificate + root.old, kPublicMode},
                               {file_of(request, "root.key"), root.credential.key, kPrivateMode},
                               {file_of(request, "root.pem"), root.credential.certificate, kPublicMode}};
    for (NewFile& file : server_files(request, *server, root)) files.push_back(std::move(file));
    return store(files);
}

Result<std::vector<std::string>> finish_rotation(const PkiRequest& request) {
    auto root = read_root(request);
    if (!root) return fail(std::move(root.error()));
    if (root->old.empty()) {
        return fail(
            Error{Code::kFailedPrecondition, "no rotation is under way: \"pki rotate\" starts one", request.folder});
    }
    const auto old = parse_certificates(root->old);
    if (!old) return fail(Error(old.error()).in(file_of(request, "root-old.pem")));
    const auto left = left_behind(request, old->front());
    if (!left) return fail(left.error());
    if (!left->empty() && !request.force) {
        return fail(
            Error{Code::kFailedPrecondition,
                  fmt::format("still of the old root: {}; issue them anew and make new images, or let them go by "
                              "--force",
                              fmt::join(*left, ", ")),
                  request.folder});
    }
    auto server = read_file(file_of(request, "server.pem"), kMaxPemBytes);
    if (!server) return fail(std::move(server.error()));
    auto written =
        store({{file_of(request, "server.pem"), first_of(*server) + root->credential.certificate, kPublicMode},
               {file_of(request, "clients.pem"), root->credential.certificate, kPublicMode}});
    if (written) remove_old_root(request);
    return written;
}

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
