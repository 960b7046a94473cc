"""`demo` itself: the story that a new user sees, with the lab left up, looked at, and removed."""

import json
import os
import re
import subprocess

import pytest

from tests.lab import fabric, netns
from tests.lab.build import SOURCE

# Not the integration tests': the logs of their lab stay.
PREFIX = "nette2e-"
BUILD = os.environ.get("NETT_BUILD", str(SOURCE / "build" / "check"))


def demo(*arguments):
    return subprocess.run([str(SOURCE / "demo"), "--prefix", PREFIX, *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False, timeout=900)


@pytest.fixture(scope="module")
def told():
    """The output of one demo whose lab stays up for the tests of this module."""
    done = demo("--build", BUILD, "--keep")
    if done.returncode != 0:
        fabric.stop_nodes(PREFIX)  # and not `--down`: the logs stay
    assert done.returncode == 0, done.stdout
    yield done.stdout
    demo("--down")


def test_the_machine_boots_a_kernel_and_gets_its_config_byte_for_byte(told):
    registered = re.search(r"SHA-256 of its config: (\w{64})", told)[1]
    assert f"config SHA-256 {registered}" in told
    assert re.search(r"the kernel runs: .*console=ttyS0", told)


def test_the_active_machine_boots_its_disk(told):
    assert "the machine runs from its disk" in told


def test_steps_are_numbered_and_timed(told):
    numbers = [int(number) for number in re.findall(r"^\[ ?(\d+)\] ", told, re.MULTILINE)]
    assert numbers == list(range(1, len(numbers) + 1)) and len(numbers) >= 10
    assert len(re.findall(r"^ +done after [\d.]+ s$", told, re.MULTILINE)) == len(numbers)


def test_the_lab_that_was_kept_can_be_looked_at(told):
    assert "tests/lab/enter meta-1 nettsh" in told
    looked = subprocess.run([str(SOURCE / "tests/lab/enter"), "meta-1", "nettsh", "--json", "-c", "show machines"], text=True, check=True,
                            stdout=subprocess.PIPE, env={**os.environ, "NETT_LAB_PREFIX": PREFIX})
    machines = {machine["name"]: machine for machine in json.loads(looked.stdout)}
    assert machines["node-1"]["state"] == "active"


def test_down_leaves_nothing(told):
    assert netns.existing(PREFIX)
    done = demo("--down")
    assert done.returncode == 0, done.stdout
    assert not netns.existing(PREFIX)
    assert not os.path.exists(f"/var/tmp/{PREFIX}lab")
