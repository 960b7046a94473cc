"""The compute layer's whole conversation with nett (document, section 4.5), through the management API of a real agent."""

import json
import ssl
import types

import grpc
import pytest

from tests.integration.test_metadata_service import Agent
from tests.lab import api, wait

UUID = "6e657474-0000-4000-8000-00000000d001"
MAC = "52:54:00:00:d0:01"
WORKER, CONTROL_PLANE = b"machine: {type: worker}\n", b"machine: {type: controlplane}\n"


class Compute:
    """The compute layer: knows the API and nothing else of the agent."""

    def __init__(self, agent, messages):
        self.m = messages
        socket = agent.folder / "s"
        self.api = api.Api(types.SimpleNamespace(path=lambda _: socket), messages)
        self._channel = grpc.insecure_channel(f"unix:{socket}")

    def do(self, method, request, reply=None):
        return self.api.call(f"Inventory/{method}", request, reply or self.m.MutationReply)

    def refusal(self, method, request, reply=None):
        with pytest.raises(self.api.error) as caught:
            self.do(method, request, reply)
        return caught.value.code(), caught.value.details()

    def machine_request(self, config=None, key="", **members):
        machine = self.m.Machine(**{"name": "x", "tenant": "t", "uuid": UUID, "macs": [MAC], "artifact_set": "s", **members})
        request = self.m.PutMachineRequest(machine=machine, reason="provision machine x", idempotency_key=key)
        if config is not None:
            request.config = config
        return request

    def state_request(self, state, key=""):
        return self.m.SetMachineStateRequest(name="x", state=self.m.MachineState.Value(f"MACHINE_STATE_{state}"), reason="compute",
                                             idempotency_key=key)

    def set_state(self, state, key=""):
        return self.do("SetMachineState", self.state_request(state, key)).revision

    def machine(self, name="x"):
        return self.do("GetMachine", self.m.NameRequest(name=name), self.m.Machine)

    def state(self):
        return self.m.MachineState.Name(self.machine().state).removeprefix("MACHINE_STATE_")

    def watch(self, since, kinds=("machine",)):
        call = self._channel.unary_stream("/nett.v1.Inventory/Watch", request_serializer=self.m.WatchRequest.SerializeToString,
                                          response_deserializer=self.m.Change.FromString)
        return call(self.m.WatchRequest(since_revision=since, kinds=kinds), timeout=30)

    def list_machines(self):
        names, after = [], ""
        while True:
            reply = self.do("ListMachines", self.m.ListRequest(after=after), self.m.ListMachinesReply)
            names += [machine.name for machine in reply.machines]
            after = reply.next
            if not after:
                return names, reply.revision


@pytest.fixture(scope="module", name="agent")
def one_agent(build, tmp_path_factory):
    made = Agent(build, tmp_path_factory.mktemp("lc"))
    configuration = made.folder / "nett.conf"
    text = configuration.read_text(encoding="utf-8")
    configuration.write_text(text.replace("plugin metadata\n", "plugin metadata\n erase-set s\n"), encoding="utf-8")
    made.start()
    made.register()
    yield made
    made.process.stop()


@pytest.fixture(scope="module", name="compute")
def compute_layer(agent, tmp_path_factory):
    return Compute(agent, api.messages(tmp_path_factory.mktemp("proto")))


def ask(agent, path):
    connection = agent.connect(ssl.TLSVersion.TLSv1_2)
    try:
        connection.request("GET", path)
        reply = connection.getresponse()
        return reply.status, reply.read()
    finally:
        connection.close()


def boot(agent, machine=UUID):
    status, body = ask(agent, f"/v1/boot/{machine}")
    return status, body.decode()


