#include "builder/artifact_import.hpp"

#include <algorithm>

#include "agent/sdk/strings.hpp"
#include "builder/fetch.hpp"
#include "builder/initramfs.hpp"
#include "builder/talos_layout.hpp"
#include "builder/values.hpp"

namespace nett::builder {
namespace {

constexpr std::size_t kMaxLayersBytes = 1 << 20;
constexpr std::size_t kMaxTextBytes = 1 << 20;  // of sha256sum.txt and a command line

Result<std::string> fetch_text(const ArtifactSpec& spec, const std::string& url) {
    const auto path = fetch({url, "", spec.cache, spec.ca_file});
    if (!path) return fail(path.error());
    return read_file(*path, kMaxTextBytes);
}

Result<std::string> checksum_of(const std::map<std::string, std::string>& checksums, const std::string& url,
                                const std::string& where) {
    const auto found = checksums.find(url.substr(url.rfind('/') + 1));
    if (found != checksums.end()) return found->second;
    return fail(Error{Code::kNotFound, "has no line for " + url.substr(url.rfind('/') + 1), where});
}

// Sets what `spec.url` tells and the operator has not.
Result<void> expand_url(ArtifactSpec& spec) {
    const auto layout = talos_layout(spec.url, spec.architecture);
    if (!layout) return fail(layout.error());
    if (!spec.kernel.empty() || !spec.initramfs.empty()) {
        return fail(Code::kInvalidArgument, "a release's URL names kernel and initramfs: give either");
    }
    if (spec.version.empty()) spec.version = layout->version;
    if (spec.schematic.empty()) spec.schematic = layout->schematic;
    spec.kernel = layout->kernel;
    spec.initramfs = layout->initramfs;
    if (!layout->checksums.empty() && (spec.kernel_sha256.empty() || spec.initramfs_sha256.empty())) {
        const auto text = fetch_text(spec, layout->checksums);
        if (!text) return fail(text.error());
        const auto checksums = parse_checksums(*text);
        if (!checksums) return fail(Error(checksums.error()).in(layout->checksums));
        for (const auto& [url, digest] :
             {std::pair(&spec.kernel, &spec.kernel_sha256), std::pair(&spec.initramfs, &spec.initramfs_sha256)}) {
            if (!digest->empty()) continue;
            auto found = checksum_of(*checksums, *url, layout->checksums);
            if (!found) return fail(std::move(found.error()));
            *digest = std::move(*found);
        }
    }
    if (spec.command_line.empty() && !layout->command_line.empty()) {
        const auto text = fetch_text(spec, layout->command_line);
        if (!text) return fail(text.error());
        spec.command_line = without_boot_arguments(*text);
    }
    return {};
}

Result<LocalFile> obtain(const ArtifactSpec& spec, const std::string& place, const std::string& sha256) {
    std::string path = place;
    if (is_url(place)) {
        if (sha256.empty() && !spec.without_checksum) {
            return fail(
                Error{Code::kInvalidArgument,
                      "nobody says what it should be: give its SHA-256 (--kernel-sha256, --initramfs-sha256), or "
                      "trust https alone by --no-checksum",
                      place});
        }
        auto fetched = fetch({place, sha256, spec.cache, spec.ca_file});
        if (!fetched) return fail(std::move(fetched.error()));
        path = std::move(*fetched);
    }
    auto file = describe_file(path);
    if (!file || sha256.empty() || file->sha256 == sha256) return file;
    return fail(Error{Code::kDataLoss, fmt::format("has SHA-256 {}, not {}", file->sha256, sha256), path});
}

// The initramfs' own layers, from the operator's file or from inside. JSON; empty: it has none.
Result<std::string> layers_of(const ArtifactSpec& spec, const LocalFile& initramfs) {
    const bool given = !spec.layers_file.empty();
    const auto text = given ? read_file(spec.layers_file, kMaxLayersBytes) : extensions_of_initramfs(initramfs.path);
    if (!text) return fail(text.error());
    if (text->empty() && !given) return std::string();
    auto layers = parse_extension_layers(*text);
    if (!layers) {
        return fail(std::move(layers.error()).in(given ? spec.layers_file : initramfs.path + ", extensions.yaml"));
    }
    return layers;
}

Result<void> check_spec(const ArtifactSpec& spec) {
    NETT_TRY(check_name(spec.name));
    if (spec.kernel.empty() || spec.initramfs.empty()) {
        return fail(Code::kInvalidArgument, "nothing to import: give a URL, or a kernel and an initramfs");
    }
    if (spec.version.empty()) return fail(Code::kInvalidArgument, "no version: give it, e.g. v1.13.9");
    if (spec.command_line.empty()) {
        return fail(Code::kInvalidArgument,
                    "no command line: a release has none, give the kernel arguments of this Talos version");
    }
    return {};
}

// Whether the agent says that files of its sets are damaged or missing: what it has is then sent again.
Result<bool> has_bad_files(Server& server) {
    const auto health = call(server.target, *server.system, &v1::System::Stub::GetHealth, v1::GetHealthRequest());
    if (!health) return fail(health.error());
    return std::any_of(health->conditions().begin(), health->conditions().end(), [](const v1::Condition& one) {
        return one.component() == "metadata" && one.name() == "artifacts" && one.state() != "ok";
    });
}

}  // namespace

Result<ArtifactImport> prepare_import(const ArtifactSpec& wanted) {
    ArtifactSpec spec = wanted;
    if (!spec.url.empty()) NETT_TRY(expand_url(spec));
    NETT_TRY(check_spec(spec));
    ArtifactImport result;
    v1::ArtifactSet& set = *result.request.mutable_set();
    for (const auto& [place, sha256] :
         {std::pair(&spec.kernel, &spec.kernel_sha256), std::pair(&spec.initramfs, &spec.initramfs_sha256)}) {
        auto file = obtain(spec, *place, *sha256);
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
    set.set_name(spec.name);
    set.set_version(spec.version);
    set.set_architecture(spec.architecture);
    set.set_schematic(spec.schematic);
    set.set_command_line(std::string(trim(spec.command_line)));
    set.set_kernel(result.files[0].name);
    set.set_initramfs(result.files[1].name);
    auto layers = layers_of(spec, result.files[1]);
    if (!layers) return fail(std::move(layers.error()));
    set.set_extension_layers(std::move(*layers));
    result.request.set_reason(spec.reason);
    return result;
}

Result<Transfer> import_into(Server& server, const ArtifactImport& import, const UploadProgress& progress) {
    const auto bad = has_bad_files(server);
    if (!bad) return fail(bad.error());
    Transfer transfer;
    for (const LocalFile& file : import.files) {
        const auto uploaded = upload(server, file, *bad, progress);
        if (!uploaded) return fail(uploaded.error());
        transfer.files.push_back(*uploaded);
    }
    const auto reply = call(server.target, *server.artifacts, &v1::Artifacts::Stub::PutArtifactSet, import.request);
    if (!reply) return fail(reply.error());
    transfer.revision = reply->revision();
    return transfer;
}

}  // namespace nett::builder
