"""One agent with the plugins redfish and metadata, in a folder of its own, on loopback: for tests that need BMCs, and no fabric."""

import http.client
import ssl
import subprocess
import uuid

from . import wait
from .standalone import StandaloneAgent

IMAGE = "http://[::1]:9/token/nett.iso"
USER, PASSWORD = "admin", "s3cret"
ENDS = ("DONE", "FAILED", "CANCELLED", "NEEDS_OPERATOR")


class LoneAgent(StandaloneAgent):
    """nettd with the plugins redfish and metadata, in a folder of its own, on loopback."""

    def __init__(self, build, folder, allow="::1/128", boot_wait=60, image=IMAGE, more=""):
        super().__init__(build, folder)
        self._uuids = {}
        self.builder("pki", "tenant", folder, "t")
        self.write_config(self.metadata_node() + f"plugin redfish\n allow-bmc {allow}\n image-url {image}\n boot-wait {boot_wait}\n{more}!\n",
                          head="hostname lone\n")
        (folder / "password").write_text(PASSWORD + "\n", encoding="utf-8")

    def kill(self):
        self.process.kill()

    def try_shell(self, command):
        """One command as text: the finished process."""
        return subprocess.run([self.build.program("nettsh"), "--socket", self.socket, "-c", command], capture_output=True, text=True,
                              timeout=200, check=False)

    def register(self, names, endpoint, password=None, system="/redfish/v1/Systems/{name}"):
        file = self.folder / "password"
        if password:
            file = self.folder / "other-password"
            file.write_text(password + "\n", encoding="utf-8")
        for name in names:
            self.builder("bmc", "add", name, "--endpoint", endpoint, "--username", USER, "--password-file", file,
                         "--system-path", system.replace("{name}", name))
            self.builder("machine", "add", name, "--tenant", "t", "--uuid", self.uuid_of(name),
                         "--artifact-set", "s", "--config", self.folder / "machine.yaml", "--bmc", name)

    def uuid_of(self, name):
        """As the emulated BMC tells it."""
        return self._uuids.setdefault(name, str(uuid.uuid5(uuid.NAMESPACE_URL, f"/redfish/v1/Systems/{name}")))

    def prepare(self):
        """A tenant and an artifact set, which machines must have."""
        self.builder("tenant", "add", "t", "--common-name", "t.boot.example")
        (self.folder / "machine.yaml").write_text("version: v1alpha1\n", encoding="utf-8")
        for name in ("vmlinuz", "initramfs.xz"):
            (self.folder / name).write_bytes(b"\x00" * 16)
        self.builder("artifact", "import", "s", "--version", "v1", "--kernel", self.folder / "vmlinuz", "--initramfs",
                     self.folder / "initramfs.xz", "--command-line", "console=ttyS0")

    def provision(self, name, image=None):
        return self.show(f"machine provision {name}" + (f" image-url {image}" if image else ""))["id"]

    def boots(self, name):
        """The machine's image runs and asks for its boot script."""
        context = ssl.create_default_context(cafile=self.folder / "root.pem")
        context.load_cert_chain(self.folder / "t.pem", self.folder / "t.key")
        connection = http.client.HTTPSConnection("::1", self.port, timeout=10, context=context)
        connection.request("GET", f"/v1/boot/{self._uuids[name]}")
        assert connection.getresponse().status == 200
        connection.close()

    def wait_state(self, job, *states, within=40):
        """Until the job is in one of the states; at once an error when it comes to rest in another one."""
        def reached():
            shown = self.show(f"show job {job}")
            if shown["state"] in ENDS and shown["state"] not in states:
                raise RuntimeError(f"job {job} is {shown['state']}: {shown['message']}")
            assert shown["state"] in states, f"{shown['state']}: {shown['message']}"
            return shown

        return wait.until(f"job {job} is {' or '.join(states)}", reached, within, every=0.1)

    def finish(self, name, job, within=40):
        """The machine boots as soon as the job waits for that."""
        if self.wait_state(job, "BOOT_WAIT", "DONE", within=within)["state"] == "BOOT_WAIT":
            self.boots(name)
        return self.wait_state(job, "DONE")


def make_agent(build, folder, **more):
    agent = LoneAgent(build, folder, **more)
    agent.start()
    agent.prepare()
    return agent
