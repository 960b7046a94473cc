#include "agent/fabric/reporter.hpp"

#include <random>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace nett {

namespace {

double random_fraction() {
    static std::minstd_rand generator{std::random_device{}()};
    return std::uniform_real_distribution<double>(0, 1)(generator);
}

}  // namespace

FabricReporter::FabricReporter(asio::any_io_executor loop, const Clock& clock, HealthRegistry& health, std::string name,
                               std::string run, std::unique_ptr<FabricUplink> uplink)
    : loop_(loop),
      clock_(clock),
      health_(health),
      run_(std::move(run)),
      uplink_(std::move(uplink)),
      timer_(loop),
      ended_(loop) {
    status_.name = std::move(name);
    status_.error = "not tried yet";
    status_.since = clock.system_now();
    ended_.expires_at(SteadyTime::max());
}

void FabricReporter::set(std::uint64_t generation, std::vector<PortPrefix> prefixes, std::vector<ReportedPort> ports) {
    generation_ = generation;
    prefixes_ = std::move(prefixes);
    ports_ = std::move(ports);
    // A backoff goes on: routes that flap must not make this switch hammer an upstream that is away.
    if (status_.connected || !tried_) timer_.cancel();
}

void FabricReporter::start() {
    running_ = true;
    asio::co_spawn(
        loop_, [self = shared_from_this()] { return self->run(); }, asio::detached);
}

Awaitable<void> FabricReporter::stop() {
    stopping_ = true;
    timer_.cancel();
    uplink_->cancel();
    while (running_) {
        boost::system::error_code ignored;
        co_await ended_.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
    }
}

Awaitable<void> FabricReporter::pause(std::chrono::milliseconds time) {
    if (stopping_) co_return;
    timer_.expires_after(time);
    boost::system::error_code ignored;
    co_await timer_.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
}

// One word about the set, and the set itself where it is wanted.
Awaitable<Result<void>> FabricReporter::send() {
    for (bool full = known_ != generation_;; full = true) {
        FabricReport report{run_, generation_, full, {}};
        if (full) {
            report.prefixes = *prefixes_;
            report.ports = ports_;
        }
        auto sent = uplink_->report(std::move(report));
        const auto generation = generation_;
        const auto wants_all = co_await std::move(sent);
        if (!wants_all) {
            known_.reset();
            co_return fail(wants_all.error());
        }
        if (!*wants_all) {
            known_ = generation;
            co_return Result<void>{};
        }
        if (full) co_return fail(Code::kInternal, "the upstream does not take the whole set");
    }
}

void FabricReporter::note(const Result<void>& sent) {
    tried_ = true;
    if (sent.has_value() != status_.connected) status_.since = clock_.system_now();
    status_.connected = sent.has_value();
    status_.error = sent ? "" : sent.error().to_string();
    health_.report({"fabric", "upstream " + status_.name, HealthScope::kInfo,
                    sent ? HealthState::kOk : HealthState::kDegraded, status_.error,
                    sent ? "" : "see that it is reachable, and that \"api role fabric\" there names this certificate"});
}

Awaitable<void> FabricReporter::run() {
    while (!stopping_) {
        if (!prefixes_) {
            auto waited = pause(kReportInterval);
            co_await std::move(waited);
            continue;
        }
        auto sending = send();
        const auto sent = co_await std::move(sending);
        if (stopping_) break;
        note(sent);
        if (sent) backoff_.reset();
        if (sent && known_ != generation_) continue;  // changed meanwhile
        const auto time = sent ? std::chrono::milliseconds(kReportInterval) : backoff_.next(random_fraction());
        auto waited = pause(time);
        co_await std::move(waited);
    }
    running_ = false;
    ended_.cancel();
}

}  // namespace nett
