"""One agent with the metadata plugin alone, on loopback: no namespaces, no FRR."""

import contextlib
import http.client
import json
import signal
import socket
import ssl
import subprocess

from . import wait
from .process import Process, ReadySocket

UUID = "6e657474-0000-4000-8000-00000000c001"
ELSEWHERE = "6e657474-0000-4000-8000-00000000c002"


def free_port():
    with socket.socket(socket.AF_INET6) as probe:
        probe.bind(("::1", 0))
        return probe.getsockname()[1]


class LoneAgent:
    """nettd, a PKI with tenant "t" and, once registered, one machine with an artifact of `large` bytes, in a folder of its own."""

    def __init__(self, build, folder, extra="", large=8 << 20):
        self.folder, self.large, self._build, self.port = folder, large, build, free_port()
        self.socket = folder / "s"
        self.tool("pki", "init", folder, "--server-address", "::1")
        self.tool("pki", "tenant", folder, "t")
        (folder / "nett.conf").write_text(f"""state file {folder}/state.db
secret-key file {folder}/secret.key
artifacts directory {folder}/artifacts
api socket {self.socket}
!
plugin metadata
 listen [::1]:{self.port}
 server-address ::1
 certificate {folder}/server.pem
 private-key {folder}/server.key
 client-ca {folder}/root.pem
{extra}!
""", encoding="utf-8")
        self.process = None

    def start(self):
        ready = ReadySocket(str(self.folder / "n"))
        try:
            self.process = Process("nettd", [self._build.program("nettd"), "--config", self.folder / "nett.conf", "--plugin-dir",
                                             self._build.plugin_folder(self.folder)], self.folder / "nettd.log",
                                   {"NOTIFY_SOCKET": str(self.folder / "n")})
            ready.wait_ready(self.process, 30)
        finally:
            ready.close()

    def register(self):
        (self.folder / "config.yaml").write_text("version: v1alpha1\n", encoding="utf-8")
        (self.folder / "vmlinuz").write_bytes(b"k" * self.large)
        (self.folder / "initramfs.xz").write_bytes(b"i" * 16)
        self.tool("tenant", "add", "t", "--common-name", "t.boot.example")
        self.tool("artifact", "import", "s", "--version", "v1", "--kernel", self.folder / "vmlinuz", "--initramfs",
                  self.folder / "initramfs.xz", "--command-line", "console=ttyS0")
        self.tool("machine", "add", "m", "--tenant", "t", "--uuid", UUID, "--artifact-set", "s", "--config", self.folder / "config.yaml")

    def tool(self, *words):
        done = subprocess.run([self._build.program("talos-fabric-builder"), "--server", f"unix:{self.socket}", *map(str, words)],
                              capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"

    def reload(self):
        self.process.signal(signal.SIGHUP)

    def show(self, command):
        done = subprocess.run([self._build.program("nettsh"), "--socket", self.socket, "--json", "-c", command],
                              capture_output=True, text=True, timeout=30, check=True)
        return json.loads(done.stdout)

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
