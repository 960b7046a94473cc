"""Real iPXE under OVMF, a real agent, and a kernel that tells its command line: delivery by token, and the wipe that is served once."""

import re

import pytest

from tests.integration.test_image_boot import META, PORT, PREFIX, RouterAdvertiser, Site, _builder, _stick, inside
from tests.lab import machine, netns, wait
from tests.lab.build import SOURCE
from tests.lab.metadata import MetadataAgent, get
from tests.lab.steps import output_of

UUID = "6e657474-0000-4000-8000-00000000f001"
CONFIG = "version: v1alpha1\nmachine:\n  type: worker\n"
BOOT_SECONDS = 240  # under TCG on a busy machine; 15 are usual
TOKEN_PORT = 8444


@pytest.fixture(scope="module")
def site(build, tmp_path_factory):
    folder = tmp_path_factory.mktemp("ipxe")
    namespace = f"{folder.parent.name[-8:]}-nmipxe"[-15:]
    setup = SOURCE / "tests" / "lab" / "setup"
    netns.create(namespace)
    try:
        netns.add_tap(namespace, PORT)
        netns.run("ip", "-n", namespace, "-6", "address", "add", "fe80::1/64", "dev", PORT)
        netns.run("ip", "-n", namespace, "-6", "route", "add", f"{PREFIX}/64", "dev", PORT)
        netns.run("ip", "-n", namespace, "-6", "address", "add", f"{META}/128", "dev", "lo")
        agent = MetadataAgent(build, folder, f" token-listen [{META}]:{TOKEN_PORT}\n", address=META, port=443, namespace=namespace)
        agent.start()
        agent.add_tenant("tenant-a")
        kernel, initramfs = (output_of([setup / name]) for name in ("kernel.sh", "initramfs.sh"))
        agent.builder("artifact", "import", "lab", "--version", "v1", "--kernel", kernel, "--initramfs", initramfs, "--command-line",
                   "console=ttyS0")
        stick = folder / "usb.img"
        _builder(build, "image", "--tenant-certificate", folder / "tenant-a.pem", "--tenant-key", folder / "tenant-a.key", "--root",
                 folder / "root.pem", "--server-address", META, "--ipxe", f"{output_of([setup / 'ipxe.sh'])}/ipxe-amd64.efi", "--usb", stick)
        router = RouterAdvertiser(namespace)
        yield Site(namespace, folder, folder, agent, {"usb": stick}, machine.accelerator(folder))
        router.stop()
        agent.process.stop()
    finally:
        netns.destroy(namespace)


def command_line(site):
    """Boots the machine; returns the kernel's command line, or "" when iPXE went to the disk."""
    with site.boot(*_stick(site.images["usb"]), uuid=UUID) as shown:
        pattern = re.compile(r"NETT-LAB-CMDLINE: (.*)\n")
        found = wait.until("a kernel starts, or the disk", lambda: pattern.search(shown()) or "LOCALBOOT" in shown(), BOOT_SECONDS,
                           every=0.2)
        return found[1] if found is not True else ""


def test_ipxe_boots_with_a_token_that_talos_can_use_once(site):
    agent = site.server
    agent.add_machine("m", "tenant-a", "lab", CONFIG, "--uuid", UUID, "--delivery", "token")
    arguments = command_line(site).split()
    url = next(one for one in arguments if one.startswith("talos.config=")).partition("=")[2]
    assert any(one.startswith("talos.config.early=") for one in arguments)
    assert url.startswith(f"https://[{META}]:{TOKEN_PORT}/v1/config/{UUID}?t=")
    with inside(site.namespace):
        client = agent.connect(port=TOKEN_PORT)
        assert get(client, url.partition(str(TOKEN_PORT))[2]) == (200, CONFIG.encode())
        client.close()
    assert agent.machine("m")["state"] == "provisioning"


def test_ipxe_is_told_to_wipe_once_and_installs_the_next_time(site):
    agent = site.server
    agent.add_machine("m", "tenant-a", "lab", CONFIG, "--uuid", UUID)
    agent.builder("machine", "state", "m", "active")
    agent.builder("machine", "state", "m", "reprovision")
    assert "talos.experimental.wipe=system" in command_line(site).split()
    assert agent.machine("m")["state"] == "reprovision"
    second = command_line(site)
    assert second and "wipe" not in second
    assert agent.machine("m")["state"] == "provisioning"
    agent.builder("machine", "state", "m", "active")
    assert command_line(site) == ""
