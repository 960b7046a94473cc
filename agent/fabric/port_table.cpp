#include "agent/fabric/port_table.hpp"

#include <algorithm>
#include <array>
#include <set>
#include <string_view>

#include "agent/sdk/config.hpp"

namespace nett {

namespace {

constexpr std::array<std::string_view, 4> kBestFirst{"production", "neighbour", "boot", "binding"};

std::size_t rank_of(std::string_view known_by) {
    return static_cast<std::size_t>(std::find(kBestFirst.begin(), kBestFirst.end(), known_by) - kBestFirst.begin());
}

class Table {
public:
    void add_own(const OwnPort& own) {
        auto& row = row_of(own.name);
        row.prefix = own.prefix.to_string();
        row.link = own.link;
        row.mac = own.mac;
        row.neighbours = own.neighbours;
    }

    void add_reported(const ReportedPort& reported) {
        auto& row = row_of(reported.port);
        if (row.prefix.empty()) row.prefix = reported.prefix.to_string();
    }

    void add_origin(const FabricOrigin& origin) {
        for (const auto& [prefix, since] : origin.prefixes) {
            auto& row = row_of(prefix.port);
            const auto text = prefix.prefix.to_string();
            if (std::find(row.announced.begin(), row.announced.end(), text) == row.announced.end()) {
                row.announced.push_back(text);
            }
            row.origin = origin.name;
        }
    }

    // Rows of ports that only machines name. First, so that the other sources find them.
    void add_bindings(const std::vector<KnownMachine>& machines) {
        for (const auto& machine : machines) {
            for (const auto& binding : machine.bindings) {
                auto& row = row_of(binding.port);
                if (row.prefix.empty() && binding.prefix.length() > 0) row.prefix = binding.prefix.to_string();
                place(row, machine.name, "binding");
            }
        }
    }

    void place_all(const std::vector<KnownMachine>& machines) {
        std::map<std::string, const KnownMachine*> by_mac;
        std::map<std::string, const KnownMachine*> by_production;
        for (const auto& machine : machines) {
            for (const auto& mac : machine.macs) by_mac.emplace(mac, &machine);
            if (!machine.production.empty()) by_production.emplace(machine.production, &machine);
        }
        for (auto& [name, row] : rows_) {
            for (const auto& prefix : row.announced) place_found(row, by_production, prefix, "production");
            for (const auto& neighbour : row.neighbours) place_found(row, by_mac, neighbour.mac, "neighbour");
        }
        for (const auto& machine : machines) place_boot(machine);
    }

    std::vector<PortRow> take() {
        std::vector<PortRow> out;
        for (auto& [name, row] : rows_) out.push_back(std::move(row));
        std::sort(out.begin(), out.end(), [](const auto& a, const auto& b) { return natural_less(a.port, b.port); });
        return out;
    }

private:
    PortRow& row_of(const std::string& port) {
        auto& row = rows_[port];
        row.port = port;
        return row;
    }

    static void place(PortRow& row, const std::string& machine, std::string_view known_by) {
        if (!row.machine.empty() && rank_of(row.known_by) <= rank_of(known_by)) return;
        row.machine = machine;
        row.known_by = known_by;
    }

    static void place_found(PortRow& row, const std::map<std::string, const KnownMachine*>& machines,
                            const std::string& key, std::string_view known_by) {
        if (const auto found = machines.find(key); found != machines.end()) place(row, found->second->name, known_by);
    }

    void place_boot(const KnownMachine& machine) {
        const auto source = parse_address6(machine.boot_source);
        if (!source) return;
        for (auto& [name, row] : rows_) {
            const auto prefix = Prefix6::parse(row.prefix);
            if (prefix && prefix->contains(*source)) place(row, machine.name, "boot");
        }
    }

    std::map<std::string, PortRow> rows_;
};

}  // namespace

std::vector<PortRow> port_table(const std::vector<OwnPort>& own, const std::vector<KnownMachine>& machines,
                                const std::map<std::string, FabricOrigin>& origins,
                                const std::vector<ReportedPort>& reported) {
    Table table;
    for (const auto& port : own) table.add_own(port);
    for (const auto& port : reported) table.add_reported(port);
    for (const auto& [name, origin] : origins) table.add_origin(origin);
    table.add_bindings(machines);
    table.place_all(machines);
    return table.take();
}

}  // namespace nett
