"""A machine with an empty disk, and nothing but `machine provision node-1`: virtual CD mounted, powered on, iPXE, kernel, ejected."""

import shutil

import pytest

from tests.lab import machine, management, netns, powered, story, wait
from tests.lab.build import SOURCE
from tests.lab.fabric import TORS
from tests.lab.machine import qmp
from tests.lab.steps import output_of
from tests.lab.story import HOME, TENANT

NAME, UUID, PORT = "node-9", "6e657474-0000-4000-8000-00000000c009", 4
BOOT_SECONDS = 240  # under TCG on a busy machine; 20 are usual
IMAGE = "/var/lib/nett/media/tenant-a.iso"


class Bare:
    """The machine, as seen from outside of it."""

    def __init__(self, folder):
        self.folder = folder
        self.macs = [f"52:54:00:6e:{index:02x}:c9" for index in range(len(TORS))]

    def console(self):
        return (self.folder / "console.log").read_text(encoding="utf-8", errors="replace").replace("\r", "")

    def medium(self):
        """The file in the virtual CD drive; None: empty."""
        drive = next(drive for drive in qmp(self.folder / "qmp.sock", "query-block") if drive["qdev"] in ("cd", "/machine/peripheral/cd"))
        return drive.get("inserted", {}).get("file")


def make_image(world):
    """The tenant's ISO in the media directory of the metadata host."""
    ipxe = output_of([SOURCE / "tests/lab/setup/ipxe.sh"])
    mine = world.tenant
    made = world.lab.folder / "tenant-a.iso"
    world.lab.nodes[HOME].run(world.build.program("talos-fabric-builder"), "image", "--tenant-certificate", mine.certificate,
                              "--tenant-key", mine.key, "--root", mine.ca, "--server-address", "2001:db8:ffff::1",
                              "--ipxe", f"{ipxe}/ipxe-amd64.efi", "--iso", made, within=120)
    target = world.lab.nodes[HOME].path(IMAGE)
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(made, target)


def configure_media(world, address):
    """The listener for BMCs on the management network, and where redfish finds it; as an operator would."""
    world.home.nettsh("configure terminal", "plugin metadata", f"media listen [{address}]:8080 http", "media directory /var/lib/nett/media",
                      f"media allow {management.MANAGEMENT}", "exit", "plugin redfish", f"media-listener http://[{address}]:8080",
                      f"image {IMAGE}", "exit", "commit")


@pytest.fixture(scope="module")
def bare(raised):
    """The machine behind its BMC, registered and off."""
    world = raised
    folder = world.lab.folder / NAME
    for tor in TORS:
        netns.add_tap(world.lab.nodes[tor].namespace, f"swp{PORT}")
        world.agents[tor].nettsh("configure terminal", "plugin ra", f"ports swp{PORT}", "commit")
    made = Bare(folder)
    powered.write(folder, UUID, made.macs, [(world.lab.nodes[tor].namespace, f"swp{PORT}") for tor in TORS],
                  machine.accelerator(world.lab.folder))
    host = management.BmcHost(world.lab, HOME, [NAME], 9, [
        "--power-on", f"/usr/bin/python3 {SOURCE}/tests/lab/powered.py {folder} '{{image}}' {{boot}}", "--qmp-socket", folder / "qmp.sock"])
    make_image(world)
    configure_media(world, host.host_address)
    password = host.node.folder / "password"
    password.write_text(management.PASSWORD + "\n", encoding="utf-8")
    world.home.builder("bmc", "add", NAME, "--endpoint", host.endpoint, "--username", management.USER, "--password-file", password)
    made.config_sha256 = story.register_machine(world.home, NAME, UUID, made.macs, story.machine_config(NAME), "--bmc", NAME)
    made.host = host
    yield made
    host.process.stop()


def test_one_command_takes_bare_metal_to_its_kernel(world, bare):
    told = world.home.node.run(world.build.program("nettsh"), "-c", f"machine provision {NAME} --follow", within=BOOT_SECONDS)
    states = [line.split()[3].rstrip(":") for line in told.stdout.splitlines()]
    assert states[-1] == "DONE" and "BOOT_WAIT" in states, told.stdout
    wait.until("the kernel runs with the config that was registered",
               lambda: f"NETT-LAB-CONFIG-SHA256: {bare.config_sha256}" in bare.console(), BOOT_SECONDS, every=0.5)
    assert f"BOOT-ID {UUID}" in bare.console()
    system = bare.host.control("systems")[NAME]
    assert (system["power"], system["image"]) == ("On", None)
    assert bare.medium() is None
    assert world.home.show(f"show machine {NAME}")["state"] == "provisioning"
    assert TENANT in world.home.show(f"show machine {NAME}")["tenant"]
