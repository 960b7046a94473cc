"""An Ethernet plane without switches that route: one gateway node runs everything, and a machine on the plane boots from its image."""

import os
import pathlib

import pytest

from tests.lab import agent, frr, machine, netns, story, wait
from tests.lab.build import SOURCE
from tests.lab.fabric import Lab
from tests.lab.steps import output_of

# Not a unique local one: iPXE takes no such source address to a global destination, and the lab's metadata address is global.
PLANE = "2001:db8:1ab:a::/64"
UUID = "aaaaaaaa-0000-4000-8000-0000000000a2"
NAME = "plane-1"
BOOT_SECONDS = 240  # under TCG on a busy machine; 20 are usual


def speaker_frr(name, number, rest=""):
    """BGP unnumbered with whoever else speaks it on the plane."""
    return f"""frr defaults datacenter
hostname {name}
log stdout informational
service integrated-vtysh-config
!
bgp route-map delay-timer 1
!
ipv6 prefix-list {frr.GATE} seq 1000 deny any
ipv6 prefix-list METADATA seq 5 permit {frr.META}/128
!
route-map METADATA permit 10
 match ipv6 address prefix-list METADATA
!
router bgp {4200000700 + number}
 bgp router-id 0.0.7.{number}
 bgp graceful-restart-disable
 no bgp default ipv4-unicast
 neighbor MACHINES peer-group
 neighbor MACHINES remote-as external
 neighbor MACHINES timers 1 3
 neighbor MACHINES timers connect 1
 neighbor MACHINES capability extended-nexthop
 neighbor eth0 interface peer-group MACHINES
 address-family ipv6 unicast
  neighbor MACHINES activate
{rest} exit-address-family
!
"""


# The gateway's announcements: the anycast address, when the gate lets it out.
GATEWAY = f"""  redistribute connected route-map METADATA
  neighbor eth0 prefix-list {frr.GATE} out
"""


def gateway_config():
    """The metadata host's configuration and a switch's in one."""
    return agent.meta_config("gateway") + f"""plugin ra
 interface eth0
  prefix {PLANE}
 !
!
"""


@pytest.fixture(scope="module")
def plane(build, tmp_path_factory):
    """The plane is a bridge; the gateway has a port of it, and so has the machine."""
    with Lab(os.environ.get("NETT_LAB_PREFIX", "nettest-").removesuffix("-") + "plane-", build.environment()) as lab:
        switch = lab.node("switch")
        netns.run("ip", "-n", switch.namespace, "link", "add", "plane", "type", "bridge")
        netns.run("ip", "-n", switch.namespace, "link", "set", "plane", "up")
        gateway = lab.node(story.HOME)  # the name that the lab's PKI is made in
        netns.sysctl(gateway.namespace, "net/ipv6/conf/all/forwarding", 1)
        netns.connect(switch.namespace, "gw", gateway.namespace, "eth0")
        netns.run("ip", "-n", switch.namespace, "link", "set", "gw", "master", "plane")
        frr.Frr(gateway, speaker_frr("gateway", 1, GATEWAY)).start()
        pki = story.Pki(lab, build)
        pki.create()
        pki.install_on(gateway)
        nettd = agent.Agent(gateway, build, gateway_config())
        nettd.start()
        setup = SOURCE / "tests" / "lab" / "setup"
        story.register_tenant(nettd)
        story.register_artifacts(nettd, output_of([setup / "kernel.sh"]), output_of([setup / "initramfs.sh"]))
        stick = pki.make_image(pathlib.Path(output_of([setup / "ipxe.sh"])) / "ipxe-amd64.efi")
        scratch = tmp_path_factory.mktemp("plane")
        output_of([setup / "disk.sh", scratch / "disk.img"])
        vm = machine.Machine(lab, NAME, 1, UUID, stick, scratch / "disk.img", machine.accelerator(scratch), places=[(switch, "tap1")])
        netns.run("ip", "-n", switch.namespace, "link", "set", "tap1", "master", "plane")
        yield lab, nettd, vm


def test_a_machine_on_the_plane_boots_from_the_gateway(plane):
    _, nettd, vm = plane
    digest = story.register_machine(nettd, NAME, UUID, vm.macs, story.machine_config(NAME))
    wait.until("the metadata address is on the gateway", lambda: frr.META in nettd.node.ip("address", "show"), within=30)
    vm.start()
    address = vm.wait_console(r"^BOOT-ID (\S+) via (\S+) \S+ ?(\S*)", BOOT_SECONDS)
    assert address[3].startswith(PLANE.split("::", maxsplit=1)[0])
    vm.wait_console(r"^NETT-LAB-CMDLINE: (.*)$", BOOT_SECONDS)
    found = vm.wait_console(r"^NETT-LAB-CONFIG-SHA256: (\w+)$|^NETT-LAB-(CONFIG: none|ERROR.*)$", BOOT_SECONDS)
    assert found[1] == digest
    assert nettd.show(f"show machine {NAME}")["state"] == "provisioning"


def test_the_gateway_knows_which_machine_is_on_its_plane(plane):
    _, nettd, _ = plane
    row = next(row for row in nettd.show("show ports") if row["prefix"] == PLANE)
    assert row["port"].endswith("/eth0") and row["link"] == "up"
    assert (row["machine"], row["known_by"]) in ((NAME, "neighbour"), (NAME, "boot"))
    health = {(row["component"], row["name"]): row["state"] for row in nettd.show("show health")}
    assert "failed" not in health.values(), health


def test_the_plane_learns_the_metadata_address_over_bgp(plane):
    lab, _, _ = plane
    # Not before the machine has booted: BGP unnumbered makes every node of the plane advertise itself as a router, and iPXE may take
    # the first one that answers (docs/fabric.md).
    peer = lab.node("peer")
    netns.connect(lab.nodes["switch"].namespace, "peer", peer.namespace, "eth0")
    netns.run("ip", "-n", lab.nodes["switch"].namespace, "link", "set", "peer", "master", "plane")
    frr.Frr(peer, speaker_frr("peer", 2)).start()
    route = wait.until("the other node has the route", lambda: peer.routes_to(f"{frr.META}/128"), within=30)
    assert "via fe80::" in route[0] and "dev eth0" in route[0]
