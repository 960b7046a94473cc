"""talos-fabric-builder against real agents: two of them, which get the same registrations. No fabric is needed for that."""

import dataclasses
import hashlib
import json
import os
import subprocess

import pytest

from tests.lab.process import Process, ReadySocket

TENANT = ("tenant", "add", "tenant-a", "--common-name", "tenant-a.boot.example")


@dataclasses.dataclass
class Pair:
    """Two agents without plugins, and the builder."""

    builder: str
    folder: object
    agents: dict

    def socket(self, name):
        return str(self.folder / name / "nettd.sock")

    def run(self, *arguments, servers=None):
        targets = [word for name in servers or self.agents for word in ("--server", self.socket(name))]
        return subprocess.run([self.builder, *targets, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)

    def done(self, *arguments, servers=None):
        """Of a command that must succeed on both: its JSON."""
        finished = self.run("--json", *arguments, servers=servers)
        assert finished.returncode == 0, finished.stderr
        return json.loads(finished.stdout)

    def artifacts(self, *more):
        (self.folder / "vmlinuz").write_bytes(b"kernel" * 100_000)
        (self.folder / "initramfs.xz").write_bytes(b"initramfs" * 100_000)
        return self.done("artifact", "import", "lab", "--version", "1", "--kernel", self.folder / "vmlinuz",
                         "--initramfs", self.folder / "initramfs.xz", "--command-line", "console=ttyS0", *more)


def _start_agent(build, folder, name):
    home = folder / name
    home.mkdir()
    (folder / "plugins").mkdir(exist_ok=True)
    (home / "nett.conf").write_text(f"hostname {name}\n!\nstate file {home}/state.db\nsecret-key file {home}/secret.key\n"
                                    f"artifacts directory {home}/artifacts\napi socket {home}/nettd.sock\n", encoding="utf-8")
    ready = ReadySocket(str(home / "notify"))
    try:
        agent = Process(name, [build.program("nettd"), "--config", home / "nett.conf", "--plugin-dir", folder / "plugins"], home / "log",
                        environment={"NOTIFY_SOCKET": str(home / "notify")})
        ready.wait_ready(agent, within=20)
    finally:
        ready.close()
    return agent


@pytest.fixture
def pair(build, tmp_path):
    agents = {name: _start_agent(build, tmp_path, name) for name in ("one", "two")}
    yield Pair(build.program("talos-fabric-builder"), tmp_path, agents)
    for agent in agents.values():
        agent.stop()


def test_content_that_an_agent_has_is_not_sent_again(pair):
    assert [file["uploaded"] for server in pair.artifacts()["servers"] for file in server["files"]] == [True] * 4
    assert [file["uploaded"] for server in pair.artifacts()["servers"] for file in server["files"]] == [False] * 4
    for name in pair.agents:
        digest = hashlib.sha256(b"kernel" * 100_000).hexdigest()
        assert (pair.folder / name / "artifacts" / "sha256" / digest).read_bytes() == b"kernel" * 100_000


def test_a_machine_is_registered_on_every_agent(pair):
    config = pair.folder / "node-1.yaml"
    config.write_text("version: v1alpha1\n", encoding="utf-8")
    pair.done(*TENANT)
    pair.artifacts()
    reply = pair.done("machine", "add", "node-1", "--tenant", "tenant-a", "--mac", "02-00-00-00-00-01", "--mac", "0200.0000.0002",
                      "--artifact-set", "lab", "--config", config, "--port", "tor-a/swp1=2001:db8:b000::/64")
    assert len(reply["servers"]) == 2
    assert reply["config_sha256"] == hashlib.sha256(config.read_bytes()).hexdigest()
    assert len(pair.done("machine", "state", "node-1", "active")["servers"]) == 2


def test_one_agent_that_is_down_does_not_stop_the_other(pair):
    pair.agents["one"].kill()
    finished = pair.run("--json", *TENANT)
    assert finished.returncode == 1
    reply = json.loads(finished.stdout)
    assert [server["server"] for server in reply["servers"]] == ["unix:" + pair.socket("two")]
    assert reply["errors"][0]["context"] == "unix:" + pair.socket("one")
    assert "is nettd running" in finished.stderr


def test_what_the_agent_refuses_is_told_with_its_place(pair):
    finished = pair.run("machine", "add", "node-1", "--tenant", "nobody", "--mac", "02:00:00:00:00:01", "--artifact-set", "none", servers=["one"])
    assert finished.returncode == 1
    assert finished.stdout == ""
    assert pair.socket("one") in finished.stderr and "nobody" in finished.stderr


@pytest.mark.parametrize("arguments", [
    ("machine", "state", "node-1", "broken"),
    ("machine", "add", "node-1", "--tenant", "a", "--artifact-set", "s", "--mac", "02:00"),
    ("machine", "add", "node-1", "--tenant", "a", "--artifact-set", "s", "--uuid", "00000000-0000-0000-0000-000000000000"),
    ("bmc", "add", "b", "--endpoint", "http://[2001:db8::1]", "--username", "u", "--password-env", "X"),
    ("bmc", "add", "b", "--endpoint", "https://[2001:db8::1]", "--username", "u"),
    ("artifact", "import", "s", "--version", "1"),
    ("pki", "init", "/nonexistent", "--server-address", "192.0.2.1"),
    ("--server", "localhost:1", "status"),
    (),
], ids=lambda arguments: " ".join(arguments[:3]) or "nothing")
def test_a_wrong_command_line_is_exit_status_2(build, arguments):
    finished = subprocess.run([build.program("talos-fabric-builder"), *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
    assert finished.returncode == 2, finished.stderr
    assert finished.stderr


def test_password_is_read_from_a_file_or_the_environment_and_never_shown(pair):
    secret = pair.folder / "password"
    secret.write_text("pa55word\n", encoding="utf-8")
    bmc = ("bmc", "add", "node-1", "--endpoint", "https://[2001:db8:bc::1]", "--username", "admin")
    pair.done(*bmc, "--password-file", secret)
    os.environ["NETT_TEST_PASSWORD"] = "pa55word"
    finished = pair.run(*bmc, "--password-env", "NETT_TEST_PASSWORD")
    del os.environ["NETT_TEST_PASSWORD"]
    assert finished.returncode == 0, finished.stderr
    assert "pa55word" not in finished.stdout + finished.stderr
    for name in pair.agents:
        assert b"pa55word" not in b"".join(path.read_bytes() for path in (pair.folder / name).glob("state.db*"))
        assert "pa55word" not in pair.agents[name].log()
