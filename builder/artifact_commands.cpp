// artifact import.
#include <memory>

#include <CLI/Error.hpp>
#include <boost/json/array.hpp>

#include "builder/artifact_import.hpp"
#include "builder/outcome.hpp"
#include "builder/server.hpp"

namespace nett::builder {
namespace {

constexpr std::size_t kDigestDigits = 64;

std::string describe(const Uploaded& file) {
    if (file.sent == 0) return "was there";
    return file.resumed == 0 ? "uploaded" : fmt::format("uploaded from byte {} on", file.resumed);
}

void report(Outcome& outcome, boost::json::array& servers, const std::string& target, const ArtifactImport& import,
            const Transfer& transfer) {
    boost::json::array files;
    outcome.text +=
        fmt::format("{}: artifact set {}, revision {}\n", target, import.request.set().name(), transfer.revision);
    for (std::size_t i = 0; i < import.files.size(); ++i) {
        const LocalFile& file = import.files[i];
        const Uploaded& uploaded = transfer.files[i];
        outcome.text +=
            fmt::format("  {}: {} bytes, sha256 {}, {}\n", file.name, file.size, file.sha256, describe(uploaded));
        files.push_back({{"name", file.name},
                         {"sha256", file.sha256},
                         {"size", file.size},
                         {"uploaded", uploaded.sent > 0},
                         {"sent_bytes", uploaded.sent},
                         {"resumed_at", uploaded.resumed}});
    }
    servers.push_back({{"server", target}, {"revision", transfer.revision}, {"files", std::move(files)}});
}

Outcome import_everywhere(ArtifactSpec& spec, const Invocation& invocation) {
    spec.reason = invocation.reason;
    const auto import = prepare_import(spec);
    if (!import) return import.error();
    Outcome outcome;
    boost::json::array servers;
    for (const std::string& target : invocation.servers) {
        Server server(target);
        const auto transfer = import_into(server, *import);
        if (transfer) {
            report(outcome, servers, target, *import, *transfer);
        } else {
            outcome.errors.push_back(transfer.error());
        }
    }
    outcome.json["servers"] = std::move(servers);
    return outcome;
}

void add_source_options(CLI::App& command, ArtifactSpec& spec) {
    CLI::Option* url = command.add_option("--url", spec.url,
                                          "Folder of a Talos release (its sha256sum.txt is checked) or of an Image "
                                          "Factory, .../image/SCHEMATIC/VERSION");
    command.add_option("--kernel", spec.kernel, "The kernel's file or URL, served under its own name")->excludes(url);
    command.add_option("--initramfs", spec.initramfs, "The initramfs' file or URL, served under its own name")
        ->excludes(url);
    for (const auto& [name, digest] :
         {std::pair("--kernel-sha256", &spec.kernel_sha256), std::pair("--initramfs-sha256", &spec.initramfs_sha256)}) {
        command.add_option(name, *digest, "Its SHA-256, checked; needed for a URL without sha256sum.txt")
            ->check(CLI::Validator(
                [](std::string& text) {
                    const bool good =
                        text.size() == kDigestDigits && text.find_first_not_of("0123456789abcdef") == std::string::npos;
                    return good ? std::string() : "expected 64 lower-case hex digits";
                },
                "SHA256"));
    }
    command.add_flag("--no-checksum", spec.without_checksum, "Take what an https URL gives, unchecked");
    command.add_option("--cache", spec.cache, "Where downloads are kept; default ~/.cache/talos-fabric-builder");
    command.add_option("--url-ca", spec.ca_file, "CA of the URL's server (PEM), if it is not a public one");
}

}  // namespace

void add_artifact_commands(CLI::App& application, Invocation& invocation) {
    CLI::App* artifact = application.add_subcommand("artifact", "Upload what machines boot from the network");
    artifact->require_subcommand(1);
    CLI::App* command = artifact->add_subcommand("import",
                                                 "Upload a kernel and an initramfs and register them as an artifact "
                                                 "set; content that is there is not sent again");
    auto spec = std::make_shared<ArtifactSpec>();
    command->add_option("NAME", spec->name, "The set's name")->required();
    command->add_option("--version", spec->version, "Its version, e.g. v1.13.9; default: the URL's");
    command->add_option("--arch", spec->architecture, "amd64 or arm64")
        ->default_val("amd64")
        ->check(CLI::IsMember({"amd64", "arm64"}));
    add_source_options(*command, *spec);
    command->add_option(
        "--command-line", spec->command_line,
        "Kernel arguments that belong to the set, without talos.platform and talos.config; default: the "
        "Image Factory's");
    command->add_option("--schematic", spec->schematic, "Image Factory schematic id; default: the URL's");
    command->add_option("--extension-layers", spec->layers_file,
                        "The initramfs' own extensions.yaml, as YAML or JSON; default: what is found inside");
    command->callback([&invocation, spec] {
        const bool files = !spec->kernel.empty() && !spec->initramfs.empty();
        if (spec->url.empty() && !files) throw CLI::RequiredError("--url, or --kernel and --initramfs");
        if (spec->url.empty() && spec->version.empty()) throw CLI::RequiredError("--version");
        if (spec->url.empty() && spec->command_line.empty()) throw CLI::RequiredError("--command-line");
        invocation.action = [&invocation, spec] { return import_everywhere(*spec, invocation); };
    });
}

}  // namespace nett::builder
