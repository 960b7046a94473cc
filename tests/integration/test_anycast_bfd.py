"""A metadata host that is cut off silently: only BFD tells, with the very configuration that the agent prints for it."""

import os

import pytest

from tests.lab import frr, netns, wait
from tests.lab.agent import Agent
from tests.lab.fabric import TORS, Lab

TOR, META = "tor-a", "meta-1"
# So long that within a test nothing but BFD can end the session.
TIMERS = ("timers 1 3", "timers 60 180")
CONFIG = f"""hostname {META}
!
plugin bgp-anycast
 address {frr.META}/128
 gate prefix-list {frr.GATE} sequence 5
 drain prefix-list {frr.DRAIN} sequence 5
 check alive exec
  command /usr/bin/true
  interval 200
!
"""


class Site:
    """One ToR, one host, one cable; FRR with bfdd on both, and no word of BFD in its configuration yet."""

    def __init__(self, lab, build):
        self.tor, self.host = lab.node(TOR), lab.node(META)
        netns.connect(self.tor.namespace, f"fab-{META}", self.host.namespace, f"fab-{TOR}")
        self.frr = {TOR: frr.Frr(self.tor, frr.tor_config(TOR, 0, TORS[TOR], [f"fab-{META}"]).replace(*TIMERS)),
                    META: frr.Frr(self.host, frr.meta_config(META, 1, [f"fab-{TOR}"], less_preferred=False).replace(*TIMERS))}
        for instance in self.frr.values():
            instance.start()
            instance.add_daemon("bfdd")
            # Sessions of 3 x 100 ms must outlive what else runs on the machine.
            os.setpriority(os.PRIO_PROCESS, instance.pid("bfdd"), -15)
        self.agent = Agent(self.host, build, CONFIG)
        self.agent.start()

    def bfd(self):
        """Of the ToR's session with the host: up, down or None."""
        return {peer["interface"]: peer["status"] for peer in self.frr[TOR].vtysh_json("show bfd peers")}.get(f"fab-{META}")

    def neighbour(self):
        return self.frr[TOR].vtysh_json(f"show bgp neighbors fab-{META}")[f"fab-{META}"]

    def routed(self):
        return bool(self.tor.routes_to(f"{frr.META}/128"))


@pytest.fixture(scope="module")
def site(build):
    with Lab(os.environ.get("NETT_LAB_PREFIX", "nettest-").removesuffix("-") + "bfd-", build.environment()) as lab:
        yield Site(lab, build)


def test_what_the_agent_prints_brings_bfd_up_and_nothing_is_missing_then(site):
    wait.until("the ToR has the route", site.routed, within=30)
    assert "neighbor FABRIC bfd profile nett" in [row["missing"] for row in site.agent.show("show anycast frr-config")["missing"]]
    printed = site.agent.nettsh("show anycast frr-config").stdout
    assert frr.BFD_PROFILE in printed
    site.host.write("/etc/nett/printed.conf", printed)
    site.host.run("/usr/bin/vtysh", "-f", "/etc/nett/printed.conf")
    # "The same on the other side", as the agent says: the profile, and its line of the neighbours.
    line = next(line.strip() for line in printed.splitlines() if "bfd profile nett" in line)
    assert site.bfd() != "up"
    site.tor.write("/etc/nett/same.conf", f"{frr.BFD_PROFILE}router bgp {frr.FIRST_AS}\n {line}\nexit\n")
    site.tor.run("/usr/bin/vtysh", "-f", "/etc/nett/same.conf")
    wait.until("BFD is up", lambda: site.bfd() == "up", within=30)
    wait.until("nothing is missing", lambda: site.agent.show("show anycast frr-config")["missing"] == [], within=10)
    wait.until("the ToR still has the route", site.routed, within=30)


def test_a_host_that_is_cut_off_silently_loses_the_route_long_before_the_hold_time(site):
    wait.until("BFD is up, and the route there", lambda: site.bfd() == "up" and site.routed(), within=30)
    assert site.neighbour()["bgpTimerHoldTimeMsecs"] == 180_000
    site.host.cut_off()
    try:
        wait.until("the ToR's kernel has no route any more", lambda: not site.routed(), within=10)
        assert site.bfd() == "down"
        assert site.neighbour()["bgpState"] != "Established"
        assert "BFD" in site.neighbour()["lastNotificationReason"], site.neighbour()
    finally:
        site.host.join_again()
    wait.until("BFD is up again", lambda: site.bfd() == "up", within=60)
    wait.until("the ToR has the route again", site.routed, within=60)
