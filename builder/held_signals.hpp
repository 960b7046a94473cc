// ^C while work folders with keys in them exist.
#pragma once

#include <csignal>

namespace nett::builder {

// Holds ^C back: the tool that runs ends by it, so the work fails and cleans up, and the signal is delivered after
// that. Threads that are made meanwhile hold it back too.
class HeldSignals {
public:
    HeldSignals() {
        sigset_t set;
        sigemptyset(&set);
        for (const int number : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&set, number);
        ::pthread_sigmask(SIG_BLOCK, &set, &before_);
    }
    HeldSignals(const HeldSignals&) = delete;
    HeldSignals& operator=(const HeldSignals&) = delete;
    ~HeldSignals() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

    // Whether one has come while no tool was there to end by it.
    bool any() const {
        sigset_t pending;
        sigemptyset(&pending);
        ::sigpending(&pending);
        return sigismember(&pending, SIGINT) == 1 || sigismember(&pending, SIGTERM) == 1 ||
               sigismember(&pending, SIGHUP) == 1;
    }

private:
    sigset_t before_{};
};

}  // namespace nett::builder
