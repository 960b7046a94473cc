"""The two servers that are measured, and the load."""

import contextlib
import json
import os
import pathlib
import socket
import sqlite3
import subprocess
import time

from bench.common import cpu_seconds
from tests.lab.ports import free_port
from tests.lab.standalone import StandaloneAgent

NAME = "machine-000000"
UUID = "6e657474-0000-4000-8000-{:012x}"
VARIANTS = 60  # times 100 machines: more than the service remembers
MAC = "52:54:00:{:02x}:{:02x}:{:02x}"


def wait_listening(port, within=60):
    end = time.monotonic() + within
    while True:
        try:
            socket.create_connection(("::1", port), timeout=1).close()
            return
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.05)  # this is no test: nothing is asserted about when


class Server:
    """`processes` are the pids whose CPU time and memory count."""

    name = ""

    def processes(self):
        raise NotImplementedError

    def cpu_seconds(self):
        return cpu_seconds(self.processes())

    def memory_mib(self):
        total = 0
        for pid in self.processes():
            for line in pathlib.Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
                if line.startswith("VmRSS:"):
                    total += int(line.split()[1])
        return total / 1024


class Build:
    """What StandaloneAgent needs of a build: the plugin that is measured, and tools that may be another build's."""

    def __init__(self, folder, tools):
        self._programs = {"nettd": folder / "agent/nettd", "nettsh": tools / "agent/cli/nettsh",
                          "talos-fabric-builder": tools / "builder/talos-fabric-builder"}
        self._plugin = folder / "plugins/metadata/nett-metadata.so"

    def program(self, name):
        return str(self._programs[name])

    def plugin_folder(self, folder):
        plugins = folder / "plugins"
        plugins.mkdir(exist_ok=True)
        link = plugins / self._plugin.name
        if not link.is_symlink():
            link.symlink_to(self._plugin)
        return plugins


