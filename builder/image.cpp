#include "builder/image.hpp"

#include <csignal>

#include "agent/sdk/model.hpp"
#include "agent/sdk/strings.hpp"
#include "builder/boot_script.hpp"
#include "builder/disk_image.hpp"
#include "builder/file.hpp"
#include "builder/ipxe_binary.hpp"
#include "builder/x509.hpp"

namespace nett::builder {
namespace {

constexpr std::size_t kMaxPemBytes = 1 << 20;
constexpr std::size_t kMaxIpxeBytes = 16 << 20;
constexpr std::size_t kMaxImageBytes = 256 << 20;
constexpr auto kExpiryWarning = std::chrono::hours(24 * 30);

// Holds ^C back while work folders with a key in them exist: the tool that runs ends by it, so the build fails and
// cleans up, and the signal is delivered after that.
class HeldSignals {
public:
    HeldSignals() {
        sigset_t set;
        sigemptyset(&set);
        for (const int number : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&set, number);
        ::pthread_sigmask(SIG_BLOCK, &set, &before_);
    }
    HeldSignals(const HeldSignals&) = delete;
    HeldSignals& operator=(const HeldSignals&) = delete;
    ~HeldSignals() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

private:
    sigset_t before_{};
};

struct Inputs {
    std::vector<Certificate> chain;  // leaf first
    Certificate root;
    PrivateKey key;
    IpxeBinary ipxe;
    std::string binary;  // with the platform's trust anchor
};

Result<std::vector<Certificate>> read_certificates(const std::string& path) {
    const auto pem = read_file(path, kMaxPemBytes);
    if (!pem) return fail(pem.error());
    auto certificates = parse_certificates(*pem);
    if (!certificates) return fail(std::move(certificates.error()).in(path));
    return certificates;
}

Result<Certificate> read_root(const std::string& path) {
    auto certificates = read_certificates(path);
    if (!certificates) return fail(std::move(certificates.error()));
    if (certificates->size() != 1) {
        return fail(
            Error{Code::kInvalidArgument,
                  fmt::format("holds {} certificates; iPXE's binary has room for one trust anchor: give the root alone",
                              certificates->size()),
                  path});
    }
    if (!certificates->front().is_authority) {
        return fail(Error{Code::kInvalidArgument,
                          fmt::format("{} is no certificate authority", certificates->front().subject), path});
    }
    return std::move(certificates->front());
}

Result<PrivateKey> read_key(const ImageRequest& request, const Certificate& leaf) {
    const auto pem = read_file(request.key_file, kMaxPemBytes);
    if (!pem) return fail(pem.error());
    const auto matches = key_matches(*pem, leaf);
    if (!matches) return fail(Error(matches.error()).in(request.key_file));
    if (!*matches) {
        return fail(
            Error{Code::kInvalidArgument,
                  fmt::format("is not the key of the certificate {} in {}", leaf.subject, request.certificate_file),
                  request.key_file});
    }
    auto key = parse_private_key(*pem);
    if (!key) return fail(std::move(key.error()).in(request.key_file));
    return key;
}

Result<void> check_leaf(const Certificate& leaf, SystemTime now) {
    if (leaf.is_authority || !leaf.for_client) {
        return fail(Code::kInvalidArgument, "{} is not for TLS clients (extended key usage clientAuth)", leaf.subject);
    }
    if (leaf.not_after <= now) {
        return fail(Code::kInvalidArgument, "the certificate expired on {}: issue a new one",
                    to_rfc3339(leaf.not_after));
    }
    return {};
}

Result<void> check_families(const Inputs& inputs) {
    NETT_TRY(check_key_family(inputs.ipxe, inputs.root.key));
    const bool rsa = inputs.root.key == KeyFamily::kRsa;
    for (const Certificate& certificate : inputs.chain) {
        NETT_TRY(check_key_family(inputs.ipxe, certificate.key));
        if ((certificate.key == KeyFamily::kRsa) != rsa) {
            return fail(Code::kInvalidArgument, "{} has an {} key under an {} root; iPXE needs one family in the chain",
                        certificate.subject, to_string(certificate.key), to_string(inputs.root.key));
        }
    }
    return {};
}

Result<std::string> read_ipxe(const ImageRequest& request) {
    auto binary = read_file(request.ipxe_file, kMaxIpxeBytes);
    if (!binary && binary.error().code == Code::kNotFound) {
        binary.error().message += "; Debian's package ipxe has it as /usr/lib/ipxe/ipxe-amd64.efi";
    }
    return binary;
}

Result<Inputs> read_inputs(const ImageRequest& request) {
    Inputs inputs;
    auto chain = read_certificates(request.certificate_file);
    if (!chain) return fail(std::move(chain.error()));
    inputs.chain = std::move(*chain);
    auto root = read_root(request.root_file);
    if (!root) return fail(std::move(root.error()));
    inputs.root = std::move(*root);
    auto key = read_key(request, inputs.chain.front());
    if (!key) return fail(std::move(key.error()));
    inputs.key = std::move(*key);
    if (auto good = check_leaf(inputs.chain.front(), request.now); !good)
        return fail(std::move(good.error()).in(request.certificate_file));
    if (auto good = verify_chain(inputs.chain, inputs.root); !good)
        return fail(std::move(good.error()).in(request.certificate_file));
    auto binary = read_ipxe(request);
    if (!binary) return fail(std::move(binary.error()));
    auto ipxe = inspect_ipxe(*binary);
    if (!ipxe) return fail(std::move(ipxe.error()).in(request.ipxe_file));
    inputs.ipxe = std::move(*ipxe);
    if (auto good = check_families(inputs); !good) return fail(std::move(good.error()).in(request.certificate_file));
    auto patched = replace_trust_anchor(std::move(*binary), inputs.root.sha256());
    if (!patched) return fail(std::move(patched.error()).in(request.ipxe_file));
    inputs.binary = std::move(*patched);
    return inputs;
}

std::vector<EspFile> esp_files(const ImageRequest& request, const Inputs& inputs) {
    BootScript script;
    script.server = request.server;
    script.private_key = inputs.key.der;
    script.certificates.push_back(inputs.root.der);
    for (auto it = inputs.chain.rbegin(); it != inputs.chain.rend(); ++it) {
        if (it->der != inputs.root.der) script.certificates.push_back(it->der);
    }
    return {{"EFI/BOOT/" + inputs.ipxe.removable_name, inputs.binary},
            {"EFI/BOOT/autoexec.ipxe", render_autoexec(script)}};
}

// Files that are finished but not yet under their final names.
class Outputs {
public:
    // Where to make the file that shall become `path`.
    Result<std::string> stage(const std::string& path) {
        auto folder = WorkFolder::beside(path);
        if (!folder) return fail(std::move(folder.error()));
        staged_.push_back({std::move(*folder), path});
        return staged_.back().folder.at("image");
    }

