#include "builder/nodes/run.hpp"

#include <algorithm>
#include <iostream>
#include <set>

#include <fmt/ranges.h>
#include <unistd.h>

#include <boost/json/array.hpp>

#include "agent/sdk/strings.hpp"
#include "builder/artifact_upload.hpp"
#include "builder/image.hpp"
#include "builder/nodes/agents.hpp"
#include "builder/nodes/loaded.hpp"
#include "builder/nodes/progress.hpp"
#include "builder/nodes/redfish_jobs.hpp"

namespace nett::builder {
namespace {

struct NodeResult {
    const NodeEntry* node = nullptr;
    std::string config_sha256;
    std::string job;
    std::string did;  // "rebooted", "active", an image's name
    std::vector<Error> errors;
};

class Run {
public:
    Run(const NodesRequest& request, const Loaded& loaded)
        : request_(request),
          file_(loaded.file),
          inputs_(loaded.inputs),
          progress_(std::cout, ::isatty(STDOUT_FILENO) == 1, request.json) {
        for (const auto& node : file_.nodes) results_.push_back({&node, {}, {}, {}, {}});
    }

    Outcome all();

private:
    void register_everywhere();
    void register_at(const std::string& target);
    Result<void> send_files(Server& server, const Snapshot& snapshot);
    void register_nodes(Server& server, const Changes& changes);
    void make_media();
    void make_tenant_media(const TenantEntry& tenant);
    void start_machines();
    void tell_uploads();
    void tell_images();
    Outcome outcome();

    NodeResult& result_of(const std::string& name) {
        return *std::find_if(results_.begin(), results_.end(), [&](const auto& one) { return one.node->name == name; });
    }
    void fail_all(const Error& error) {
        for (auto& result : results_) result.errors.push_back(error);
    }

