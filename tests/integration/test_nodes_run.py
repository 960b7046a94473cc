"""talos-fabric-builder --nodes: from nodes.yaml to machines that boot, against a real agent and emulated BMCs; stopped, repeated, refused."""

import http.client
import json
import signal
import sqlite3
import ssl
import subprocess

import pytest

from tests.lab import pki, wait
from tests.lab.bmc.client import Emulator
from tests.lab.build import SOURCE
from tests.lab.lone import PASSWORD, USER, LoneAgent
from tests.lab.steps import output_of

ADDRESS = "2001:db8:ffff::1"
UUID = "6e657474-0000-4000-8000-00000000b003"
# What the builder writes; plugins write records of their own.
KINDS = ("tenant", "machine", "machine-config", "bmc", "artifact-set", "profile", "prefix-pool", "job")


class Site:
    """An agent, BMCs of node-1 and node-2, and a nodes.yaml with these and node-3, which has none."""

    def __init__(self, build, folder, bmcs):
        self.agent = LoneAgent(build, folder)
        self.agent.builder("pki", "tenant", folder, "tenant-a")
        self.build, self.folder, self.bmcs = build, folder, bmcs
        (folder / "vmlinuz").write_bytes(b"kernel" * 1000)
        (folder / "initramfs.xz").write_bytes(b"initramfs" * 1000)
        (folder / "worker.yaml").write_text("version: v1alpha1\nmachine:\n  type: worker # Role.\ncluster: {}\n", encoding="utf-8")
        (folder / "extra.yaml").write_text("version: v1alpha1\n", encoding="utf-8")
        ipxe = output_of([SOURCE / "tests/lab/setup/ipxe.sh"])
        self.write(f"""\
tenants:
  - name: tenant-a
    common-names: [tenant-a.boot.example]
    image: {{certificate: tenant-a.pem, key: tenant-a.key, root: root.pem, ipxe: {ipxe}/ipxe-amd64.efi}}
    talos: {{worker: worker.yaml, links: [eth0, eth1]}}
artifacts:
  - {{name: talos-1.13, version: v1.13.9, kernel: vmlinuz, initramfs: initramfs.xz, command-line: pti=on}}
nodes:
  - {self.node("node-1")}
  - {self.node("node-2")}
  - {{name: node-3, role: worker, uuid: {UUID}, artifact-set: talos-1.13, production: {{static: "2001:db8:c0de::3/128"}}}}
""")

    def node(self, name):
        number = name[-1]
        return (f"{{name: {name}, role: worker, uuid: {self.agent.uuid_of(name)}, artifact-set: talos-1.13, "
                f"production: {{static: \"2001:db8:c0de::{number}/128\"}}, bmc: {{endpoint: \"{self.bmcs.endpoint}\", username: {USER}, "
                f"password: {{file: password}}, system-path: /redfish/v1/Systems/{name}}}}}")

    def write(self, text):
        (self.folder / "nodes.yaml").write_text(text, encoding="utf-8")

    def change(self, old, new):
        text = (self.folder / "nodes.yaml").read_text(encoding="utf-8")
        assert old in text
        self.write(text.replace(old, new))

    def command(self, *words):
        return [self.build.program("talos-fabric-builder"), "--server", f"unix:{self.agent.socket}", "--nodes", "nodes.yaml", *words]

    def apply(self, *more):
        return subprocess.run(self.command("--metadata-server", ADDRESS, *more), cwd=self.folder, capture_output=True, text=True, timeout=120, check=False)

    def plan(self, *more):
        return subprocess.run(self.command("plan", *more), cwd=self.folder, capture_output=True, text=True, timeout=60, check=False)

    def revision(self):
        with sqlite3.connect(f"file:{self.folder}/state.db?mode=ro", uri=True) as database:
            return database.execute(f"SELECT max(revision) FROM record WHERE kind IN ({', '.join('?' * len(KINDS))})", KINDS).fetchone()[0] or 0

    def boots(self, name):
        """The machine's image runs and asks for its boot script."""
        context = ssl.create_default_context(cafile=self.folder / "root.pem")
        context.load_cert_chain(self.folder / "tenant-a.pem", self.folder / "tenant-a.key")
        connection = http.client.HTTPSConnection("::1", self.agent.port, timeout=10, context=context)
        connection.request("GET", f"/v1/boot/{self.agent.uuid_of(name)}")
        reply = connection.getresponse()
        assert reply.status == 200, reply.read()
        connection.close()

    def machine(self, name):
        return self.agent.show(f"show machine {name}")

    def machines(self):
        return [one["name"] for one in self.agent.show("show machines")]


