"""docs/walk-through.md: three bare machines to three Active nodes, with one call. The fabric, the agents, the speakers and TLS are real; the
machines are namespaces, which ask as iPXE does and run the BIRD of the config that they get, as a Talos with the extension would."""

import re

import pytest
import yaml

from tests.lab import frr, management, netns, speaker, story, uplink, wait
from tests.lab.build import SOURCE
from tests.lab.steps import output_of

UUIDS = {f"node-{number}": f"6e657474-0000-4000-8000-00000000d00{number}" for number in (1, 2, 3)}
PREFIXES = {f"node-{number}": f"2001:db8:c0de::{number}/128" for number in (1, 2, 3)}
IMAGE = "http://[2001:db8:bc::1]/images/tenant-a.iso"

CALLED = """\
Registering machine configs... 3 nodes registered
Uploading artifacts... vmlinuz, initramfs.xz done
Redfish provisioning... node-1, node-2 rebooted
USB image... usb-tenant-a.img written
3 nodes ready (2 Redfish, 1 USB)
"""


def nodes_file(ipxe, endpoint, ports):
    def node(name, more):
        return (f"  - name: {name}\n    role: worker\n    profile: fabric\n    uuid: {UUIDS[name]}\n    artifact-set: talos-1.13\n"
                f"    port: {ports[name]}\n    production: {{static: \"{PREFIXES[name]}\"}}\n{more}")

    def bmc(name):
        return (f"    bmc:\n      endpoint: {endpoint}\n      username: {management.USER}\n      password: {{file: password}}\n"
                f"      system-path: /redfish/v1/Systems/{name}\n")

    return f"""\
tenants:
  - name: tenant-a
    common-names: [tenant-a.boot.example]
    image:
      certificate: pki/tenant-a.pem
      key: pki/tenant-a.key
      root: pki/root.pem
      ipxe: {ipxe}
    talos:
      worker: worker.yaml
      pod-subnets: ["2001:db8:10::/56"]
      service-subnets: ["2001:db8:20::/112"]
      links: [eth0, eth1]

artifacts:
  - name: talos-1.13
    version: v1.13.9
    kernel: vmlinuz
    initramfs: initramfs.xz
    command-line: slab_nomerge pti=on

profiles:
  - name: fabric
    tenant: tenant-a
    confirm: fabric

nodes:
{node("node-1", bmc("node-1"))}
{node("node-2", bmc("node-2"))}
{node("node-3", "")}"""


class Walk:
    """The operator's folder on the metadata host, the BMCs, and what the machines do."""

    def __init__(self, world):
        self.world, self.folder = world, world.lab.folder / "walk"
        self.folder.mkdir(exist_ok=True)
        (self.folder / "pki").symlink_to(world.pki.folder)
        for name, text in (("vmlinuz", "kernel" * 1000), ("initramfs.xz", "initramfs" * 1000), ("password", management.PASSWORD + "\n")):
            (self.folder / name).write_text(text, encoding="utf-8")
        (self.folder / "worker.yaml").write_bytes((SOURCE / "tests/data/talos/v1.13.9/worker.yaml").read_bytes())
        self.bmcs = management.BmcHost(world.lab, story.HOME, ["node-1", "node-2"], 7)
        ports = {f"node-{number}": f"tor-a/swp{number}=" + self.prefix_of(number) for number in (1, 2, 3)}
        ipxe = output_of([SOURCE / "tests/lab/setup/ipxe.sh"]) + "/ipxe-amd64.efi"
        (self.folder / "nodes.yaml").write_text(nodes_file(ipxe, self.bmcs.endpoint, ports), encoding="utf-8")

    def prefix_of(self, port):
        return wait.until(f"swp{port} of tor-a has a prefix", lambda: next(
            (row["prefix"] for row in self.world.agents["tor-a"].show("show ports") if row["port"] == f"tor-a/swp{port}" and row["prefix"]), None), 30)

    def call(self, *words):
        """The builder in the operator's folder."""
        line = " ".join([self.world.build.program("talos-fabric-builder"), *words])
        return self.world.lab.nodes[story.HOME].run("/bin/sh", "-c", f"cd {self.folder} && exec {line}", within=180)

    def boot(self, name):
        """What the machine's iPXE does: the boot script, then the config. Returns the config."""
        server = self.world.servers[int(name[-1])]
        server.wait_slaac("eth0")
        script = server.fetch(f"/v1/boot/{UUIDS[name]}", self.world.tenant, nic="eth0")
        assert script.status == 200, script
        kernel = re.search(r"/v1/artifacts/\S*vmlinuz", script.body.decode())[0]
        assert server.fetch(kernel, self.world.tenant, nic="eth0").body == b"kernel" * 1000
        return server.fetch(f"/v1/config/{UUIDS[name]}", self.world.tenant, nic="eth0").body.decode()

    def join(self, name, config):
        """What the installed system does with its config: lo, sysctls, BIRD."""
        documents = {(one.get("kind"), one.get("name")): one for one in yaml.safe_load_all(config)}
        node = self.world.servers[int(name[-1])].node
        address = documents["LinkConfig", "lo"]["addresses"][0]["address"]
        netns.run("ip", "-n", node.namespace, "link", "set", "lo", "up")
        netns.run("ip", "-n", node.namespace, "-6", "address", "add", address, "dev", "lo")
        for key, value in documents[None, None]["machine"]["sysctls"].items():
            netns.sysctl(node.namespace, key, value)
        file = documents["ExtensionServiceConfig", "bird2"]["configFiles"][0]
        assert file["mountPath"] == "/usr/local/etc/bird.conf"
        node.write("/etc/nett/bird.conf", file["content"])
        return node.start("bird", "/usr/sbin/bird", "-f", "-c", "/etc/nett/bird.conf", "-s", "/run/nett/bird.ctl")


