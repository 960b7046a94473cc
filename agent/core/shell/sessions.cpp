#include <algorithm>

#include "agent/core/shell/impl.hpp"

namespace nett {

namespace {

constexpr auto kIdleTime = std::chrono::hours(1);  // nett.proto promises it
constexpr std::size_t kMostSessions = 128;         // the longest idle one makes room
constexpr std::size_t kLongestSessionName = 128;

}  // namespace

void Shell::Impl::forget_session(const std::string& name) {
    config.discard(name);
    sessions.erase(name);
}

void Shell::Impl::forget_idle_sessions() {
    const auto now = clock.steady_now();
    std::vector<std::string> idle;
    for (const auto& [name, session] : sessions) {
        if (!session->busy && now - session->last_used > kIdleTime) idle.push_back(name);
    }
    for (const auto& name : idle) forget_session(name);
}

bool Shell::Impl::make_room() {
    const auto older = [](const auto& a, const auto& b) {
        if (a.second->busy != b.second->busy) return !a.second->busy;
        return a.second->last_used < b.second->last_used;
    };
    const auto oldest = std::min_element(sessions.begin(), sessions.end(), older);
    if (oldest->second->busy) return false;
    forget_session(std::string(oldest->first));
    return true;
}

Result<std::shared_ptr<Session>> Shell::Impl::open_session(const std::string& name, const Caller& caller) {
    forget_idle_sessions();
    if (name.empty() || name.size() > kLongestSessionName) {
        return fail(Code::kInvalidArgument, "a session is named by 1 to {} bytes", kLongestSessionName);
    }
    auto found = sessions.find(name);
    if (found == sessions.end()) {
        if (sessions.size() >= kMostSessions && !make_room()) {
            return fail(Code::kResourceExhausted, "all {} sessions are busy; try again later", kMostSessions);
        }
        found = sessions.emplace(name, std::make_shared<Session>(Session{name, caller.actor})).first;
    }
    if (found->second->actor != caller.actor) {
        return fail(Code::kPermissionDenied, "this session belongs to {}", found->second->actor);
    }
    if (found->second->busy)
        return fail(Code::kAborted, "this session is still running another line; wait for it, or open another one");
    found->second->role = caller.role;
    found->second->last_used = clock.steady_now();
    return found->second;
}

}  // namespace nett
