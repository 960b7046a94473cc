#include "plugins/metadata/listen_filter.hpp"

#include <array>
#include <cstdint>

#include <linux/filter.h>
#include <netinet/in.h>
#include <sys/socket.h>

namespace nett::metadata {
namespace {

// Offsets: of a TCP segment (RFC 9293), which is where a TCP socket's filter begins to count, and of the IPv6 header
// before it (RFC 8200).
constexpr std::uint32_t kTcpFlags = 13;
constexpr std::uint32_t kSynAck = 0x12, kSyn = 0x02;
constexpr std::uint32_t kIpv6Source = static_cast<std::uint32_t>(SKF_NET_OFF) + 8;
constexpr std::uint32_t kTake = 0xffffffff, kDrop = 0;

}  // namespace

void overlook_new_connections(int listening_socket) {
    std::array<sock_filter, 13> code{{
        BPF_STMT(BPF_LD | BPF_B | BPF_ABS, kTcpFlags),
        BPF_STMT(BPF_ALU | BPF_AND | BPF_K, kSynAck),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, kSyn, 0, 8),  // to kTake
        // Source ::1?
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, kIpv6Source),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 7),  // to kDrop
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, kIpv6Source + 4),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 5),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, kIpv6Source + 8),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, kIpv6Source + 12),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 1, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, kTake),
        BPF_STMT(BPF_RET | BPF_K, kDrop),
    }};
    sock_fprog program{static_cast<unsigned short>(code.size()), code.data()};
    ::setsockopt(listening_socket, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program);
}

void heed_new_connections(int listening_socket) {
    const int unused = 0;
    ::setsockopt(listening_socket, SOL_SOCKET, SO_DETACH_FILTER, &unused, sizeof unused);
}

}  // namespace nett::metadata
