"""A server that is only a namespace with two NICs: it does SLAAC with the kernel and speaks HTTPS with fetch.py."""

import base64
import dataclasses
import json
import pathlib

from . import netns, wait
from .fabric import TORS

_HERE = pathlib.Path(__file__).parent
NICS = dict(zip(("eth0", "eth1"), TORS))


@dataclasses.dataclass
class Reply:
    """What an HTTPS request came to: a status with body, or the error that kept it from that."""

    status: int = 0
    headers: dict = dataclasses.field(default_factory=dict)
    body: bytes = b""
    sha256: str = ""
    source: str = ""
    error: str = ""
    message: str = ""


@dataclasses.dataclass
class Credentials:
    """Paths on the machine: the root that the server must chain to, and the client's certificate and key ("" for none)."""

    ca: str
    certificate: str = ""
    key: str = ""


class Server:
    """`port` 1 is behind swp1 of both ToRs."""

    def __init__(self, lab, port):
        self.lab = lab
        self.port = port
        self.node = lab.node(f"srv-{port}")
        for nic, tor in NICS.items():
            name = self.node.namespace
            netns.connect(lab.nodes[tor].namespace, f"swp{port}", name, nic)
            netns.run("ip", "-n", name, "link", "set", nic, "down")
            netns.sysctl(name, f"net/ipv6/conf/{nic}/accept_ra", 1)
            netns.run("ip", "-n", name, "link", "set", nic, "up")
        self._listener = self.node.start("ra", "/usr/bin/python3", _HERE / "ra_listen.py")

    def addresses(self, nic):
        """The global addresses that SLAAC made on a NIC."""
        links = json.loads(netns.run("ip", "-n", self.node.namespace, "-6", "-j", "address", "show", "dev", nic, "scope", "global"))
        return [entry["local"] for link in links for entry in link.get("addr_info", [])
                if entry.get("dynamic") and not entry.get("tentative")]

    def has_default_route(self, nic):
        return f"dev {nic} " in self.node.ip("route", "show", "default")

    def wait_slaac(self, nic, within=15):
        """Until the NIC has an address and a default route; returns the address."""
        return wait.until(f"SLAAC on {self.node.name} {nic} (behind {NICS[nic]}/swp{self.port})",
                          lambda: self.has_default_route(nic) and next(iter(self.addresses(nic)), None), within)

    def advertisements(self, nic, since=0.0):
        """Router advertisements seen on a NIC, oldest first, after a time.monotonic()."""
        seen = [json.loads(line) for line in self._listener.log().splitlines() if line.startswith("{") and line.endswith("}")]
        return [entry for entry in seen if entry["interface"] == nic and entry["time"] >= since]

    def wait_advertised(self, nic, preferred, within):
        """Until the newest advertisement has a prefix with this preferred lifetime; returns the prefix."""
        def newest():
            for prefix, lifetimes in self.advertisements(nic)[-1]["prefixes"].items():
                if lifetimes[1] == preferred:
                    return prefix
            return None

        return wait.until(f"{nic} of {self.node.name} sees a preferred lifetime of {preferred} s", newest, within)

    def fetch(self, path, credentials, nic="", address="2001:db8:ffff::1", method="GET", timeout=5, rate=0):
        """`rate`: bytes in a second that are read, as a slow machine; 0 for all that come."""
        arguments = [path, "--address", address, "--ca", credentials.ca, "--method", method, "--timeout", timeout, "--bytes-per-second",
                     rate]
        if credentials.certificate:
            arguments += ["--certificate", credentials.certificate, "--key", credentials.key]
        if nic:
            arguments += ["--interface", nic]
        answer = json.loads(self.node.run("/usr/bin/python3", _HERE / "fetch.py", *arguments).stdout)
        answer["body"] = base64.b64decode(answer.get("body", ""))
        return Reply(**answer)
