"""The lab of the anycast benchmark: the fabric of the tests, with BFD, and ExaBGP as one more neighbor of a ToR."""

import json
import os
import re
import subprocess
import threading
import time

from tests.lab import agent, fabric, frr, netns, story, wait
from tests.lab.asker import Asker
from tests.lab.server import Server

PEER, HOME, OTHER = "tor-a", "meta-1", "meta-2"
EXABGP, EXABGP_OTHER = "exa", "exb"
EXABGP_ADDRESS = "2001:db8:ffff::9"
# Of each, its link to the ToR and the local preference of what it announces there.
_EXABGP_LINKS = {EXABGP: "2001:db8:e:1::", EXABGP_OTHER: "2001:db8:e:2::"}
_EXABGP_PREFERENCES = {EXABGP: 200, EXABGP_OTHER: 100}
_HERE = os.path.dirname(os.path.abspath(__file__))
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
        checked = (HOME, EXABGP, EXABGP_OTHER)
        self.flag = {name: self._file(f"{name}.healthy") for name in checked}
        self.failed = {name: self._file(f"{name}.failed") for name in checked}
        self.script = {name: self._check_script(name) for name in checked}
        self.exabgp = {}
        self.disabled = lab.folder / "exabgp.disabled"
        self.agents[HOME].configure(self._home_config())
        self.agents[OTHER].configure(self._with(agent.meta_config(OTHER), " hold-down 0 longest 0\n"))
        for number, name in enumerate(_EXABGP_LINKS):
            self._prepare_exabgp(name, 99 - number)
        # Without its second server for now: the others are measured until the route is gone.
        self.start_exabgp(EXABGP)
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

    def start_other(self):
        """The second server, with the same tenant."""
        if not self.agents[OTHER].running():
            self.agents[OTHER].start()
            story.register_tenant(self.agents[OTHER])
        story.wait_anycast(self.fabric, within=60)

    def wait_moved(self):
        wait.until(f"both ToRs have moved to {OTHER}",
                   lambda: all(self.fabric.anycast_next_hop(tor) == f"fab-{OTHER}" for tor in fabric.TORS), within=20)

    def repair(self):
        """Everything as in the beginning, whatever a run that failed has left."""
        for name in (HOME, EXABGP):
            self.lab.nodes[name].join_again()
            self.flag[name].touch()
        self.disabled.unlink(missing_ok=True)
        self.fabric.frr[HOME].start_dead_daemons()
        # Also one that hangs, or is stopped.
        self.home.kill()
        self.home.start(within=60)
        self.home.nettsh("anycast resume")
        self.restart_exabgp()
        self.wait_route(frr.META, f"fab-{HOME}", within=90)
        self.wait_route(EXABGP_ADDRESS, f"fab-{EXABGP}", within=90)

    def bfd_up(self):
        peers = self.fabric.frr[PEER].vtysh_json("show bfd peers")
        return any(peer["interface"] == f"fab-{HOME}" and peer["status"] == "up" for peer in peers)

    def has_route(self, address, via=""):
        return any(f"dev {via}" in line for line in self.lab.nodes[PEER].routes_to(f"{address}/128"))

    def wait_route(self, address, via="", within=60):
        wait.until(f"{PEER} has a route to {address}", lambda: self.has_route(address, via), within)

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

    def _prepare_exabgp(self, name, number):
        node, tor, link = self.lab.node(name), self.lab.nodes[PEER], _EXABGP_LINKS[name]
        netns.connect(tor.namespace, f"fab-{name}", node.namespace, "eth0")
        tor.ip("address", "add", f"{link}1/64", "dev", f"fab-{name}", "nodad")
        node.ip("address", "add", f"{link}2/64", "dev", "eth0", "nodad")
        node.ip("address", "add", f"{EXABGP_ADDRESS}/128", "dev", "lo")
        node.ip("route", "add", "default", "via", f"{link}1")
        self.fabric.frr[PEER].vtysh(
            "configure terminal", f"ipv6 prefix-list EXABGP seq 5 permit {EXABGP_ADDRESS}/128", f"route-map FROM-{name} permit 10",
            f"set local-preference {_EXABGP_PREFERENCES[name]}", "exit", "router bgp 4200000001",
            f"neighbor {link}2 remote-as {4_200_000_000 + number}", f"neighbor {link}2 timers 1 3", f"neighbor {link}2 timers connect 1",
            "address-family ipv6 unicast", f"neighbor {link}2 activate", f"neighbor {link}2 prefix-list EXABGP in",
            f"neighbor {link}2 route-map FROM-{name} in")
        node.write("/etc/nett/exabgp.conf", f"""process watch {{
    run /usr/bin/python3 -m exabgp healthcheck --silent --cmd {self.script[name]} --ip {EXABGP_ADDRESS}/128 --next-hop {link}2 --no-ip-setup --withdraw-on-down --interval {INTERVAL:.0f} --fast-interval {INTERVAL:.0f} --timeout 1 --rise 1 --fall 1 --disable {self.disabled if name == EXABGP else "/nowhere"};
    encoder text;
}}
neighbor {link}1 {{
    router-id 0.0.0.{number};
    local-address {link}2;
    local-as {4_200_000_000 + number};
    peer-as 4200000001;
    family {{ ipv6 unicast; }}
    api {{ processes [ watch ]; }}
}}
""")
        self.pki.add_api(name, EXABGP_ADDRESS)
        folder = self.pki.folder
        node.start("service", "/usr/bin/python3", os.path.join(_HERE, "server.py"), EXABGP_ADDRESS, folder / "root.pem", folder / f"{name}.pem",
                   folder / f"{name}.key")

    def start_exabgp(self, name):
        self.exabgp[name] = self.lab.nodes[name].start(
            "exabgp", "/usr/bin/env", "exabgp.daemon.user=root", "exabgp.api.cli=false", "exabgp.api.ack=true", "/usr/sbin/exabgp",
            "/etc/nett/exabgp.conf")

    def stop_exabgp(self, name):
        self.exabgp[name].kill()

    def restart_exabgp(self):
        self.stop_exabgp(EXABGP)
        self.start_exabgp(EXABGP)

    def exabgp_signal(self, name, number):
        self.exabgp[name].signal(number)

    def both_exabgp_announce(self):
        return len(self.fabric.frr[PEER].vtysh_json(f"show bgp ipv6 unicast {EXABGP_ADDRESS}/128")["paths"]) == 2

    def client_to_exabgp(self):
        """The client's machine reaches them through the one ToR that they are behind."""
        router = next(entry["local"] for link in json.loads(self.lab.nodes[PEER].ip("-j", "address", "show", "dev", "swp1", "scope", "link"))
                      for entry in link["addr_info"] if "local" in entry)
        self.server.node.ip("route", "replace", f"{EXABGP_ADDRESS}/128", "via", router, "dev", "eth0")

    def asker(self, address):
        """A client that asks all the time."""
        return Asker(self.server.node, address, self.pki.credentials(), "/v1/boot/00000000-1111-4222-8333-444444444444")
