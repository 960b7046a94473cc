"""Jobs beside provision: power, media, boot, inventory, check; each killed at each of its requests. Following, showing, cancelling."""

import json

import pytest

from tests.lab import wait
from tests.lab.bmc.client import Emulator
from tests.lab.lone import PASSWORD, USER, make_agent

OFF = {"method": "POST", "path": "Reset", "body": "ForceOff"}
ON = {"method": "POST", "path": "Reset", "body": '"On"'}
INSERT = {"method": "POST", "path": "InsertMedia"}
EJECT = {"method": "POST", "path": "EjectMedia"}
PATCH = {"method": "PATCH"}
LOOK = {"method": "GET", "path": "Systems/[^/]*$"}

# Job → (what comes before it, its words, [(step, the request at which the agent dies)], what it changes).
JOBS = {
    "on": (["power {} off"], "power {} on", [("POWER_ON", ON)], ["On"]),
    "off": ([], "power {} off", [("POWER_OFF", OFF)], ["ForceOff"]),
    "cycle": ([], "power {} cycle", [("POWER_OFF", OFF), ("POWER_ON", ON)], ["ForceOff", "On"]),
    "reset": ([], "power {} reset", [("POWER_OFF", OFF), ("POWER_ON", ON)], ["ForceOff", "On"]),
    "insert": ([], "media {} insert", [("INSERT", INSERT)], ["InsertMedia"]),
    "eject": (["media {} insert"], "media {} eject", [("EJECT", EJECT)], ["EjectMedia"]),
    "set": ([], "boot {} set Pxe continuous", [("OVERRIDE", PATCH)], ["Continuous"]),
    "clear": (["boot {} set"], "boot {} clear", [("CLEAR", PATCH)], ["Disabled"]),
    "inventory": ([], "inventory {}", [("PROBE", LOOK)], []),
    "check": ([], "check {}", [("PROBE", LOOK)], []),
}
CUTS = {f"{job}-{step.lower().replace('_', '')}-{when}": (job, step, match, when)
        for job, (_, _, cuts, _) in JOBS.items() for step, match in cuts
        for when in (("before", "after") if match is not LOOK else ("after",))}


@pytest.fixture(scope="module")
def bmc(tmp_path_factory):
    names = [*CUTS, "calm", "stranger", "watched", "blocked"]
    with Emulator(tmp_path_factory.mktemp("bmc"), "--user", USER, "--password", PASSWORD,
                  *(word for name in names for word in ("--system", name))) as emulator:
        yield emulator


@pytest.fixture(scope="module")
def agent(build, bmc, tmp_path_factory):
    made = make_agent(build, tmp_path_factory.mktemp("a"), boot_wait=5)
    made.register([*CUTS, "calm", "stranger", "watched", "blocked"], bmc.endpoint)
    yield made
    made.process.stop()


def run(agent, words, name, *states):
    job = agent.show("machine " + words.format(name))["id"]
    return agent.wait_state(job, *(states or ("DONE",)))


@pytest.mark.parametrize("cut", CUTS)
def test_a_kill_at_any_request_is_made_good(agent, bmc, cut):
    job, step, match, when = CUTS[cut]
    before, words, _, changes = JOBS[job]
    for earlier in before:
        run(agent, earlier, cut)
    bmc.clear_log()
    bmc.faults({"kind": f"hold-{when}", **match, "path": f"/{cut}" + (".*" + match["path"] if match not in (LOOK, PATCH) else "$")})
    number = agent.show("machine " + words.format(cut))["id"]
    wait.until("the BMC holds the request", lambda: any(request["held"] for request in bmc.requests()), 30)
    assert agent.show(f"show job {number}")["state"] == step
    agent.kill()
    bmc.release()
    agent.start()
    agent.wait_state(number, "DONE")
    # What had its effect is not asked for again; what was lost is, once.
    assert [what for what, status in bmc.changes(cut) if status is not None] == changes
    assert sum(status is None for _, status in bmc.changes(cut)) == (1 if when == "before" else 0)


@pytest.mark.parametrize("when, state", [("before", "NEEDS_OPERATOR"), ("after", "DONE")])
def test_a_restart_is_never_asked_for_twice(build, tmp_path, when, state):
    with Emulator(tmp_path, "--user", USER, "--password", PASSWORD, "--system", "warm", "--personality", "last-reset") as bmc:
        agent = make_agent(build, tmp_path)
        agent.register(["warm"], bmc.endpoint)
        bmc.faults({"kind": f"hold-{when}", "method": "POST", "path": "Reset"})
        number = agent.show("machine power warm reset")["id"]
        wait.until("the BMC holds the request", lambda: any(request["held"] for request in bmc.requests()), 30)
        agent.kill()
        bmc.release()
        agent.start()
        ended = agent.wait_state(number, state, within=180)
        assert [what for what, _ in bmc.changes("warm")] == ["ForceRestart"]
        assert bmc.systems()["warm"]["resets"] == (0 if when == "before" else 1)
        assert when == "after" or "not asked for twice" in ended["message"]
        agent.process.stop()


