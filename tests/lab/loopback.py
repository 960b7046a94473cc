"""One agent with the metadata plugin alone, on loopback, in a folder of its own: for what needs no fabric."""

import json
import socket
import sqlite3
import subprocess

from .process import Process, ReadySocket


def free_port():
    with socket.socket(socket.AF_INET6) as probe:
        probe.bind(("::1", 0))
        return probe.getsockname()[1]


class LoopbackAgent:
    """`lines` are further commands of `plugin metadata`."""

    def __init__(self, build, folder, *lines):
        self.folder, self.build, self.port = folder, build, free_port()
        self.socket = folder / "s"
        self.process = None
        self.builder("pki", "init", folder, "--server-address", "::1")
        self.configure(*lines)

    def configure(self, *lines):
        folder = self.folder
        (folder / "nett.conf").write_text("\n".join([
            f"state file {folder}/state.db", f"secret-key file {folder}/secret.key", f"artifacts directory {folder}/artifacts",
            f"api socket {self.socket}", "!", "plugin metadata", f" listen [::1]:{self.port}", f" certificate {folder}/server.pem",
            f" private-key {folder}/server.key", f" client-ca {folder}/root.pem", *(f" {line}" for line in lines), "!", ""]),
            encoding="utf-8")

    def start(self):
        ready = ReadySocket(str(self.folder / "n"))
        try:
            self.process = Process("nettd", [self.build.program("nettd"), "--config", self.folder / "nett.conf", "--plugin-dir",
                                             self.build.plugin_folder(self.folder)], self.folder / "nettd.log",
                                   {"NOTIFY_SOCKET": str(self.folder / "n")})
            ready.wait_ready(self.process, 20)
        finally:
            ready.close()

    def show(self, command):
        done = subprocess.run([self.build.program("nettsh"), "--socket", self.socket, "--json", "-c", command],
                              capture_output=True, text=True, timeout=30, check=True)
        return json.loads(done.stdout)

    def health(self, name):
        return next(row for row in self.show("show health") if (row["component"], row["name"]) == ("metadata", name))

    def builder(self, *words):
        done = subprocess.run([self.build.program("talos-fabric-builder"), "--server", f"unix:{self.socket}", *map(str, words)],
                              capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
        return done.stdout

    def records(self, kind):
        """What the state file has of a kind, by key."""
        with sqlite3.connect(f"file:{self.folder}/state.db?mode=ro", uri=True) as database:
            return {key: json.loads(value) for key, value in database.execute("SELECT key, value FROM record WHERE kind = ?", (kind,))}

    def put_records(self, kind, values):
        """Writes into the state file of an agent that does not run: what another plugin would have committed."""
        assert self.process is None or not self.process.running()
        with sqlite3.connect(self.folder / "state.db") as database:
            database.executemany("INSERT OR REPLACE INTO record (kind, key, value, revision) VALUES (?, ?, ?, 1)",
                                 [(kind, key, json.dumps({"version": 1, **value})) for key, value in values.items()])
