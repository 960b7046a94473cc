"""Prints every router advertisement that arrives, one JSON object a line, as a program of its own in a server's namespace.

{"time": CLOCK_MONOTONIC, "interface", "source", "managed", "other", "router_lifetime", "prefixes": {prefix: [valid, preferred]},
 "rdnss": [address], "mtu", "raw": the ICMPv6 message in hex}. RFC 4861 section 4.2, RFC 8106 section 5.1.
"""

import json
import socket
import struct
import sys
import time

_ICMP6_FILTER = 1
_ROUTER_ADVERTISEMENT = 134


def parse(message):
    """The fields of a router advertisement; None when it is something else."""
    if len(message) < 16 or message[0] != _ROUTER_ADVERTISEMENT:
        return None
    flags, lifetime = message[5], struct.unpack_from("!H", message, 6)[0]
    result = {"managed": bool(flags & 0x80), "other": bool(flags & 0x40), "router_lifetime": lifetime, "prefixes": {}, "rdnss": [],
              "mtu": None, "raw": message.hex()}
    at = 16
    while at + 2 <= len(message) and message[at + 1] > 0:
        kind, length = message[at], message[at + 1] * 8
        option = message[at:at + length]
        if kind == 3 and length == 32:
            valid, preferred = struct.unpack_from("!II", option, 4)
            prefix = f"{socket.inet_ntop(socket.AF_INET6, option[16:32])}/{option[2]}"
            result["prefixes"][prefix] = [valid, preferred]
        elif kind == 5:
            result["mtu"] = struct.unpack_from("!I", option, 4)[0]
        elif kind == 25:
            result["rdnss"] += [socket.inet_ntop(socket.AF_INET6, option[i:i + 16]) for i in range(8, length, 16)]
        at += length
    return result


def main():
    listener = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
    # Everything else is filtered by the kernel: a set bit blocks that type (RFC 3542 section 3.2).
    blocked = [0xFFFFFFFF] * 8
    blocked[_ROUTER_ADVERTISEMENT >> 5] &= ~(1 << (_ROUTER_ADVERTISEMENT & 31)) & 0xFFFFFFFF
    listener.setsockopt(socket.IPPROTO_ICMPV6, _ICMP6_FILTER, struct.pack("=8I", *blocked))
    while True:
        message, sender = listener.recvfrom(2048)
        advertisement = parse(message)
        if advertisement is None:
            continue
        advertisement.update(time=time.monotonic(), interface=socket.if_indextoname(sender[3]), source=sender[0].split("%")[0])
        print(json.dumps(advertisement), flush=True)


if __name__ == "__main__":
    sys.exit(main())
