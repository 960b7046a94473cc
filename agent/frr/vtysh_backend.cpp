// FRR through vtysh, for switches where the gRPC module cannot be added (stock SONiC, Cumulus). Rules:
//  - One batch is one vtysh -f, which mgmtd commits as a whole: 512 ports in 1.4 s instead of a commit a line.
//  - Only the daemon in question is asked (-d): another one that hangs does not hold this one up.
//  - The exit status is 0 when a daemon refuses a batch; its words on the standard output tell.
#include "agent/frr/backend.hpp"
#include "agent/frr/vtysh.hpp"
#include "agent/frr/vtysh_config.hpp"

namespace nett {
namespace {

constexpr const char* kInterfaceDaemon = "mgmtd";  // holds zebra's configuration from FRR 10.0 on

class VtyshBackend final : public FrrBackend {
public:
    VtyshBackend(FrrDaemon daemon, std::string path, std::vector<std::string> arguments)
        : daemon_(to_string(daemon)), vtysh_(std::move(path), std::move(arguments)) {}

    std::string_view name() const override { return "vtysh"; }

    // Two processes a round, 30 ms at 512 ports.
    std::chrono::milliseconds poll_interval() const override { return std::chrono::milliseconds(3000); }

    // There is no module that could be the wrong one.
    Result<bool> probe_hardened() override {
        NETT_TRY(require_daemon());
        return true;
    }

    Result<RaTable> read_ra() override {
        // mgmtd knows what is configured also while zebra is away.
        NETT_TRY(require_daemon());
        auto text = vtysh_.show(kInterfaceDaemon, "show running-config");
        if (!text) return fail(std::move(text.error()));
        auto table = parse_running_config(*text);
        if (table) last_read_ = *table;
        return table;
    }

    Result<void> apply_ra(const RaChange& change) override {
        return apply(kInterfaceDaemon, config_lines(change, last_read_));
    }

    Result<PrefixListTable> read_prefix_lists(const std::set<std::string>& lists) override {
        PrefixListTable table;
        for (const std::string& list : lists) {
            auto text = vtysh_.show(daemon_, fmt::format("show ipv6 prefix-list {} json", list));
            if (!text) return fail(std::move(text.error()));
            NETT_TRY(parse_shown_prefix_list(*text, list, table));
        }
        return table;
    }

    Result<void> apply_prefix_lists(const PrefixListChange& change) override {
        return apply(daemon_, config_lines(change));
    }

    void cancel() override { vtysh_.cancel(); }

private:
    Result<void> require_daemon() {
        auto answer = vtysh_.show(daemon_, "show version");
        if (!answer) return fail(std::move(answer.error()));
        return {};
    }

    Result<void> apply(const std::string& daemon, Result<std::vector<std::string>> lines) {
        if (!lines) return fail(std::move(lines.error()));
        auto output = vtysh_.configure(daemon, *lines);
        if (!output) return fail(std::move(output.error()));
        std::string refusal = refusal_of(*output);
        if (!refusal.empty()) return fail(Code::kInvalidArgument, "{} refused it: {}", daemon, refusal);
        return {};
    }

    std::string daemon_;
    Vtysh vtysh_;
    RaTable last_read_;  // by the worker thread alone
};

}  // namespace

std::shared_ptr<FrrBackend> make_vtysh_backend(FrrDaemon daemon, std::string path, std::vector<std::string> arguments) {
    return std::make_shared<VtyshBackend>(daemon, std::move(path), std::move(arguments));
}

}  // namespace nett