def test_inventory_and_check_say_what_they_found(agent, bmc):
    bmc.clear_log()
    found = run(agent, "check {}", "calm")
    assert found["progress"]["result"]["can_provision"] and "can provision" in found["message"]
    run(agent, "inventory {}", "calm")
    system = bmc.systems()["calm"]
    machine = agent.show("show machine calm")
    assert (machine["serial"], machine["macs"]) == (system["serial"], [system["mac"]])
    assert bmc.changes("calm") == []
    shown = next(row for row in agent.show("show bmc") if row["name"] == "calm")
    assert (shown["profile"], shown["state"], shown["model"], shown["firmware"]) == ("generic", "ok", "Lab Virtual", "7.0")


def test_inventory_tells_of_another_machine_and_keeps_new_jobs_off(agent):
    agent.builder("machine", "add", "stranger", "--tenant", "t", "--uuid", "6e657474-ffff-4000-8000-000000000000", "--serial", "other",
                  "--artifact-set", "s", "--bmc", "stranger")
    job = run(agent, "inventory {}", "stranger", "NEEDS_OPERATOR")
    assert "serial other is registered, the BMC tells LAB-stranger" in job["message"]
    refused = agent.try_shell("machine power stranger off")
    assert refused.returncode == 1 and f"job {job['id']}" in refused.stderr
    agent.show(f"job {job['id']} cancel")
    agent.wait_state(job["id"], "CANCELLED")
    run(agent, "power {} off", "stranger")


def test_following_shows_each_step_and_fails_with_the_job(agent):
    told = agent.try_shell("machine power watched cycle --follow")
    assert told.returncode == 0, told.stderr
    states = [line.split()[3].rstrip(":") for line in told.stdout.splitlines()]
    assert states == ["QUEUED", "PROBE", "POWER_OFF", "POWER_ON", "DONE"]
    told = agent.try_shell("machine boot watched set Floppy --follow")
    assert told.returncode == 1 and "no boot override to Floppy" in told.stderr


def test_showing_a_job_tells_steps_times_and_the_last_request(agent):
    job = run(agent, "media {} insert", "watched")
    text = agent.try_shell(f"show job {job['id']}").stdout
    for part in ("media watched  DONE", "INSERT", " s\n", "last request   GET", "last response  200"):
        assert part in text, text
    run(agent, "media {} eject", "watched")


def test_a_secret_in_an_image_url_is_shown_nowhere(agent, bmc):
    job = agent.show("machine media watched insert image-url http://[::1]:9/m/sEcReT/nett.iso")["id"]
    done = agent.wait_state(job, "DONE")
    assert bmc.systems()["watched"]["image"].endswith("/m/sEcReT/nett.iso")
    assert done["parameters"]["image-url"] == "http://[::1]:9/…/nett.iso"
    for text in (json.dumps(done), json.dumps(agent.show("show events")), agent.process.log()):
        assert "sEcReT" not in text
    assert b"sEcReT" not in b"".join(path.read_bytes() for path in agent.folder.glob("state.db*"))


def test_parameters_are_checked(agent):
    for words, message in (("power watched bounce", "not one of on, off"), ("boot watched set Pxe forever", "not one of once")):
        refused = agent.try_shell("machine " + words)
        assert refused.returncode == 1 and message in refused.stderr, refused.stderr


def test_a_job_that_waits_for_its_operator_blocks_until_it_is_cancelled(agent):
    job = agent.provision("blocked")
    agent.wait_state(job, "NEEDS_OPERATOR")
    refused = agent.try_shell("machine provision blocked")
    assert refused.returncode == 1 and "cancel" in refused.stderr
    agent.show(f"job {job} cancel")
    agent.wait_state(job, "CANCELLED")
    agent.provision("blocked")


def test_the_api_streams_each_step(agent, tmp_path):
    import grpc  # pylint: disable=import-outside-toplevel

    from tests.lab import api  # pylint: disable=import-outside-toplevel

    messages = api.messages(tmp_path / "proto")
    with grpc.insecure_channel(f"unix:{agent.socket}") as channel:
        create = channel.unary_unary("/nett.v1.Jobs/CreateJob", request_serializer=messages.CreateJobRequest.SerializeToString,
                                     response_deserializer=messages.Job.FromString)
        stream = channel.unary_stream("/nett.v1.System/StreamEvents", request_serializer=messages.StreamEventsRequest.SerializeToString,
                                      response_deserializer=messages.Event.FromString)
        events = stream(messages.StreamEventsRequest(type_prefix="job.step"), timeout=60)
        events.initial_metadata()  # from here on nothing is missed
        job = create(messages.CreateJobRequest(type="power", machine="watched", parameters={"action": "cycle"}), timeout=10)
        seen = []
        for event in events:
            if event.subject == job.id:
                seen.append(event)
                if event.fields["step"] == "DONE":
                    break
    assert [event.fields["step"] for event in seen] == ["PROBE", "POWER_OFF", "POWER_ON", "DONE"]
    assert seen[-1].fields["request"].startswith("GET /redfish/v1/Systems/watched")
