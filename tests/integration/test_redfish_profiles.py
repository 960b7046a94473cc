"""A provision job through a BMC of each family (tests/lab/bmc/personalities.py), and through what any of them may do wrong."""

import pytest

from tests.lab.bmc.client import Emulator
from tests.lab.bmc.personalities import PERSONALITIES
from tests.lab.lone import IMAGE, PASSWORD, USER, make_agent

SECURE_IMAGE = IMAGE.replace("http:", "https:")
# The profile in use, where it is not the personality's own name.
PROFILES = {"dell-old": "dell", "no-links": "generic", "strong-etag": "generic", "last-reset": "generic"}


FAULTS = {
    "tasks": [{"kind": "task", "method": "POST", "path": "Actions", "times": 4, "polls": 1}],
    "failed-task": [{"kind": "task", "method": "POST", "path": "InsertMedia", "polls": 1},
                    {"kind": "content", "path": "TaskMonitors", "content": '{"TaskState":"Exception"}'}],
    "busy": [{"kind": "busy", "method": "POST|PATCH", "times": 4}],
    "no-effect": [{"kind": "no-effect", "method": "POST", "path": "Reset"}, {"kind": "no-effect", "method": "PATCH"}],
    "stale-media": [{"kind": "stale-inserted", "method": "POST", "path": "EjectMedia", "reads": 3}],
    "slow": [{"kind": "slow", "path": "Systems/[^/]*$", "seconds": 2, "times": 3}],
    "restart": [{"kind": "restart", "method": "POST", "path": "InsertMedia", "reads": 4}],
    "override-lost": [{"kind": "override-lost", "method": "PATCH"}],
    "session-ends": [{"kind": "status", "method": "PATCH", "status": 401}],
    "wrong-content": [{"kind": "content", "path": "Systems/[^/]*$", "content": "<html>busy</html>", "times": 2},
                      {"kind": "content", "path": "VirtualMedia", "content": '{"Inserted":', "times": 2}],
}


HOSTILE = {
    "deep": {"content": "[", "repeat": 500_000},
    "deep-object": {"content": '{"a":', "repeat": 100_000},
    "huge": {"content": "x" * 1000, "repeat": 3000},
    "wrong-types": {"content": '{"Systems":[],"Members":{},"Boot":7,"Actions":"","PowerState":{},"Links":null}'},
    "not-utf8": {"content": "\udcff\udcfe{}"},
    "off-origin": {"content": '{"Systems":{"@odata.id":"https://[2001:db8::66]/"},"Members":[{"@odata.id":"//[2001:db8::66]/"}]}'},
    "empty": {"content": ""},
    "endless": {"content": '{"Systems":{"@odata.id":"/redfish/v1/"},"Members":[{"@odata.id":"/redfish/v1/"}]}'},
}




class Fleet:
    """A machine with a BMC of its own for each case, all provisioned at once: most of what is tested here is waiting."""

    def __init__(self, agent, folder):
        self._agent = agent
        self._folder = folder
        self.bmcs = {}
        self.jobs = {}

    def add(self, name, *arguments, faults=(), image=IMAGE):
        folder = self._folder / name
        folder.mkdir()
        bmc = self.bmcs[name] = Emulator(folder, "--user", USER, "--password", PASSWORD, "--system", name, *arguments)
        self._agent.register([name], bmc.endpoint)
        bmc.faults(*faults)
        self.jobs[name] = self._agent.provision(name, image)

    def finish(self, name, within=100):
        """The job's record once it is done, and what was asked of the BMC with success."""
        done = self._agent.finish(name, self.jobs[name], within)
        return done, [what for what, status in self.bmcs[name].changes(name) if status is not None and status < 300]

    def stop(self):
        for bmc in self.bmcs.values():
            bmc.stop()


@pytest.fixture(scope="module")
def agent(build, tmp_path_factory):
    made = make_agent(build, tmp_path_factory.mktemp("a"), more=" concurrency 64\n")
    yield made
    made.process.stop()


@pytest.fixture(scope="module")
def fleet(agent, tmp_path_factory):
    made = Fleet(agent, tmp_path_factory.mktemp("bmcs"))
    for name, faults in FAULTS.items():
        made.add(name, faults=faults)
    for name, fault in HOSTILE.items():
        made.add(name, faults=[{"kind": "content", "method": "GET", "times": 1000, **fault}])
    for name, quirks in PERSONALITIES.items():
        made.add(name, "--personality", name, image=SECURE_IMAGE if "schemes" in quirks else IMAGE)
    yield made
    made.stop()


@pytest.mark.parametrize("personality", PERSONALITIES)
def test_each_family_is_provisioned(fleet, personality):
    done, changes = fleet.finish(personality)
    assert done["progress"]["profile"] == PROFILES.get(personality, personality)
    assert changes.count("On") == 1 and changes.count("ForceOff") == 1
    bmc = fleet.bmcs[personality]
    state = bmc.systems()[personality]
    assert state["power"] == "On" and state["image"] is None
    assert state["boot"]["BootSourceOverrideEnabled"] == "Disabled"
    assert bmc.systems()["_sessions"] == 0 and bmc.max_in_flight() == 1


@pytest.mark.parametrize("fault", FAULTS)
def test_a_passing_fault_is_made_good(fleet, fault):
    _, changes = fleet.finish(fault)
    assert changes.count("On") == 1
    assert fleet.bmcs[fault].systems()[fault]["image"] is None


@pytest.mark.parametrize("answer", HOSTILE)
def test_hostile_answers_end_the_job(agent, fleet, answer):
    ended = agent.wait_state(fleet.jobs[answer], "FAILED", within=120)
    assert ended["message"]
    assert not fleet.bmcs[answer].changes(answer)