class Nett(StandaloneAgent, Server):
    name = "nett"
    READY_SECONDS = 60  # with 100,000 machines on a busy host
    TOOL_SECONDS = 120

    def __init__(self, build, tools, folder):
        super().__init__(Build(build, tools), folder)
        self.boot_path = "/v1/boot/" + UUID.format(0)
        self.artifact = folder / "vmlinuz"
        self.builder("pki", "tenant", folder, "t")
        self.write_config(self.metadata_node(" max-connections 20000\n max-connections-per-source 20000\n"), head="io-threads 1\n")

    def register(self, artifact_size):
        """A tenant, a set whose kernel has that size, and a machine that is told to boot it."""
        folder = self.folder
        self.artifact.write_bytes(os.urandom(artifact_size))
        (folder / "initramfs.xz").write_bytes(b"i" * 4096)
        (folder / "config.yaml").write_text("version: v1alpha1\n", encoding="utf-8")
        self.builder("tenant", "add", "t", "--common-name", "t.boot.example")
        self.builder("artifact", "import", "s", "--version", "v1", "--kernel", self.artifact, "--initramfs", folder / "initramfs.xz",
                   "--command-line", "console=ttyS0 slab_nomerge pti=on")
        # It boots for minutes on end: with the default of 5 boots in 30 minutes it would be held after 50 s.
        self.builder("profile", "add", "bench", "--tenant", "t", "--boot-loop", "off")
        self.builder("machine", "add", NAME, "--tenant", "t", "--uuid", UUID.format(0), "--mac", MAC.format(0, 0, 0), "--artifact-set", "s",
                   "--profile", "bench", "--config", folder / "config.yaml")
        # Maintenance: a script each time, from the same state.
        self.builder("machine", "state", NAME, "maintenance")

    def stop(self):
        if self.process:
            self.process.stop(within=30)

    def processes(self):
        return [self.process.pid]

    def script(self):
        """What the machine is told, for nginx to serve a file of the same size."""
        import http.client
        import ssl
        context = ssl.create_default_context(cafile=self.folder / "root.pem")
        context.load_cert_chain(self.folder / "t.pem", self.folder / "t.key")
        connection = http.client.HTTPSConnection("::1", self.port, context=context)
        connection.request("GET", self.boot_path)
        reply = connection.getresponse()
        body = reply.read()
        assert reply.status == 200, (reply.status, body, (self.folder / "nettd.log").read_text(encoding="utf-8")[-2000:])
        return body

    def fill(self, count):
        """Copies the machine's record until there are `count` machines. The agent is down meanwhile."""
        self.stop()
        with contextlib.closing(sqlite3.connect(self.folder / "state.db")) as database, database:
            rows = database.execute("SELECT * FROM record WHERE kind = 'machine' AND key = ?", (NAME,)).fetchall()
            indexes = database.execute("SELECT * FROM index_entry WHERE kind = 'machine' AND key = ?", (NAME,)).fetchall()
            for table, originals in (("record", rows), ("index_entry", indexes)):
                marks = ",".join("?" * len(originals[0]))
                database.executemany(f"INSERT OR IGNORE INTO {table} VALUES ({marks})",
                                     (self._copy(row, i) for i in range(1, count) for row in originals))
        self.start()

    @staticmethod
    def _copy(row, i):
        def copied(value):
            if not isinstance(value, str):
                return value
            mac = MAC.format(i >> 16 & 255, i >> 8 & 255, i & 255)
            return value.replace(NAME, f"machine-{i:06}").replace(UUID.format(0), UUID.format(i)).replace(MAC.format(0, 0, 0), mac)

        return tuple(map(copied, row))

    def machine_paths(self, asked, count):
        """A file of boot requests of `asked` machines, spread over the `count` there are. No two are alike within a second (the serial number
        is not looked at where the UUID is known), so that each is decided on and none is remembered."""
        path = self.folder / f"paths-{count}"
        path.write_text("".join(f"/v1/boot/{UUID.format(i)}?serial=v{variant}\n" for variant in range(VARIANTS)
                                for i in range(0, count, count // asked)), encoding="ascii")
        return path


class Nginx(Server):
    name = "nginx"

    def __init__(self, folder, script, artifact):
        self.port, self._folder = free_port(), folder
        root = folder / "www"
        root.mkdir()
        root.chmod(0o755)
        folder.chmod(0o755)
        (root / "script").write_bytes(script[:1024].ljust(1024, b"#"))
        (root / "vmlinuz").symlink_to(artifact)
        (folder / "nginx.conf").write_text(f"""
daemon off;
worker_processes 1;
worker_rlimit_nofile 20000;
user root;
pid {folder}/nginx.pid;
error_log {folder}/nginx.log crit;
events {{ worker_connections 20000; }}
http {{
  access_log off;
  sendfile on;
  keepalive_requests 1000000000;
  keepalive_timeout 300s;
  client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2; fastcgi_temp_path {folder}/t3; uwsgi_temp_path {folder}/t4;
  scgi_temp_path {folder}/t5;
  open_file_cache max=100;
  server {{
    listen [::1]:{self.port} ssl backlog=1024;
    root {root};
    ssl_certificate {folder}/server.pem;
    ssl_certificate_key {folder}/server.key;
    ssl_client_certificate {folder}/root.pem;
    ssl_verify_client on;
    ssl_verify_depth 4;
    ssl_protocols TLSv1.2 TLSv1.3;
    ssl_ciphers ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384;
    ssl_prefer_server_ciphers on;
    ssl_ecdh_curve P-256:X25519:P-384;
    ssl_session_tickets on;
    ssl_conf_command NumTickets 1;
  }}
}}
""", encoding="utf-8")
        self._process = subprocess.Popen(["/usr/sbin/nginx", "-c", folder / "nginx.conf"])
        wait_listening(self.port)

    def processes(self):
        children = pathlib.Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text(encoding="ascii")
        return [self._process.pid, *map(int, children.split())]

    def stop(self):
        self._process.terminate()
        self._process.wait(30)


class Load:
    """bench/metadata/load.cpp."""

    def __init__(self, program, folder):
        self._program, self._folder = program, folder

    def _arguments(self, mode, port, version, path, connections, seconds):
        where = ["--paths", path] if isinstance(path, pathlib.Path) else ["--path", path]
        return [self._program, mode, "--port", str(port), "--tls", version, "--certificate", self._folder / "t.pem", "--key",
                self._folder / "t.key", "--connections", str(connections), "--seconds", str(seconds), *where]

    def run(self, mode, port, version, path, connections, seconds):
        done = subprocess.run(self._arguments(mode, port, version, path, connections, seconds), capture_output=True, text=True, check=True)
        return json.loads(done.stdout.splitlines()[-1])

    @contextlib.contextmanager
    def hold(self, mode, port, version, path, connections):
        """Gives how many connections are held; they end with the block."""
        process = subprocess.Popen(self._arguments(mode, port, version, path, connections, 0), stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE, text=True)
        try:
            yield int(process.stdout.readline().split()[1])
        finally:
            process.stdin.close()
            process.wait(60)
