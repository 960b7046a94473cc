"""The lab of the anycast benchmark: the fabric of the tests, with BFD, and ExaBGP as one more neighbor of a ToR."""

import json
import os
import re
import subprocess
import threading
import time

from tests.lab import agent, fabric, frr, netns, story, wait
from tests.lab.server import Server

PEER, HOME, OTHER = "tor-a", "meta-1", "meta-2"
EXABGP = "exa"
EXABGP_ADDRESS = "2001:db8:ffff::9"
_EXABGP_LINK = "2001:db8:e::"
INTERVAL = 1.0
LEASE = 2


class Routes:
    """The kernel's route changes of one node, with the time at which they were seen."""

    def __init__(self, namespace):
        self.seen = []
        self._process = subprocess.Popen(["ip", "-n", namespace, "-6", "monitor", "route"], stdout=subprocess.PIPE, text=True)
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self):
        for line in self._process.stdout:
            self.seen.append((time.time(), line))

    def wait(self, what, matches, since, within=20):
        """The time of the first change after `since` that matches."""
        def found():
            return next((when for when, line in list(self.seen) if when >= since and matches(line)), None)

        return wait.until(what, found, within, every=0.005)

    def close(self):
        self._process.terminate()
        self._process.wait()


class World:
    def __init__(self, lab, build):
        self.lab, self.build = lab, build
        self.fabric = fabric.Fabric(lab, bfd=True)
        self.fabric.start_frr()
        self.pki = story.Pki(lab, build)
        self.pki.create()
        self.server = Server(lab, 1)
        self.agents = story.make_agents(self.fabric, build, self.pki, "swp1")
        self.flag = {name: self._file(f"{name}.healthy") for name in (HOME, EXABGP)}
        self.failed = {name: self._file(f"{name}.failed") for name in (HOME, EXABGP)}
        self.script = {name: self._check_script(name) for name in (HOME, EXABGP)}
        self.agents[HOME].configure(self._home_config())
        self.agents[OTHER].configure(self._with(agent.meta_config(OTHER), " hold-down 0 longest 0\n"))
        self._start_exabgp()
        for name in (*fabric.TORS, HOME):
            self.agents[name].start()
        story.register_tenant(self.agents[HOME])
        self.fabric.wait_established()
        self.routes = Routes(lab.nodes[PEER].namespace)

    @property
    def home(self):
        return self.agents[HOME]

    def close(self):
        self.routes.close()

    def has_route(self, address, via=""):
        return any(f"dev {via}" in line for line in self.lab.nodes[PEER].routes_to(f"{address}/128"))

    def wait_route(self, address, via="", within=60):
        wait.until(f"{PEER} has a route to {address}", lambda: self.has_route(address, via), within)

    def cut_off(self, name):
        """Nothing goes in or out any more, and no link goes down."""
        rules = "add table inet cut; " + "; ".join(
            f"add chain inet cut {hook} {{ type filter hook {hook} priority 0; policy drop; }}" for hook in ("input", "output"))
        netns.run("ip", "netns", "exec", self.lab.nodes[name].namespace, "nft", rules)

    def join_again(self, name):
        netns.run("ip", "netns", "exec", self.lab.nodes[name].namespace, "nft", "delete table inet cut")

    def _file(self, name):
        path = self.lab.folder / name
        path.touch()
        # Checks run as nobody.
        os.chmod(path, 0o666)
        return path

    def _check_script(self, name):
        """One program for both checkers: healthy as long as the flag is there, and it notes when it first said no."""
        path = self.lab.folder / f"check-{name}"
        path.write_text(f'#!/bin/bash\n[[ -e {self.flag[name]} ]] && exit 0\necho "$EPOCHREALTIME" >>{self.failed[name]}\nexit 1\n',
                        encoding="ascii")
        path.chmod(0o755)
        return path

    @staticmethod
    def _with(config, lines):
        return re.sub(r"(plugin bgp-anycast\n(?: .*\n)*)", lambda found: found.group(1) + lines, config)

    def _home_config(self):
        config = self._with(agent.meta_config(HOME), " hold-down 0 longest 0\n"
                            f" check bench exec\n  command {self.script[HOME]}\n  interval {INTERVAL * 1000:.0f}\n"
                            "  rise 1\n  fall 1\n  splay 0\n")
        return config.replace(f" lease {agent.LEASE_SECONDS}\n", f" lease {LEASE}\n")

    def _start_exabgp(self):
        node = self.lab.node(EXABGP)
        tor = self.lab.nodes[PEER]
        netns.connect(tor.namespace, "fab-exa", node.namespace, "eth0")
        tor.ip("address", "add", f"{_EXABGP_LINK}1/64", "dev", "fab-exa", "nodad")
        node.ip("address", "add", f"{_EXABGP_LINK}2/64", "dev", "eth0", "nodad")
        self.fabric.frr[PEER].vtysh(
            "configure terminal", f"ipv6 prefix-list EXABGP seq 5 permit {EXABGP_ADDRESS}/128", "router bgp 4200000001",
            f"neighbor {_EXABGP_LINK}2 remote-as 4200000099", f"neighbor {_EXABGP_LINK}2 timers 1 3",
            f"neighbor {_EXABGP_LINK}2 timers connect 1", "address-family ipv6 unicast", f"neighbor {_EXABGP_LINK}2 activate",
            f"neighbor {_EXABGP_LINK}2 prefix-list EXABGP in")
        node.write("/etc/nett/exabgp.conf", f"""process watch {{
    run /usr/bin/python3 -m exabgp healthcheck --silent --cmd {self.script[EXABGP]} --ip {EXABGP_ADDRESS}/128 --next-hop {_EXABGP_LINK}2 --no-ip-setup --withdraw-on-down --interval {INTERVAL:.0f} --fast-interval {INTERVAL:.0f} --timeout 1 --rise 1 --fall 1;
    encoder text;
}}
neighbor {_EXABGP_LINK}1 {{
    router-id 0.0.0.99;
    local-address {_EXABGP_LINK}2;
    local-as 4200000099;
    peer-as 4200000001;
    family {{ ipv6 unicast; }}
    api {{ processes [ watch ]; }}
}}
""")
        self.start_exabgp()

    def start_exabgp(self):
        node = self.lab.nodes[EXABGP]
        self.exabgp = node.start("exabgp", "/usr/bin/env", "exabgp.daemon.user=root", "exabgp.api.cli=false", "exabgp.api.ack=true",
                                 "/usr/sbin/exabgp", "/etc/nett/exabgp.conf")


class Client:
    """Makes requests from a server's namespace until it is closed."""

    def __init__(self, world):
        mine = world.pki.credentials()
        here = os.path.dirname(os.path.abspath(__file__))
        self._process = world.server.node.start(
            "client", "/usr/bin/python3", os.path.join(here, "client.py"), frr.META, mine.ca, mine.certificate, mine.key,
            "/v1/boot/00000000-1111-4222-8333-444444444444")

    def requests(self, begin, end):
        """(begun, took, outcome) of the requests that began in a time."""
        found = []
        for line in self._process.log().splitlines():
            begun, took, outcome = line.split(" ", 2)
            if begin <= float(begun) < end:
                found.append((float(begun), float(took), outcome))
        return found

    def close(self):
        self._process.kill()


def show(value):
    return json.dumps(value)
