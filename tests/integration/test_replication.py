"""Three servers, one state: real etcd members with mutual TLS, agents that are killed, cut off and frozen."""

import concurrent.futures
import itertools
import os
import signal
import subprocess

import pytest

from tests.lab import wait
from tests.lab.etcd import Server, raised_cluster, raised_servers

NUMBERS = itertools.count(1)
WIPE = "talos.experimental.wipe"
SERVERS = (1, 2, 3)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    with raised_cluster(os.environ.get("NETT_LAB_PREFIX", "nettest-") + "r-", tmp_path_factory.mktemp("etcd")) as made:
        yield made


@pytest.fixture(scope="module")
def raised(build, cluster, tmp_path_factory):
    folder = tmp_path_factory.mktemp("servers")
    with raised_servers(lambda number, first: Server(build, folder / str(number), cluster, number, first), SERVERS) as servers:
        servers[1].add_tenant("t")
        servers[1].add_set("s", b"kernel", b"initramfs")
        yield servers


@pytest.fixture
def servers(raised, cluster):
    """All well when the test begins, and again when it has ended."""
    yield raised
    cluster.raise_all()
    for server in raised.values():
        server.mend()
        if not server.process.running():
            server.start()
        server.process.signal(signal.SIGCONT)
        server.wait_member()


@pytest.fixture
def register(raised):
    def make(at=1):
        number = next(NUMBERS)
        uuid = f"6e657474-0000-4000-8000-0000b000{number:04x}"
        raised[at].add_machine(f"m{number}", "t", "s", "version: v1alpha1\n", "--uuid", uuid)
        return f"m{number}", uuid
    return make


def state_of(server, machine):
    return server.show(f"show machine {machine}")["state"]


def has_machine(server, machine):
    return any(one["name"] == machine for one in server.show("show machines"))


def everywhere(servers, condition, what, within=20):
    for server in servers.values():
        wait.until(f"{server.name}: {what}", lambda one=server: condition(one), within, every=0.1)


def test_what_one_server_stores_every_server_boots(servers, register):
    machine, uuid = register(at=2)
    everywhere(servers, lambda one: has_machine(one, machine), f"{machine} is there")
    status, script = servers[3].boot(uuid)
    assert status == 200, script
    everywhere(servers, lambda one: state_of(one, machine) == "provisioning", "it is being provisioned")
    revisions = {one.replication()["revision"] for one in servers.values()}
    assert len(revisions) == 1, revisions


def test_a_wipe_is_served_once_when_three_servers_are_asked_at_once(servers, register):
    for _ in range(5):
        machine, uuid = register()
        everywhere(servers, lambda one, name=machine: has_machine(one, name), "it is there")
        assert servers[1].boot(uuid)[0] == 200
        for word in ("active", "reprovision"):
            status, text = servers[2].try_shell(f"machine {machine} state {word}")
            assert status == 0, text
        everywhere(servers, lambda one, name=machine: state_of(one, name) == "reprovision", "it is to be wiped")
        with concurrent.futures.ThreadPoolExecutor(len(servers)) as pool:
            answers = list(pool.map(lambda one, asked=uuid: one.boot(asked), servers.values()))
        assert [WIPE in script for _, script in answers].count(True) == 1, answers


def test_without_a_quorum_boots_go_on_and_nothing_that_needs_a_write_is_served(servers, cluster, register):
    installed, installed_uuid = register()
    fresh, fresh_uuid = register()
    everywhere(servers, lambda one: has_machine(one, fresh), "it is there")
    assert servers[1].boot(installed_uuid)[0] == 200
    everywhere(servers, lambda one: state_of(one, installed) == "provisioning", "it is being provisioned")
    cluster.kill(1, 2)
    everywhere(servers, lambda one: not one.replication()["etcd_answers"], "etcd does not answer", within=30)
    for server in servers.values():
        status, script = server.boot(installed_uuid)
        assert status == 200 and WIPE not in script  # as its state says; no write is needed
        assert server.boot(fresh_uuid)[0] == 404  # the disk is the safe default
        code, text = server.try_shell(f"machine {installed} state active")
        assert code != 0 and "quorum" in text, text
        refused = [event for event in server.show("show events") if event["type"] == "machine.refused" and event["subject"] == fresh]
        assert refused and "quorum" in refused[-1]["message"], refused
        assert server.lag() == ("failed", "shared") or server.replication()["age_ms"] < 7000
    cluster.raise_all()
    everywhere(servers, lambda one: one.replication()["etcd_answers"], "etcd answers", within=30)
    wait.until("the machine is served", lambda: servers[2].boot(fresh_uuid)[0] == 200, 30, every=0.5)
    everywhere(servers, lambda one: state_of(one, fresh) == "provisioning", "it is being provisioned")


def test_one_member_less_is_not_noticed(servers, cluster, register):
    using = next(number for number in (1, 2, 3) if f":e::{number}]" in servers[1].replication()["member"])
    for harm in (cluster.kill, cluster.freeze):
        harm(using)
        machine, uuid = register()
        assert servers[1].boot(uuid)[0] == 200
        everywhere(servers, lambda one, name=machine: has_machine(one, name) and state_of(one, name) == "provisioning", "it is known")
        cluster.raise_all()


