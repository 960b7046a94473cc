"""One agent with the metadata plugin alone, on loopback: no namespaces, no FRR."""

import contextlib
import http.client
import socket
import ssl

from . import wait
from .standalone import StandaloneAgent

UUID = "6e657474-0000-4000-8000-00000000c001"
ELSEWHERE = "6e657474-0000-4000-8000-00000000c002"


class LoneAgent(StandaloneAgent):
    """nettd, a PKI with tenant "t" and, once registered, one machine with an artifact of `large` bytes, in a folder of its own."""

    READY_SECONDS = 30
    TOOL_SECONDS = 60

    def __init__(self, build, folder, extra="", large=8 << 20):
        super().__init__(build, folder)
        self.large = large
        self.builder("pki", "tenant", folder, "t")
        self.write_config(self.metadata_node(extra))

    def register(self):
        (self.folder / "config.yaml").write_text("version: v1alpha1\n", encoding="utf-8")
        (self.folder / "vmlinuz").write_bytes(b"k" * self.large)
        (self.folder / "initramfs.xz").write_bytes(b"i" * 16)
        self.builder("tenant", "add", "t", "--common-name", "t.boot.example")
        self.builder("artifact", "import", "s", "--version", "v1", "--kernel", self.folder / "vmlinuz", "--initramfs",
                  self.folder / "initramfs.xz", "--command-line", "console=ttyS0")
        self.builder("machine", "add", "m", "--tenant", "t", "--uuid", UUID, "--artifact-set", "s", "--config", self.folder / "config.yaml")

    def health(self, name):
        """The state of metadata/NAME, or None."""
        states = {one["name"]: one["state"] for one in self.show("show health") if one["component"] == "metadata"}
        return states.get(name)

    def refusals(self):
        return self.show("show tls")["handshakes"]["refusals"]

    def tcp(self, timeout=15):
        """A TCP connection without TLS."""
        return socket.create_connection(("::1", self.port), timeout=timeout)

    def context(self, certificate="t", version=None):
        made = ssl.create_default_context(cafile=self.folder / "root.pem")
        made.load_cert_chain(self.folder / f"{certificate}.pem", self.folder / f"{certificate}.key")
        if version:
            made.minimum_version = made.maximum_version = version
        return made

    def tls(self, context=None, timeout=15):
        """A TLS connection, for bytes that no HTTP library would send."""
        return (context or self.context()).wrap_socket(self.tcp(timeout), server_hostname="::1")

    @contextlib.contextmanager
    def http(self, context=None):
        connection = http.client.HTTPSConnection("::1", self.port, timeout=15, context=context or self.context())
        connection.connect()
        try:
            yield connection
        finally:
            connection.close()

    def boots(self):
        """A machine is served as ever: a registered one gets its script."""
        with self.http() as connection:
            return get(connection, f"/v1/boot/{UUID}")[0] == 200

    def wait_connections(self, count, within=15):
        wait.until(f"{count} connections are left", lambda: self.show("show metadata")["connections"]["now"] == count, within, every=0.1)

    def memory_kib(self):
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("VmRSS:"))


def get(connection, path, **headers):
    connection.request("GET", path, headers=headers)
    reply = connection.getresponse()
    return reply.status, reply.read()
