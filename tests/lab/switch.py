"""One switch by itself, for tests of what happens on its ports: FRR and nettd with plugin `ra`, a machine behind each port, and a
neighbour switch over BGP unnumbered.

    m1  m2  m3          namespaces that do SLAAC and write down every advertisement
     |   |   |
    swp1 …  sw  fab1 ── fab1  peer (FRR only)
"""

import json
import pathlib

from . import frr, netns, wait
from .agent import Agent

AGGREGATE = "2001:db8:b000::/56"
INTERVAL = 2
_HERE = pathlib.Path(__file__).parent


def _bgp_config(name, number, aggregate):
    """As a ToR of the lab, but a switch here learns what its neighbour announces, and sessions outlive pauses of a busy machine."""
    text = frr.tor_config(name, number, aggregate, ["fab1"]).replace("timers 1 3", "timers 5 15")
    return text.replace(f"ipv6 prefix-list METADATA seq 5 permit {frr.META}/128", "ipv6 prefix-list METADATA seq 5 permit any")


class Host:
    """A machine behind one port; `nic` is its end of the cable."""

    nic = "eth0"

    def __init__(self, switch, port, name):
        self.node = switch.lab.node(name)
        netns.connect(switch.node.namespace, port, self.node.namespace, self.nic)
        netns.run("ip", "-n", self.node.namespace, "link", "set", self.nic, "down")
        netns.sysctl(self.node.namespace, f"net/ipv6/conf/{self.nic}/accept_ra", 1)
        netns.run("ip", "-n", self.node.namespace, "link", "set", self.nic, "up")
        self._listener = self.node.start("ra", "/usr/bin/python3", _HERE / "ra_listen.py")

    def advertisements(self, since=0.0):
        seen = [json.loads(line) for line in self._listener.log().splitlines() if line.startswith("{") and line.endswith("}")]
        return [entry for entry in seen if entry["time"] >= since]

    def wait_advertised(self, what, matches, within, since=0.0):
        """The first advertisement after `since` that matches."""
        return wait.until(f"{self.node.name} sees {what}",
                          lambda: next((entry for entry in self.advertisements(since) if matches(entry)), None), within)

    def addresses(self):
        links = json.loads(netns.run("ip", "-n", self.node.namespace, "-6", "-j", "address", "show", "dev", self.nic, "scope", "global"))
        return {entry["local"]: entry for link in links for entry in link.get("addr_info", []) if entry.get("dynamic")}

    def mac(self):
        return json.loads(netns.run("ip", "-n", self.node.namespace, "-j", "link", "show", "dev", self.nic))[0]["address"]

    def rdisc6(self):
        return self.node.run("rdisc6", "-1", "-r", "5", "-w", "1000", self.nic).stdout


class Switch:
    """`backend` "grpc" has FRR with the module, "vtysh" a stock FRR, and with `stock_module` it is "grpc" with FRR's own. Its nodes are
    called after it."""

    def __init__(self, lab, build, backend, ports=3, stock_module=None):
        self.lab = lab
        self.backend = backend
        self._stock = bool(stock_module)
        kind = "stock" if stock_module else backend
        self.name = f"sw-{kind}"
        self.node = lab.node(self.name)
        self.peer_node = lab.node(f"peer-{kind}")
        for node in (self.node, self.peer_node):
            netns.sysctl(node.namespace, "net/ipv6/conf/all/forwarding", 1)
        netns.connect(self.node.namespace, "fab1", self.peer_node.namespace, "fab1")
        self.hosts = {f"swp{number}": Host(self, f"swp{number}", f"m{number}-{kind}") for number in range(1, ports + 1)}
        # FRR's own module refuses what mgmtd commits while zebra has interfaces over gRPC that mgmtd does not know.
        known = "".join(f"interface {port}\n description to a machine\nexit\n!\n" for port in self.hosts) if stock_module else ""
        self.frr = frr.Frr(self.node, _bgp_config(self.name, 0, AGGREGATE) + known, grpc=backend == "grpc",
                           stock_module=stock_module)
        self.peer = frr.Frr(self.peer_node, _bgp_config(self.peer_node.name, 1, "2001:db8:b000:100::/56"))
        self.agent = Agent(self.node, build, self.config())

    def config(self, *lines, ports="swp1-3", aggregate=AGGREGATE, interval=INTERVAL):
        plugin = "".join(f" {line}\n" for line in (f"aggregate {aggregate}", f"ports {ports}", f"interval {interval}", *lines))
        targets = "".join(f"frr {daemon} target {target}\n" for daemon, target in frr.STOCK_TARGETS.items()) if self._stock else ""
        return f"hostname {self.name}\nfrr backend {self.backend}\n{targets}!\nplugin ra\n{plugin}!\n"

    def start(self):
        self.frr.start()
        self.peer.start()
        self.agent.start()
        self.wait_ready()

    def wait_ready(self, within=20):
        wait.until(f"every port of {self.name} advertises", lambda: all(row["state"] == "advertising" for row in self.agent.show("show ra")),
                   within, every=0.2)

    def add_port(self, name):
        """One more port, with nobody behind it; for as long as a test needs it."""
        netns.connect(self.node.namespace, name, self.peer_node.namespace, f"far-{name}")

    def remove_port(self, name):
        netns.run("ip", "-n", self.node.namespace, "link", "del", name)

    def commit(self, *lines, check=True):
        """Configuration commands, committed from the shell."""
        return self.agent.nettsh("configure terminal", *lines, "end", "commit", check=check)

    def restore(self):
        """Back to the configuration of the beginning, with everything running."""
        self.frr.write_config()
        self.frr.start_dead_daemons()
        self.agent.configure(self.config())
        if self.agent.running():
            self.agent.stop()
        self.agent.start()
        self.wait_ready()

    def drift(self):
        return self.agent.show("show ra drift")

    def counters(self, port):
        return self.agent.show(f"show ra interface {port}")["counters"]