@pytest.fixture
def site(build, tmp_path):
    (tmp_path / "bmc").mkdir()
    (tmp_path / "a").mkdir()
    with Emulator(tmp_path / "bmc", "--user", USER, "--password", PASSWORD, "--system", "node-1", "--system", "node-2") as bmcs:
        made = Site(build, tmp_path / "a", bmcs)
        made.agent.start()
        yield made
        made.agent.process.stop()


DONE = """\
Registering machine configs... 3 nodes registered
Uploading artifacts... vmlinuz, initramfs.xz done
Redfish provisioning... node-1, node-2 rebooted
USB image... usb-tenant-a.img written
3 nodes ready (2 Redfish, 1 USB)
"""


def test_one_call_does_what_the_document_shows(site):
    done = site.apply()
    assert done.stdout == DONE, done.stderr
    assert done.returncode == 0
    assert site.machines() == ["node-1", "node-2", "node-3"]
    assert (site.folder / "usb-tenant-a.img").stat().st_mode & 0o777 == 0o600
    for name in ("node-1", "node-2"):
        assert [what for what, _ in site.bmcs.changes(name)][-1] == "On"
    # What is registered is the config that `config` prints, sealed in the state file.
    printed = subprocess.run(site.command("config", "node-3"), cwd=site.folder, capture_output=True, text=True, check=True).stdout
    assert "hostname: node-3" in printed and "# Role." in printed
    assert b"hostname: node-3" not in b"".join(one.read_bytes() for one in site.folder.glob("state.db*"))
    assert site.machine("node-3")["production"]["prefix"] == "2001:db8:c0de::3/128"


def test_an_apply_that_is_repeated_changes_nothing(site):
    assert site.apply().returncode == 0
    for name in ("node-1", "node-2"):
        site.boots(name)
    wait.until("both jobs are done", lambda: {one["state"] for one in site.agent.show("show jobs")} == {"DONE"}, 30)
    before, asked = site.revision(), len(site.bmcs.requests())
    again = site.apply()
    assert again.returncode == 0, again.stderr
    assert again.stdout == """\
Registering machine configs... 3 nodes registered
Uploading artifacts... vmlinuz, initramfs.xz there already
Redfish provisioning... node-1 is provisioning, node-2 is provisioning
USB image... usb-tenant-a.img written
3 nodes ready (2 Redfish, 1 USB)
"""
    assert (site.revision(), len(site.bmcs.requests())) == (before, asked)


def test_a_plan_says_what_an_apply_would_do_and_touches_nothing(site):
    before = site.revision()
    planned = site.plan()
    assert planned.returncode == 0, planned.stderr
    assert planned.stdout.splitlines()[1:] == [
        "  + artifact-set talos-1.13: vmlinuz, initramfs.xz", "  + bmc node-1", "  + bmc node-2", "  + machine node-1", "  + machine node-2",
        "  + machine node-3", "  + tenant tenant-a", "  BMCs touched: node-1, node-2 would boot from the image"]
    assert "7 to add, 0 to change, 0 to remove" in planned.stdout
    assert site.revision() == before and site.bmcs.requests() == [] and not list((site.folder / "artifacts").glob("sha256/*"))
    assert site.apply().returncode == 0
    site.change("2001:db8:c0de::3/128", "2001:db8:c0de::33/128")
    changed = json.loads(site.plan("--json").stdout)["servers"][0]
    assert [(one["effect"], one["kind"], one["key"]) for one in changed["changes"]] == [("change", "machine", "node-3")]
    assert "production" in changed["changes"][0]["detail"] and "config_sha256" in changed["changes"][0]["detail"]


def test_machines_that_the_file_does_not_name_go_with_prune_only(site):
    assert site.apply().returncode == 0
    lines = (site.folder / "nodes.yaml").read_text(encoding="utf-8").splitlines(keepends=True)
    site.write("".join(line for line in lines if "name: node-3" not in line))
    kept = site.apply()
    assert "not in nodes.yaml, and left alone: node-3; --prune removes them" in kept.stderr
    assert site.machines() == ["node-1", "node-2", "node-3"]
    assert "  - machine node-3" in site.plan("--prune").stdout
    pruned = site.apply("--prune")
    assert pruned.returncode == 0, pruned.stderr
    assert pruned.stdout.startswith("Registering machine configs... 2 nodes registered, node-3 removed\n")
    assert site.machines() == ["node-1", "node-2"]


def test_one_node_that_fails_does_not_stop_the_others(site):
    (site.folder / "wrong").write_text("wrong\n", encoding="utf-8")
    site.change(site.node("node-2"), site.node("node-2").replace("password: {file: password}", "password: {file: wrong}"))
    done = site.apply()
    assert done.returncode == 1
    assert done.stdout.splitlines()[2:] == ["Redfish provisioning... node-1 rebooted; node-2 failed", "USB image... usb-tenant-a.img written",
                                            "2 nodes ready (1 Redfish, 1 USB), 1 failed: node-2"]
    assert "node-2" in done.stderr and "refuses" in done.stderr
    assert "wrong" not in done.stdout


