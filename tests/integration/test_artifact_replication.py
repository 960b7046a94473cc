"""Artifacts between servers that share their state: each server has a folder of its own, and a link that can be slowed and cut."""

import hashlib
import os
import re
import shutil
import signal
import subprocess

import pytest

from tests.lab import netns, wait
from tests.lab.etcd import META, Server, raised_cluster, raised_servers
from tests.lab.metadata import flip_byte

SERVERS = (1, 2, 3)
API = 8443
MEGABYTE = 1 << 20


class ApartServer(Server):
    """Has its own artifacts, and serves the management API to the other servers."""

    def __init__(self, build, folder, cluster, number, first=None):
        super().__init__(build, folder, cluster, number, first)
        if first:
            (folder / "artifacts").unlink()
            (folder / "artifacts").mkdir()
        pki = (first or self).folder
        self.builder("pki", "api", pki, self.name, "--address", self.own_address)
        for end in ("pem", "key"):
            (folder / f"api.{end}").write_bytes((pki / f"{self.name}.{end}").read_bytes())

    @property
    def own_address(self):
        return f"2001:db8:e:{self.number}::2"

    def write_config(self, plugins, head=""):
        roles = "".join(f"api role server common-name gw-{number}\n" for number in SERVERS)
        super().write_config(plugins, f"{head}api listen [{self.own_address}]:{API}\napi certificate {self.folder}/api.pem\n"
                                      f"api private-key {self.folder}/api.key\napi client-ca {self.folder}/root.pem\n{roles}")

    def artifacts(self):
        return self.replication()["artifacts"]

    def wait_complete(self, within=30):
        wait.until(f"{self.name} has every file", lambda: self.artifacts()["complete"], within, every=0.2)

    def has_set(self, name):
        return any(one["name"] == name for one in self.show("show artifacts"))

    def received(self, digest):
        """Bytes of a file that is being fetched."""
        return next((one["received"] for one in self.artifacts()["fetching"] if one["sha256"] == digest), 0)

    def stored(self, digest):
        path = self.artifact_path(digest)
        return path.exists() and hashlib.sha256(path.read_bytes()).hexdigest() == digest

    def events(self, kind):
        return [one for one in self.show("show events") if one["type"] == kind]

    def slow(self, megabits):
        """What the server receives comes no faster than that."""
        netns.run("tc", "-n", self.cluster.namespace, "qdisc", "replace", "dev", f"gw{self.number}", "root", "tbf", "rate",
                  f"{megabits}mbit", "burst", "128kb", "latency", "100ms")

    def unslow(self):
        netns.run("tc", "-n", self.cluster.namespace, "qdisc", "del", "dev", f"gw{self.number}", "root", check=False)

    def cut_api(self):
        """No way to the other servers' API, while etcd is in reach."""
        netns.nft(self.namespace, "table ip6 cut {\n chain out {\n  type filter hook output priority 0;\n  tcp dport %d reject\n }\n}\n" % API)

    def link_bytes(self):
        """That the server's link has received since it was made."""
        shown = subprocess.run(["ip", "netns", "exec", self.namespace, "cat", "/proc/net/dev"], capture_output=True, text=True,
                               check=True).stdout
        return int(re.search(r"eth0:\s*(\d+)", shown).group(1))

    def peak_memory(self):
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as status:
            return int(re.search(r"VmHWM:\s*(\d+) kB", status.read()).group(1)) * 1024


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    with raised_cluster(os.environ.get("NETT_LAB_PREFIX", "nettest-") + "a-", tmp_path_factory.mktemp("etcd")) as made:
        yield made


@pytest.fixture(scope="module")
def raised(build, cluster, tmp_path_factory):
    folder = tmp_path_factory.mktemp("servers")
    with raised_servers(lambda number, first: ApartServer(build, folder / str(number), cluster, number, first), SERVERS) as servers:
        servers[1].add_tenant("t")
        yield servers


@pytest.fixture
def servers(raised):
    """All well and complete when the test begins, and again when it has ended."""
    yield raised
    for server in raised.values():
        server.unslow()
        server.mend()
        if not server.process.running():
            server.start()
        server.wait_member()
    for server in raised.values():
        server.wait_complete()


@pytest.fixture
def import_set(raised):
    def make(name, megabytes, at=1):
        """The digest of the set's initramfs, of random bytes; its kernel is small."""
        content = os.urandom(megabytes * MEGABYTE)
        raised[at].add_set(name, b"kernel of " + name.encode(), content)
        return hashlib.sha256(content).hexdigest()
    return make


def wait_everywhere(servers, digest, within=30):
    for server in servers.values():
        wait.until(f"{server.name} has {digest[:8]}", lambda one=server: one.stored(digest), within, every=0.2)
        server.wait_complete()


