#include "agent/core/host/plugin_manager.hpp"

#include <gtest/gtest.h>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

#include "agent/core/config/parser.hpp"
#include "agent/core/host/event_bus.hpp"
#include "agent/core/host/health_registry.hpp"

namespace nett {
namespace {

// What the scripted plugins did, in order, and what they are to refuse.
struct Script {
    std::vector<std::string> calls;
    std::string refuse;  // "beta.start": that call fails
    std::string crash;   // "beta.start": that call throws
};
Script* g_script = nullptr;

class ScriptedPlugin final : public Plugin {
public:
    explicit ScriptedPlugin(std::string name) : name_(std::move(name)) {}
    Awaitable<Result<void>> start(const ConfigNode& config) override { co_return act("start", config); }
    Awaitable<Result<void>> reconfigure(const ConfigNode& config) override { co_return act("reconfigure", config); }
    Awaitable<void> stop(SteadyTime) override {
        g_script->calls.push_back(name_ + ".stop");
        co_return;
    }
    boost::json::value status() const override { return nullptr; }
    std::vector<OpCommand> commands() override { return {}; }

private:
    Result<void> act(const std::string& what, const ConfigNode& config) {
        g_script->calls.push_back(fmt::format("{}.{} {}", name_, what, config.integer("level", "n", 0)));
        if (g_script->crash == name_ + "." + what) throw std::runtime_error("boom");
        if (g_script->refuse == name_ + "." + what) return fail(Code::kUnavailable, "no");
        return {};
    }
    std::string name_;
};

template <char Letter>
std::vector<ConfigCommand> commands_of() {
    const std::string name = Letter == 'a' ? "alpha" : "beta";
    return {{"", "plugin " + name, "A scripted plugin", {}, {}, name, {}},
            {name, "level {n:int:0..9}", "A number", {}, {}, {}, {}}};
}
std::vector<Diagnostic> no_findings(const ConfigEntry&, const CheckEnvironment&) {
    return {};
}
std::vector<Diagnostic> throwing_check(const ConfigEntry&, const CheckEnvironment&) {
    throw std::runtime_error("boom");
}
std::unique_ptr<Plugin> make_alpha(const Host&) {
    return std::make_unique<ScriptedPlugin>("alpha");
}
std::unique_ptr<Plugin> make_beta(const Host&) {
    return std::make_unique<ScriptedPlugin>("beta");
}

const PluginDescriptor kAlpha{kPluginMagic, kPluginAbiVersion, "",          "alpha",    "1",
                              "",           commands_of<'a'>,  no_findings, make_alpha, 90};
const PluginDescriptor kBeta{kPluginMagic,     kPluginAbiVersion, "",        "beta", "1", "",
                             commands_of<'b'>, throwing_check,    make_beta, 50};

class NoStore final : public Store {
    Result<std::optional<Record>> get(std::string_view, std::string_view) const override { return std::nullopt; }
    Result<std::optional<Record>> find(std::string_view, std::string_view, std::string_view) const override {
        return std::nullopt;
    }
    Result<std::vector<Record>> list(std::string_view, std::string_view, std::size_t) const override {
        return std::vector<Record>{};
    }
    Result<std::vector<Record>> scan(std::string_view, std::string_view, std::string_view, std::string_view,
                                     std::size_t) const override {
        return std::vector<Record>{};
    }
    Result<std::uint64_t> count(std::string_view, std::string_view, std::string_view) const override { return 0U; }
    Result<std::vector<Change>> changes(Revision, std::size_t) const override { return std::vector<Change>{}; }
    Revision revision() const override { return 0; }
    Awaitable<Result<Revision>> commit(Transaction) override { co_return Revision{0}; }
    Subscription watch(std::string, std::function<void(const Change&)>) override { return {}; }
};
class NoSecrets final : public SecretBox {
    Result<std::string> seal(std::string_view text, std::string_view) const override { return std::string(text); }
    Result<std::string> open(std::string_view text, std::string_view) const override { return std::string(text); }
};
class NoFrr final : public Frr {
    void declare_ra(std::string, std::vector<RaInterface>) override {}
    void declare_prefix_list(std::string, std::vector<PrefixListEntry>) override {}
    void withdraw(std::string) override {}
    void release(std::string) override {}
    std::vector<FrrDrift> drift() const override { return {}; }
    FrrDaemonStatus status(FrrDaemon) const override { return {}; }
    Subscription observe(std::function<void(FrrDaemon)>) override { return {}; }
    Awaitable<Result<std::string>> show_json(std::string) override { co_return std::string("{}"); }
    Awaitable<Result<std::string>> show_text(std::string) override { co_return std::string(); }
};
class NoNet final : public Net {
    std::vector<Link> links() const override { return {}; }
    std::optional<Link> link(std::string_view) const override { return std::nullopt; }
    Subscription observe_links(std::function<void()>) override { return {}; }
    Subscription observe_addresses(std::function<void(int)>) override { return {}; }
    Result<std::vector<LinkAddress>> addresses(std::string_view) const override { return std::vector<LinkAddress>{}; }
    Result<void> put_address(std::string_view, const LinkAddress&, bool) override { return {}; }
    Result<void> remove_address(std::string_view, const InterfaceAddress&) override { return {}; }
    Result<void> put_blackhole(const Prefix6&) override { return {}; }
    Result<void> remove_blackhole(const Prefix6&) override { return {}; }
    Result<bool> has_blackhole(const Prefix6&) const override { return false; }
    Result<std::vector<Neighbour>> neighbours(std::string_view) const override { return std::vector<Neighbour>{}; }
};

class Plugins : public testing::Test {
protected:
    void SetUp() override { g_script = &script; }

