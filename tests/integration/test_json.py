"""docs/json.md is the contract of --json: every `show` command of a real agent is in it, with exactly these keys."""

import os
import re
import types

import pytest

from tests.lab import api, netns, wait
from tests.lab.build import SOURCE
from tests.lab.standalone import StandaloneAgent

UUID = "6e657474-0000-4000-8000-00000000e001"
STRANGER = "6e657474-0000-4000-8000-00000000e002"
SILENT = "6e657474-0000-4000-8000-00000000e003"
DOCUMENT = SOURCE / "docs" / "json.md"


def documented():
    """Command → its paths; those that end in "?" may be absent."""
    rows = re.findall(r"^\| `(show [^`]*)` \| (.*) \|$", DOCUMENT.read_text(encoding="utf-8"), re.MULTILINE)
    return {command: re.findall(r"`([^`]+)`", paths) for command, paths in rows}


def paths_of(value, known, at=""):
    """The paths of all keys: "mode.note", "files[].name"; below "fields.*" the keys are data."""
    if isinstance(value, list):
        inner = at + "[]" if at else ""
        for one in value:
            yield from paths_of(one, known, inner)
    elif isinstance(value, dict):
        for key, below in value.items():
            # A configuration's nodes nest as deep as they like.
            path = (f"{at}.{key}" if at else key).replace("commands[].commands", "commands")
            if path not in known and f"{at}.*" in known:
                yield f"{at}.*"
                continue
            yield path
            yield from paths_of(below, known, path)


def empty_places(value, at=""):
    """Lists and objects without anything in them, and null: what would be below is not to be seen."""
    if value in ([], {}, None, ""):
        yield at
    elif isinstance(value, list):
        for one in value:
            yield from empty_places(one, at + "[]" if at else "")
    elif isinstance(value, dict):
        for key, below in value.items():
            yield from empty_places(below, f"{at}.{key}" if at else key)


class Agent(StandaloneAgent):
    """All plugins, in a namespace with one port, without FRRouting: shows have rows all the same."""

    def __init__(self, build, folder):
        super().__init__(build, folder)
        self.namespace = os.environ.get("NETT_LAB_PREFIX", "nettest-") + "json"
        for name in netns.existing(self.namespace):  # of a run that crashed
            netns.destroy(name)
        netns.create(self.namespace)
        netns.run("ip", "-n", self.namespace, "link", "add", "swp1", "type", "veth", "peer", "name", "host1")
        for link in ("lo", "swp1", "host1"):
            netns.run("ip", "-n", self.namespace, "link", "set", link, "up")
        self.builder("pki", "tenant", folder, "t")
        self.builder("pki", "api", folder, "all", "--address", "::1")
        self.write_config(
            self.metadata_node() + "plugin redfish\n allow-bmc ::1/128\n image-url http://[::1]:9/token/nett.iso\n!\n"
            "plugin ra\n aggregate 2001:db8:b000::/56\n ports swp1\n!\n"
            "plugin bgp-anycast\n address 2001:db8::1/128\n check port tcp\n  target [::1]:9\n  class shared\n!\n",
            "hostname all\nwebhook noc url https://[::1]:9/x\n"
            f"api certificate {folder}/all.pem\napi private-key {folder}/all.key\napi client-ca {folder}/root.pem\n"
            "api listen [::1]:8443\napi role fabric common-name all\nupstream [::1]:8443\n")

    def start(self, inside=()):
        super().start(("ip", "netns", "exec", self.namespace, *inside))

    def nettsh(self, *commands):
        words = [word for command in commands for word in ("-c", command)]
        return netns.run(self.build.program("nettsh"), "--socket", str(self.socket), *words)

    def fill(self, messages):
        folder = self.folder
        (folder / "config.yaml").write_text("version: v1alpha1\n", encoding="utf-8")
        (folder / "password").write_text("calvin\n", encoding="utf-8")
        (folder / "vmlinuz").write_bytes(b"k" * 1000)
        (folder / "initramfs.xz").write_bytes(b"i" * 16)
        self.builder("tenant", "add", "t", "--common-name", "t.boot.example")
        self.builder("artifact", "import", "s", "--version", "v1", "--kernel", folder / "vmlinuz", "--initramfs", folder / "initramfs.xz",
                     "--command-line", "console=ttyS0")
        self.builder("profile", "add", "p", "--artifact-set", "s")
        self.builder("bmc", "add", "b", "--endpoint", "https://[::1]:9", "--username", "admin", "--password-file", folder / "password")
        caller = api.Api(types.SimpleNamespace(path=lambda _: self.socket), messages)
        caller.call("Inventory/PutPrefixPool", messages.PutPrefixPoolRequest(
            pool=messages.PrefixPool(name="pool", prefix="2001:db8:c0de::/48", length=64)), messages.MutationReply)
        machine = messages.Machine(name="m", tenant="t", uuid=UUID, artifact_set="s", profile="p", bmc="b",
                                   production=messages.Production(mode=messages.PRODUCTION_MODE_POOL, pool="pool"))
        caller.call("Inventory/PutMachine", messages.PutMachineRequest(machine=machine, config=b"version: v1alpha1\n"), messages.MutationReply)
        self.builder("machine", "add", "silent", "--tenant", "t", "--uuid", SILENT, "--artifact-set", "s")
        for uuid in (UUID, STRANGER):
            self.boot(uuid)
        wait.until("the stranger is listed", lambda: self.show("show unknown-machines"), 10)
        self.show("machine provision m")

    def boot(self, uuid):
        netns.run("ip", "netns", "exec", self.namespace, "curl", "-sS", "--cacert", f"{self.folder}/root.pem", "--cert", f"{self.folder}/t.pem",
                  "--key", f"{self.folder}/t.key", f"https://[::1]:{self.port}/v1/boot/{uuid}")


@pytest.fixture(scope="module")
def agent(build, tmp_path_factory):
    folder = tmp_path_factory.mktemp("json")
    made = Agent(build, folder)
    made.start()
    try:
        made.fill(api.messages(folder / "messages"))
        yield made
    finally:
        made.process.stop()
        netns.destroy(made.namespace)


# Arguments of the commands that need one.
ARGUMENTS = {"show machine NAME": "show machine m", "show machine NAME issues": "show machine m issues", "show job ID": "show job 1",
             "show ra interface NAME": "show ra interface swp1", "show diff N": "show diff 0", "show log N": "show log 5",
             "show running-config SECTION": "show running-config ra"}


def listed(agent):
    """Every `show` command that this agent has, as docs/json.md writes them."""
    lines = agent.nettsh("help").splitlines()
    found = [line.split("  ")[0].strip() for line in lines if line.strip().startswith("show ")]
    return {re.sub(r"<[0-9-]+>", "N", command) for command in found if not command.endswith("--follow")}


def test_every_show_command_is_documented_and_no_other(agent):
    assert listed(agent) == set(documented())


@pytest.mark.parametrize("command", sorted(documented()))
def test_the_keys_are_the_documented_ones(agent, command):
    paths = documented()[command]
    known = {path.rstrip("?") for path in paths}
    shown = agent.show(ARGUMENTS.get(command, command))
    seen, empty = set(paths_of(shown, known)), set(empty_places(shown))
    assert seen <= known, f"not in docs/json.md: {sorted(seen - known)}"
    missing = {path for path in paths if not path.endswith("?") and path not in seen and not below(path, empty)}
    assert not missing, f"documented, and not there: {sorted(missing)}"


def below(path, places):
    """Whether the path is in something that is empty here, or that may be absent."""
    return any(place == "" or path.startswith((f"{place}.", f"{place}[]")) for place in places)
