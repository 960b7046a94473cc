#include "agent/core/host/plugin_manager.hpp"

#include <algorithm>
#include <exception>

namespace nett {

namespace {

constexpr std::chrono::seconds kStopForReconfigure{5};  // longer than any plugin's drain; a commit should not hang

std::string node_id(const PluginDescriptor& descriptor) {
    return fmt::format("plugin {}", descriptor.name);
}

bool same_entry(const ConfigEntry* a, const ConfigEntry* b) {
    if (a == nullptr || b == nullptr) return a == b;
    return a->same_as(*b);
}

// Runs a call into a plugin and turns what escapes into an error.
Awaitable<Result<void>> guarded(const char* name, const char* what, Awaitable<Result<void>> call) {
    try {
        co_return co_await std::move(call);
    } catch (const std::exception& exception) {
        co_return fail(Code::kInternal, "plugin {}: {} threw: {}", name, what, exception.what());
    } catch (...) {
        co_return fail(Code::kInternal, "plugin {}: {} threw something that is no std::exception", name, what);
    }
}

Awaitable<Result<void>> stop_as_result(Plugin& plugin, SteadyTime deadline) {
    co_await plugin.stop(deadline);
    co_return Result<void>{};
}

Awaitable<Result<void>> remove_as_result(Plugin& plugin, SteadyTime deadline) {
    co_await plugin.remove(deadline);
    co_return Result<void>{};
}

}  // namespace

class PluginManager::Busy {
public:
    explicit Busy(bool& flag) : flag_(flag) { flag_ = true; }
    Busy(const Busy&) = delete;
    Busy& operator=(const Busy&) = delete;
    ~Busy() { flag_ = false; }

private:
    bool& flag_;
};

PluginManager::PluginManager(const Host& host, std::vector<LoadedPlugin> plugins, CommandSink add_commands)
    : host_(host), add_commands_(std::move(add_commands)) {
    std::stable_sort(plugins.begin(), plugins.end(),
                     [](const auto& a, const auto& b) { return a.descriptor->start_rank < b.descriptor->start_rank; });
    for (const auto& loaded : plugins) instances_.push_back(Instance{loaded.descriptor, nullptr, false, {}});
}

PluginManager::~PluginManager() = default;

std::vector<Diagnostic> PluginManager::validate(const std::vector<LoadedPlugin>& plugins, const ConfigNode& root,
                                                const CheckEnvironment& environment) {
    std::vector<Diagnostic> findings;
    for (const auto& loaded : plugins) {
        const auto* entry = root.find(node_id(*loaded.descriptor));
        if (entry == nullptr) continue;
        try {
            auto found = loaded.descriptor->validate(*entry, environment);
            std::move(found.begin(), found.end(), std::back_inserter(findings));
        } catch (const std::exception& exception) {
            findings.push_back(error_at(*entry, fmt::format("plugin {} failed to check its configuration: {}",
                                                            loaded.descriptor->name, exception.what())));
        }
    }
    return findings;
}

void PluginManager::set_health(const Instance& instance) {
    host_.health.report({"plugins",
                         instance.descriptor->name,
                         HealthScope::kInfo,
                         instance.error.empty() ? HealthState::kOk : HealthState::kFailed,
                         instance.error.empty() ? "running" : instance.error,
                         instance.error.empty() ? "" : "the agent keeps trying; see the log for the first failure",
                         {}});
}

Awaitable<Result<void>> PluginManager::start_instance(Instance& instance, const ConfigNode& node) {
    const char* name = instance.descriptor->name;
    try {
        if (!instance.plugin) {
            instance.plugin = instance.descriptor->create(host_);
            NETT_CO_TRY(add_commands_(instance.plugin->commands()));
        }
    } catch (const std::exception& exception) {
        co_return fail(Code::kInternal, "plugin {}: create threw: {}", name, exception.what());
    }
    auto started = co_await guarded(name, "start", instance.plugin->start(node));
    if (!started) co_return started;
    instance.running = true;
    instance.error.clear();
    set_health(instance);
    log_.info("started", {{"plugin", name}});
    co_return started;
}

Awaitable<void> PluginManager::start(const ConfigNode& root) {
    const Busy busy(busy_);
    for (auto& instance : instances_) {
        const auto* entry = root.find(node_id(*instance.descriptor));
        if (entry == nullptr) continue;
        auto started = co_await start_instance(instance, entry->children());
        if (started) continue;
        instance.error = started.error().to_string();
        set_health(instance);
        log_.error("cannot start; trying again", {{"plugin", instance.descriptor->name}, {"error", instance.error}});
    }
}

Awaitable<void> PluginManager::retry_failed(const ConfigNode& root) {
    if (busy_) co_return;
    const Busy busy(busy_);
    for (auto& instance : instances_) {
        const auto* entry = root.find(node_id(*instance.descriptor));
        if (entry == nullptr || instance.running) continue;
        auto started = co_await start_instance(instance, entry->children());
        if (!started) {
            instance.error = started.error().to_string();
            set_health(instance);
        }
    }
}

Awaitable<Result<void>> PluginManager::step(Instance& instance, const ConfigEntry* from, const ConfigEntry* to) {
    const char* name = instance.descriptor->name;
    if (to == nullptr) {
        if (instance.plugin) {
            const auto deadline = host_.clock.steady_now() + kStopForReconfigure;
            NETT_CO_TRY(co_await guarded(name, "remove", remove_as_result(*instance.plugin, deadline)));
        }
        instance.running = false;
        instance.error.clear();
        host_.health.forget(name);
        co_return Result<void>{};
    }
    if (from == nullptr || !instance.running) co_return co_await start_instance(instance, to->children());
    co_return co_await guarded(name, "reconfigure", instance.plugin->reconfigure(to->children()));
}

Awaitable<Result<void>> PluginManager::apply(const ConfigNode& from, const ConfigNode& to) {
    if (busy_) co_return fail(Code::kAborted, "plugins are just being started; try again");
    const Busy busy(busy_);
    std::vector<Instance*> done;
    for (auto& instance : instances_) {
        const auto* before = from.find(node_id(*instance.descriptor));
        const auto* after = to.find(node_id(*instance.descriptor));
        if (same_entry(before, after)) continue;
        auto result = co_await step(instance, before, after);
        if (result) {
            done.push_back(&instance);
            continue;
        }
        for (auto it = done.rbegin(); it != done.rend(); ++it) {
            const auto id = node_id(*(*it)->descriptor);
            auto undone = co_await step(**it, to.find(id), from.find(id));
            if (!undone)
                log_.error("cannot go back to the running configuration",
                           {{"plugin", (*it)->descriptor->name}, {"error", undone.error()}});
        }
        co_return fail(std::move(result.error()).in(node_id(*instance.descriptor)));
    }
    co_return Result<void>{};
}

Awaitable<Result<void>> PluginManager::refresh(const ConfigNode& root) {
    if (busy_) co_return fail(Code::kAborted, "plugins are just being started; try again");
    const Busy busy(busy_);
    Result<void> first_error;
    for (auto& instance : instances_) {
        const auto* entry = root.find(node_id(*instance.descriptor));
        if (entry == nullptr || !instance.running) continue;
        auto result =
            co_await guarded(instance.descriptor->name, "reconfigure", instance.plugin->reconfigure(entry->children()));
        if (!result && first_error) first_error = fail(std::move(result.error()).in(node_id(*instance.descriptor)));
    }
    co_return first_error;
}

Awaitable<void> PluginManager::stop(SteadyTime deadline) {
    for (auto it = instances_.rbegin(); it != instances_.rend(); ++it) {
        if (!it->plugin) continue;
        auto stopped = co_await guarded(it->descriptor->name, "stop", stop_as_result(*it->plugin, deadline));
        if (!stopped) log_.error("stop failed", {{"plugin", it->descriptor->name}, {"error", stopped.error()}});
        it->running = false;
        log_.info("stopped", {{"plugin", it->descriptor->name}});
    }
}

std::vector<PluginStatus> PluginManager::status() const {
    std::vector<PluginStatus> all;
    for (const auto& instance : instances_) {
        PluginStatus status{
            instance.descriptor->name, instance.descriptor->version, "not configured", instance.error, {}};
        if (instance.running) {
            status.state = "running";
            status.detail = instance.plugin->status();
        } else if (!instance.error.empty()) {
            status.state = "failed";
        }
        all.push_back(std::move(status));
    }
    return all;
}

}  // namespace nett
