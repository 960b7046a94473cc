"""BGP speakers beside the fabric's own: a machine that has joined it, and a router of another make (BIRD)."""

import json

from . import frr, netns, wait

_MACHINE_AS = 4_200_000_900
_BIRD_AS = 4_200_000_800


class MachineBgp:
    """What runs on a machine once Talos has booted: BGP unnumbered with the switch, and its production prefix on lo."""

    def __init__(self, server, prefix, nic="eth0"):
        self.server = server
        self.prefix = prefix
        self._nic = nic
        node = server.node
        netns.run("ip", "-n", node.namespace, "link", "set", "lo", "up")
        netns.run("ip", "-n", node.namespace, "-6", "address", "add", prefix, "dev", "lo")
        self.frr = frr.Frr(node, f"""frr defaults datacenter
hostname {node.name}
log stdout informational
service integrated-vtysh-config
!
router bgp {_MACHINE_AS + server.port}
 bgp router-id 0.0.9.{server.port}
 bgp graceful-restart-disable
 no bgp default ipv4-unicast
 neighbor {nic} interface remote-as external
 neighbor {nic} timers 1 3
 neighbor {nic} timers connect 1
 neighbor {nic} capability extended-nexthop
 address-family ipv6 unicast
  network {prefix}
  neighbor {nic} activate
 exit-address-family
!
""")

    def start(self):
        self.frr.start()

    def stop(self):
        """The machine speaks no BGP any more, and has no production prefix."""
        self.frr.stop()
        netns.run("ip", "-n", self.server.node.namespace, "-6", "address", "del", self.prefix, "dev", "lo")

    def join(self, nic):
        """A session on one more NIC: a machine behind two switches."""
        self.frr.vtysh("configure terminal", f"router bgp {_MACHINE_AS + self.server.port}", f"neighbor {nic} interface remote-as external",
                       f"neighbor {nic} timers 1 3", f"neighbor {nic} timers connect 1", f"neighbor {nic} capability extended-nexthop",
                       "address-family ipv6 unicast", f"neighbor {nic} activate")

    def leave(self, nic):
        self.frr.vtysh("configure terminal", f"router bgp {_MACHINE_AS + self.server.port}", f"no neighbor {nic} interface")

    def announce(self, yes):
        word = "" if yes else "no "
        self.frr.vtysh("configure terminal", f"router bgp {_MACHINE_AS + self.server.port}", "address-family ipv6 unicast",
                       f"{word}network {self.prefix}")


def accept_machine(tor_frr, port, prefix, number):
    """Lets a switch take exactly this prefix from the machine behind a port."""
    tor_frr.vtysh("configure terminal", f"ipv6 prefix-list PRODUCTION seq {number} permit {prefix}", "router bgp",
                  f"neighbor {port} interface peer-group MACHINES")


def forget_machine(tor_frr, port):
    tor_frr.vtysh("configure terminal", "router bgp", f"no neighbor {port} interface")


def link_local(node, interface):
    links = json.loads(node.ip("-j", "address", "show", "dev", interface, "scope", "link"))
    return next(entry["local"] for link in links for entry in link.get("addr_info", []) if "local" in entry and not entry.get("tentative"))


class Bird:
    """BIRD in a node of its own, in a session with a metadata host over link-local addresses."""

    def __init__(self, lab, name, metadata_host, metadata_frr):
        self.node = lab.node(name)
        self._host, self._frr = metadata_host, metadata_frr
        netns.connect(self.node.namespace, "up0", metadata_host.namespace, f"fab-{name}")
        self._interface = f"fab-{name}"

    def start(self):
        mine = wait.until(f"{self.node.name} has a link-local address", lambda: link_local(self.node, "up0"), 10)
        theirs = wait.until(f"{self._host.name} has a link-local address", lambda: link_local(self._host, self._interface), 10)
        self.node.write("/etc/nett/bird.conf", f"""router id 0.0.8.1;
log stderr all;
protocol device {{ scan time 1; }}
protocol kernel {{ ipv6 {{ export all; import none; }}; }}
protocol bgp meta {{
  local {mine} as {_BIRD_AS};
  neighbor {theirs}%'up0' external;
  hold time 3; keepalive time 1; connect retry time 1; connect delay time 1; error wait time 1,2;
  ipv6 {{ import all; export none; }};
}}
""")
        process = self.node.start("bird", "/usr/sbin/bird", "-f", "-c", "/etc/nett/bird.conf", "-s", "/run/nett/bird.ctl")
        self._frr.vtysh("configure terminal", "router bgp", f"neighbor {mine} remote-as {_BIRD_AS}",
                        f"neighbor {mine} interface {self._interface}", f"neighbor {mine} timers 1 3", f"neighbor {mine} timers connect 1",
                        "address-family ipv6 unicast", f"neighbor {mine} activate", f"neighbor {mine} prefix-list {frr.GATE} out",
                        f"neighbor {mine} route-map TO-FABRIC out")
        return process

    def show(self, *words):
        """birdc's answer; "Network not found" is one too, with an exit status of 1."""
        return self.node.run("/usr/sbin/birdc", "-s", "/run/nett/bird.ctl", "show", *words, check=False).stdout

    def knows(self, prefix):
        """BIRD has accepted the route, and the kernel has it from BIRD."""
        return prefix in self.show("route", "for", prefix.split("/", maxsplit=1)[0]) and bool(self.node.routes_to(prefix))