@pytest.fixture(scope="module")
def walk(raised):
    with uplink.switches_report(raised):
        raised.home.nettsh("configure terminal", "plugin redfish", f"image-url {IMAGE}", "commit")
        for number in (1, 2, 3):
            speaker.accept_machine(raised.fabric.frr["tor-a"], f"swp{number}", PREFIXES[f"node-{number}"], 20 + number)
        yield Walk(raised)
        for number in (1, 2, 3):
            speaker.forget_machine(raised.fabric.frr["tor-a"], f"swp{number}")


def states(world):
    return {one["name"]: one["state"] for one in world.home.show("show machines") if one["name"] in UUIDS}


def test_three_bare_machines_become_three_active_nodes(raised, walk):
    planned = walk.call("plan", "--nodes", "nodes.yaml")
    assert "7 to add, 0 to change, 0 to remove" in planned.stdout and "  + profile tenant-a/fabric\n" in planned.stdout
    assert "BMCs touched: node-1, node-2 would boot from the image" in planned.stdout
    called = walk.call("--nodes", "nodes.yaml", "--metadata-server", frr.META)
    assert called.stdout == CALLED, called.stderr
    assert states(raised) == dict.fromkeys(UUIDS, "new")
    birds = []
    for name in UUIDS:
        config = walk.boot(name)
        assert states(raised)[name] == "provisioning"
        birds.append(walk.join(name, config))
    wait.until("all three are active", lambda: states(raised) == dict.fromkeys(UUIDS, "active"), within=120)
    shown = raised.home.nettsh("show machines").stdout
    print(planned.stdout, called.stdout, shown, sep="\n")  # what the page shows (pytest -s)
    for number, name in enumerate(UUIDS, 1):
        assert raised.servers[number].fetch(f"/v1/boot/{UUIDS[name]}", raised.tenant, nic="eth1").status == 404, "its disk from now on"
        assert netns.run("ip", "netns", "exec", raised.servers[number].node.namespace, "cat", "/proc/sys/net/ipv6/conf/eth0/accept_ra").strip() == "0"
    again = walk.call("--nodes", "nodes.yaml", "--metadata-server", frr.META)
    assert "Redfish provisioning... node-1 is active, node-2 is active\n" in again.stdout
    for bird in birds:
        bird.stop()


def test_the_page_shows_what_really_happens():
    page = (SOURCE / "docs" / "walk-through.md").read_text(encoding="utf-8")
    assert "".join(f"    {line}\n" for line in CALLED.splitlines()) in page
    for line in ("7 to add, 0 to change, 0 to remove", "  + profile tenant-a/fabric", "node-3  tenant-a  active"):
        assert line in page
