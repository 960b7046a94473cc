"""FRR's daemons in a node, started as frrinit.sh would, and frr.conf as an operator would write it."""

import json
import socket

from . import wait

META = "2001:db8:ffff::1"
GATE = "NETT-ANYCAST"
DRAIN = "NETT-DRAIN"
# As `show anycast frr-config` prints it.
BFD_PROFILE = """bfd
 profile nett
  detect-multiplier 3
  receive-interval 100
  transmit-interval 100
 exit
exit
"""
# Private AS numbers (RFC 6996): one for each node, so that every session is external.
FIRST_AS = 4_200_000_001
_DAEMONS = ("mgmtd", "zebra", "staticd", "bgpd")
_DAEMON_FOLDER = "/usr/lib/frr"
# The daemons that the agent programs, with the northbound module listening on a Unix socket only.
_GRPC_SOCKETS = {"zebra": "/run/frr/zebra-grpc.sock", "bgpd": "/run/frr/bgpd-grpc.sock"}
# FRR's own module binds the wildcard address of the older protocol, and nothing else.
STOCK_TARGETS = {"zebra": "127.0.0.1:50051", "bgpd": "127.0.0.1:50052"}


def _common(name, number):
    """What is the same on every node. There is no graceful restart: with it a dead bgpd would keep its routes for its
    restart time. The router id is a 32-bit number in FRR's notation, not an address."""
    return f"""frr defaults datacenter
hostname {name}
log stdout informational
service integrated-vtysh-config
!
bgp route-map delay-timer 1
!
""", f"""router bgp {FIRST_AS + number}
 bgp router-id 0.0.0.{number + 1}
 bgp graceful-restart-disable
 no bgp default ipv4-unicast
 neighbor FABRIC peer-group
 neighbor FABRIC remote-as external
 neighbor FABRIC timers 1 3
 neighbor FABRIC timers connect 1
 neighbor FABRIC capability extended-nexthop
"""


def _neighbors(interfaces):
    return "".join(f" neighbor {interface} interface peer-group FABRIC\n" for interface in interfaces)


def tor_config(name, number, aggregate, fabric_interfaces):
    """A ToR announces exactly its aggregate, whose blackhole the agent puts into the kernel (hence `redistribute kernel`),
    and takes exactly the anycast address. The ports' /64s stay where they are. Machines that run peer on their ports, in a group
    by which nett tells them from the fabric (MACHINES); speaker.accept_machine() makes one a member."""
    head, router = _common(name, number)
    return f"""{head}ipv6 prefix-list AGGREGATE seq 5 permit {aggregate}
ipv6 prefix-list METADATA seq 5 permit {META}/128
ipv6 prefix-list PRODUCTION seq 1000 deny any
!
route-map AGGREGATE permit 10
 match ipv6 address prefix-list AGGREGATE
!
{router}{_neighbors(fabric_interfaces)} neighbor MACHINES peer-group
 neighbor MACHINES remote-as external
 neighbor MACHINES timers 1 3
 neighbor MACHINES timers connect 1
 neighbor MACHINES capability extended-nexthop
 address-family ipv6 unicast
  redistribute kernel route-map AGGREGATE
  neighbor MACHINES activate
  neighbor MACHINES prefix-list PRODUCTION in
  neighbor FABRIC activate
  neighbor FABRIC prefix-list METADATA in
  neighbor FABRIC prefix-list AGGREGATE out
  maximum-paths 1
 exit-address-family
!
"""


def meta_config(name, number, fabric_interfaces, less_preferred):
    """A metadata host announces exactly the anycast address, when it is on lo and when the gate lets it out.

    The gate begins closed: the agent adds `seq 5 permit` to {GATE} and takes it away. Its last entry denies, because FRR
    lets everything pass a prefix-list without entries.
    In a drain it adds an entry to {DRAIN} too, whose route map adds the community GRACEFUL_SHUTDOWN (RFC 8326).
    `less_preferred` lengthens the AS path: until agents share their state only one of them knows the machines, so
    the fabric must prefer one metadata host, always the same, and must not spread over both.
    """
    head, router = _common(name, number)
    prepend = f" set as-path prepend {FIRST_AS + number} {FIRST_AS + number}\n" if less_preferred else ""
    return f"""{head}ipv6 prefix-list {GATE} seq 1000 deny any
ipv6 prefix-list {DRAIN} seq 1000 deny any
ipv6 prefix-list METADATA seq 5 permit {META}/128
ipv6 prefix-list BOOTSTRAP seq 5 permit 2001:db8:b000::/48 ge 56 le 56
!
route-map METADATA permit 10
 match ipv6 address prefix-list METADATA
!
route-map TO-FABRIC permit 10
 match ipv6 address prefix-list {DRAIN}
 set community graceful-shutdown additive
{prepend}!
route-map TO-FABRIC permit 20
{prepend}!
{router}{_neighbors(fabric_interfaces)} address-family ipv6 unicast
  redistribute connected route-map METADATA
  neighbor FABRIC activate
  neighbor FABRIC prefix-list BOOTSTRAP in
  neighbor FABRIC prefix-list {GATE} out
  neighbor FABRIC route-map TO-FABRIC out
 exit-address-family
!
"""


