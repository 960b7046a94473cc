"""A short storm on three servers with one state: each kind of fault once, and the independent checker's verdict. `bench/run storm --faults
SECONDS` is the long one."""

import os

import pytest

from tests.lab import api
from tests.lab.storm import checker, history, run

# Each kind of fault, each server, each member once. Longer than the anycast lease (3 s) and etcd's election (2 to 4 s).
FAULTS = ["", "kill meta-1", "freeze meta-2", "cut meta-3 off etcd", "kill etcd 1", "freeze etcd 2", "cut etcd 3 off the others",
          "no quorum", "cut meta-1 off tor-a", "fill the disk of meta-2", "meta-3's clock jumps an hour forward"]
HOLD_SECONDS = 3.5


@pytest.fixture(scope="module")
def told(build, tmp_path_factory):
    """(history, figures, findings) of the storm."""
    folder = tmp_path_factory.mktemp("storm")
    prefix = os.environ.get("NETT_LAB_PREFIX", "nettest-") + "s-"
    with run.storm_lab(prefix, build) as (world, more):
        storm = run.Storm(world, folder, api.messages(folder / "proto"), more_faults=more)
        storm.prepare()
        storm.run(FAULTS, HOLD_SECONDS)
    lines = history.read(storm.history.path)
    findings, figures = checker.check(lines)
    return lines, figures, findings


def test_the_checker_finds_nothing(told):
    _, figures, findings = told
    assert not findings, "\n".join([*findings, str(figures)])


def test_the_storm_was_one(told):
    """What the checker saw is enough to be wrong about."""
    lines, figures, _ = told
    assert figures["faults"] == len(FAULTS) - 1
    assert figures["wipe"] >= 20 and figures["install"] >= 200 and figures["disk"] >= 200 and figures["orders"] >= 60, figures
    final = [line for line in lines if line.get("op") == "machines"]
    assert len(final) == 3


def test_the_same_history_with_one_answer_changed_has_a_finding(told):
    """The checker is not blind on a history of this size: a wipe is told twice."""
    lines, _, _ = told
    wiped = next(line for line in lines if line.get("value") == "wipe")
    asked = next(line for line in lines if line["id"] == wiped["id"] and line["type"] == "invoke")
    again = [{**asked, "id": -1, "time": wiped["time"] + 0.001}, {**wiped, "id": -1, "time": wiped["time"] + 0.002}]
    findings, _ = checker.check([*lines, *again])
    assert any(asked["machine"] in finding for finding in findings)
