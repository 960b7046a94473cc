// artifact import.
#include <algorithm>
#include <memory>
#include <set>

#include <boost/json/array.hpp>

#include "agent/sdk/strings.hpp"
#include "builder/artifact_upload.hpp"
#include "builder/outcome.hpp"
#include "builder/server.hpp"
#include "builder/values.hpp"

namespace nett::builder {
namespace {

constexpr std::size_t kMaxLayersBytes = 1 << 20;

struct Options {
    std::string name;
    std::string version;
    std::string architecture = "amd64";
    std::string schematic;
    std::string kernel;
    std::string initramfs;
    std::string command_line;
    std::string layers_file;
};

struct Import {
    v1::PutArtifactSetRequest request;
    std::vector<LocalFile> files;
};

Result<Import> prepare(const Options& options, const Invocation& invocation) {
    NETT_TRY(check_name(options.name));
    Import result;
    v1::ArtifactSet& set = *result.request.mutable_set();
    for (const std::string& path : {options.kernel, options.initramfs}) {
        auto file = describe_file(path);
        if (!file) return fail(std::move(file.error()));
        v1::ArtifactFile& entry = *set.add_files();
        entry.set_name(file->name);
        entry.set_sha256(file->sha256);
        entry.set_size(file->size);
        result.files.push_back(std::move(*file));
    }
    if (result.files[0].name == result.files[1].name) {
        return fail(Code::kInvalidArgument, "the kernel and the initramfs have the same file name, {}: rename one",
                    result.files[0].name);
    }
    set.set_name(options.name);
    set.set_version(options.version);
    set.set_architecture(options.architecture);
    set.set_schematic(options.schematic);
    set.set_command_line(std::string(trim(options.command_line)));
    set.set_kernel(result.files[0].name);
    set.set_initramfs(result.files[1].name);
    if (!options.layers_file.empty()) {
        const auto text = read_file(options.layers_file, kMaxLayersBytes);
        if (!text) return fail(text.error());
        auto layers = parse_extension_layers(*text);
        if (!layers) return fail(std::move(layers.error()).in(options.layers_file));
        set.set_extension_layers(std::move(*layers));
    }
    result.request.set_reason(invocation.reason);
    return result;
}

// Whether the agent says that files of its sets are damaged or missing: what it has is then sent again.
Result<bool> has_bad_files(Server& server) {
    const auto health = call(server.target, *server.system, &v1::System::Stub::GetHealth, v1::GetHealthRequest());
    if (!health) return fail(health.error());
    return std::any_of(health->conditions().begin(), health->conditions().end(), [](const v1::Condition& one) {
        return one.component() == "metadata" && one.name() == "artifacts" && one.state() != "ok";
    });
}

// Digests that the agent's sets refer to: their content is stored and verified there. None when it is not.
Result<std::set<std::string>> stored_digests(Server& server) {
    std::set<std::string> digests;
    const auto bad = has_bad_files(server);
    if (!bad) return fail(bad.error());
    if (*bad) return digests;
    v1::ListRequest request;
    for (;;) {
        const auto reply = call(server.target, *server.artifacts, &v1::Artifacts::Stub::ListArtifactSets, request);
        if (!reply) return fail(reply.error());
        for (const v1::ArtifactSet& set : reply->sets()) {
            for (const v1::ArtifactFile& file : set.files()) digests.insert(file.sha256());
        }
        if (reply->sets().empty() || reply->sets().rbegin()->name() <= request.after()) return digests;
        request.set_after(reply->sets().rbegin()->name());
    }
}

struct Transfer {
    std::uint64_t revision = 0;
    std::vector<bool> sent;  // of each file; false: it was there
};

Result<Transfer> import_into(Server& server, const Import& import) {
    const auto stored = stored_digests(server);
    if (!stored) return fail(stored.error());
    Transfer transfer;
    for (const LocalFile& file : import.files) {
        if (stored->contains(file.sha256)) {
            transfer.sent.push_back(false);
            continue;
        }
        const auto existed = upload(server, file);
        if (!existed) return fail(existed.error());
        transfer.sent.push_back(!*existed);
    }
    const auto reply = call(server.target, *server.artifacts, &v1::Artifacts::Stub::PutArtifactSet, import.request);
    if (!reply) return fail(reply.error());
    transfer.revision = reply->revision();
    return transfer;
}

void report(Outcome& outcome, boost::json::array& servers, const std::string& target, const Import& import,
            const Transfer& transfer) {
    boost::json::array files;
    outcome.text +=
        fmt::format("{}: artifact set {}, revision {}\n", target, import.request.set().name(), transfer.revision);
    for (std::size_t i = 0; i < import.files.size(); ++i) {
        const LocalFile& file = import.files[i];
        outcome.text += fmt::format("  {}: {} bytes, sha256 {}, {}\n", file.name, file.size, file.sha256,
                                    transfer.sent[i] ? "uploaded" : "was there");
        files.push_back({{"name", file.name},
                         {"sha256", file.sha256},
                         {"size", file.size},
                         {"uploaded", static_cast<bool>(transfer.sent[i])}});
    }
    servers.push_back({{"server", target}, {"revision", transfer.revision}, {"files", std::move(files)}});
}

Outcome import_everywhere(const Options& options, const Invocation& invocation) {
    const auto import = prepare(options, invocation);
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

}  // namespace

void add_artifact_commands(CLI::App& application, Invocation& invocation) {
    CLI::App* artifact = application.add_subcommand("artifact", "Upload what machines boot from the network");
    artifact->require_subcommand(1);
    CLI::App* command = artifact->add_subcommand("import",
                                                 "Upload a kernel and an initramfs and register them as an artifact "
                                                 "set; content that is there is not sent again");
    auto options = std::make_shared<Options>();
    command->add_option("NAME", options->name, "The set's name")->required();
    command->add_option("--version", options->version, "Its version, e.g. v1.13.9")->required();
    command->add_option("--arch", options->architecture, "amd64 or arm64")
        ->default_val("amd64")
        ->check(CLI::IsMember({"amd64", "arm64"}));
    command->add_option("--kernel", options->kernel, "The kernel's file, served under its own name")->required();
    command->add_option("--initramfs", options->initramfs, "The initramfs' file, served under its own name")
        ->required();
    command
        ->add_option("--command-line", options->command_line,
                     "Kernel arguments that belong to the set, without talos.platform and talos.config")
        ->required();
    command->add_option("--schematic", options->schematic, "Image Factory schematic id");
    command->add_option(
        "--extension-layers", options->layers_file,
        "The initramfs' own extensions.yaml, as YAML or JSON; an Image Factory initramfs always has one");
    command->callback([&invocation, options] {
        invocation.action = [&invocation, options] { return import_everywhere(*options, invocation); };
    });
}

}  // namespace nett::builder
