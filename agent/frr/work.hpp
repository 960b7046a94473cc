// What plugins declared, for each daemon, and what follows from it: the two FrrWork.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "agent/frr/reconciler.hpp"
#include "agent/sdk/clock.hpp"

namespace nett {

// More interfaces than this that differ at once have one cause (zebra was restarted) and make one FrrDrift.
inline constexpr std::size_t kMaxDriftDetails = 8;
// One FrrDrift without a subject instead of too many.
std::vector<FrrDrift> summarized(std::vector<FrrDrift> drift);

// What one owner declared, until it is released or withdrawn, and programmed.
template <typename Desired>
struct Declarations {
    struct Owner {
        Desired desired;
        bool leaving = false;  // forget once programmed
    };
    std::map<std::string, Owner> owners;

    void release(const std::string& owner, bool programmed) {
        auto it = owners.find(owner);
        if (it == owners.end()) return;
        if (programmed) {
            owners.erase(it);
        } else {
            it->second.leaving = true;
        }
    }
    bool forget_leaving() {
        return std::erase_if(owners, [](const auto& entry) { return entry.second.leaving; }) > 0;
    }
};

class ZebraWork final : public FrrWork {
public:
    explicit ZebraWork(const Clock& clock) : clock_(clock) {}

    void declare(const std::string& owner, std::vector<RaInterface> interfaces);
    void release(const std::string& owner, bool programmed);
    void withdraw(const std::string& owner);

    bool wanted() const override { return used_; }
    FrrRead reader() override;
    Plan plan(const FrrActual& actual) override;
    void settled() override;

private:
    RaPlanner::Declared merged() const;
    void forget_undeclared();

    const Clock& clock_;
    Declarations<std::vector<RaInterface>> declarations_;
    std::set<std::string> withdrawn_;  // owners to forget once nothing of them is left
    RaPlanner planner_;
    bool used_ = false;
};

class BgpdWork final : public FrrWork {
public:
    void declare(const std::string& owner, std::vector<PrefixListEntry> entries);
    void release(const std::string& owner, bool programmed) { declarations_.release(owner, programmed); }
    void withdraw(const std::string& owner);

    bool wanted() const override;
    FrrRead reader() override;
    Plan plan(const FrrActual& actual) override;
    void settled() override;

private:
    DeclaredEntries merged() const;

    Declarations<std::vector<PrefixListEntry>> declarations_;
    std::set<EntryKey> unwanted_;
};

}  // namespace nett