def with_multipath(config, paths):
    """A ToR's configuration that spreads over so many metadata hosts: all are of different AS, and each path is one AS long."""
    router = " bgp graceful-restart-disable\n"
    return config.replace("maximum-paths 1", f"maximum-paths {paths}").replace(router, f"{router} bgp bestpath as-path multipath-relax\n")


def with_bfd(config):
    """The same with the BFD profile of `show anycast frr-config` on every neighbor. Not for tests beside other work: a daemon
    that does not run for 0.3 s loses its sessions."""
    neighbor = " neighbor FABRIC capability extended-nexthop\n"
    head, router, rest = config.partition("router bgp ")
    return f"{head}{BFD_PROFILE}!\n" + router + rest.replace(neighbor, f"{neighbor} neighbor FABRIC bfd profile nett\n")


class Frr:
    """FRR in one node."""

    def __init__(self, node, config, bfd=False, grpc=True, stock_module=None):
        """Without `grpc` it is a stock FRR, as SONiC and Cumulus have it: no northbound module, only vtysh. `stock_module` is the
        path of FRR's own module (tests/lab/setup/stock-module.sh), which listens on STOCK_TARGETS then."""
        self.node = node
        self._sockets = _GRPC_SOCKETS if grpc and not stock_module else {}
        self._stock_module = stock_module
        self._processes = {}
        self._daemons = (*_DAEMONS, "bfdd") if bfd else _DAEMONS
        config = with_bfd(config) if bfd else config
        self._config = config
        self.write_config()
        node.write("/etc/frr/vtysh.conf", "service integrated-vtysh-config\n", mode=0o640, owner="frr")

    def write_config(self):
        """frr.conf as it was in the beginning, whatever vtysh's `write` made of it."""
        self.node.write("/etc/frr/frr.conf", self._config, mode=0o640, owner="frr")

    def start(self):
        """Returns when every daemon has read its part of frr.conf."""
        for daemon in self._daemons:
            self._start_daemon(daemon)
        for daemon in self._daemons:
            self._wait_for(daemon)
        self.node.run("/usr/bin/vtysh", "-b", "-n")

    def stop(self):
        """In good order: the peers are told."""
        while self._processes:
            self._processes.popitem()[1].stop()

    def kill(self, daemon):
        """SIGKILL, as a crash."""
        self._processes.pop(daemon).kill()

    def start_daemon(self, daemon):
        """Starts one daemon that was killed and gives it its configuration, as watchfrr does: for zebra it restarts all of
        them. (A bgpd that lives through two restarts of zebra in short order can leave zebra without the best route: FRR 10.3,
        "Failed to enqueue dataplane install".)"""
        if daemon == "zebra":
            for process in self._processes.values():
                process.stop()
            self.start()
            return
        self._start_daemon(daemon)
        self._wait_for(daemon)
        self.node.run("/usr/bin/vtysh", "-b", "-n", "-d", daemon)

    def start_dead_daemons(self):
        for daemon in self._daemons:
            if daemon not in self._processes or not self._processes[daemon].running():
                self.start_daemon(daemon)

    def pid(self, daemon):
        return self._processes[daemon].pid

    def signal(self, daemon, number):
        self._processes[daemon].signal(number)

    def vtysh(self, *commands):
        arguments = [word for command in commands for word in ("-c", command)]
        return self.node.run("/usr/bin/vtysh", *arguments).stdout

    def vtysh_json(self, command):
        return json.loads(self.vtysh(f"{command} json"))

    def established(self, interface):
        peers = self.vtysh_json("show bgp ipv6 unicast summary").get("peers", {})
        return peers.get(interface, {}).get("state") == "Established"

    def add_daemon(self, daemon):
        """Starts one more, without configuration."""
        self._daemons = (*self._daemons, daemon)
        self._start_daemon(daemon)
        self._wait_for(daemon)

    def remove_daemon(self, daemon):
        self._daemons = tuple(name for name in self._daemons if name != daemon)
        self._processes.pop(daemon).stop()

    def _start_daemon(self, daemon):
        # A killed daemon leaves its sockets; it makes its vty socket anew itself, the gRPC library does not.
        module = []
        if daemon in self._sockets:
            self.node.path(self._sockets[daemon]).unlink(missing_ok=True)
            module = ["-M", f"grpc:unix:{self._sockets[daemon]}"]
        if self._stock_module and daemon in STOCK_TARGETS:
            module = ["-M", f"{self._stock_module}:{STOCK_TARGETS[daemon].rpartition(':')[2]}"]
        self.node.path(f"/run/frr/{daemon}.vty").unlink(missing_ok=True)
        self._processes[daemon] = self.node.start(daemon, f"{_DAEMON_FOLDER}/{daemon}", "-F", "datacenter", "--log", "stdout",
                                                  *module)

    def _wait_for(self, daemon):
        process = self._processes[daemon]

        def answers():
            process.require_running()
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as vty:
                vty.connect(str(self.node.path(f"/run/frr/{daemon}.vty")))
            return daemon not in self._sockets or self.node.path(self._sockets[daemon]).exists()

        wait.until(f"{process.name} answers (log: {process.log_path})", answers, within=15)
