// image: a tenant's boot media.
#include <memory>

#include <boost/json/array.hpp>

#include "builder/boot_script.hpp"
#include "builder/image.hpp"
#include "builder/outcome.hpp"
#include "builder/values.hpp"

namespace nett::builder {
namespace {

struct Options {
    ImageRequest request;
    std::string server;
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

Outcome make(Options& options) {
    ImageRequest& request = options.request;
    if (request.usb.empty() && request.iso.empty() && request.efi_folder.empty()) {
        return Error{Code::kInvalidArgument, "nothing to make: give --usb, --iso or --efi", {}};
    }
    request.server = *parse_metadata_server(options.server);
    request.now = std::chrono::system_clock::now();
    return image_outcome(make_images(request));
}

}  // namespace

void add_image_command(CLI::App& application, Invocation& invocation) {
    CLI::App* image =
        application.add_subcommand("image", "Make a tenant's iPXE boot media; the same inputs give the same bytes");
    auto options = std::make_shared<Options>();
    ImageRequest& request = options->request;
    image
        ->add_option("--tenant-certificate", request.certificate_file,
                     "PEM: the tenant's client certificate, then intermediates if any")
        ->required();
    image->add_option("--tenant-key", request.key_file, "PEM: its private key, not encrypted")->required();
    image->add_option("--root", request.root_file, "PEM: the root that the metadata servers' certificates chain to")
        ->required();
    image->add_option("--server-address", options->server, "The metadata servers' anycast address, or [ADDRESS]:PORT")
        ->required()
        ->transform(canonical("ADDRESS", canonical_server));
    image
        ->add_option("--ipxe", request.ipxe_file,
                     "Debian's ipxe-amd64.efi or ipxe-arm64.efi (package ipxe, 2.0.0 or newer)")
        ->required();
    image->add_option("--usb", request.usb, "Write a USB image: GPT with an EFI system partition");
    image->add_option("--iso", request.iso, "Write an ISO that boots as CD, as virtual CD and as a stick");
    image->add_option("--efi", request.efi_folder,
                      "Write BOOTX64.EFI (or BOOTAA64.EFI) and autoexec.ipxe into this folder");
    image->callback([&invocation, options] { invocation.action = [options] { return make(*options); }; });
}

}  // namespace nett::builder
