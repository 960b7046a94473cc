"""The job runner of plugin redfish with one agent and emulated BMCs on loopback: killed at every step, and faults of BMCs."""

import json

import pytest

from tests.lab import wait
from tests.lab.bmc.client import Emulator
from tests.lab.lone import IMAGE, PASSWORD, USER, make_agent

# All that a job changes when nothing goes wrong, in order.
CHANGES = [("ForceOff", 204), ("InsertMedia", 204), ("Once", 200), ("On", 204), ("EjectMedia", 204)]

# Step, the request at which the agent is killed. "before": the request never had its effect; "after": its answer is lost.
ACTIONS = {"POWER_OFF": {"method": "POST", "path": "Reset", "body": "ForceOff"},
           "INSERT": {"method": "POST", "path": "InsertMedia"},
           "OVERRIDE": {"method": "PATCH"},
           "POWER_ON": {"method": "POST", "path": "Reset", "body": '"On"'},
           "CLEANUP": {"method": "POST", "path": "EjectMedia"}}
READS = {"PROBE": {"method": "GET", "path": "Systems/[^/]*$"},
         "EJECT": {"method": "GET", "path": "/Cd$", "skip": 1},
         "VERIFY": {"method": "GET", "path": "/Cd$", "skip": 4}}
CUTS = [(step, f"hold-{when}", match) for step, match in ACTIONS.items() for when in ("before", "after")]
CUTS += [(step, "hold-after", match) for step, match in READS.items()]
MACHINES = {f"{step}/{kind}": f"m{number}" for number, (step, kind, _) in enumerate(CUTS)}
EXTRA = ["calm", "waiting", "stopped"]


@pytest.fixture(scope="module")
def bmc(tmp_path_factory):
    names = [*MACHINES.values(), *EXTRA]
    with Emulator(tmp_path_factory.mktemp("bmc"), "--user", USER, "--password", PASSWORD,
                  *(word for name in names for word in ("--system", name))) as emulator:
        yield emulator


@pytest.fixture(scope="module")
def agent(build, bmc, tmp_path_factory):
    made = make_agent(build, tmp_path_factory.mktemp("a"))
    made.register([*MACHINES.values(), *EXTRA], bmc.endpoint)
    yield made
    made.process.stop()


def test_a_job_changes_what_it_must_and_nothing_else(agent, bmc):
    bmc.clear_log()
    job = agent.provision("calm")
    agent.finish("calm", job)
    assert bmc.changes("calm") == CHANGES
    assert bmc.systems()["_sessions"] == 0
    assert bmc.max_in_flight() == 1
    logins = [request for request in bmc.requests() if request["login"] is None]
    assert {(request["method"], request["path"]) for request in logins} == {("POST", "/redfish/v1/SessionService/Sessions")}


@pytest.mark.parametrize("step, kind, match", CUTS, ids=MACHINES)
def test_a_kill_at_any_step_is_made_good(agent, bmc, step, kind, match):
    name = MACHINES[f"{step}/{kind}"]
    bmc.clear_log()
    bmc.faults({"kind": kind, **match, "path": f"/{name}" + (".*" + match["path"] if "path" in match else "")}
               if step != "PROBE" else {"kind": kind, "method": "GET", "path": f"Systems/{name}$"})
    job = agent.provision(name)
    if step == "CLEANUP":
        agent.wait_state(job, "BOOT_WAIT")
        agent.boots(name)
    wait.until("the BMC holds the request", lambda: any(request["held"] for request in bmc.requests()), 30)
    assert agent.show(f"show job {job}")["state"] == step
    agent.kill()
    bmc.release()
    agent.start()
    agent.finish(name, job)
    # What had its effect is not asked for again; what was lost is, once.
    assert [change for change in bmc.changes(name) if change[1] is not None] == CHANGES
    lost = [change for change in bmc.changes(name) if change[1] is None]
    assert len(lost) == (1 if kind == "hold-before" else 0)
    system = bmc.systems()[name]
    assert (system["power"], system["image"], system["boot"]["BootSourceOverrideEnabled"]) == ("On", None, "Disabled")


def test_a_kill_while_the_machine_boots_is_made_good(agent, bmc):
    bmc.clear_log()
    job = agent.provision("waiting")
    agent.wait_state(job, "BOOT_WAIT")
    agent.kill()
    agent.start()
    agent.finish("waiting", job)
    assert bmc.changes("waiting") == CHANGES


def test_a_stop_does_not_wait_for_a_bmc_that_hangs(agent, bmc):
    bmc.clear_log()
    bmc.faults({"kind": "hold-after", "method": "POST", "path": "/stopped.*InsertMedia"})
    job = agent.provision("stopped")
    wait.until("the BMC holds the request", lambda: any(request["held"] for request in bmc.requests()), 30)
    agent.process.stop(within=15)
    assert agent.process.exit_status() == 0
    bmc.release()
    agent.start()
    agent.finish("stopped", job)
    assert bmc.changes("stopped") == CHANGES


def test_sessions_of_killed_runs_are_not_left_behind(bmc):
    # A death in PROBE comes before anything is stored: that one session is for the BMC to expire.
    assert bmc.systems()["_sessions"] <= 1


