"""Artifacts from a Talos release and an Image Factory, as nginx serves them, and what an interruption costs."""

import hashlib
import json
import os
import random
import signal
import subprocess

import pytest

from tests.lab import boot_site, wait
from tests.lab.loopback import LoopbackAgent
from tests.lab.process import Process
from tests.lab.ports import free_port

VERSION = "v1.13.9"
SCHEMATIC = "ce4c980550dd2ab1b17bbf2b08801c7eb59418eafe8f279833297925d67c7515"
KERNEL, INITRAMFS = random.Random(1).randbytes(3 << 20), random.Random(2).randbytes(2 << 20)
RATE = 1 << 20  # bytes a second of a slow server


def sha256(content):
    return hashlib.sha256(content).hexdigest()


class Mirror:
    """nginx with both layouts, with TLS and without."""

    def __init__(self, folder, pki):
        self.folder, self.port, self.tls_port = folder, free_port(), free_port()
        release, factory = folder / f"www/download/{VERSION}", folder / f"www/image/{SCHEMATIC}/{VERSION}"
        for place, kernel in ((release, "vmlinuz-amd64"), (factory, "kernel-amd64")):
            place.mkdir(parents=True)
            (place / kernel).write_bytes(KERNEL)
            (place / "initramfs-amd64.xz").write_bytes(INITRAMFS)
        self.checksums = release / "sha256sum.txt"
        self.checksums.write_text(f"{sha256(b'other')}  vmlinuz-arm64\n{sha256(KERNEL)}  vmlinuz-amd64\n{sha256(INITRAMFS)}  initramfs-amd64.xz\n",
                                  encoding="ascii")
        (factory / "cmdline-metal-amd64").write_text("talos.platform=metal console=tty0 init_on_alloc=1\n", encoding="ascii")
        (folder / "www/slow").symlink_to("download")
        (folder / "nginx.conf").write_text(
            f"daemon off; pid {folder}/pid; error_log {folder}/error.log; user root;\nevents {{}}\nhttp {{\n"
            f" log_format bytes '$status $uri $body_bytes_sent'; access_log {folder}/access.log bytes;\n"
            f" server {{ listen [::1]:{self.port}; listen [::1]:{self.tls_port} ssl; root {folder}/www;\n"
            f"  ssl_certificate {pki}/server.pem; ssl_certificate_key {pki}/server.key;\n  location /slow {{ limit_rate {RATE}; }} }} }}\n", encoding="ascii")
        self._process = Process("nginx", ["nginx", "-e", folder / "error.log", "-c", folder / "nginx.conf", "-p", folder], folder / "log")
        wait.until("nginx serves", lambda: (folder / "pid").exists(), 10)

    def release(self, scheme="https", place="download"):
        return f"{scheme}://[::1]:{self.tls_port if scheme == 'https' else self.port}/{place}/{VERSION}"

    def factory(self):
        return f"https://[::1]:{self.tls_port}/image/{SCHEMATIC}/{VERSION}"

    def served(self):
        """(status, file, bytes) of each answer."""
        lines = (self.folder / "access.log").read_text(encoding="ascii").splitlines()
        return [(int(status), path.rpartition("/")[2], int(size)) for status, path, size in map(str.split, lines)]

    def stop(self):
        self._process.stop()


@pytest.fixture(scope="module")
def agent(build, tmp_path_factory):
    made = LoopbackAgent(build, tmp_path_factory.mktemp("artifacts"))
    made.start()
    yield made
    made.process.stop()


@pytest.fixture
def mirror(agent, tmp_path):
    made = Mirror(tmp_path, agent.folder)
    yield made
    made.stop()


def words(agent, mirror, name, *more):
    trusted = [] if "--url-ca" in more else ["--url-ca", agent.folder / "root.pem"]
    return [agent.build.program("talos-fabric-builder"), "--json", "--server", f"unix:{agent.socket}", "artifact", "import", name, "--cache",
            mirror.folder / "cache", *trusted, *more]


def run(agent, mirror, name, *more):
    return subprocess.run([*map(str, words(agent, mirror, name, *more))], capture_output=True, text=True, check=False)


def imported(agent, mirror, name, *more):
    done = run(agent, mirror, name, *more)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["servers"][0]["files"]


def a_set(agent, name):
    return next(one for one in agent.show("show artifacts") if one["name"] == name)


def stored(agent, content):
    return (agent.folder / "artifacts/sha256" / sha256(content)).read_bytes() == content


def test_a_release_is_checked_by_its_own_list_and_stored_once(agent, mirror):
    files = imported(agent, mirror, "release", "--url", mirror.release(), "--command-line", "console=ttyS0")
    assert [(file["name"], file["sent_bytes"]) for file in files] == [("vmlinuz-amd64", len(KERNEL)), ("initramfs-amd64.xz", len(INITRAMFS))]
    assert stored(agent, KERNEL) and stored(agent, INITRAMFS)
    assert (a_set(agent, "release")["version"], a_set(agent, "release")["architecture"]) == (VERSION, "amd64")
    # The factory's kernel has the same content under another name.
    files = imported(agent, mirror, "factory", "--url", mirror.factory(), "--kernel-sha256", sha256(KERNEL), "--initramfs-sha256", sha256(INITRAMFS))
    assert [(file["name"], file["sent_bytes"]) for file in files] == [("kernel-amd64", 0), ("initramfs-amd64.xz", 0)]
    assert len(list((agent.folder / "artifacts/sha256").iterdir())) == 2
    assert a_set(agent, "factory")["schematic"] == SCHEMATIC and a_set(agent, "factory")["command_line"] == "console=tty0 init_on_alloc=1"


