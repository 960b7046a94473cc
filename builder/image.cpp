#include "builder/image.hpp"

#include "agent/sdk/media.hpp"
#include "agent/sdk/model.hpp"
#include "agent/sdk/strings.hpp"
#include "builder/boot_script.hpp"
#include "builder/disk_image.hpp"
#include "builder/file.hpp"
#include "builder/held_signals.hpp"
#include "builder/image_inputs.hpp"
#include "builder/ipxe_binary.hpp"

namespace nett::builder {
namespace {

constexpr std::size_t kMaxImageBytes = 256 << 20;
constexpr auto kExpiryWarning = std::chrono::hours(24 * 30);

// The ESP's files, and iPXE for BIOS when it was wanted.
struct Contents {
    std::vector<EspFile> esp;
    std::string lkrn;
    std::string ipxe_version;
};

BootScript script_of(const ImageRequest& request, const ImageInputs& inputs, bool with_credentials) {
    BootScript script;
    script.server = request.server;
    if (!with_credentials) return script;
    script.private_key = inputs.key.der;
    script.certificates.push_back(inputs.root.der);
    for (auto it = inputs.chain.rbegin(); it != inputs.chain.rend(); ++it) {
        if (it->der != inputs.root.der) script.certificates.push_back(it->der);
    }
    return script;
}

Contents binary_contents(const ImageRequest& request, const ImageInputs& inputs) {
    Contents contents;
    for (const ImageInputs::Ipxe& ipxe : inputs.binaries) {
        contents.esp.push_back({"EFI/BOOT/" + ipxe.facts.removable_name, ipxe.bytes});
        contents.ipxe_version = ipxe.facts.version;
    }
    contents.esp.push_back({"EFI/BOOT/autoexec.ipxe", render_autoexec(script_of(request, inputs, true))});
    return contents;
}

Result<Contents> source_contents(const ImageRequest& request, const ImageInputs& inputs) {
    const std::string script = render_autoexec(script_of(request, inputs, false));
    auto built = build_from_source(*request.source,
                                   {script, inputs.chain_pem, inputs.root_pem, inputs.root.sha256(), inputs.key_pem});
    if (!built) return fail(std::move(built.error()));
    Contents contents;
    for (std::string& efi : built->efi) {
        const auto facts = inspect_ipxe(efi);
        if (!facts) return fail(Error(facts.error()).in(request.source->folder));
        contents.ipxe_version = facts->version;
        contents.esp.push_back({"EFI/BOOT/" + facts->removable_name, std::move(efi)});
    }
    contents.lkrn = std::move(built->lkrn);
    return contents;
}

Result<Contents> make_contents(const ImageRequest& request, const ImageInputs& inputs) {
    auto contents = request.source ? source_contents(request, inputs) : binary_contents(request, inputs);
    if (!contents || !request.secure_boot) return contents;
    const auto work = WorkFolder::beside(!request.usb.empty()   ? request.usb
                                         : !request.iso.empty() ? request.iso
                                                                : request.efi_folder);
    if (!work) return fail(work.error());
    for (EspFile& file : contents->esp) {
        if (!file.path.ends_with(".EFI")) continue;
        auto made = sign_efi(*work, file.bytes, *request.secure_boot);
        if (!made) return fail(std::move(made.error()));
        file.bytes = std::move(*made);
    }
    return contents;
}

// The media listener serves an image to BMCs only with the digest that stands beside it.
Result<void> write_digest(const ImageOutput& image) {
    if (!image.path.ends_with(".iso")) return {};
    const auto name = image.path.substr(image.path.rfind('/') + 1);
    return write_files(
        {{image.path + std::string(kMediaDigestSuffix), fmt::format("{}  {}\n", image.sha256, name), kPrivateMode}});
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
        for (const ImageOutput& output : result) NETT_TRY(write_digest(output));
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

Result<void> stage_media(const ImageRequest& request, const Contents& contents, Outputs& outputs) {
    if (request.usb.empty() && request.iso.empty()) return {};
    const std::string& first = request.usb.empty() ? request.iso : request.usb;
    const auto work = WorkFolder::beside(first);
    if (!work) return fail(work.error());
    auto esp = make_esp(*work, contents.esp);
    if (!esp) return fail(std::move(esp.error()).in(first));
    NETT_TRY(stage_image(request.usb, outputs, [&](const std::string& file) { return make_usb_image(*esp, file); }));
    return stage_image(request.iso, outputs,
                       [&](const std::string& file) { return make_iso_image(*esp, contents.lkrn, *work, file); });
}

std::vector<std::string> warnings_of(const ImageRequest& request, const ImageInputs& inputs) {
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
    auto inputs = read_image_inputs(request);
    if (!inputs) return fail(std::move(inputs.error()));
    const HeldSignals held;
    const auto contents = make_contents(request, *inputs);
    if (!contents) return fail(contents.error());
    Outputs outputs;
    if (auto good = stage_media(request, *contents, outputs); !good) return fail(std::move(good.error()));
    if (!request.efi_folder.empty()) NETT_TRY(stage_efi(request.efi_folder, contents->esp, outputs));
    if (held.any()) return fail(Code::kAborted, "interrupted: nothing was written");
    auto published = outputs.publish();
    if (!published) return fail(std::move(published.error()));
    ImageReport report;
    report.tenant_subject = inputs->chain.front().subject;
    report.certificate_expires = inputs->chain.front().not_after;
    report.ipxe_version = contents->ipxe_version;
    report.trust_anchor = to_hex(inputs->root.sha256());
    report.outputs = std::move(*published);
    report.warnings = warnings_of(request, *inputs);
    return report;
}

}  // namespace nett::builder
