"""One agent with the metadata plugin alone, on loopback: its limits, its reload, its end."""

import hashlib
import http.client
import os
import socket
import ssl

import pytest

from tests.lab import wait
from tests.lab.standalone import StandaloneAgent

UUID = "6e657474-0000-4000-8000-00000000c001"
ELSEWHERE = "6e657474-0000-4000-8000-00000000c002"
CONFIG = "version: v1alpha1\n"
LARGE = 8 << 20  # more than the buffers of both ends hold
TOTAL, PER_SOURCE = 4, 5


class Agent(StandaloneAgent):
    """nettd, a PKI and one machine, in a folder of its own."""

    def __init__(self, build, folder):
        super().__init__(build, folder)
        self.builder("pki", "tenant", folder, "t")
        self.write_config(self.metadata_node(f" max-connections {TOTAL}\n max-connections-per-source {PER_SOURCE}\n"))

    def register(self):
        (self.folder / "config.yaml").write_text(CONFIG, encoding="utf-8")
        (self.folder / "vmlinuz").write_bytes(b"k" * LARGE)
        (self.folder / "initramfs.xz").write_bytes(b"i" * 16)
        self.builder("tenant", "add", "t", "--common-name", "t.boot.example")
        self.builder("artifact", "import", "s", "--version", "v1", "--kernel", self.folder / "vmlinuz", "--initramfs",
                   self.folder / "initramfs.xz", "--command-line", "console=ttyS0")
        self.builder("machine", "add", "m", "--tenant", "t", "--uuid", UUID, "--artifact-set", "s", "--config",
                   self.folder / "config.yaml")

    def renew_certificate(self):
        self.builder("pki", "server", self.folder, "--server-address", "::1")

    def open(self):
        """A TCP connection without TLS."""
        return socket.create_connection(("::1", self.port), timeout=15)

    def connect(self, version=ssl.TLSVersion.TLSv1_2):
        context = ssl.create_default_context(cafile=self.folder / "root.pem")
        context.load_cert_chain(self.folder / "t.pem", self.folder / "t.key")
        context.maximum_version = version
        connection = http.client.HTTPSConnection("::1", self.port, timeout=15, context=context)
        connection.connect()
        return connection

    def wait_connections(self, count):
        wait.until(f"{count} connections are left", lambda: self.show("show metadata")["connections"]["now"] == count, 10,
                   every=0.1)


def get(connection, path, **headers):
    connection.request("GET", path, headers=headers)
    reply = connection.getresponse()
    return reply.status, reply.read()


def fingerprint(connection):
    return hashlib.sha256(connection.sock.getpeercert(True)).hexdigest()


@pytest.fixture(scope="module")
def agent(build, tmp_path_factory):
    made = Agent(build, tmp_path_factory.mktemp("m"))
    made.start()
    made.register()
    yield made
    made.process.stop()


@pytest.fixture(autouse=True)
def _idle(agent):
    yield
    if agent.process.running():
        agent.wait_connections(0)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_one_connection_serves_the_whole_boot(agent, version):
    connection = agent.connect(version)
    status, script = get(connection, f"/v1/boot/{UUID}")
    assert status == 200
    for line in script.decode().splitlines():
        words = line.split()
        if words[0] in ("kernel", "initrd"):
            assert get(connection, words[3].split("]:", 1)[1].partition("/")[2].join(["/", ""]))[0] == 200
    assert get(connection, f"/v1/config/{UUID}") == (200, CONFIG.encode())
    assert len(get(connection, "/v1/artifacts/vmlinuz")[1]) == LARGE
    assert get(connection, "/v1/artifacts/vmlinuz", Range="bytes=3-5") == (206, b"kkk")
    connection.close()


def test_a_load_above_the_limit_is_told_to_come_back_and_above_that_closed(agent):
    held = [agent.connect() for _ in range(TOTAL)]
    above = agent.connect()
    above.request("GET", f"/v1/boot/{UUID}")
    reply = above.getresponse()
    assert (reply.status, reply.getheader("Retry-After")) == (503, "3")
    reply.read()
    above.close()
    agent.wait_connections(TOTAL)
    assert get(held[0], f"/v1/boot/{ELSEWHERE}")[0] == 404  # those inside are served on
    more = agent.connect()
    with agent.open() as refused:
        refused.settimeout(5)
        assert refused.recv(1) == b""
    for connection in [*held, more]:
        connection.close()
    agent.wait_connections(0)
    connection = agent.connect()
    assert get(connection, f"/v1/boot/{ELSEWHERE}")[0] == 404
    connection.close()


def test_plain_http_on_the_tls_port_is_closed(agent):
    with agent.open() as connection:
        connection.sendall(b"GET /v1/boot/x HTTP/1.1\r\n\r\n")
        assert not connection.recv(100).startswith(b"HTTP/")


def test_a_new_certificate_is_for_new_connections_and_a_broken_one_for_none(agent):
    live = agent.connect()
    before = fingerprint(live)
    agent.renew_certificate()
    agent.reload()

    def renewed():
        connection = agent.connect()
        now = fingerprint(connection)
        connection.close()
        assert now != before
        return now

    after = wait.until("new connections get the new certificate", renewed, 5, every=0.1)
    assert get(live, f"/v1/boot/{ELSEWHERE}")[0] == 404
    key = agent.folder / "server.key"
    good = key.read_bytes()
    key.write_bytes(b"broken")
    agent.reload()

    def refused():
        return f"{key}: no unencrypted PEM private key" in agent.process.log()

    wait.until("the broken key is refused", refused, 5, every=0.1)
    connection = agent.connect()
    assert fingerprint(connection) == after
    assert get(live, f"/v1/boot/{ELSEWHERE}")[0] == 404
    connection.close()
    live.close()
    key.write_bytes(good)


def test_an_artifact_that_went_missing_is_a_failed_local_condition(agent):
    digest = hashlib.sha256(b"i" * 16).hexdigest()
    path = agent.folder / "artifacts" / "sha256" / digest
    hidden = path.with_suffix(".hidden")
    os.rename(path, hidden)
    connection = agent.connect()
    assert get(connection, f"/v1/boot/{UUID}")[0] == 404  # the machine boots its disk rather than half an installer
    assert get(connection, "/v1/artifacts/s/initramfs.xz")[0] == 500
    connection.close()

    def condition(state):
        found = [one for one in agent.show("show health") if (one["component"], one["name"]) == ("metadata", "artifacts")]
        return [(one["state"], one["scope"]) for one in found] == [(state, "local")]

    wait.until("the loss is noticed", lambda: condition("failed"), 10, every=0.2)
    os.rename(hidden, path)
    wait.until("and its cure", lambda: condition("ok"), 10, every=0.2)


def test_a_reader_that_stalls_does_not_hold_up_the_end(agent):
    stalled = agent.connect()
    stalled.request("GET", "/v1/artifacts/s/vmlinuz")
    idle = agent.connect()
    agent.process.stop(within=15)
    assert agent.process.exit_status() == 0
    stalled.close()
    idle.close()
    agent.start()