def test_what_was_downloaded_is_not_downloaded_again(agent, mirror):
    for _ in range(2):
        imported(agent, mirror, "again", "--url", mirror.release(), "--command-line", "quiet")
    assert [file for _, file, _ in mirror.served()].count("vmlinuz-amd64") == 1


def test_an_interrupted_download_goes_on(agent, mirror):
    arguments = ("slow", "--url", mirror.release("https", "slow"), "--command-line", "quiet")
    first = subprocess.Popen([*map(str, words(agent, mirror, *arguments))], start_new_session=True, stdout=subprocess.DEVNULL)

    def arrived():
        return sum(path.stat().st_size for path in (mirror.folder / "cache").rglob("vmlinuz-amd64.part"))

    wait.until("a third has arrived", lambda: arrived() >= RATE, 30, every=0.02)
    os.killpg(first.pid, signal.SIGKILL)
    first.wait()
    had = arrived()
    assert 0 < had < len(KERNEL)
    imported(agent, mirror, *arguments)
    assert (206, "vmlinuz-amd64", len(KERNEL) - had) in mirror.served()


def test_an_interrupted_upload_goes_on(agent, mirror, tmp_path):
    large, small = tmp_path / "vmlinuz", tmp_path / "initramfs.xz"
    content = random.Random(3).randbytes(1 << 20) * 384
    large.write_bytes(content)
    small.write_bytes(b"initramfs")
    arguments = ("large", "--kernel", large, "--initramfs", small, "--version", "v1", "--command-line", "quiet")
    partial = agent.folder / "artifacts/sha256" / f".partial-{sha256(content)}"
    first = subprocess.Popen([*map(str, words(agent, mirror, *arguments))], stdout=subprocess.DEVNULL)
    wait.until("some of it has arrived", lambda: partial.stat().st_size > 1 << 20, 60, every=0.001)
    first.kill()
    first.wait()
    assert not stored_path(agent, content).exists()
    file = imported(agent, mirror, *arguments)[0]
    assert file["resumed_at"] > 1 << 20 and file["sent_bytes"] == len(content) - file["resumed_at"]
    assert hashlib.sha256(stored_path(agent, content).read_bytes()).hexdigest() == sha256(content)
    assert not partial.exists()


def test_the_layers_of_an_initramfs_are_found_inside(agent, mirror, tmp_path):
    """Those of the lab's initramfs, which is xz as Talos' is. Without them a machine's config would hide its extensions."""
    kernel = tmp_path / "vmlinuz"
    kernel.write_bytes(b"kernel")
    imported(agent, mirror, "layers", "--kernel", kernel, "--initramfs", boot_site.setup("initramfs.sh"), "--version", "v1", "--command-line", "quiet")
    layers = json.loads(agent.records("artifact-set")["layers"]["extension_layers"])
    assert [(layer["image"], layer["metadata"]["name"]) for layer in layers] == [("schematic.sqsh", "schematic")]


def stored_path(agent, content):
    return agent.folder / "artifacts/sha256" / sha256(content)


@pytest.mark.parametrize("case, says", [
    ("changed", "the file is thrown away"), ("no-line", "has no line for vmlinuz-amd64"), ("no-checksum", "--kernel-sha256"),
    ("plain", "plain HTTP"), ("foreign-ca", "--url-ca"), ("absent", "no such file (404)"), ("nobody", "run the command again"),
    ("no-command-line", "no command line"), ("no-layout", "expected https://"),
])
def test_what_is_wrong_with_a_source_is_said(agent, mirror, case, says):
    more = ["--url", mirror.release(), "--command-line", "quiet"]
    if case == "changed":
        mirror.checksums.write_text(f"{sha256(b'old')}  vmlinuz-amd64\n{sha256(INITRAMFS)}  initramfs-amd64.xz\n", encoding="ascii")
    elif case == "no-line":
        mirror.checksums.write_text("", encoding="ascii")
    elif case == "no-checksum":
        more[1] = mirror.factory()
    elif case == "plain":
        more[1] = mirror.release("http")
    elif case == "foreign-ca":
        more += ["--url-ca", "/etc/ssl/certs/ca-certificates.crt"]
    elif case == "absent":
        more += ["--arch", "arm64", "--kernel-sha256", sha256(KERNEL), "--initramfs-sha256", sha256(KERNEL)]
    elif case == "nobody":
        more[1] = f"https://[::1]:{free_port()}/download/{VERSION}"
    elif case == "no-command-line":
        more = more[:2]
    elif case == "no-layout":
        more[1] = VERSION
    done = run(agent, mirror, f"bad-{case}", *more)
    assert done.returncode == 1 and says in done.stderr, done.stderr
    assert f"bad-{case}" not in [one["name"] for one in agent.show("show artifacts")]
    assert not [path for path in (mirror.folder / "cache").rglob("vmlinuz-amd64*") if case == "changed"], "a wrong file is not kept"
