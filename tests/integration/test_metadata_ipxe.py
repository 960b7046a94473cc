"""Real iPXE under OVMF, a real agent, and a kernel that tells its command line: delivery by token, and the wipe that is served once."""

import re

import pytest

from tests.lab import boot_site, wait
from tests.lab.boot_site import BOOT_SECONDS, META, inside
from tests.lab.metadata import MetadataAgent, get

UUID = "6e657474-0000-4000-8000-00000000f001"
CONFIG = "version: v1alpha1\nmachine:\n  type: worker\n"
TOKEN_PORT = 8444


@pytest.fixture(scope="module")
def port(build, tmp_path_factory):
    with boot_site.Port(build, tmp_path_factory.mktemp("ipxe"), "nettipxe-") as made:
        yield made


@pytest.fixture(scope="module")
def agent(build, port):
    made = MetadataAgent(build, port.folder, f" token-listen [{META}]:{TOKEN_PORT}\n", address=META, port=443, namespace=port.namespace)
    made.start()
    made.add_tenant("tenant-a")
    kernel, initramfs = (boot_site.setup(name).splitlines()[-1] for name in ("kernel.sh", "initramfs.sh"))
    made.builder("artifact", "import", "lab", "--version", "v1", "--kernel", kernel, "--initramfs", initramfs, "--command-line",
                 "console=ttyS0")
    yield made
    made.process.stop()


@pytest.fixture(scope="module")
def command_line(build, port, agent):
    """Boots the machine; the kernel's command line, or "" when iPXE went to the disk."""
    stick = boot_site.make_images(build, agent.folder, port.folder, kinds=("usb",))["usb"]

    def boot():
        with port.boot(*boot_site.stick(stick), uuid=UUID) as running:
            pattern = re.compile(r"NETT-LAB-CMDLINE: (.*)\n")
            found = wait.until("a kernel starts, or the disk",
                               lambda: pattern.search(running.shown()) or "LOCALBOOT" in running.shown(), BOOT_SECONDS, every=0.2)
            return found[1] if found is not True else ""

    return boot


def test_ipxe_boots_with_a_token_that_talos_can_use_once(port, agent, command_line):
    agent.add_machine("m", "tenant-a", "lab", CONFIG, "--uuid", UUID, "--delivery", "token")
    arguments = command_line().split()
    url = next(one for one in arguments if one.startswith("talos.config=")).partition("=")[2]
    assert any(one.startswith("talos.config.early=") for one in arguments)
    assert url.startswith(f"https://[{META}]:{TOKEN_PORT}/v1/config/{UUID}?t=")
    with inside(port.namespace):
        client = agent.connect(port=TOKEN_PORT)
        assert get(client, url.partition(str(TOKEN_PORT))[2]) == (200, CONFIG.encode())
        client.close()
    assert agent.machine("m")["state"] == "provisioning"


def test_ipxe_is_told_to_wipe_once_and_installs_the_next_time(agent, command_line):
    agent.add_machine("m", "tenant-a", "lab", CONFIG, "--uuid", UUID)
    agent.builder("machine", "state", "m", "active")
    agent.builder("machine", "state", "m", "reprovision")
    assert "talos.experimental.wipe=system" in command_line().split()
    assert agent.machine("m")["state"] == "reprovision"
    second = command_line()
    assert second and "wipe" not in second
    assert agent.machine("m")["state"] == "provisioning"
    agent.builder("machine", "state", "m", "active")
    assert command_line() == ""
