"""A short storm on three servers with one state: each kind of fault once, and the independent checker's verdict. `bench/run storm --faults
SECONDS` is the long one."""

import contextlib
import os
import threading

import pytest

from tests.lab import api, ha, wait
from tests.lab.storm import checker, history, run

# Each kind of fault, each server, each member once. Longer than the anycast lease (3 s) and etcd's election (2 to 4 s).
FAULTS = ["kill meta-1", "freeze meta-2", "cut meta-3 off etcd", "kill etcd 1", "freeze etcd 2", "cut etcd 3 off the others",
          "no quorum", "cut meta-1 off tor-a", "fill the disk of meta-2", "meta-3's clock jumps an hour forward"]
HOLD_SECONDS = 3


@pytest.fixture(scope="module")
def hosts(build):
    """(ha.HaLab, faults of its hosts)"""
    with run.storm_lab(os.environ.get("NETT_LAB_PREFIX", "nettest-") + "s-", build) as made:
        yield made


@pytest.fixture(scope="module")
def told(hosts, tmp_path_factory):
    """(history, figures, findings) of the storm."""
    world, more = hosts
    folder = tmp_path_factory.mktemp("storm")
    storm = run.Storm(world, folder, api.messages(folder / "proto"), more_faults=more)
    storm.prepare()
    storm.run(FAULTS, HOLD_SECONDS)
    lines = history.read(storm.history.path)
    findings, figures = checker.check(lines)
    return lines, figures, findings


@pytest.fixture
def world(hosts):
    """All well when the test begins, and again when it has ended; meanwhile the address is never without an announcer."""
    world, _ = hosts
    world.mend_all()
    world.wait_announced(within=60)
    with never_alone(world):
        yield world
        world.mend_all()
        world.wait_announced(within=60)


@contextlib.contextmanager
def never_alone(world):
    over, seen = threading.Event(), []

    def look():
        while not over.wait(0.1):
            seen.extend(world.announcing(tor) for tor in ("tor-a", "tor-b"))

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
    assert seen and all(seen), "a ToR had no route to the address"


def test_the_checker_finds_nothing(told):
    _, figures, findings = told
    assert not findings, "\n".join([*findings, str(figures)])


def test_the_storm_was_one(told):
    """What the checker saw is enough to be wrong about."""
    lines, figures, _ = told
    assert figures["faults"] == len(FAULTS)
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


@pytest.mark.usefixtures("told")  # which has stored a tenant and a set
def test_a_stale_server_is_withdrawn_while_fresher_ones_announce(world, hosts):
    full, stale = next(fault for fault in hosts[1] if fault.name == "fill the disk of meta-2"), world.agents["meta-2"]
    full.make()

    def too_old():
        # Pages that earlier records have left take what comes for a while.
        if stale.lag()[0] == "ok" and stale.replication()["age_ms"] < 2000:
            full.make()
        return stale.lag() == ("failed", "local")

    wait.until("its copy is too old, and others are fresher", too_old, 90, every=2)
    world.agents["meta-1"].builder("tenant", "add", "newer", "--common-name", "newer.example")
    world.wait_announced("meta-1", "meta-3")
    assert "replication/lag" in stale.nettsh("show anycast").stdout
    assert "newer" not in {tenant["name"] for tenant in stale.show("show tenants")}
    world.mend_all()
    world.wait_announced(within=60)
    assert "newer" in {tenant["name"] for tenant in stale.show("show tenants")}


def test_a_server_that_is_cut_off_etcd_announces_and_is_less_preferred(world):
    world.agents["meta-1"].cut()
    world.wait_announced("meta-2", "meta-3", within=60)
    assert world.agents["meta-1"].lag() == ("failed", "shared")
    assert world.fabric.anycast_announcers("tor-a") == len(ha.METAS)


def test_without_a_quorum_every_server_announces(world):
    world.cluster.kill(1, 2)
    for one in world.agents.values():
        wait.until(f"{one.name}: its copy is too old", lambda a=one: a.lag() == ("failed", "shared"), 60, every=0.3)
    world.wait_announced(within=60)