def test_a_killed_server_goes_on_where_it_was(servers, register):
    servers[3].process.kill()
    machine, uuid = register()
    servers[3].start()
    servers[3].wait_member()
    wait.until("the copy has it", lambda: has_machine(servers[3], machine), 20, every=0.1)
    assert servers[3].replication()["snapshots"] == 0
    assert servers[3].boot(uuid)[0] == 200


def test_a_server_whose_next_revision_was_compacted_takes_the_difference(servers, cluster, register):
    gone, _ = register()
    everywhere(servers, lambda one: has_machine(one, gone), "it is there")
    servers[3].process.kill()
    machine, uuid = register()
    code, text = servers[1].try_shell(f"machine {gone} delete")
    assert code == 0, text
    cluster.compact()
    servers[3].start()
    servers[3].wait_member()
    wait.until("the copy has it", lambda: has_machine(servers[3], machine), 20, every=0.1)
    assert servers[3].replication()["snapshots"] == 1
    assert not has_machine(servers[3], gone)
    assert servers[3].boot(uuid)[0] == 200


def test_a_server_that_is_cut_off_is_less_preferred_and_comes_back(servers, register):
    servers[2].cut()
    wait.until("its copy is too old", lambda: servers[2].lag() == ("failed", "shared"), 40, every=0.3)
    assert servers[1].lag()[0] == "ok"
    machine, _ = register()
    assert not has_machine(servers[2], machine)
    servers[2].mend()
    wait.until("its copy is fresh", lambda: servers[2].lag()[0] == "ok", 40, every=0.3)
    assert has_machine(servers[2], machine)


def test_a_server_that_was_frozen_catches_up(servers, register):
    servers[2].process.signal(signal.SIGSTOP)
    machine, _ = register()
    wait.until("the others see that it is gone", lambda: "gw-2" not in {one["name"] for one in servers[1].replication()["servers"]}, 40,
               every=0.3)
    servers[2].process.signal(signal.SIGCONT)
    wait.until("the copy has it", lambda: has_machine(servers[2], machine), 40, every=0.3)


def test_an_order_that_a_stale_copy_takes_for_done_is_not_acknowledged(servers, register):
    """A server that is behind has the machine in the wanted state already; the cluster has not."""
    machine, _ = register()
    everywhere(servers, lambda one: has_machine(one, machine), "it is there")
    assert servers[1].try_shell(f"machine {machine} state active")[0] == 0
    everywhere(servers, lambda one: state_of(one, machine) == "active", "it is active")
    servers[2].cut()
    assert servers[1].try_shell(f"machine {machine} state reprovision")[0] == 0
    assert state_of(servers[2], machine) == "active"
    code, text = servers[2].try_shell(f"machine {machine} state active")
    assert code != 0 and "etcd" in text, text


def test_nothing_acknowledged_is_lost_while_members_and_servers_are_killed(servers, cluster):
    acknowledged = []
    for turn in range(6):
        writer = servers[SERVERS[turn % 2]]
        for number in range(5):
            name = f"k{turn}-{number}"
            done = subprocess.run([writer.build.program("talos-fabric-builder"), "--server", f"unix:{writer.socket}", "tenant", "add", name,
                                   "--common-name", f"{name}.example"], capture_output=True, text=True, timeout=60, check=False)
            if done.returncode == 0:
                acknowledged.append(name)
            if number == 2:
                cluster.kill(turn % 3 + 1)
                servers[3].process.kill()
        servers[3].start()
        cluster.raise_all()
    assert len(acknowledged) >= 20, acknowledged
    servers[3].wait_member()
    wanted = set(acknowledged)
    everywhere(servers, lambda one: wanted <= {tenant["name"] for tenant in one.show("show tenants")}, "every tenant is there")


def test_the_state_moves_in_and_out(build, cluster, tmp_path_factory, raised):
    folder = tmp_path_factory.mktemp("alone") / "4"
    alone = Server(build, folder, cluster, 4, raised[1])
    try:
        alone.configure(shared=False)
        alone.start()
        alone.builder("tenant", "add", "own", "--common-name", "own.example")
        assert alone.replication() == {"role": "alone"}
        alone.process.stop()
        # Another prefix is another cluster: one that is empty.
        alone.configure()
        config = folder / "nett.conf"
        config.write_text(config.read_text(encoding="utf-8").replace("state max-lag", "state prefix /fourth\nstate max-lag"), encoding="utf-8")
        alone.start()
        wait.until("it says what to do", lambda: "state migrate in" in alone.replication()["error"], 20, every=0.2)
        assert [tenant["name"] for tenant in alone.show("show tenants")] == ["own"]
        code, text = alone.try_shell("state migrate in")
        assert code == 0, text
        alone.wait_member()
        assert cluster.keys("/fourth/state/record/tenant/") == ["/fourth/state/record/tenant/own"]
        alone.builder("tenant", "add", "two", "--common-name", "two.example")
        alone.process.stop()
        alone.configure(shared=False)
        alone.start()
        assert {tenant["name"] for tenant in alone.show("show tenants")} == {"own", "two"}
        code, text = alone.try_shell("state migrate out")
        assert code == 0, text
        alone.builder("tenant", "add", "three", "--common-name", "three.example")
    finally:
        alone.down()


def test_nothing_readable_of_a_secret_is_in_etcd(cluster, register):
    machine, _ = register()
    config = cluster.client("get", f"/nett/state/record/machine-config/{machine}")
    assert '"sealed":"v1:' in config and "v1alpha1" not in config, config
