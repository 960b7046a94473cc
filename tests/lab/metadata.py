"""One nettd with the metadata plugin alone, and a PKI, in a folder: on loopback, or inside a network namespace."""

import http.client
import os
import socket
import ssl
import subprocess

from . import wait
from .standalone import StandaloneAgent


class MetadataAgent(StandaloneAgent):
    """`more`: lines of the plugin's configuration. `address` must be one that this process reaches, unless only a machine in
    `namespace` asks."""

    def __init__(self, build, folder, more="", address="::1", port=None, namespace=""):
        super().__init__(build, folder, address, port)
        self._inside = ["ip", "netns", "exec", namespace] if namespace else []
        self.write_config(self.metadata_node(more))

    def start(self, inside=()):
        super().start([*inside, *self._inside])

    def add_tenant(self, name):
        self.builder("pki", "tenant", self.folder, name)
        self.builder("tenant", "add", name, "--common-name", f"{name}.boot.example")

    def add_set(self, name, kernel, initramfs, *more):
        for file, content in (("vmlinuz", kernel), ("initramfs.xz", initramfs)):
            (self.folder / file).write_bytes(content)
        self.builder("artifact", "import", name, "--kernel", self.folder / "vmlinuz", "--initramfs", self.folder / "initramfs.xz",
                  "--command-line", "console=ttyS0", *(more or ("--version", "v1")))

    def add_machine(self, name, tenant, artifact_set, config, *more):
        path = self.folder / f"{name}.yaml"
        path.write_text(config, encoding="utf-8")
        self.builder("machine", "add", name, "--tenant", tenant, "--artifact-set", artifact_set, "--config", path, *more)

    def shell(self, command):
        return subprocess.run([self.build.program("nettsh"), "--socket", self.socket, "-c", command], capture_output=True, text=True,
                              timeout=30, check=True).stdout

    def machine(self, name):
        return self.show(f"show machine {name}")

    def health(self, name):
        """(state, scope) of one of the plugin's conditions."""
        found = [one for one in self.show("show health") if (one["component"], one["name"]) == ("metadata", name)]
        return (found[0]["state"], found[0]["scope"]) if found else None

    def path(self, _):
        """As a node of the lab has it, for api.Api: the agent's socket."""
        return self.socket

    def artifact_path(self, digest):
        return self.folder / "artifacts" / "sha256" / digest

    def open(self):
        """A TCP connection without TLS."""
        return socket.create_connection((self.address, self.port), timeout=15)

    def connect(self, tenant="", version=ssl.TLSVersion.TLSv1_2, port=None):
        """Without a tenant: without a client certificate."""
        context = ssl.create_default_context(cafile=self.folder / "root.pem")
        if tenant:
            context.load_cert_chain(self.folder / f"{tenant}.pem", self.folder / f"{tenant}.key")
        context.maximum_version = version
        connection = http.client.HTTPSConnection(self.address, port or self.port, timeout=15, context=context)
        connection.connect()
        return connection

    def wait_connections(self, count):
        wait.until(f"{count} connections are left", lambda: self.show("show metadata")["connections"]["now"] == count, 10, every=0.1)


def ask(connection, path, method="GET", **headers):
    """(status, header fields in lower case, body)."""
    connection.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
    reply = connection.getresponse()
    return reply.status, {name.lower(): value for name, value in reply.getheaders()}, reply.read()


def get(connection, path, **headers):
    status, _, body = ask(connection, path, **headers)
    return status, body


def flip_byte(path, offset, keep_times=True):
    """As a bad disk would: another bit, the same size, and (as far as a program can) the same times."""
    before = os.stat(path)
    with open(path, "r+b") as file:
        file.seek(offset)
        byte = file.read(1)[0]
        file.seek(offset)
        file.write(bytes([byte ^ 1]))
    if keep_times:
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
