"""The commands of docs/runbooks.md, run on an agent with every plugin, in a network namespace of its own and without FRRouting."""

import re
import shlex
import subprocess

import pytest

from tests.lab import wait
from tests.lab.build import SOURCE
from tests.lab.standalone import StandaloneAgent

# One link with both ends here, so that ra has a port; everything stays inside.
INSIDE = ("unshare", "--net", "--", "sh", "-c", 'ip link set lo up && ip link add swp1 type veth peer name far1 && ip link set swp1 up && ip link set far1 up && exec "$@"', "sh")
RUNNABLE = ("nettsh", "talos-fabric-builder", "openssl", "nett-restore")


def commands():
    """(section, line) of every "$ …" in a box."""
    section, found = "", []
    for line in (SOURCE / "docs" / "runbooks.md").read_text(encoding="utf-8").splitlines():
        if line.startswith("## "):
            section = line[3:]
        if match := re.match(r"\s*\$ (.*)$", line):
            found.append((section, match[1]))
    return found


class Agent(StandaloneAgent):
    def __init__(self, build, folder):
        super().__init__(build, folder)
        self.builder("pki", "tenant", folder, "t")
        (folder / "password").write_text("correct-horse-battery\n", encoding="utf-8")
        self.write_config("plugin ra\n aggregate 2001:db8:b000::/56\n ports swp1\n!\n" + self.metadata_node()
                          + "plugin redfish\n allow-bmc ::1/128\n image-url http://[::1]:9/token/nett.iso\n!\n"
                          + "plugin bgp-anycast\n address 2001:db8:ffff::1/128\n!\n", "hostname obs\n")

    def fill(self):
        self.builder("tenant", "add", "t", "--common-name", "t.boot.example")
        for name in ("vmlinuz", "initramfs.xz"):
            (self.folder / name).write_bytes(name.encode() * 100)
        self.builder("artifact", "import", "s", "--version", "v1", "--kernel", self.folder / "vmlinuz", "--initramfs",
                     self.folder / "initramfs.xz", "--command-line", "console=ttyS0")
        self.builder("bmc", "add", "node-1", "--endpoint", "https://[::1]:9", "--username", "admin", "--password-file", self.folder / "password",
                     "--system-path", "/redfish/v1/Systems/1")
        (self.folder / "c").write_text("version: v1alpha1\n", encoding="utf-8")
        self.builder("machine", "add", "node-1", "--tenant", "t", "--uuid", "6e657474-0000-4000-8000-00000000d002", "--artifact-set", "s",
                     "--config", self.folder / "c", "--bmc", "node-1")

    def run(self, words):
        program, *rest = words
        rest = [word.replace("/etc/nett", str(self.folder)).replace("/root", str(self.folder)) for word in rest]
        if program == "nettsh":
            argv = [self.build.program(program), "--socket", self.socket, *rest]
        elif program == "nett-restore":
            argv = [self.build.program(program), *rest, "--root", self.folder / "restored"]  # this agent still runs
        elif program == "openssl":
            argv = [program, *rest]
        else:
            argv = [self.build.program(program), *(["--server", f"unix:{self.socket}"] if program == "talos-fabric-builder" else []), *rest]
        return subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False, cwd=self.folder)

    def scrape(self):
        """What curl gets inside the namespace."""
        done = subprocess.run(["nsenter", f"--net=/proc/{self.process.pid}/ns/net", "curl", "-gsf", "http://[::1]:9469/metrics"],
                              capture_output=True, text=True, timeout=30, check=True)
        return done.stdout


@pytest.fixture
def agent(build, tmp_path):
    made = Agent(build, tmp_path)
    made.start(INSIDE)
    try:
        made.fill()
        yield made
    finally:
        made.process.stop()


# What may be refused here: the state that the runbook is for is another's.
MAY_FAIL = {
    "nettsh -c 'machine node-1 release'": "not held",
    "nettsh -c 'machine node-1 state active'": "",
    "nettsh -c 'machine node-1 state reprovision'": "",
    "nettsh -c 'show ra frr-config'": "",
    "nettsh -c 'show anycast frr-config'": "",
}


def test_every_command_of_the_runbooks_is_one_that_is_there(agent):
    listed = commands()
    assert len(listed) > 35
    assert agent.run(["nettsh", "-c", "machine check node-1"]).returncode == 0
    wait.until("there is a job", lambda: agent.show("show jobs"), 10)
    assert agent.run(["nettsh", "-c", "backup meta-1.tar"]).returncode == 0
    for section, line in listed:
        words = shlex.split(line)
        assert words[0] in RUNNABLE, line
        done = agent.run(words)
        said = done.stdout + done.stderr
        assert "unknown command" not in said and "not a command" not in said, f"{section}: {line}\n{said}"
        if done.returncode != 0:
            assert line in MAY_FAIL and MAY_FAIL[line] in said, f"{section}: {line}\n{said}"


def test_switches_and_gateways_have_their_metrics(agent):
    assert agent.run(["nettsh", "-c", "configure terminal", "-c", "metrics listen [::1]:9469 plain", "-c", "commit"]).returncode == 0
    agent.run(["nettsh", "-c", "machine check node-1"])
    wait.until("the job's steps are counted", lambda: "nett_job_steps_total{" in agent.scrape(), 20, every=0.2)
    text = agent.scrape()
    for series in ('nett_ra_ports{state="advertising"} 0', 'nett_ra_ports{state="waiting"} 1',
                   'nett_frr_connected{daemon="zebra"} 0', 'nett_frr_in_sync{daemon="zebra"} 0', 'nett_frr_repairs_total{daemon="zebra"} 0'):
        assert series in text, text
    # Nothing is required of this one but to live, so it announces; maintenance takes that back.
    wait.until("the address is announced", lambda: 'nett_anycast_state{state="announced"} 1' in agent.scrape(), 30, every=0.5)
    assert agent.run(["nettsh", "-c", "anycast maintenance"]).returncode == 0
    wait.until("the address is withdrawn", lambda: 'nett_anycast_state{state="withdrawn"} 1' in agent.scrape(), 60, every=0.5)
    assert 'nett_anycast_transitions_total{to="withdrawn"} 1' in agent.scrape()
