"""talos-fabric-builder bootstrap: nodes.yaml to an archive that nett-restore brings up, on a host that a router has a static route to."""

import base64
import json
import os
import signal
import subprocess
import tarfile

import pytest

from tests.lab import netns, wait
from tests.lab.build import SOURCE
from tests.lab.fabric import Lab
from tests.lab.process import ReadySocket
from tests.lab.server import Reply
from tests.lab.steps import output_of

ADDRESS = "2001:db8:ffff::1"
HOST, ROUTER, SIDE, MACHINE = "2001:db8:10::5", "2001:db8:10::1", "2001:db8:b000::1", "2001:db8:b000::aa"
UUID = "6e657474-0000-4000-8000-00000000b00{}"
LAYOUT = {"/etc/nett/nett.conf": "configuration", "/var/lib/nett/state.db": "state", "/var/lib/nett/secret.key": "secret-key",
          "/etc/nett/server.pem": "certificate", "/etc/nett/server.key": "certificate", "/etc/nett/root.pem": "certificate",
          "/var/lib/nett/media/usb-tenant-a.img": "image", "/var/lib/nett/media/tenant-a.iso": "image"}


class Desk:
    """The operator's folder, on a machine where nothing of nett runs."""

    def __init__(self, build, folder):
        self.build, self.folder = build, folder
        self.builder("pki", "init", "pki", "--server-address", ADDRESS)
        self.builder("pki", "tenant", "pki", "tenant-a")
        (folder / "vmlinuz").write_bytes(b"kernel" * 1000)
        (folder / "initramfs.xz").write_bytes(b"initramfs" * 1000)
        (folder / "password").write_text("s3cret\n", encoding="utf-8")
        (folder / "worker.yaml").write_text("version: v1alpha1\nmachine:\n  type: worker # Role.\ncluster: {}\n", encoding="utf-8")
        ipxe = output_of([SOURCE / "tests/lab/setup/ipxe.sh"])
        (folder / "nodes.yaml").write_text(f"""\
tenants:
  - name: tenant-a
    common-names: [tenant-a.boot.example]
    image: {{certificate: pki/tenant-a.pem, key: pki/tenant-a.key, root: pki/root.pem, ipxe: {ipxe}/ipxe-amd64.efi, iso: tenant-a.iso}}
    talos: {{worker: worker.yaml, links: [eth0, eth1]}}
artifacts:
  - {{name: talos-1.13, version: v1.13.9, kernel: vmlinuz, initramfs: initramfs.xz, command-line: pti=on}}
nodes:
  - {{name: node-1, role: worker, uuid: {UUID.format(1)}, artifact-set: talos-1.13, production: {{static: "2001:db8:c0de::1/128"}}}}
  - {{name: node-2, role: worker, uuid: {UUID.format(2)}, artifact-set: talos-1.13, production: {{static: "2001:db8:c0de::2/128"}},
     bmc: {{endpoint: "https://[2001:db8:bc::7]:443", username: admin, password: {{file: password}}, system-path: /redfish/v1/Systems/1}}}}
""", encoding="utf-8")

    def command(self, *words):
        return [self.build.program("talos-fabric-builder"), *map(str, words)]

    def builder(self, *words):
        done = subprocess.run(self.command(*words), cwd=self.folder, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
        return done.stdout

    def words(self, *more, certificate="pki/server.pem", key="pki/server.key", ca="pki/root.pem", archive="meta-1.tar", nettd=None):
        return self.command("bootstrap", archive, "--nodes", "nodes.yaml", "--metadata-server", ADDRESS, "--server-certificate", certificate,
                            "--server-key", key, "--client-ca", ca, "--nettd", nettd or self.build.program("nettd"), *more)

    def bootstrap(self, *more, **others):
        return subprocess.run(self.words(*more, **others), cwd=self.folder, capture_output=True, text=True, timeout=120, check=False)

    def leavings(self):
        """What a run that failed must not leave."""
        return [one.name for one in self.folder.iterdir() if one.suffix == ".tar" or one.name.startswith(".")]

    def change(self, old, new):
        text = (self.folder / "nodes.yaml").read_text(encoding="utf-8")
        assert old in text
        (self.folder / "nodes.yaml").write_text(text.replace(old, new), encoding="utf-8")


@pytest.fixture
def desk(build, tmp_path):
    return Desk(build, tmp_path)


def manifest_of(archive):
    with tarfile.open(archive) as tar:
        return json.load(tar.extractfile("manifest.json"))


def restore(build, archive, root):
    return subprocess.run([build.program("nett-restore"), archive, "--root", root], capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def network(build):
    """machine – router – host: the router has a static route to the metadata address, as the fabric's router has."""
    with Lab("boot" + os.environ.get("NETT_LAB_PREFIX", "nettest-"), build.environment()) as lab:
        host, router, machine = lab.node("meta-1"), lab.node("router"), lab.node("machine")
        netns.connect(host.namespace, "eth0", router.namespace, "east")
        netns.connect(machine.namespace, "eth0", router.namespace, "west")
        netns.sysctl(router.namespace, "net/ipv6/conf/all/forwarding", 1)
        for node, address, link in ((host, HOST, "eth0"), (router, ROUTER, "east"), (router, SIDE, "west"), (machine, MACHINE, "eth0")):
            node.ip("address", "add", f"{address}/64", "dev", link)
        host.ip("address", "add", f"{ADDRESS}/128", "dev", "lo")
        router.ip("route", "add", f"{ADDRESS}/128", "via", HOST)
        host.ip("route", "add", "2001:db8:b000::/56", "via", ROUTER)
        machine.ip("route", "add", "default", "via", SIDE)
        yield lab


def start_restored(build, host):
    """nettd with what is in /etc/nett, and with nothing said to it."""
    ready = ReadySocket(str(host.path("/run/nett/notify")))
    try:
        process = host.start("nettd", build.program("nettd"), "--plugin-dir", build.plugin_folder(host.lab.folder),
                             environment={"NOTIFY_SOCKET": "/run/nett/notify"})
        ready.wait_ready(process, 30)
    finally:
        ready.close()


def fetch(machine, desk, path, tenant="pki/tenant-a"):
    """What the machine's iPXE gets, with the certificate of a tenant."""
    folder = desk.folder
    done = machine.run("/usr/bin/python3", SOURCE / "tests/lab/fetch.py", path, "--address", ADDRESS, "--ca", folder / "pki/root.pem",
                       "--certificate", folder / f"{tenant}.pem", "--key", folder / f"{tenant}.key")
    answer = json.loads(done.stdout)
    answer["body"] = base64.b64decode(answer.get("body", ""))
    return Reply(**answer)


def test_a_restored_archive_serves_a_machine_behind_a_static_route(build, desk, network):
    done = desk.bootstrap("--media-address", HOST)
    assert done.returncode == 0, done.stderr
    assert done.stdout == """\
Registering machine configs... 2 nodes registered
Uploading artifacts... vmlinuz, initramfs.xz done
USB image... usb-tenant-a.img written
wrote meta-1.tar: configuration, state, certificates, 2 images; on the host: nett-restore meta-1.tar
"""
    archive = desk.folder / "meta-1.tar"
    assert archive.stat().st_mode & 0o777 == 0o600
    assert desk.leavings() == ["meta-1.tar"]
    files = {one["path"]: one["role"] for one in manifest_of(archive)["files"]}
    assert {path: role for path, role in files.items() if role != "artifact"} == LAYOUT
    assert sum(path.startswith("/var/lib/nett/artifacts/sha256/") for path in files) == 2

    host, machine = network.nodes["meta-1"], network.nodes["machine"]
    restored = restore(build, archive, host.folder)
    assert restored.returncode == 0, restored.stdout + restored.stderr
    assert host.path("/etc/nett/server.key").stat().st_mode & 0o777 == 0o640
    checked = host.run(build.program("nettd"), "--check-config", "--plugin-dir", build.plugin_folder(network.folder), check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    start_restored(build, host)

    # All that an apply would register is there, and nobody has started node-2.
    planned = host.run(*desk.command("plan", "--nodes", desk.folder / "nodes.yaml")).stdout
    assert "0 to add, 0 to change, 0 to remove" in planned and "BMCs touched: node-2" in planned, planned
    for number in (1, 2):
        uuid = UUID.format(number)
        script = fetch(machine, desk, f"/v1/boot/{uuid}")
        assert script.status == 200, script
        assert script.body.startswith(b"#!ipxe") and b"/v1/artifacts/" in script.body and uuid.encode() in script.body
        printed = desk.builder("config", f"node-{number}", "--nodes", "nodes.yaml")
        assert fetch(machine, desk, f"/v1/config/{uuid}").body == printed.encode()
    assert fetch(machine, desk, "/v1/artifacts/talos-1.13/vmlinuz").body == b"kernel" * 1000
    assert host.path("/var/lib/nett/media/usb-tenant-a.img").stat().st_size > 1 << 20
    desk.builder("pki", "init", "other", "--server-address", ADDRESS)
    desk.builder("pki", "tenant", "other", "tenant-a")
    assert fetch(machine, desk, f"/v1/boot/{UUID.format(1)}", "other/tenant-a").error


def test_with_bgp_anycast_the_configuration_announces_the_address(build, desk, tmp_path):
    assert desk.bootstrap("--bgp-anycast", "--hostname", "meta-7").returncode == 0
    assert restore(build, desk.folder / "meta-1.tar", tmp_path / "root").returncode == 0
    text = (tmp_path / "root/etc/nett/nett.conf").read_text(encoding="utf-8")
    assert text.startswith("hostname meta-7\n")
    assert f"plugin bgp-anycast\n address {ADDRESS}/128\n" in text
    text = text.replace("/etc/nett/", f"{tmp_path}/root/etc/nett/")
    (tmp_path / "nett.conf").write_text(text, encoding="utf-8")
    checked = subprocess.run([build.program("nettd"), "--check-config", "--config", tmp_path / "nett.conf", "--plugin-dir", build.plugin_folder(tmp_path)],
                             capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def other_key(desk):
    desk.builder("pki", "init", "other", "--server-address", ADDRESS)
    return {"key": "other/server.key"}


def other_address(desk):
    desk.builder("pki", "init", "other", "--server-address", "2001:db8:ffff::2")
    return {"certificate": "other/server.pem", "key": "other/server.key"}


def other_root(desk):
    desk.builder("pki", "init", "other", "--server-address", ADDRESS)
    return {"certificate": "other/server.pem", "key": "other/server.key"}


def other_clients(desk):
    desk.builder("pki", "init", "other", "--server-address", ADDRESS)
    return {"ca": "other/root.pem"}


def broken_nodes(desk):
    desk.change("role: worker, uuid", "role: cook, uuid")
    return {}


def two_images_of_one_name(desk):
    desk.change("iso: tenant-a.iso", "iso: usb-tenant-a.img")
    return {}


def no_folder(_):
    return {"archive": "absent/meta-1.tar"}


@pytest.mark.parametrize("break_it, message", [
    (other_key, "other/server.key: is not the key of the certificate in pki/server.pem"),
    (other_address, "other/server.pem: is not for 2001:db8:ffff::1, which machines connect to"),
    (other_root, "other/server.pem: does not chain to"),
    (other_clients, "does not chain to other/root.pem: the server would refuse its machines"),
    (broken_nodes, "nodes.yaml:"),
    (two_images_of_one_name, "the image's name \"usb-tenant-a.img\" is that of tenant tenant-a too"),
    (no_folder, "absent: No such file or directory"),
])
def test_what_cannot_work_is_said_and_leaves_nothing(desk, break_it, message):
    done = desk.bootstrap(**break_it(desk))
    assert done.returncode == 1
    assert message in done.stderr
    assert done.stdout == "" and desk.leavings() == []


def test_a_full_disk_leaves_nothing(desk):
    """Everything fits but the last thing, the archive itself."""
    disk = desk.folder / "disk"
    disk.mkdir()
    netns.run("mount", "-t", "tmpfs", "-o", "size=45m", "tmpfs", str(disk))
    try:
        done = desk.bootstrap(archive="disk/meta-1.tar")
        assert done.returncode == 1
        assert done.stderr == "talos-fabric-builder: disk/meta-1.tar: No space left on device: make room on its file system and run the command again\n"
        assert list(disk.iterdir()) == []
    finally:
        netns.run("umount", str(disk))


def test_an_agent_that_cannot_make_the_state_is_told_with_its_reason(desk):
    done = desk.bootstrap(nettd="nettd-that-is-absent")
    assert done.returncode == 1
    assert "cannot run nettd-that-is-absent: install the package nett-agent, or give --nettd" in done.stderr
    done = desk.bootstrap(nettd="/bin/cat")
    assert done.returncode == 1 and "/bin/cat, which makes the state, has not come up: /bin/cat: unrecognized option" in done.stderr
    done = desk.bootstrap("--hostname", "Not a name")
    assert done.returncode == 2 and desk.leavings() == []


def test_a_run_that_is_interrupted_leaves_nothing_and_keeps_the_former_archive(desk):
    (desk.folder / "meta-1.tar").write_bytes(b"former")
    slow = desk.folder / "slow"
    slow.write_text(f"#!/bin/sh\n: > {desk.folder}/started\nexec tail -f /dev/null\n", encoding="utf-8")
    slow.chmod(0o755)
    # A check that was started in the background of a shell has ^C ignored, and so have its children.
    process = subprocess.Popen(desk.words(nettd=slow), cwd=desk.folder, stderr=subprocess.PIPE, text=True, start_new_session=True,
                               preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
    wait.until("its agent runs", (desk.folder / "started").exists, 20)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    process.communicate(timeout=20)
    assert process.returncode != 0
    assert (desk.folder / "meta-1.tar").read_bytes() == b"former" and desk.leavings() == ["meta-1.tar"]