    Result<std::vector<ImageOutput>> publish() {
        std::vector<ImageOutput> result;
        for (const Staged& staged : staged_) {
            const auto bytes = read_file(staged.folder.at("image"), kMaxImageBytes);
            if (!bytes) return fail(bytes.error());
            result.push_back({staged.path, bytes->size(), sha256_hex(*bytes)});
        }
        for (const Staged& staged : staged_) NETT_TRY(publish_file(staged.folder.at("image"), staged.path));
        return result;
    }

private:
    struct Staged {
        WorkFolder folder;
        std::string path;
    };
    std::vector<Staged> staged_;
};

Result<void> stage_efi(const std::string& folder, const std::vector<EspFile>& files, Outputs& outputs) {
    NETT_TRY(make_directories(folder));
    for (const EspFile& file : files) {
        const auto temporary = outputs.stage(folder + "/" + file.path.substr(file.path.rfind('/') + 1));
        if (!temporary) return fail(temporary.error());
        NETT_TRY(write_files({{*temporary, file.bytes, kPrivateMode}}));
    }
    return {};
}

// Makes one output by `make`, which is given where; an error names the output.
template <typename Make>
Result<void> stage_image(const std::string& path, Outputs& outputs, const Make& make) {
    if (path.empty()) return {};
    const auto temporary = outputs.stage(path);
    if (!temporary) return fail(temporary.error());
    auto made = make(*temporary);
    if (!made) return fail(std::move(made.error()).in(path));
    return {};
}

Result<void> stage_media(const ImageRequest& request, const std::vector<EspFile>& files, Outputs& outputs) {
    if (request.usb.empty() && request.iso.empty()) return {};
    const std::string& first = request.usb.empty() ? request.iso : request.usb;
    const auto work = WorkFolder::beside(first);
    if (!work) return fail(work.error());
    auto esp = make_esp(*work, files);
    if (!esp) return fail(std::move(esp.error()).in(first));
    NETT_TRY(stage_image(request.usb, outputs, [&](const std::string& file) { return make_usb_image(*esp, file); }));
    return stage_image(request.iso, outputs,
                       [&](const std::string& file) { return make_iso_image(*esp, *work, file); });
}

std::vector<std::string> warnings_of(const ImageRequest& request, const Inputs& inputs) {
    std::vector<std::string> warnings;
    const SystemTime expires = inputs.chain.front().not_after;
    if (expires - request.now < kExpiryWarning) {
        warnings.push_back(fmt::format("the certificate {} expires on {}: the image stops working then",
                                       inputs.chain.front().subject, to_rfc3339(expires)));
    }
    return warnings;
}

}  // namespace

Result<ImageReport> make_images(const ImageRequest& request) {
    auto inputs = read_inputs(request);
    if (!inputs) return fail(std::move(inputs.error()));
    const std::vector<EspFile> files = esp_files(request, *inputs);
    const HeldSignals held;
    Outputs outputs;
    if (auto good = stage_media(request, files, outputs); !good) return fail(std::move(good.error()));
    if (!request.efi_folder.empty()) NETT_TRY(stage_efi(request.efi_folder, files, outputs));
    auto published = outputs.publish();
    if (!published) return fail(std::move(published.error()));
    ImageReport report;
    report.tenant_subject = inputs->chain.front().subject;
    report.certificate_expires = inputs->chain.front().not_after;
    report.ipxe_version = inputs->ipxe.version;
    report.trust_anchor = to_hex(inputs->root.sha256());
    report.outputs = std::move(*published);
    report.warnings = warnings_of(request, *inputs);
    return report;
}

}  // namespace nett::builder