def test_a_node_that_the_agent_refuses_does_not_stop_the_others(site):
    site.agent.builder("tenant", "add", "other", "--common-name", "other.example")
    site.agent.builder("artifact", "import", "x", "--version", "1", "--kernel", site.folder / "vmlinuz", "--initramfs",
                       site.folder / "initramfs.xz", "--command-line", "a")
    site.agent.builder("machine", "add", "squatter", "--tenant", "other", "--uuid", UUID, "--artifact-set", "x")
    planned = site.plan()
    assert planned.returncode == 1
    assert 'nodes.yaml:11: node-3: machine "squatter" has UUID' in planned.stderr
    done = site.apply()
    assert done.returncode == 1
    assert 'machine "squatter" has UUID' in done.stderr and "nodes.yaml:11: node-3" in done.stderr
    assert done.stdout.startswith("Registering machine configs... 2 nodes registered, 1 failed\n")
    assert done.stdout.endswith("2 nodes ready (2 Redfish, 0 USB), 1 failed: node-3\n")


@pytest.mark.parametrize("step", range(1, 11))
def test_a_run_that_is_killed_at_any_step_is_finished_by_the_next(site, step):
    before = site.revision()
    process = subprocess.Popen(site.command("--metadata-server", ADDRESS), cwd=site.folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while process.poll() is None and site.revision() < before + step:
        pass
    process.send_signal(signal.SIGKILL)
    process.wait()
    again = site.apply()
    assert again.returncode == 0, again.stderr
    assert again.stdout.splitlines()[-1] == "3 nodes ready (2 Redfish, 1 USB)"
    for name in ("node-1", "node-2"):
        changes = [what for what, _ in site.bmcs.changes(name)]
        assert changes.count("On") == 1 and changes.count("InsertMedia") == 1, changes


def test_an_upload_that_is_killed_is_finished_by_the_next_run(site):
    with open(site.folder / "vmlinuz", "r+b") as kernel:
        kernel.truncate(256 << 20)
    process = subprocess.Popen(site.command("--metadata-server", ADDRESS), cwd=site.folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    stored = site.folder / "artifacts"
    while process.poll() is None and not any(one.is_file() for one in stored.rglob("*")):
        pass
    process.kill()
    process.wait()
    again = site.apply()
    assert again.stdout.endswith("3 nodes ready (2 Redfish, 1 USB)\n"), again.stderr


def test_an_agent_that_cannot_be_reached_is_named_with_the_remedy(site):
    site.agent.kill()
    done = site.apply()
    assert done.returncode == 1
    assert done.stdout.splitlines()[0] == "Registering machine configs... 0 nodes registered, 3 failed"
    assert done.stdout.splitlines()[-1] == "0 nodes ready (0 Redfish, 0 USB), 3 failed: node-1, node-2, node-3"
    assert f"unix:{site.agent.socket}: cannot reach the agent" in done.stderr and "is nettd running" in done.stderr
    assert len(done.stderr.splitlines()) == 1, "the same thing is said once"


def test_an_expired_certificate_stops_its_tenant_before_anything_is_registered(site):
    certificate, key = pki.expired_client(site.folder / "old", site.folder / "root.pem", site.folder / "root.key", "tenant-a.boot.example")
    site.change("certificate: tenant-a.pem, key: tenant-a.key", f"certificate: {certificate}, key: {key}")
    done = site.apply()
    assert done.returncode == 1
    assert "nodes.yaml:4: image of tenant-a: " in done.stderr and "expired on 2020" in done.stderr and "issue a new one" in done.stderr
    assert site.machines() == [] and not (site.folder / "usb-tenant-a.img").exists()


def test_the_result_is_one_json_document(site):
    done = site.apply("--json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert (result["ready"], result["redfish"], result["usb"], result["failed"]) == (3, 2, 1, 0)
    assert [one["name"] for one in result["nodes"]] == ["node-1", "node-2", "node-3"]
    assert result["images"][0]["path"] == "./usb-tenant-a.img"


def test_a_terminal_shows_how_far_it_is(site):
    done = subprocess.run(["script", "-qec", " ".join(map(str, site.command("--metadata-server", ADDRESS))), "/dev/null"], cwd=site.folder,
                          capture_output=True, timeout=120, check=False)
    text = done.stdout.decode()
    assert done.returncode == 0, text
    assert "[" + "#" * 24 + "] 100 % uploading initramfs.xz" in text
    last = [line.rpartition("\033[K")[2] for line in text.replace("\r\n", "\n").split("\n")]
    assert "\n".join(last) == DONE