class Client:
    """curl as a machine's installer uses it, in the namespace between the servers: the anycast address is where its route says."""

    def __init__(self, servers, folder):
        self.servers, self.folder, self.hub = servers, folder, servers[1].cluster.namespace
        self.file, self.headers = folder / "file", folder / "headers"

    def route_to(self, number):
        netns.run("ip", "-n", self.hub, "-6", "route", "replace", f"{META}/128", "via", self.servers[number].own_address)

    def begin(self, path, *more):
        first = self.servers[1].folder
        return subprocess.Popen(["ip", "netns", "exec", self.hub, "curl", "-sS", "-g", "--max-time", "60", "--cacert", first / "root.pem",
                                 "--cert", first / "t.pem", "--key", first / "t.key", "-D", self.headers, "-o", self.file, *more,
                                 f"https://[{META}]{path}"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def fetch(self, path, *more):
        """(status, ETag) of a download that must succeed."""
        running = self.begin(path, *more)
        _, error = running.communicate(timeout=70)
        assert running.returncode == 0, error
        return self.answer()

    def answer(self):
        text = self.headers.read_text(encoding="ascii")
        return int(text.split()[1]), re.search(r"(?i)^etag: (\S+)", text, re.MULTILINE).group(1)

    def size(self):
        return self.file.stat().st_size if self.file.exists() else 0

    def digest(self):
        return hashlib.sha256(self.file.read_bytes()).hexdigest()


@pytest.fixture
def client(raised, tmp_path):
    return Client(raised, tmp_path)


def test_what_is_imported_on_one_server_comes_to_all(servers, import_set, client):
    before = {number: server.peak_memory() for number, server in servers.items()}
    digest = import_set("everywhere", 96)
    wait_everywhere(servers, digest)
    etags = set()
    for number in servers:
        client.route_to(number)
        etags.add(client.fetch("/v1/artifacts/everywhere/initramfs.xz"))
        assert client.digest() == digest
    assert etags == {(200, f'"{digest}"')}
    for server in servers.values():
        wait.until("every server is announced as complete", lambda one=server: [
            other["artifacts_missing"] for other in one.replication()["servers"]] == [0, 0, 0], 10, every=0.2)
        assert "complete" in server.shell("show replication")
        wait.until("its health says so", lambda one=server: one.health("artifacts") == ("ok", "local"), 10, every=0.2)
    # A file of 96 MB goes through buffers of some hundred KB.
    for number in (2, 3):
        assert servers[number].peak_memory() - before[number] < 48 * MEGABYTE
    sender = servers[1].peak_memory() - before[1]
    assert sender < 48 * MEGABYTE, sender


def test_a_fetch_goes_on_after_the_server_was_killed(servers, import_set):
    slow, size = servers[2], 24 * MEGABYTE
    slow.slow(48)
    before = slow.link_bytes()
    digest = import_set("resumed", 24)
    wait.until("a part is there", lambda: slow.received(digest) > size // 3, 20)
    slow.process.signal(signal.SIGKILL)
    slow.process.kill()
    slow.start()
    wait_everywhere(servers, digest)
    resumed = [event for event in slow.events("artifact.fetched") if event["fields"]["sha256"] == digest]
    assert int(resumed[0]["fields"]["resumed_at"]) > size // 3
    # The link has carried the file once, with its framing, what was under way at the kill, and etcd's words.
    assert slow.link_bytes() - before < size * 1.2


def test_a_damaged_partial_file_is_fetched_anew(servers, import_set):
    victim = servers[3]
    victim.process.stop()
    digest = import_set("partial", 2)
    partial = victim.artifact_path(f".partial-{digest}")
    partial.write_bytes(b"\0" * MEGABYTE)
    victim.start()
    wait_everywhere(servers, digest)
    assert [event["fields"]["sha256"] for event in victim.events("artifact.refused")] == [digest]
    assert not partial.exists()


def test_a_missing_file_is_served_while_it_is_fetched(servers, import_set, client):
    slow = servers[2]
    slow.slow(32)
    digest = import_set("through", 16)
    wait.until("the set is known there", lambda: slow.has_set("through"), 10)
    client.route_to(2)
    running = client.begin("/v1/artifacts/through/initramfs.xz")
    wait.until("bytes come out", lambda: client.size() > MEGABYTE, 20)
    assert not slow.stored(digest) and 0 < slow.received(digest) < 16 * MEGABYTE  # before all have come in
    assert slow.health("artifacts")[0] in ("ok", "degraded")  # no reason to withdraw
    _, error = running.communicate(timeout=60)
    assert running.returncode == 0, error
    assert client.answer() == (200, f'"{digest}"') and client.digest() == digest
    wait_everywhere(servers, digest)


def test_a_download_that_moves_to_another_server_mid_file_ends_with_the_right_hash(servers, import_set, client):
    """The second server lacks the file still, and loses the server that it fetches from: it goes on with the third."""
    servers[2].slow(32)
    digest = import_set("failover", 24)
    wait.until("the third has it", lambda: servers[3].stored(digest), 20)
    client.route_to(1)
    running = client.begin("/v1/artifacts/failover/initramfs.xz", "--limit-rate", "8M")
    wait.until("a part has come", lambda: client.size() > 6 * MEGABYTE, 20)
    servers[1].process.signal(signal.SIGKILL)
    running.communicate(timeout=60)
    assert running.returncode != 0 and client.size() < 24 * MEGABYTE
    first = client.answer()
    assert not servers[2].stored(digest)
    client.route_to(2)
    had = client.size()
    status, etag = client.fetch("/v1/artifacts/failover/initramfs.xz", "-C", "-", "-H", f"If-Range: {first[1]}")
    assert (status, etag) == (206, first[1]) == (206, f'"{digest}"')
    assert client.size() == 24 * MEGABYTE > had and client.digest() == digest


def test_a_damaged_copy_is_not_passed_on_and_is_healed(servers, import_set, client):
    digest = import_set("healed", 4)
    wait_everywhere(servers, digest)
    flip_byte(servers[1].artifact_path(digest), 3 * MEGABYTE)
    servers[2].artifact_path(digest).unlink()
    client.route_to(2)
    client.fetch("/v1/artifacts/healed/initramfs.xz")  # whichever server is asked first
    assert client.digest() == digest
    client.route_to(1)
    client.fetch("/v1/artifacts/healed/initramfs.xz")  # the damaged one's
    assert client.digest() == digest
    wait_everywhere(servers, digest)


def test_a_server_that_cannot_get_a_file_withdraws(servers, import_set, client):
    lonely = servers[2]
    lonely.cut_api()
    digest = import_set("lonely", 1)
    wait.until("nobody is expected to send it", lambda: lonely.health("artifacts") == ("failed", "local"), 40, every=0.5)
    assert digest in [one["sha256"] for one in lonely.artifacts()["fetching"] if one["error"]]
    missing = next(one["artifacts_missing"] for one in servers[1].replication()["servers"] if one["name"] == lonely.name)
    assert missing == 2  # the kernel too
    lonely.mend()
    lonely.wait_complete(within=70)
    wait.until("it is well", lambda: lonely.health("artifacts") == ("ok", "local"), 10, every=0.5)


def test_a_sender_that_stands_still_is_left_for_another(servers, import_set):
    """A stopped process keeps its connections and answers nothing: only the silence tells."""
    fetching = servers[2]
    fetching.slow(16)
    digest = import_set("frozen", 12)
    wait.until("the third has it", lambda: servers[3].stored(digest), 20)
    wait.until("a part is there", lambda: fetching.received(digest) > MEGABYTE, 20)
    sender = next(one["from"] for one in fetching.artifacts()["fetching"] if one["sha256"] == digest)
    frozen = next(server for server in servers.values() if server.name == sender)
    frozen.process.signal(signal.SIGSTOP)
    try:
        wait.until("the rest came from another", lambda: fetching.stored(digest), 60, every=0.5)
    finally:
        frozen.process.signal(signal.SIGCONT)
    fetched = next(event["fields"] for event in fetching.events("artifact.fetched") if event["fields"]["sha256"] == digest)
    assert fetched["from"] != sender and int(fetched["resumed_at"]) > MEGABYTE
    wait_everywhere(servers, digest)


@pytest.fixture
def small_disk(raised):
    """Server 3's artifacts are on a disk of their own with room for what it has, and little more; resize() makes it larger."""
    victim = raised[3]
    folder = victim.folder / "artifacts"
    victim.process.stop()
    copy = victim.folder / "artifacts-before"
    folder.rename(copy)
    folder.mkdir()
    used = sum(path.stat().st_size for path in copy.rglob("*") if path.is_file())
    # 64 MiB stay free for the state file, whatever is fetched.
    size = used // MEGABYTE + 64 + 8
    netns.run("mount", "-t", "tmpfs", "-o", f"size={size}m", "none", str(folder))
    try:
        shutil.copytree(copy, folder, dirs_exist_ok=True)
        victim.start()
        victim.wait_member()
        yield lambda more: netns.run("mount", "-o", f"remount,size={size + more}m", str(folder))
    finally:
        victim.process.stop()
        shutil.copytree(folder, copy, dirs_exist_ok=True)
        netns.run("umount", str(folder))
        folder.rmdir()
        copy.rename(folder)
        victim.start()


def test_a_file_that_the_disk_has_no_room_for_is_said_and_comes_when_there_is(servers, import_set, small_disk):
    victim = servers[3]
    digest = import_set("roomless", 16)
    wait.until("the second has it", lambda: servers[2].stored(digest), 20)

    def error():
        return next((one["error"] for one in victim.artifacts()["fetching"] if one["sha256"] == digest), "")

    wait.until("it says why", lambda: "MiB are free" in error() and "make room" in error(), 20, every=0.2)
    wait.until("and that it is its own trouble", lambda: victim.health("artifacts") == ("failed", "local"), 40, every=0.5)
    assert not victim.artifact_path(f".partial-{digest}").exists() and not victim.stored(digest)
    assert victim.lag()[0] == "ok"  # the state goes on
    small_disk(32)
    wait_everywhere(servers, digest)
    wait.until("it is well", lambda: victim.health("artifacts") == ("ok", "local"), 70, every=0.5)