    ConfigNode config(std::string_view text) {
        auto parsed = parse_config(grammar, text, "nett.conf");
        EXPECT_TRUE(parsed.ok());
        return std::move(parsed.root);
    }
    template <typename T>
    T run(Awaitable<T> work) {
        std::optional<T> out;
        loop.restart();
        asio::co_spawn(loop, std::move(work), [&](std::exception_ptr error, T value) {
            if (error) std::rethrow_exception(error);
            out = std::move(value);
        });
        loop.run();
        return std::move(*out);
    }
    void run(Awaitable<void> work) {
        loop.restart();
        asio::co_spawn(loop, std::move(work), asio::detached);
        loop.run();
    }
    std::vector<std::string> calls() { return std::exchange(script.calls, {}); }

    using Calls = std::vector<std::string>;
    Script script;
    Grammar grammar = [] {
        auto all = commands_of<'a'>();
        for (auto& command : commands_of<'b'>()) all.push_back(command);
        return Grammar::build(std::move(all)).value();
    }();
    asio::io_context loop;
    ManualClock clock;
    LoopEventBus events{loop.get_executor(), clock};
    LoopHealthRegistry health{loop.get_executor(), clock, events};
    NoStore store;
    NoSecrets secrets;
    NoFrr frr;
    NoNet net;
    NullMetrics metrics;
    Host host{loop.get_executor(),
              loop.get_executor(),
              clock,
              events,
              health,
              store,
              secrets,
              frr,
              net,
              "host",
              "/tmp",
              metrics};
    PluginManager manager{host, {{&kAlpha, "a"}, {&kBeta, "b"}}, [](std::vector<OpCommand>) { return Result<void>{}; }};
};

constexpr const char* kBoth = "plugin alpha\n level 1\nplugin beta\n level 1\n";

TEST_F(Plugins, StartInRankOrderAndStopInReverse) {
    run(manager.start(config(kBoth)));
    EXPECT_EQ(calls(), (Calls{"beta.start 1", "alpha.start 1"}));
    run(manager.stop(clock.steady_now()));
    EXPECT_EQ(calls(), (Calls{"alpha.stop", "beta.stop"}));
}

TEST_F(Plugins, OnlyWhatDiffersIsTouched) {
    const auto from = config(kBoth);
    run(manager.start(from));
    calls();
    EXPECT_TRUE(run(manager.apply(from, config("plugin alpha\n level 2\nplugin beta\n level 1\n"))));
    EXPECT_EQ(calls(), (Calls{"alpha.reconfigure 2"}));
}

TEST_F(Plugins, ARefusedCommitIsUndoneInReverse) {
    const auto from = config(kBoth);
    run(manager.start(from));
    calls();
    script.refuse = "alpha.reconfigure";
    const auto applied = run(manager.apply(from, config("plugin alpha\n level 2\nplugin beta\n level 2\n")));
    ASSERT_FALSE(applied);
    EXPECT_EQ(applied.error().to_string(), "plugin alpha: no");
    EXPECT_EQ(calls(), (Calls{"beta.reconfigure 2", "alpha.reconfigure 2", "beta.reconfigure 1"}));
}

TEST_F(Plugins, AddingAndRemoving) {
    const auto alpha = config("plugin alpha\n level 1\n");
    run(manager.start(alpha));
    EXPECT_TRUE(run(manager.apply(alpha, config("plugin beta\n level 3\n"))));
    EXPECT_EQ(calls(), (Calls{"alpha.start 1", "beta.start 3", "alpha.stop"}));
}

TEST_F(Plugins, OneThatFailsAtBootIsTriedAgainWhileTheOthersRun) {
    script.refuse = "beta.start";
    const auto root = config(kBoth);
    run(manager.start(root));
    EXPECT_EQ(manager.status()[0].state, "failed");
    EXPECT_EQ(manager.status()[1].state, "running");
    EXPECT_EQ(worst_state(health.conditions()), HealthState::kFailed);
    calls();
    script.refuse.clear();
    run(manager.retry_failed(root));
    EXPECT_EQ(calls(), (Calls{"beta.start 1"}));
    EXPECT_EQ(manager.status()[0].state, "running");
    EXPECT_EQ(worst_state(health.conditions()), HealthState::kOk);
}

TEST_F(Plugins, AnExceptionIsAnErrorOfThatPlugin) {
    script.crash = "beta.start";
    run(manager.start(config(kBoth)));
    EXPECT_EQ(manager.status()[0].error, "plugin beta: start threw: boom");
    EXPECT_EQ(manager.status()[1].state, "running");
    const auto findings = PluginManager::validate({{&kBeta, "b"}}, config(kBoth), {});
    ASSERT_EQ(findings.size(), 1U);
    EXPECT_EQ(findings[0].to_string(), "nett.conf:3: error: plugin beta failed to check its configuration: boom");
}

TEST_F(Plugins, RefreshReconfiguresEverythingThatRuns) {
    const auto root = config(kBoth);
    run(manager.start(root));
    calls();
    EXPECT_TRUE(run(manager.refresh(root)));
    EXPECT_EQ(calls(), (Calls{"beta.reconfigure 1", "alpha.reconfigure 1"}));
}

}  // namespace
}  // namespace nett
