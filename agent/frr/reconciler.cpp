#include "agent/frr/reconciler.hpp"

#include <future>

#include <boost/asio/post.hpp>

namespace nett {
namespace {

bool is_absence(Code code) {
    return code == Code::kUnavailable || code == Code::kDeadlineExceeded;
}

}  // namespace

Reconciler::Reconciler(asio::any_io_executor loop, const Clock& clock, FrrWork& work, Observer observer,
                       ReconcileIntervals intervals)
    : loop_(loop),
      clock_(clock),
      work_(work),
      observer_(std::move(observer)),
      intervals_(intervals),
      timer_(loop),
      patience_(loop) {}

void Reconciler::use(std::shared_ptr<FrrBackend> backend, std::string reason) {
    backend_ = std::move(backend);
    unusable_reason_ = std::move(reason);
    status_.backend = backend_ ? std::string(backend_->name()) : std::string();
    probed_ = false;
    declared();
}

void Reconciler::declared() {
    ++generation_;
    status_.in_sync = false;
    status_.configured = work_.wanted();
    if (busy_) {
        again_ = true;
    } else {
        run();
    }
}

// In small steps while in sync, each of which looks at the connection.
void Reconciler::wait_for_next_round(std::chrono::milliseconds delay) {
    auto step = status_.in_sync ? std::min(delay, intervals_.connection) : delay;
    timer_.expires_after(step);
    timer_.async_wait([weak = weak_from_this(), left = delay - step](const boost::system::error_code& error) {
        auto self = weak.lock();
        if (!self || error || self->busy_) return;
        if (left.count() <= 0 || (self->backend_ && self->backend_->connection_lost())) {
            self->run();
        } else {
            self->wait_for_next_round(left);
        }
    });
}

void Reconciler::expect_answer_within(std::chrono::milliseconds limit) {
    patience_.expires_after(limit);
    patience_.async_wait([weak = weak_from_this(), limit](const boost::system::error_code& error) {
        if (auto self = weak.lock(); self && !error && self->busy_ && !self->stopped_) self->on_hung(limit);
    });
}

void Reconciler::on_hung(std::chrono::milliseconds limit) {
    hung_ = true;
    FrrDaemonStatus before = status_;
    status_.connected = status_.in_sync = false;
    status_.error = fmt::format("has not answered for {} ms: it hangs, or its host is overloaded", limit.count());
    ++status_.reconciles;
    observer_(before, {});
}

void Reconciler::run() {
    timer_.cancel();
    if (stopped_ || !work_.wanted()) return;
    if (!backend_) {
        Error error{Code::kFailedPrecondition, unusable_reason_, {}};
        finish(&error, {});
        return;
    }
    busy_ = true;
    again_ = false;
    expect_answer_within(intervals_.slow_read);
    asio::post(worker_,
               [weak = weak_from_this(), loop = loop_, backend = backend_, read = work_.reader(), probe = !probed_] {
                   Reading reading{std::nullopt, RaTable{}};
                   if (probe) {
                       auto hardened = backend->probe_hardened();
                       if (hardened) {
                           reading.hardened = *hardened;
                       } else {
                           reading.actual = fail(std::move(hardened.error()));
                       }
                   }
                   if (reading.actual) reading.actual = read(*backend);
                   asio::post(loop, [weak, reading = std::move(reading)]() mutable {
                       if (auto self = weak.lock()) self->on_read(std::move(reading));
                   });
               });
}

void Reconciler::on_read(Reading reading) {
    if (stopped_) return;
    if (reading.hardened) {
        status_.hardened = *reading.hardened;
        probed_ = true;
    }
    if (!reading.actual) {
        busy_ = false;
        finish(&reading.actual.error(), {});
        return;
    }
    planned_generation_ = generation_;
    again_ = false;
    FrrWork::Plan plan = work_.plan(*reading.actual);
    if (!plan.apply) {
        on_programmed({}, {});
        return;
    }
    expect_answer_within(intervals_.slow_commit);
    asio::post(worker_, [weak = weak_from_this(), loop = loop_, backend = backend_, plan = std::move(plan)] {
        auto result = plan.apply(*backend);
        asio::post(loop, [weak, result = std::move(result), drift = plan.drift]() mutable {
            if (auto self = weak.lock()) self->on_programmed(std::move(result), drift);
        });
    });
}

void Reconciler::on_programmed(Result<void> result, const std::vector<FrrDrift>& drift) {
    busy_ = false;
    if (stopped_) return;
    if (!result) {
        finish(&result.error(), {});
        return;
    }
    bool repaired = settled_generation_ == planned_generation_;
    settled_generation_ = planned_generation_;
    if (planned_generation_ == generation_) work_.settled();
    finish(nullptr, repaired ? drift : std::vector<FrrDrift>());
}

void Reconciler::finish(const Error* error, const std::vector<FrrDrift>& repaired) {
    patience_.cancel();
    hung_ = false;
    FrrDaemonStatus before = status_;
    status_.configured = work_.wanted();
    status_.connected = error == nullptr || (backend_ && !is_absence(error->code));
    status_.in_sync = error == nullptr && settled_generation_ == generation_;
    status_.error = error == nullptr ? std::string() : error->to_string();
    status_.last_reconcile = clock_.steady_now();
    ++status_.reconciles;
    if (!repaired.empty()) ++status_.repairs;
    if (!status_.connected) probed_ = false;
    // The next round is on its way before observers run: they may declare, or stop.
    if (again_) {
        run();
    } else {
        auto in_sync = intervals_.in_sync.value_or(backend_ ? backend_->poll_interval() : intervals_.unreachable);
        wait_for_next_round(status_.connected ? in_sync : intervals_.unreachable);
    }
    observer_(before, repaired);
}

void Reconciler::flush() {
    auto done = std::make_shared<std::promise<void>>();
    auto future = done->get_future();
    asio::post(worker_, [this, done] {
        auto actual = work_.reader()(*backend_);
        if (actual) {
            FrrWork::Plan plan = work_.plan(*actual);
            // A failure has nobody left to tell: whatever starts next reconciles.
            if (plan.apply) static_cast<void>(plan.apply(*backend_));
        }
        done->set_value();
    });
    future.wait_for(kStopFlush);
}

void Reconciler::stop() {
    if (std::exchange(stopped_, true)) return;
    timer_.cancel();
    patience_.cancel();
    if (backend_ && !hung_ && status_.connected && !status_.in_sync && work_.wanted()) flush();
    if (backend_) backend_->cancel();
    worker_.join();
}

}  // namespace nett
