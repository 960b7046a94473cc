#include "agent/api/peers.hpp"

#include <cerrno>
#include <cstring>
#include <vector>

#include <pwd.h>
#include <sys/socket.h>

namespace nett {

namespace {

constexpr std::size_t kPasswdBuffer = 16384;  // glibc's own suggestion (_SC_GETPW_R_SIZE_MAX) is smaller

std::string user_name(uid_t uid) {
    std::vector<char> buffer(kPasswdBuffer);
    struct passwd entry {};
    struct passwd* found = nullptr;
    if (::getpwuid_r(uid, &entry, buffer.data(), buffer.size(), &found) == 0 && found != nullptr) return entry.pw_name;
    return fmt::format("uid-{}", uid);
}

}  // namespace

Result<void> PeerNames::remember(int fd) {
    struct ucred peer {};
    socklen_t size = sizeof peer;
    if (::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) {
        return fail(Code::kInternal, "SO_PEERCRED: {}", std::strerror(errno));
    }
    const std::lock_guard lock(mutex_);
    actors_[fmt::format("fd:{}", fd)] = "unix:" + user_name(peer.uid);
    return {};
}

std::string PeerNames::actor_of(std::string_view grpc_peer) const {
    const std::lock_guard lock(mutex_);
    const auto found = actors_.find(grpc_peer);
    return found == actors_.end() ? "unix" : found->second;
}

}  // namespace nett