    const NodesRequest& request_;
    const NodesFile& file_;
    const Inputs& inputs_;
    Progress progress_;
    std::vector<NodeResult> results_;
    std::vector<std::string> warnings_;
    std::vector<Error> errors_;          // of no single node
    std::vector<std::string> uploaded_;  // names of files, in their order
    std::vector<std::string> present_;
    bool upload_failed_ = false;
    std::vector<std::pair<std::string, std::string>> images_;  // tenant, path
    std::vector<std::string> pruned_;
    boost::json::array json_images_;
};

Outcome Run::all() {
    // Images first: they need no agent, and a certificate that has expired is found before anything is changed.
    make_media();
    progress_.begin("Registering machine configs");
    register_everywhere();
    const auto registered = static_cast<std::size_t>(
        std::count_if(results_.begin(), results_.end(), [](const auto& one) { return one.errors.empty(); }));
    std::string told = fmt::format("{} {} registered", registered, registered == 1 ? "node" : "nodes");
    if (registered != results_.size()) told += fmt::format(", {} failed", results_.size() - registered);
    if (!pruned_.empty()) told += fmt::format(", {} removed", fmt::join(pruned_, ", "));
    progress_.end(told);
    tell_uploads();
    if (request_.start) start_machines();
    tell_images();
    return outcome();
}

void Run::register_everywhere() {
    for (const auto& target : request_.servers) register_at(target);
}

void Run::register_at(const std::string& target) {
    Server server(target);
    const auto snapshot = take_snapshot(server);
    if (!snapshot) return fail_all(snapshot.error());
    const Changes changes = changes_between(file_, inputs_, *snapshot, {request_.refresh_credentials});
    // What everything else refers to: without it nothing can be registered.
    if (auto done = apply_changes(server, changes.tenants, request_.reason); !done) return fail_all(done.error());
    if (auto done = send_files(server, *snapshot); !done) return fail_all(done.error());
    std::vector<v1::Mutation> shared = changes.sets;
    shared.insert(shared.end(), changes.profiles.begin(), changes.profiles.end());
    if (auto done = apply_changes(server, shared, request_.reason); !done) return fail_all(done.error());
    if (request_.prune) {
        // One after the other: a machine that has a job stays, and does not keep the others.
        for (const auto& removal : changes.removals) {
            auto done = apply_changes(server, {removal}, request_.reason);
            if (!done) errors_.push_back(done.error());
            if (done && removal.has_delete_machine()) pruned_.push_back(removal.delete_machine().name());
        }
    } else if (!changes.stale.empty()) {
        warnings_.push_back(fmt::format("{}: not in {}, and left alone: {}; --prune removes them", target, file_.path,
                                        fmt::join(changes.stale, ", ")));
    }
    register_nodes(server, changes);
}

Result<void> Run::send_files(Server& server, const Snapshot& snapshot) {
    std::set<std::string> stored;
    for (const auto& [name, set] : snapshot.sets) {
        for (const auto& one : set.files()) stored.insert(one.sha256());
    }
    std::uint64_t all = 0;
    std::uint64_t sent = 0;
    std::vector<const LocalFile*> missing;
    for (const auto& entry : file_.artifacts) {
        const ArtifactFiles& files = inputs_.artifacts.at(entry.name);
        for (const LocalFile* one : {&files.kernel, &files.initramfs}) {
            const bool there = !stored.insert(one->sha256).second;
            auto& list = there ? present_ : uploaded_;
            if (std::find(list.begin(), list.end(), one->name) == list.end()) list.push_back(one->name);
            if (!there) missing.push_back(one);
            if (!there) all += one->size;
        }
    }
    for (const LocalFile* one : missing) {
        const auto tell = [&](std::uint64_t done, std::uint64_t) {
            progress_.show(sent + done, all, "uploading " + one->name);
        };
        tell(0, 0);
        const auto existed = upload(server, *one, false, tell);
        if (!existed) {
            upload_failed_ = true;
            return fail(existed.error());
        }
        sent += one->size;
    }
    return {};
}

void Run::register_nodes(Server& server, const Changes& changes) {
    std::size_t done = 0;
    for (const NodeChange& change : changes.nodes) {
        NodeResult& result = result_of(change.node->name);
        progress_.show(done++, changes.nodes.size(), change.node->name);
        if (!result.errors.empty()) continue;
        result.config_sha256 = change.config_sha256;
        warnings_.insert(warnings_.end(), change.warnings.begin(), change.warnings.end());
        result.errors.insert(result.errors.end(), change.errors.begin(), change.errors.end());
        if (!change.errors.empty()) continue;
        auto applied = apply_changes(server, change.mutations, request_.reason);
        if (!applied)
            result.errors.push_back(
                std::move(applied.error())
                    .in(fmt::format("{}:{}: {}", file_.path, change.node->line, change.node->name)));
    }
}

void Run::tell_uploads() {
    if (file_.artifacts.empty()) return;
    progress_.begin("Uploading artifacts");
    std::string told = fmt::format("{}", fmt::join(uploaded_, ", "));
    if (!told.empty()) told += upload_failed_ ? " failed" : " done";
    if (uploaded_.empty())
        told = present_.empty() ? "none" : fmt::format("{} there already", fmt::join(present_, ", "));
    progress_.end(told);
}

void Run::make_tenant_media(const TenantEntry& tenant) {
    const bool usb = std::any_of(results_.begin(), results_.end(), [&](const auto& one) {
        return one.node->tenant == tenant.name && one.node->boot == BootWay::kUsb && one.errors.empty();
    });
    if (!tenant.image || (!usb && tenant.image->iso.empty())) return;
    const auto at = [&](const std::string& path) {
        return path.starts_with('/') ? path : request_.output + "/" + path;
    };
    ImageRequest wanted;
    wanted.ipxe_files = tenant.image->ipxe;
    wanted.certificate_file = tenant.image->certificate;
    wanted.key_file = tenant.image->key;
    wanted.root_file = tenant.image->root;
    wanted.server = request_.metadata_server;
    wanted.now = std::chrono::system_clock::now();
    const std::string name = tenant.image->usb.empty() ? "usb-" + tenant.name + ".img" : tenant.image->usb;
    if (usb) wanted.usb = at(name);
    if (!tenant.image->iso.empty()) wanted.iso = at(tenant.image->iso);
    auto report = make_images(wanted);
    if (!report) {
        const Error error = std::move(report.error())
                                .in(fmt::format("{}:{}: image of {}", file_.path, tenant.image->line, tenant.name));
        for (auto& result : results_) {
            if (result.node->tenant == tenant.name && result.node->boot != BootWay::kOther)
                result.errors.push_back(error);
        }
        return;
    }
    warnings_.insert(warnings_.end(), report->warnings.begin(), report->warnings.end());
    for (const auto& one : report->outputs)
        json_images_.push_back(
            {{"tenant", tenant.name}, {"path", one.path}, {"size", one.size}, {"sha256", one.sha256}});
    if (!usb) return;
    images_.emplace_back(tenant.name, name);
    for (auto& result : results_) {
        if (result.node->tenant == tenant.name && result.node->boot == BootWay::kUsb) result.did = name;
    }
}

void Run::make_media() {
    progress_.begin("Making images");
    for (const auto& tenant : file_.tenants) make_tenant_media(tenant);
}

void Run::start_machines() {
    std::vector<std::string> names;
    bool wanted = false;
    for (const auto& result : results_) {
        wanted |= result.node->boot == BootWay::kRedfish;
        if (result.node->boot == BootWay::kRedfish && result.errors.empty()) names.push_back(result.node->name);
    }
    if (!wanted) return;
    progress_.begin("Redfish provisioning");
    Server server(request_.servers.front());
    const TellJobs tell = [&](std::size_t done, const std::string& what) { progress_.show(done, names.size(), what); };
    const auto jobs = provision(server, names, request_.reason, request_.boot_deadline, tell);
    std::vector<std::string> rebooted, left, failed;
    for (const auto& name : names) {
        const Provisioning& one = jobs.at(name);
        NodeResult& result = result_of(name);
        result.job = one.job;
        result.did = one.state == Provisioning::State::kRebooted ? "rebooted" : one.message;
        auto& list = one.state == Provisioning::State::kRebooted ? rebooted
                     : one.state == Provisioning::State::kFailed ? failed
                                                                 : left;
        list.push_back(one.state == Provisioning::State::kNotNeeded ? fmt::format("{} is {}", name, one.message)
                                                                    : name);
        if (one.state == Provisioning::State::kFailed)
            result.errors.push_back({Code::kFailedPrecondition, one.message, name});
    }
    std::vector<std::string> told;
    if (!rebooted.empty()) told.push_back(fmt::format("{} rebooted", fmt::join(rebooted, ", ")));
    if (!left.empty()) told.push_back(fmt::format("{}", fmt::join(left, ", ")));
    if (!failed.empty()) told.push_back(fmt::format("{} failed", fmt::join(failed, ", ")));
    progress_.end(told.empty() ? "no node can be started" : fmt::format("{}", fmt::join(told, "; ")));
}

void Run::tell_images() {
    std::vector<std::string> names;
    for (const auto& [tenant, name] : images_) names.push_back(name);
    const bool wanted =
        std::any_of(results_.begin(), results_.end(), [](const auto& one) { return one.node->boot == BootWay::kUsb; });
    if (!wanted) return;
    progress_.begin("USB image");
    progress_.end(names.empty() ? "failed" : fmt::format("{} written", fmt::join(names, ", ")));
}

Outcome Run::outcome() {
    Outcome out;
    std::size_t ways[3] = {0, 0, 0};
    std::vector<std::string> failed;
    boost::json::array nodes;
    for (const auto& result : results_) {
        const auto& node = *result.node;
        if (result.errors.empty()) ++ways[static_cast<std::size_t>(node.boot)];
        if (!result.errors.empty()) failed.push_back(node.name);
        for (const auto& error : result.errors) {
            const bool told = std::any_of(out.errors.begin(), out.errors.end(),
                                          [&](const auto& one) { return one.to_string() == error.to_string(); });
            if (!told) out.errors.push_back(error);
        }
        boost::json::object object{{"name", node.name}, {"tenant", node.tenant}, {"ready", result.errors.empty()}};
        object["boot"] = node.boot == BootWay::kRedfish ? "redfish" : node.boot == BootWay::kUsb ? "usb" : "other";
        if (!result.config_sha256.empty()) object["config_sha256"] = result.config_sha256;
        if (!result.job.empty()) object["job"] = result.job;
        if (!result.did.empty()) object["result"] = result.did;
        nodes.push_back(std::move(object));
    }
    out.errors.insert(out.errors.end(), errors_.begin(), errors_.end());
    const std::size_t ready = ways[0] + ways[1] + ways[2];
    out.text = fmt::format("{} {} ready ({} Redfish, {} USB{})", ready, ready == 1 ? "node" : "nodes", ways[0], ways[1],
                           ways[2] == 0 ? "" : fmt::format(", {} other", ways[2]));
    if (!failed.empty()) out.text += fmt::format(", {} failed: {}", failed.size(), fmt::join(failed, ", "));
    out.text += "\n";
    out.warnings = warnings_;
    out.json = {{"nodes", std::move(nodes)}, {"ready", ready},          {"redfish", ways[0]},    {"usb", ways[1]},
                {"other", ways[2]},          {"failed", failed.size()}, {"images", json_images_}};
    boost::json::array uploaded, removed;
    for (const auto& name : uploaded_) uploaded.emplace_back(name);
    for (const auto& name : pruned_) removed.emplace_back(name);
    out.json["uploaded"] = std::move(uploaded);
    out.json["removed"] = std::move(removed);
    return out;
}

}  // namespace

Outcome apply_loaded(const NodesRequest& request, const Loaded& loaded) {
    return Run(request, loaded).all();
}

Outcome apply_nodes(const NodesRequest& request) {
    Outcome failed;
    const auto loaded = load_nodes(request.nodes_file, failed.errors);
    if (!loaded) return failed;
    Outcome out = apply_loaded(request, *loaded);
    out.warnings.insert(out.warnings.begin(), loaded->file.warnings.begin(), loaded->file.warnings.end());
    return out;
}

}  // namespace nett::builder