def test_the_whole_life_of_a_machine(agent, compute):
    m = compute.m
    compute.do("PutProfile", m.PutProfileRequest(profile=m.Profile(tenant="t", name="worker", boot_loop=m.BootLoopLimit(boots=0))))
    _, since = compute.list_machines()
    changes = compute.watch(since)

    # "Provision machine x with role worker": said twice by a client that lost the first answer, done once.
    request = compute.machine_request(WORKER, key="order-1", profile="worker")
    first = compute.do("PutMachine", request).revision
    assert compute.do("PutMachine", request).revision == first
    code, why = compute.refusal("PutMachine", compute.machine_request(CONTROL_PLANE, key="order-1"))
    assert code == grpc.StatusCode.INVALID_ARGUMENT and 'idempotency key "order-1" was used for another request' in why
    assert compute.state() == "NEW"

    # The machine boots, gets its config, and is seen to.
    status, script = boot(agent)
    assert status == 200 and script.startswith("#!ipxe")
    assert ask(agent, f"/v1/config/{UUID}")[1] == WORKER
    assert compute.state() == "PROVISIONING"
    change = next(changes)
    assert (change.kind, change.key, change.revision) == ("machine", "x", first)
    change = next(changes)
    assert change.actor == "plugin:metadata" and json.loads(change.value_json)["state"] == "provisioning"

    # "Machine x is active": it boots its disk from now on.
    active = compute.set_state("ACTIVE", key="order-2")
    assert compute.set_state("ACTIVE", key="order-2") == active
    assert boot(agent)[0] == 404 and ask(agent, f"/v1/config/{UUID}")[0] == 404
    machine = compute.machine()
    assert machine.state_actor.startswith("unix:") and machine.state_reason == "compute"

    # Another role: looked at first, then done at once.
    mutations = [m.Mutation(put_machine=compute.machine_request(CONTROL_PLANE, profile="worker")),
                 m.Mutation(set_machine_state=compute.state_request("REPROVISION"))]
    plan = compute.do("Plan", m.PlanRequest(mutations=mutations), m.PlanReply)
    assert [(c.kind, m.PlannedChange.Effect.Name(c.effect)) for c in plan.changes] == [
        ("machine", "EFFECT_CHANGE"), ("machine-config", "EFFECT_CHANGE")]
    assert not plan.refusals and "v1:" not in str(plan) and compute.state() == "ACTIVE"
    applied = compute.do("Apply", m.ApplyRequest(mutations=mutations, reason="role", idempotency_key="order-3")).revision
    assert compute.do("Apply", m.ApplyRequest(mutations=mutations, reason="role", idempotency_key="order-3")).revision == applied
    assert compute.state() == "REPROVISION" and compute.machine().wipe_pending
    assert "wipe" in boot(agent)[1]
    assert "wipe" not in boot(agent)[1]
    assert ask(agent, f"/v1/config/{UUID}")[1] == CONTROL_PLANE
    assert compute.state() == "PROVISIONING"

    # Rescue, and back.
    compute.set_state("MAINTENANCE")
    assert boot(agent)[0] == 200 and ask(agent, f"/v1/config/{UUID}")[0] == 404
    compute.set_state("ACTIVE")

    # The end: erased, proved, forgotten. Whoever watched from the beginning saw all of it.
    code, why = compute.refusal("ReportErased", m.ReportErasedRequest(name="x", proof="too early"))
    assert code == grpc.StatusCode.FAILED_PRECONDITION and 'has no "erased"' in why
    compute.set_state("DECOMMISSION")
    assert boot(agent)[0] == 200
    assert compute.machine().erase.fetched.seconds and not compute.machine().erase.proof
    compute.do("ReportErased", m.ReportErasedRequest(name="x", proof="certificate 7"))
    assert compute.machine().erase.proof == "certificate 7"
    last = compute.do("DeleteMachine", m.NameRequest(name="x")).revision
    states, watched = [], []
    for change in changes:
        watched.append(change.revision)
        if change.revision == last:
            assert change.deleted
            break
        state = json.loads(change.value_json)["state"]
        states += [state] if state not in states[-1:] else []
    assert states == ["active", "reprovision", "provisioning", "maintenance", "active", "decommission"]
    changes.cancel()

    # A watch goes on where another one ended.
    resumed = compute.watch(watched[3])
    assert [next(resumed).revision for _ in watched[4:]] == watched[4:]
    resumed.cancel()


def test_a_machine_that_nobody_knows_is_listed_and_accepted(agent, compute):
    m = compute.m
    stranger = "6e657474-0000-4000-8000-00000000d002"
    assert boot(agent, stranger)[0] == 404

    def seen():
        reply = compute.do("ListUnknownMachines", m.ListRequest(), m.ListUnknownMachinesReply)
        return [machine for machine in reply.machines if machine.id == stranger]
    wait.until("the stranger is listed", seen, 10, every=0.1)
    assert seen()[0].tenant == "t" and seen()[0].source == "::1"
    compute.do("AcceptUnknownMachine", m.AcceptUnknownMachineRequest(id=stranger.upper(), name="stranger", reason="it is ours"))
    assert compute.machine("stranger").uuid == stranger and not seen()


def test_a_machine_that_is_late_is_held_and_released(agent, compute):
    m = compute.m
    slow = "6e657474-0000-4000-8000-00000000d003"
    deadline = m.StateDeadline(state=m.MachineState.Value("MACHINE_STATE_PROVISIONING"), seconds=1)
    compute.do("PutProfile", m.PutProfileRequest(profile=m.Profile(tenant="t", name="slow", deadlines=[deadline])))
    compute.do("PutMachine", compute.machine_request(WORKER, name="slow", uuid=slow, macs=[], profile="slow"))
    assert boot(agent, slow)[0] == 200
    reason = "in state provisioning for longer than 1 s"
    wait.until("the machine is held", lambda: compute.machine("slow").hold.reason == reason, 10, every=0.1)
    assert boot(agent, slow)[0] == 404
    assert any(row["name"] == "slow" and row["held"] == reason for row in agent.show("show machines"))
    compute.do("PutProfile", m.PutProfileRequest(profile=m.Profile(tenant="t", name="slow")))
    compute.do("ReleaseMachine", m.NameRequest(name="slow"))
    assert boot(agent, slow)[0] == 200


def test_lists_have_pages_and_a_plan_of_many_is_one_revision(agent, compute):
    m = compute.m
    names = [f"p{index:04}" for index in range(1200)]
    for start in range(0, len(names), 200):
        mutations = [m.Mutation(put_machine=compute.machine_request(
            name=name, uuid="", macs=[f"02:00:00:00:{int(name[1:]) // 256:02x}:{int(name[1:]) % 256:02x}"]))
            for name in names[start:start + 200]]
        applied = compute.api.call("Inventory/Apply", m.ApplyRequest(mutations=mutations), m.MutationReply, within=60).revision
        assert {compute.machine(name).revision for name in names[start:start + 200]} == {applied}
    assert set(names) <= set(compute.list_machines()[0])
    assert set(names) <= {row["name"] for row in agent.show("show machines")}, "the shell stops at no page"


def test_a_watch_that_the_change_log_does_not_reach_back_to_says_so(compute):
    big = b"#" * 1_000_000
    for _ in range(60):  # of 1.4 MB each, sealed: more than the log's 64 MiB
        compute.do("PutMachine", compute.machine_request(big, name="p0000", uuid="", macs=["02:00:00:00:00:00"]))
    with pytest.raises(grpc.RpcError) as caught:
        next(compute.watch(1))
    assert caught.value.code() == grpc.StatusCode.FAILED_PRECONDITION
    assert "list the records, then go on from revision" in caught.value.details()
