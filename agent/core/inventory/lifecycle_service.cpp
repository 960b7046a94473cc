#include "agent/core/inventory/lifecycle_service.hpp"

#include <algorithm>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace nett {

namespace {

constexpr std::size_t kMachinesPerTurn = 200;  // a few milliseconds of decoding

}  // namespace

LifecycleService::LifecycleService(asio::any_io_executor loop, Store& store, Inventory& inventory, EventBus& events,
                                   const Clock& clock)
    : loop_(loop), store_(store), inventory_(inventory), events_(events), clock_(clock), timer_(loop), ended_(loop) {}

void LifecycleService::start() {
    machines_ = store_.watch(std::string(kMachineKind), [this](const Change& change) { follow(change); });
    profiles_ = store_.watch(std::string(kProfileKind), [this](const Change&) {
        read_all_wanted_ = true;
        wake();
    });
    happenings_ = events_.subscribe("", [this](const Event& event) { on_event(event); });
    read_all_wanted_ = true;
    stopping_ = false;
    running_ = true;
    ended_.expires_at(asio::steady_timer::time_point::max());
    asio::co_spawn(loop_, run(), asio::detached);  // stop() waits for it
}

Awaitable<void> LifecycleService::stop() {
    machines_.reset();
    profiles_.reset();
    happenings_.reset();
    stopping_ = true;
    timer_.cancel();
    if (running_) co_await ended_.async_wait(asio::as_tuple(asio::use_awaitable));
}

void LifecycleService::wake() {
    timer_.cancel();
}

void LifecycleService::follow(const Change& change) {
    if (!change.value) return forget(change.key);
    if (const auto machine = decode<Machine>(*change.value)) note(*machine);
}

void LifecycleService::forget(const std::string& machine) {
    const auto known = deadline_of_.find(machine);
    if (known == deadline_of_.end()) return;
    due_.erase({known->second, machine});
    deadline_of_.erase(known);
}

void LifecycleService::note(const Machine& machine) {
    forget(machine.name);
    const auto profile = effective_profile(store_, machine);
    if (!profile) return;  // "show machine" says so; nothing can be late by a profile that is not there
    const auto deadline = deadline_of(machine, *profile);
    if (!deadline) return;
    deadline_of_[machine.name] = *deadline;
    const bool first = due_.empty() || *deadline < due_.begin()->first;
    due_.emplace(*deadline, machine.name);
    if (first) wake();
}

void LifecycleService::on_event(const Event& event) {
    if (event.type == "fabric.prefix") return on_prefix(event);
    if (event.type != "machine.config") return;
    seen_.insert_or_assign(event.subject, std::pair(ConfirmBy::kConfigFetched, std::string("its config was fetched")));
    wake();
}

// {prefix, port, state: up|down}. The machine is the one that has the prefix; one that is bound to ports is not taken
// for arrived behind another.
void LifecycleService::on_prefix(const Event& event) {
    const auto field = [&](std::string_view name) {
        const auto found = event.fields.find(std::string(name));
        return found == event.fields.end() ? std::string() : found->second;
    };
    if (field("state") != "up") return;
    const auto prefix = Prefix6::parse(field("prefix"));
    if (!prefix) return;
    const auto record = store_.find(kMachineKind, kProductionIndex, prefix->to_string());
    if (!record || !*record) return;
    const auto machine = decode<Machine>((*record)->value);
    if (!machine) return;
    const auto port = field("port");
    const auto is_it = [&](const PortBinding& binding) { return binding.port == port; };
    if (!machine->ports.empty() && std::none_of(machine->ports.begin(), machine->ports.end(), is_it)) {
        log_.warning("a production prefix is seen behind another port than the machine is bound to",
                     {{"machine", machine->name}, {"prefix", prefix->to_string()}, {"port", port}});
        return;
    }
    seen_.insert_or_assign(machine->name,
                           std::pair(ConfirmBy::kFabric, fmt::format("{} is seen at {}", prefix->to_string(), port)));
    wake();
}

SystemTime LifecycleService::next_wake() const {
    const auto now = clock_.system_now();
    if (read_all_wanted_ || !seen_.empty()) return now;
    const auto latest = now + kDeadlineGranularity;
    return due_.empty() ? latest : std::min(latest, due_.begin()->first);
}

Awaitable<void> LifecycleService::run() {
    while (!stopping_) {
        if (read_all_wanted_) co_await read_all();
        co_await confirm_seen_ones();
        co_await hold_late_ones();
        const auto wait = next_wake() - clock_.system_now();
        if (stopping_ || wait <= wait.zero()) {
            co_await asio::post(loop_, asio::use_awaitable);
            continue;
        }
        timer_.expires_after(wait);
        co_await timer_.async_wait(asio::as_tuple(asio::use_awaitable));
    }
    running_ = false;
    ended_.cancel();
}

Awaitable<void> LifecycleService::read_all() {
    read_all_wanted_ = false;
    std::string after;
    while (!stopping_) {
        const auto machines = read_records<Machine>(store_, kMachineKind, after, kMachinesPerTurn);
        if (!machines) {
            log_.error("machines cannot be read; their deadlines are not kept", {{"error", machines.error()}});
            co_return;
        }
        for (const auto& machine : *machines) note(machine.value);
        if (machines->size() < kMachinesPerTurn) co_return;
        after = machines->back().value.name;
        co_await asio::post(loop_, asio::use_awaitable);
    }
}

Awaitable<void> LifecycleService::hold_late_ones() {
    while (!stopping_ && !due_.empty() && due_.begin()->first <= clock_.system_now()) {
        std::string machine = due_.begin()->second;
        forget(machine);  // comes back with the change, if it is not held then
        const auto done = co_await inventory_.hold_if_late(machine);
        report("hold a machine that is late", machine, done);
        if (!done && done.error().code != Code::kNotFound) retry_later(machine);
    }
}

// Its deadline could not be acted on, e.g. because the disk is full.
void LifecycleService::retry_later(const std::string& machine) {
    if (deadline_of_.contains(machine)) return;
    const auto time = clock_.system_now() + kDeadlineGranularity;
    deadline_of_[machine] = time;
    due_.emplace(time, machine);
}

Awaitable<void> LifecycleService::confirm_seen_ones() {
    while (!stopping_ && !seen_.empty()) {
        auto one = seen_.extract(seen_.begin());
        const auto& [how, why] = one.mapped();
        const auto done = co_await inventory_.confirm_if_wanted(one.key(), how, why);
        report("confirm a machine", one.key(), done);
    }
}

void LifecycleService::report(std::string_view doing, const std::string& machine, const Result<Revision>& done) const {
    // Deleted or locked meanwhile: nothing was to be done.
    if (done || done.error().code == Code::kNotFound || done.error().code == Code::kFailedPrecondition) return;
    log_.warning("the lifecycle goes on without it", {{"doing", doing}, {"machine", machine}, {"error", done.error()}});
}

}  // namespace nett
