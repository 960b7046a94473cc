#include "builder/nodes/inputs.hpp"

#include <cstdlib>

#include <unistd.h>

#include "agent/sdk/strings.hpp"
#include "builder/process.hpp"
#include "builder/talos/node_config.hpp"
#include "builder/values.hpp"

namespace nett::builder {
namespace {

constexpr std::size_t kMaxTextBytes = 1 << 20;  // the agents' limit of a machine config
constexpr std::size_t kMaxSecretBytes = 1024;   // the agents' limit of a password

std::string first_line(std::string_view text) {
    std::string line(text.substr(0, text.find('\n')));
    if (line.ends_with('\r')) line.pop_back();
    return line;
}

// A helper such as pass(1) needs this process's environment: HOME, its agent's socket.
Result<std::string> output_of(const std::vector<std::string>& command) {
    if (command.empty()) return fail(Code::kInvalidArgument, "there is no program to run");
    std::vector<std::string> environment;
    for (char** variable = environ; *variable != nullptr; ++variable) environment.emplace_back(*variable);
    auto output = tool_output(command, environment);
    if (output && output->size() > kMaxSecretBytes)
        return fail(Error{Code::kResourceExhausted, fmt::format("printed more than {} bytes", kMaxSecretBytes),
                          command.front()});
    return output;
}

class Reader {
public:
    Reader(Inputs& inputs, Problems& problems) : inputs_(inputs), problems_(problems) {}

    void text(const std::string& path, int line) {
        if (path.empty() || inputs_.texts.contains(path)) return;
        auto read = read_file(path, kMaxTextBytes);
        if (read && read->empty()) problems_.add(line, "{} is empty", path);
        if (!read) problems_.add(line, read.error());
        inputs_.texts[path] = read.value_or("");
    }
    void patches(const TalosSettings& settings) {
        for (const auto& patch : settings.patches) text(patch.file, patch.line);
    }
    void artifact(const ArtifactEntry& entry) {
        ArtifactFiles& files = inputs_.artifacts[entry.name];
        for (const auto& [path, to] :
             {std::pair(&entry.kernel, &files.kernel), std::pair(&entry.initramfs, &files.initramfs)}) {
            if (path->empty()) continue;
            auto file = describe_file(*path);
            if (!file) problems_.add(entry.line, file.error());
            if (file) *to = std::move(*file);
        }
        if (!files.kernel.name.empty() && files.kernel.name == files.initramfs.name)
            problems_.add(entry.line, "the kernel and the initramfs have the same file name, {}: rename one",
                          files.kernel.name);
        if (entry.extension_layers.empty()) return;
        const auto text = read_file(entry.extension_layers, kMaxTextBytes);
        if (!text) return problems_.add(entry.line, text.error());
        auto layers = parse_extension_layers(*text);
        if (!layers) return problems_.add(entry.line, std::move(layers.error()).in(entry.extension_layers));
        files.extension_layers = std::move(*layers);
    }

private:
    Inputs& inputs_;
    Problems& problems_;
};

}  // namespace

Result<std::string> resolve(const SecretReference& secret) {
    using From = SecretReference::From;
    if (secret.from == From::kInline) return secret.value;
    if (secret.from == From::kEnvironment) {
        const char* value = std::getenv(secret.value.c_str());
        if (value != nullptr && *value != '\0') return std::string(value);
        return fail(Code::kInvalidArgument, "the environment variable {} is not set; it should hold the password",
                    secret.value);
    }
    if (secret.from == From::kNone) return fail(Code::kInvalidArgument, "there is no password");
    const bool by_command = secret.from == From::kCommand;
    auto text = by_command ? output_of(secret.command) : read_file(secret.value, kMaxSecretBytes);
    if (!text) return text;
    std::string line = first_line(*text);
    if (!line.empty()) return line;
    return fail(Error{Code::kInvalidArgument, "gives no password: its first line is empty",
                      by_command ? secret.command.front() : secret.value});
}

Inputs read_inputs(const NodesFile& file, Problems& problems) {
    Inputs inputs;
    Reader reader(inputs, problems);
    for (const auto& entry : file.artifacts) reader.artifact(entry);
    for (const auto& profile : file.profiles) {
        for (const auto& [name, path] : profile.templates) reader.text(path, profile.line);
    }
    for (const auto& tenant : file.tenants) reader.patches(tenant.talos);
    for (const auto& node : file.nodes) {
        reader.text(node.config, node.line);
        reader.patches(node.talos);
        const TalosSettings settings = effective_talos(file, node);
        if (node.config.empty() && settings.line != 0)
            reader.text(node.role == "worker" ? settings.worker : settings.controlplane, settings.line);
        if (!node.bmc) continue;
        auto password = resolve(node.bmc->password);
        if (!password) problems.add(node.bmc->password.line, password.error());
        inputs.passwords[node.name] = password.value_or("");
    }
    return inputs;
}

}  // namespace nett::builder
