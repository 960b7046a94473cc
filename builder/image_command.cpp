// image: a tenant's boot media. image inspect: whose they are.
#include <memory>

#include <CLI/Error.hpp>
#include <boost/json/array.hpp>

#include "agent/sdk/strings.hpp"
#include "builder/boot_script.hpp"
#include "builder/image.hpp"
#include "builder/inspect.hpp"
#include "builder/outcome.hpp"
#include "builder/values.hpp"

namespace nett::builder {
namespace {

struct Options {
    ImageRequest request;
    std::string server;
    SourceTree source;
    std::vector<std::string> architectures;
    SigningKey signing;
};

Result<std::string> canonical_server(std::string_view text) {
    const auto server = parse_metadata_server(text);
    if (!server) return fail(server.error());
    return url_authority(*server);
}

Outcome image_outcome(const Result<ImageReport>& report) {
    if (!report) return report.error();
    Outcome outcome;
    outcome.warnings = report->warnings;
    boost::json::array outputs;
    for (const ImageOutput& output : report->outputs) {
        outcome.text += fmt::format("wrote {}: {} bytes, sha256 {}\n", output.path, output.size, output.sha256);
        outputs.push_back({{"path", output.path}, {"size", output.size}, {"sha256", output.sha256}});
    }
    outcome.text += fmt::format("tenant {}, certificate valid until {}, iPXE {}\n", report->tenant_subject,
                                to_rfc3339(report->certificate_expires), report->ipxe_version);
    outcome.json = {{"outputs", std::move(outputs)},
                    {"subject", report->tenant_subject},
                    {"certificate_expires", to_rfc3339(report->certificate_expires)},
                    {"ipxe_version", report->ipxe_version},
                    {"trust_anchor_sha256", report->trust_anchor}};
    return outcome;
}

// What CLI11 cannot say, since "image inspect" needs none of it. Ends the run with exit status 2.
void check_usage(const Options& options) {
    const ImageRequest& request = options.request;
    for (const auto& [value, name] :
         {std::pair(&request.certificate_file, "--tenant-certificate"), std::pair(&request.key_file, "--tenant-key"),
          std::pair(&request.root_file, "--root"), std::pair(&options.server, "--server-address")}) {
        if (value->empty()) throw CLI::RequiredError(name);
    }
    if (request.ipxe_files.empty() == options.source.folder.empty())
        throw CLI::RequiredError("one of --ipxe and --ipxe-source");
    if (request.usb.empty() && request.iso.empty() && request.efi_folder.empty())
        throw CLI::RequiredError("nothing to make: one of --usb, --iso and --efi");
    if (options.source.bios && request.iso.empty()) throw CLI::RequiredError("--iso, with --bios,");
}

Outcome make(Options& options) {
    ImageRequest& request = options.request;
    if (!options.signing.key_file.empty()) request.secure_boot = options.signing;
    if (!options.source.folder.empty()) {
        options.source.architectures.clear();
        for (const std::string& name : options.architectures) {
            options.source.architectures.push_back(name == "arm64" ? Architecture::kArm64 : Architecture::kAmd64);
        }
        request.source = options.source;
    }
    request.server = *parse_metadata_server(options.server);
    request.now = std::chrono::system_clock::now();
    return image_outcome(make_images(request));
}

std::string describe(const ImageFacts::Binary& binary) {
    return fmt::format("{}, iPXE {}{}", binary.name, binary.version.empty() ? "of unknown version" : binary.version,
                       binary.is_signed ? ", signed for Secure Boot" : "");
}

Outcome inspect(const std::string& path) {
    const auto facts = inspect_image(path);
    if (!facts) return facts.error();
    Outcome outcome;
    const bool expired = facts->tenant.not_after <= std::chrono::system_clock::now();
    outcome.text = fmt::format("{}: {}{}\n", path, facts->medium, facts->bios ? ", boots by UEFI and BIOS" : "");
    outcome.text += fmt::format("  tenant        {}\n  issued by     {}\n  valid until   {}{}\n  server        {}\n",
                                facts->tenant.subject, facts->tenant.issuer, to_rfc3339(facts->tenant.not_after),
                                expired ? ", EXPIRED" : "", facts->server);
    outcome.text +=
        fmt::format("  trust anchor  {}\n                sha256 {}, valid until {}\n", facts->trust_anchor_subject,
                    facts->trust_anchor, to_rfc3339(facts->trust_anchor_expires));
    boost::json::array binaries;
    for (const ImageFacts::Binary& binary : facts->binaries) {
        outcome.text += fmt::format("  boots         {}\n", describe(binary));
        binaries.push_back({{"name", binary.name}, {"ipxe_version", binary.version}, {"signed", binary.is_signed}});
    }
    outcome.json = {{"path", path},
                    {"medium", facts->medium},
                    {"bios", facts->bios},
                    {"subject", facts->tenant.subject},
                    {"issuer", facts->tenant.issuer},
                    {"certificate_sha256", to_hex(facts->tenant.sha256())},
                    {"certificate_expires", to_rfc3339(facts->tenant.not_after)},
                    {"expired", expired},
                    {"server", facts->server},
                    {"trust_anchor_sha256", facts->trust_anchor},
                    {"trust_anchor_subject", facts->trust_anchor_subject},
                    {"trust_anchor_expires", to_rfc3339(facts->trust_anchor_expires)},
                    {"binaries", std::move(binaries)}};
    return outcome;
}

void add_inspect_command(CLI::App& image, Invocation& invocation) {
    CLI::App* command = image.add_subcommand(
        "inspect", "Tell whose an image is, until when, which server it asks and which root it trusts");
    auto path = std::make_shared<std::string>();
    command->add_option("FILE", *path, "A USB image, an ISO, an EFI binary or a folder of these")->required();
    command->callback([&invocation, path] { invocation.action = [path] { return inspect(*path); }; });
}

void add_engine_options(CLI::App& image, Options& options) {
    image
        .add_option(
            "--ipxe", options.request.ipxe_files,
            "Debian's ipxe-amd64.efi or ipxe-arm64.efi (package ipxe, 2.0.0 or newer); both for one medium that "
            "boots either")
        ->allow_extra_args(false);
    CLI::Option* source = image.add_option("--ipxe-source", options.source.folder,
                                           "An iPXE source tree to build from instead, by its own make");
    image.add_option("--arch", options.architectures, "Of the build: amd64, arm64, or both by repeating it")
        ->default_val(std::vector<std::string>{"amd64"})
        ->check(CLI::IsMember({"amd64", "arm64"}))
        ->allow_extra_args(false)
        ->needs(source);
    image.add_flag("--bios", options.source.bios, "Build iPXE for BIOS too; the ISO then boots by both")->needs(source);
    CLI::Option* key =
        image.add_option("--secure-boot-key", options.signing.key_file, "Sign iPXE by sbsign with this key (PEM)");
    CLI::Option* certificate = image.add_option("--secure-boot-certificate", options.signing.certificate_file,
                                                "The key's certificate (PEM), which the machines' firmware knows");
    key->needs(certificate);
    certificate->needs(key);
}

void add_make_options(CLI::App& image, Options& options) {
    ImageRequest& request = options.request;
    image.add_option("--tenant-certificate", request.certificate_file,
                     "PEM: the tenant's client certificate, then intermediates if any");
    image.add_option("--tenant-key", request.key_file, "PEM: its private key, not encrypted");
    image.add_option("--root", request.root_file, "PEM: the root that the metadata servers' certificates chain to");
    image.add_option("--server-address", options.server, "The metadata servers' anycast address, or [ADDRESS]:PORT")
        ->transform(canonical("ADDRESS", canonical_server));
    image.add_option("--usb", request.usb, "Write a USB image: GPT with an EFI system partition");
    image.add_option("--iso", request.iso, "Write an ISO that boots as CD, as virtual CD and as a stick");
    image.add_option("--efi", request.efi_folder,
                     "Write BOOTX64.EFI (or BOOTAA64.EFI) and autoexec.ipxe into this folder");
}

}  // namespace

void add_image_command(CLI::App& application, Invocation& invocation) {
    CLI::App* image =
        application.add_subcommand("image", "Make a tenant's iPXE boot media; the same inputs give the same bytes");
    auto options = std::make_shared<Options>();
    image->require_subcommand(0, 1);
    add_make_options(*image, *options);
    add_engine_options(*image, *options);
    add_inspect_command(*image, invocation);
    image->callback([&invocation, image, options] {
        if (!image->get_subcommands().empty()) return;
        check_usage(*options);
        invocation.action = [options] { return make(*options); };
    });
}

}  // namespace nett::builder
