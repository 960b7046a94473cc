"""The story that `demo` tells and that integration tests begin with: a PKI, agents, a tenant with a machine."""

import hashlib
import subprocess

from . import agent, frr, wait
from .fabric import METAS, TORS
from .server import Credentials
from .steps import StepFailed

TENANT = "tenant-a"
MACHINE = "node-1"
ARTIFACT_SET = "lab"
# The first metadata host is the one the fabric prefers; state is kept there (see frr.meta_config).
HOME = METAS[0]


class Pki:
    """The lab's certificates, made by the builder in one folder of the lab."""

    def __init__(self, lab, build):
        self.folder = lab.folder / "pki"
        self._lab = lab
        self._builder = build.program("talos-fabric-builder")

    def create(self):
        self._run("pki", "init", self.folder, "--server-address", frr.META)
        self.add_tenant(TENANT)

    def add_tenant(self, name):
        self._run("pki", "tenant", self.folder, name)

    def add_api(self, name, *addresses):
        """A certificate for the management API: with addresses an agent's, without a client's. CN is the name. Replaces an earlier one."""
        self._run("pki", "api", self.folder, name, "--force", *[word for address in addresses for word in ("--address", address)])

    def install_api(self, node, name):
        """What an agent needs to serve the API over TCP, and to call another one."""
        for source, target, mode in ((f"{name}.pem", "api.crt", 0o644), (f"{name}.key", "api.key", 0o600),
                                     ("root.pem", "api-ca.crt", 0o644)):
            node.write(f"/etc/nett/{target}", (self.folder / source).read_bytes(), mode)

    def make_image(self, ipxe):
        """The tenant's USB image from an iPXE binary; returns its path."""
        stick = self._lab.folder / f"usb-{TENANT}.img"
        mine = self.credentials()
        self._run("image", "--tenant-certificate", mine.certificate, "--tenant-key", mine.key, "--root", mine.ca,
                  "--server-address", frr.META, "--ipxe", ipxe, "--usb", stick)
        return stick

    def install_on(self, node):
        """What a metadata host needs: its certificate with the chain to the root, its key, and the root that clients chain to."""
        for source, target, mode in (("server.pem", "server.crt", 0o644), ("server.key", "server.key", 0o600),
                                     ("root.pem", "client-ca.crt", 0o644)):
            node.write(f"/etc/nett/{target}", (self.folder / source).read_bytes(), mode)

    def credentials(self, tenant=TENANT):
        return Credentials(str(self.folder / "root.pem"), str(self.folder / f"{tenant}.pem"), str(self.folder / f"{tenant}.key"))

    def _run(self, *arguments):
        self._lab.nodes[HOME].run(self._builder, *arguments)


def make_agents(fabric, build, pki, ports):
    """The agents of the four nodes, configured and not started. `ports` is the ToRs' port range."""
    agents = {}
    for name, aggregate in TORS.items():
        agents[name] = agent.Agent(fabric.lab.nodes[name], build, agent.tor_config(name, aggregate, ports))
    for name in METAS:
        pki.install_on(fabric.lab.nodes[name])
        agents[name] = agent.Agent(fabric.lab.nodes[name], build, agent.meta_config(name))
    return agents


def wait_anycast(fabric, within=20):
    """Until both ToRs reach the anycast address through the preferred metadata host, which has both ways back, and have the other
    metadata host to fall back on."""
    for tor in TORS:
        wait.until(f"every metadata host announces {frr.META}/128 to {tor}",
                   lambda t=tor: fabric.anycast_announcers(t) == len(METAS), within, every=0.2)
        wait.until(f"{tor} has learned {frr.META}/128 from {HOME}",
                   lambda t=tor: fabric.anycast_next_hop(t) == f"fab-{HOME}" and fabric.anycast_installed(t), within, every=0.2)
    for tor, aggregate in TORS.items():
        wait.until(f"{HOME} has learned {tor}'s aggregate {aggregate}", lambda a=aggregate: fabric.lab.nodes[HOME].routes_to(a), within)


def machine_config(name):
    """A small machine config, the same bytes on every run."""
    return f"""version: v1alpha1
machine:
  type: worker
  network:
    hostname: {name}
cluster:
  controlPlane:
    endpoint: https://[2001:db8:c::1]:6443
"""


def register_tenant(home, name=TENANT):
    home.builder("tenant", "add", name, "--common-name", f"{name}.boot.example")


def register_artifacts(home, kernel, initramfs):
    """Imports the kernel and the initramfs as one set. An initramfs of Talos' Image Factory lists its layers in a file of its
    own; so does the lab's, and the agent has to repeat them when it adds the machine's config."""
    layers = home.node.folder / "extensions.yaml"
    with open(layers, "wb") as target:
        unpacked = subprocess.Popen(["xz", "-dc", initramfs], stdout=subprocess.PIPE)
        subprocess.run(["cpio", "--quiet", "--extract", "--to-stdout", "extensions.yaml"], stdin=unpacked.stdout, stdout=target, check=True)
        unpacked.stdout.close()
        unpacked.wait()
    home.builder("artifact", "import", ARTIFACT_SET, "--version", "lab", "--kernel", kernel, "--initramfs", initramfs,
                 "--command-line", "console=ttyS0", "--extension-layers", layers)


def register_machine(home, name, uuid, macs, config_text, *more):
    """Registers a machine of the tenant; returns the SHA-256 of its config as it was registered. `more`: of the builder."""
    path = home.node.folder / f"{name}.yaml"
    path.write_text(config_text, encoding="utf-8")
    arguments = [word for mac in macs for word in ("--mac", mac)]
    home.builder("machine", "add", name, "--tenant", TENANT, "--uuid", uuid, *arguments, "--artifact-set", ARTIFACT_SET, "--config", path,
                 *more)
    return hashlib.sha256(config_text.encode()).hexdigest()


def require(condition, text):
    if not condition:
        raise StepFailed(text)
