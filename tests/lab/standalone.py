"""One nettd in a folder of its own, without the fabric: what the agents of lone, lone_agent, loopback and metadata have in common."""

import json
import signal
import subprocess

from .ports import free_port
from .process import Process, ReadySocket


class StandaloneAgent:
    """Has its configuration, PKI, state, socket and log in `folder`; whoever derives from it writes the configuration."""

    READY_SECONDS = 15
    TOOL_SECONDS = 30

    def __init__(self, build, folder, address="::1", port=None):
        self.folder, self.build, self.address = folder, build, address
        self.port = port or free_port()
        self.socket = folder / "s"
        self.process = None
        self.builder("pki", "init", folder, "--server-address", address)

    def write_config(self, plugins, head=""):
        """`plugins`: the plugins' nodes, each ended by "!"."""
        folder = self.folder
        (folder / "nett.conf").write_text(f"{head}state file {folder}/state.db\nsecret-key file {folder}/secret.key\n"
                                          f"artifacts directory {folder}/artifacts\napi socket {self.socket}\n!\n{plugins}", encoding="utf-8")

    def metadata_node(self, more="", server_address=True):
        """The node of plugin metadata, with `more` lines in it."""
        folder = self.folder
        literal = f" server-address {self.address}\n" if server_address else ""
        return (f"plugin metadata\n listen [{self.address}]:{self.port}\n{literal} certificate {folder}/server.pem\n"
                f" private-key {folder}/server.key\n client-ca {folder}/root.pem\n{more}!\n")

    def start(self, inside=()):
        """`inside`: words before the program, such as those that enter a namespace."""
        ready = ReadySocket(str(self.folder / "n"))
        try:
            self.process = Process("nettd", [*inside, self.build.program("nettd"), "--config", self.folder / "nett.conf", "--plugin-dir",
                                             self.build.plugin_folder(self.folder)], self.folder / "nettd.log",
                                   {"NOTIFY_SOCKET": str(self.folder / "n")})
            ready.wait_ready(self.process, self.READY_SECONDS)
        finally:
            ready.close()

    def reload(self):
        self.process.signal(signal.SIGHUP)

    def builder(self, *words):
        """talos-fabric-builder, which must succeed; what it prints."""
        done = subprocess.run([self.build.program("talos-fabric-builder"), "--server", f"unix:{self.socket}", *map(str, words)],
                              capture_output=True, text=True, timeout=self.TOOL_SECONDS, check=False)
        assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
        return done.stdout

    def show(self, command):
        done = subprocess.run([self.build.program("nettsh"), "--socket", self.socket, "--json", "-c", command], capture_output=True,
                              text=True, timeout=30, check=False)
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return json.loads(done.stdout)
