"""A provision job through an emulated BMC, from the shell's command to the machine's own boot request."""

import pytest

from tests.lab import management, story, wait
from tests.lab.story import HOME

IMAGE = "http://[2001:db8:bc::1]/images/tenant-a.iso"
NAMES = {"bare-1": "6e657474-0000-4000-8000-00000000c001", "bare-2": "6e657474-0000-4000-8000-00000000c002"}


@pytest.fixture(scope="module")
def bmc(raised):
    """The emulator, and the machines behind it, registered."""
    host = management.BmcHost(raised.lab, HOME, list(NAMES))
    password = host.node.folder / "password"
    password.write_text(management.PASSWORD + "\n", encoding="utf-8")
    for number, (name, uuid) in enumerate(NAMES.items()):
        raised.home.builder("bmc", "add", name, "--endpoint", host.endpoint, "--username", management.USER, "--password-file", password,
                            "--system-path", f"/redfish/v1/Systems/{name}")
        story.register_machine(raised.home, name, uuid, [f"52:54:00:00:c0:{number:02x}"], story.machine_config(name), "--bmc", name)
    yield host
    host.process.stop()


def provision(world, name):
    return world.home.show(f"machine provision {name} image-url {IMAGE}")["id"]


def wait_state(world, job, state, within=30):
    def reached():
        shown = world.home.show(f"show job {job}")
        assert shown["state"] == state, f"{shown['state']}: {shown['message']}"
        return shown

    return wait.until(f"job {job} is {state}", reached, within, every=0.2)


def ask_for_boot(world, name):
    """What the machine itself does once its image runs."""
    return world.servers[1].fetch(f"/v1/boot/{NAMES[name]}", world.tenant)


def test_a_job_inserts_overrides_powers_on_waits_for_the_boot_and_cleans_up(world, bmc):
    job = provision(world, "bare-1")
    wait_state(world, job, "BOOT_WAIT")
    system = bmc.control("systems")["bare-1"]
    assert IMAGE in str(system)
    assert ask_for_boot(world, "bare-1").status == 200
    wait_state(world, job, "DONE")
    # The boot that ended the job, and the machine's change of state, have one id.
    events = world.home.show("show events")
    ids = {event["fields"].get("boot_id") for event in events if event["type"] in ("machine.boot", "machine.state") and event["subject"] == "bare-1"}
    ids |= {event["fields"].get("boot_id") for event in events if event["type"] == "job.step" and event["subject"] == job
            and event["fields"]["step"] == "DONE"}
    assert ids == {world.home.show("show machine bare-1")["last_boot_id"]}
    assert [entry["body"]["ResetType"] for entry in bmc.requests("POST", "bare-1/Actions/ComputerSystem.Reset")] == ["On"]
    assert world.home.show("show machine bare-1")["state"] == "provisioning"


def test_a_job_goes_on_after_the_agent_was_killed_in_the_middle_of_a_change(world, bmc):
    bmc.faults({"kind": "hold-after", "method": "POST", "path": "bare-2.*InsertMedia"})
    job = provision(world, "bare-2")
    wait.until("the BMC holds the answer to InsertMedia",
               lambda: any("InsertMedia" in entry["path"] and "bare-2" in entry["path"] and entry["held"] for entry in bmc.control("log")), 30)
    world.home.kill()
    bmc.control("release")
    world.home.start()
    wait_state(world, job, "BOOT_WAIT")
    # Meanwhile the fabric led to the other metadata host, which does not know the machine.
    story.wait_anycast(world.fabric)
    assert ask_for_boot(world, "bare-2").status == 200
    wait_state(world, job, "DONE")
    # What had its effect is not asked for again.
    assert len(bmc.requests("POST", "bare-2/Actions/ComputerSystem.Reset")) == 1


def test_the_password_is_nowhere_in_the_state_file(world, bmc):
    node = world.lab.nodes[HOME]
    for path in node.path("/var/lib/nett").iterdir():
        if path.is_file():
            assert management.PASSWORD.encode() not in path.read_bytes(), path
    assert management.PASSWORD not in world.home.process.log()
