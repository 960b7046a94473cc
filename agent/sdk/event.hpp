// Events: what happened, for people and for other modules. Modules never call each other; they publish and subscribe.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "agent/sdk/clock.hpp"
#include "agent/sdk/subscription.hpp"

namespace nett {

// `type` is dotted, component first: "machine.state", "ra.drift", "anycast.withdrawn", "job.step", "tls.reloaded".
// `subject` is what it is about: a machine, an interface, a job. Never carries a secret.
struct Event {
    std::string type;
    std::string subject;
    std::string message;
    std::map<std::string, std::string> fields;
    SystemTime time{};           // set by publish()
    std::uint64_t sequence = 0;  // set by publish(): 1, 2, 3 … within this run of the agent
};

// Delivery is in order, on the loop thread, after publish() has returned. publish() may be called from any thread;
// subscribe() on the loop thread only.
class EventBus {
public:
    using Handler = std::function<void(const Event&)>;

    virtual ~EventBus() = default;
    virtual void publish(Event event) = 0;
    // `type_prefix` "machine." receives all of that family; "" receives everything.
    [[nodiscard]] virtual Subscription subscribe(std::string type_prefix, Handler handler) = 0;
};

}  // namespace nett
