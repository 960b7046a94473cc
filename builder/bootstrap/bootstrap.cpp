#include "builder/bootstrap/bootstrap.hpp"

#include <algorithm>
#include <filesystem>
#include <map>

#include "agent/sdk/strings.hpp"
#include "builder/bootstrap/backup_archive.hpp"
#include "builder/bootstrap/private_agent.hpp"
#include "builder/file.hpp"
#include "builder/held_signals.hpp"
#include "builder/nodes/loaded.hpp"

namespace nett::builder {
namespace {

constexpr std::size_t kMaxPem = 1 << 20;
constexpr std::size_t kMaxImage = 256U << 20U;
// Debian's /etc/nett gives its files the group of the agent's user.
constexpr unsigned kAgentMode = 0640;

std::string file_name(const std::string& path) {
    return path.substr(path.rfind('/') + 1);
}

bool is_word(const std::string& name) {
    return std::all_of(name.begin(), name.end(), [](unsigned char c) {
        return std::isalnum(c) != 0 || c == '.' || c == '_' || c == '+' || c == '-';
    });
}

// The images of all tenants go into one folder, and their names into nett.conf: bare names, each once.
Result<void> name_images(NodesFile& file) {
    std::map<std::string, std::string> owners;
    for (auto& tenant : file.tenants) {
        if (!tenant.image) continue;
        const auto place = fmt::format("{}:{}", file.path, tenant.image->line);
        if (tenant.image->usb.empty()) tenant.image->usb = fmt::format("usb-{}.img", tenant.name);
        for (auto* path : {&tenant.image->usb, &tenant.image->iso}) {
            *path = file_name(*path);
            if (path->empty()) continue;
            if (!is_word(*path))
                return fail(Error{Code::kInvalidArgument,
                                  fmt::format("the image's name \"{}\" cannot stand in nett.conf: use letters, digits "
                                              "and . _ + -",
                                              *path),
                                  place});
            if (const auto [owner, is_new] = owners.emplace(*path, tenant.name); !is_new)
                return fail(Error{Code::kInvalidArgument,
                                  fmt::format("the image's name \"{}\" is that of tenant {} too, and all images go "
                                              "into {}: give them other names",
                                              *path, owner->second, kMediaFolder),
                                  place});
        }
    }
    return {};
}

Result<BackupAddition> addition_of(const std::string& from, std::string_view role, const std::string& path,
                                   unsigned mode, std::size_t limit) {
    auto bytes = read_file(from, limit);
    if (!bytes) return fail(std::move(bytes.error()));
    const std::string folder = role == "image" ? "images" : "certificates";
    return BackupAddition{folder + path, std::string(role), path, std::move(*bytes), mode};
}

// What the backup of the private agent lacks: the host's configuration, its certificates, the images.
Result<std::vector<BackupAddition>> additions_of(const BootstrapRequest& request, const NodesFile& file,
                                                 const std::string& images) {
    std::vector<BackupAddition> additions;
    const auto add = [&](Result<BackupAddition> one) -> Result<void> {
        if (!one) return fail(std::move(one.error()));
        additions.push_back(std::move(*one));
        return {};
    };
    NETT_TRY(add(addition_of(request.certificate, "certificate", "/etc/nett/server.pem", kPublicMode, kMaxPem)));
    NETT_TRY(add(addition_of(request.key, "certificate", "/etc/nett/server.key", kAgentMode, kMaxPem)));
    NETT_TRY(add(addition_of(request.client_ca, "certificate", "/etc/nett/root.pem", kPublicMode, kMaxPem)));
    std::vector<BootstrapImage> isos;
    for (const auto& tenant : file.tenants) {
        if (!tenant.image) continue;
        for (const std::string& name : {tenant.image->usb, tenant.image->iso}) {
            const std::string from = fmt::format("{}/{}", images, name);
            if (name.empty() || !file_exists(from)) continue;
            NETT_TRY(
                add(addition_of(from, "image", fmt::format("{}/{}", kMediaFolder, name), kPrivateMode, kMaxImage)));
            if (name == tenant.image->iso) isos.push_back({tenant.name, name});
        }
    }
    std::vector<std::string> bmcs;
    for (const auto& node : file.nodes) {
        if (node.bmc) bmcs.push_back(node.bmc->endpoint);
    }
    additions.push_back({"nett.conf", "configuration", "/etc/nett/nett.conf",
                         bootstrap_configuration(request, bmcs, isos), kAgentMode});
    return additions;
}

// The backup of an agent that has been told everything; its paths are below `root`.
Outcome make_state(const BootstrapRequest& request, const std::string& root, const Loaded& loaded,
                   const std::string& backup) {
    const auto agent = PrivateAgent::start(request.nettd, root, request.hostname);
    if (!agent) return agent.error();
    NodesRequest nodes = request.nodes;
    nodes.servers = {agent->target()};
    nodes.output = root + "/images";
    nodes.start = false;
    if (auto made = make_directories(nodes.output); !made) return made.error();
    Outcome out = apply_loaded(nodes, loaded);
    if (!out.errors.empty()) return out;
    if (auto taken = agent->backup(backup); !taken) out.errors.push_back(taken.error());
    return out;
}

Outcome fill(const BootstrapRequest& request, const HeldSignals& signals, const WorkFolder& work,
             const Loaded& loaded) {
    const std::string root = std::filesystem::absolute(work.at("root")).lexically_normal();
    Outcome out = make_state(request, root, loaded, work.at("backup.tar"));
    if (!out.errors.empty()) return out;
    const auto additions = additions_of(request, loaded.file, root + "/images");
    if (!additions) return additions.error();
    auto made = extend_backup(work.at("backup.tar"), root, work.at("archive.tar"), *additions);
    if (signals.any()) return Error{Code::kAborted, "interrupted: nothing was written", {}};
    if (made) made = publish_file(work.at("archive.tar"), request.archive);
    // Under the name that the operator gave, not that of the unfinished file.
    if (!made) return Error{made.error().code, made.error().message, request.archive};
    const auto images =
        std::count_if(additions->begin(), additions->end(), [](const auto& one) { return one.role == "image"; });
    out.text = fmt::format("wrote {}: configuration, state, certificates, {} {}; on the host: nett-restore {}\n",
                           request.archive, images, images == 1 ? "image" : "images", file_name(request.archive));
    out.json["archive"] = request.archive;
    return out;
}

}  // namespace

Outcome bootstrap(const BootstrapRequest& request) {
    Outcome failed;
    auto loaded = load_nodes(request.nodes.nodes_file, failed.errors);
    if (!loaded) return failed;
    if (auto good = name_images(loaded->file); !good) return good.error();
    if (auto good = check_certificates(request, loaded->file); !good) return good.error();
    const HeldSignals signals;
    const auto work = WorkFolder::beside(request.archive);
    if (!work) return work.error();
    Outcome out = fill(request, signals, *work, *loaded);
    out.warnings.insert(out.warnings.begin(), loaded->file.warnings.begin(), loaded->file.warnings.end());
    return out;
}

}  // namespace nett::builder