def test_secrets_are_in_no_log_and_no_record(agent):
    told = [agent.process.log_path.read_text(encoding="utf-8"), json.dumps(agent.show("show events"))]
    for text in told:
        assert "/token/" not in text
    for text in [*told, json.dumps(agent.show("show jobs")), json.dumps(agent.show("show bmc"))]:
        assert PASSWORD not in text


@pytest.fixture
def fresh(build, tmp_path):
    """Makes an agent and a BMC for one test."""
    open_ones = []

    def make(*arguments, **more):
        folder = tmp_path / str(len(open_ones))
        folder.mkdir()
        emulator = Emulator(folder, "--user", USER, "--password", PASSWORD, *arguments)
        open_ones.append(emulator.stop)
        made = make_agent(build, folder, **more)
        open_ones.append(made.process.kill)
        return made, emulator

    yield make
    for end in reversed(open_ones):
        end()


def test_a_bmc_with_all_its_moods(fresh):
    agent, bmc = fresh("--needs-etag", "--media", "Managers")
    agent.register(["node-1"], bmc.endpoint)
    bmc.faults({"kind": "busy", "method": "POST", "path": "Reset", "times": 2},
               {"kind": "task", "method": "POST", "path": "InsertMedia", "polls": 2},
               {"kind": "no-effect", "method": "PATCH"},
               {"kind": "stale-inserted", "method": "POST", "path": "EjectMedia", "reads": 2},
               {"kind": "slow", "method": "GET", "path": "Systems/node-1$", "seconds": 1})
    agent.finish("node-1", agent.provision("node-1"))
    statuses = bmc.changes("node-1")
    assert [change for change in statuses if change[0] == "On"] == [("On", 204)]
    assert [change for change in statuses if change[0] == "ForceOff"] == [("ForceOff", 503), ("ForceOff", 503), ("ForceOff", 204)]


def test_wrong_credentials_do_not_lock_the_account(fresh):
    agent, bmc = fresh()
    agent.register(["node-1"], bmc.endpoint, password="wrong")
    job = agent.provision("node-1")
    assert "refuses user" in agent.wait_state(job, "NEEDS_OPERATOR")["message"]
    assert agent.show("show health")
    agent.show(f"job {job} cancel")
    agent.wait_state(job, "CANCELLED")
    agent.wait_state(agent.provision("node-1"), "NEEDS_OPERATOR")
    assert len(bmc.requests()) == 1
    # A correction of the record is what lets it try again.
    agent.register(["node-1"], bmc.endpoint)
    agent.show("job 2 cancel")
    agent.wait_state("2", "CANCELLED")
    agent.finish("node-1", agent.provision("node-1"))


def test_another_certificate_stops_the_job_before_anything_is_sent(fresh):
    agent, bmc = fresh()
    agent.register(["node-1"], bmc.endpoint)
    agent.builder("bmc", "add", "node-1", "--endpoint", bmc.endpoint, "--username", USER, "--password-file", agent.folder / "password",
                  "--pin", "ab" * 32)
    job = agent.provision("node-1")
    assert "certificate changed" in agent.wait_state(job, "NEEDS_OPERATOR")["message"]
    assert bmc.requests() == []


def test_a_ca_is_enough_when_the_certificate_names_the_address(fresh):
    agent, bmc = fresh()
    agent.register(["node-1"], bmc.endpoint)
    agent.builder("bmc", "add", "node-1", "--endpoint", bmc.endpoint, "--username", USER, "--password-file", agent.folder / "password",
                  "--ca-file", agent.folder / "bmc.crt")
    agent.finish("node-1", agent.provision("node-1"))


def test_a_bmc_outside_the_allowed_prefixes_is_not_touched(fresh):
    agent, bmc = fresh(allow="2001:db8:bc::/64")
    agent.register(["node-1"], bmc.endpoint)
    assert "allow-bmc" in agent.wait_state(agent.provision("node-1"), "FAILED")["message"]
    assert bmc.requests() == []


def test_a_machine_that_does_not_boot_needs_its_operator_and_cancelling_cleans_up(fresh):
    agent, bmc = fresh(boot_wait=5)
    agent.register(["node-1"], bmc.endpoint)
    job = agent.provision("node-1")
    assert "no boot request came" in agent.wait_state(job, "NEEDS_OPERATOR")["message"]
    assert bmc.systems()["node-1"]["image"] == IMAGE
    agent.show(f"job {job} cancel")
    agent.wait_state(job, "CANCELLED")
    assert bmc.systems()["node-1"]["image"] is None


def test_a_cancelled_job_cleans_up(fresh):
    agent, bmc = fresh()
    agent.register(["node-1"], bmc.endpoint)
    job = agent.provision("node-1")
    agent.wait_state(job, "BOOT_WAIT")
    running = agent.show("show redfish")["running"]
    assert [line["state"] for line in running] == ["BOOT_WAIT"]
    agent.show(f"job {job} cancel")
    agent.wait_state(job, "CANCELLED")
    assert bmc.systems()["node-1"]["image"] is None


def test_a_sessionless_bmc_gets_basic(fresh):
    agent, bmc = fresh("--max-sessions", "0")
    agent.register(["node-1"], bmc.endpoint)
    agent.finish("node-1", agent.provision("node-1"))
    assert {request["login"] for request in bmc.requests() if "Sessions" not in request["path"]} == {"basic"}
