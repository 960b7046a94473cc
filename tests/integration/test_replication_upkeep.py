"""The life of a cluster: another version beside this one, a plan too large for etcd, a backup of everything and its restore."""

import json
import os
import shutil
import subprocess

import grpc
import pytest

from tests.lab import api, wait
from tests.lab.etcd import Server, raised_cluster, raised_servers

UUID = "6e657474-0000-4000-8000-0000d0000001"
RECORD = "/nett/state/record/machine/m"
WIPE = "talos.experimental.wipe"


@pytest.fixture(scope="module")
def servers(build, tmp_path_factory):
    """Two, on an etcd with etcd's own limits; with tenant t, set s and machine m."""
    prefix = os.environ.get("NETT_LAB_PREFIX", "nettest-") + "u-"
    folder = tmp_path_factory.mktemp("upkeep")
    (folder / "etcd").mkdir()
    with (raised_cluster(prefix, folder / "etcd", limits=()) as cluster,
          raised_servers(lambda number, first: Server(build, folder / str(number), cluster, number, first), (1, 2)) as made):
        made[1].add_tenant("t")
        made[1].add_set("s", b"kernel", b"initramfs")
        made[1].add_machine("m", "t", "s", "version: v1alpha1\n", "--uuid", UUID)
        yield list(made.values())


def test_a_newer_server_s_members_are_ignored_and_its_format_is_refused(servers):
    one, two = servers
    cluster = one.cluster
    # A newer server writes a record with members, and a record of a kind, that this version does not know.
    head, _, record = cluster.client("get", "--print-value-only", RECORD).strip("\n").partition("\n")
    newer = {**json.loads(record), "kernel_args": "from-newer", "of_a_newer_version": {"deep": [1, 2]}}
    cluster.client("put", RECORD, f"{head}\n{json.dumps(newer)}")
    cluster.client("put", "/nett/state/record/newer-kind/x", '{"indexes":[]}\n{"version":9}')
    for server in servers:
        wait.until(f"{server.name} has the newer record", lambda s=server: s.machine("m")["kernel_args"] == "from-newer", 20, every=0.2)
    status, script = two.boot(UUID)
    assert status == 200 and "from-newer" in script
    # And what this version writes is read there: an unknown member costs nothing.
    assert one.try_shell("machine m state active")[0] == 0
    # A change that could not be ignored raises the format.
    two.process.stop()
    meta = json.loads(cluster.client("get", "--print-value-only", "/nett/meta"))
    cluster.client("put", "/nett/meta", json.dumps({**meta, "format": meta["format"] + 1}))
    two.start()
    wait.until("it does not join", lambda: two.replication()["role"] == "outside", 30, every=0.2)
    assert "the cluster's format is 2, this nettd knows up to 1: upgrade nettd on this server" in two.replication()["error"]
    code, text = two.try_shell("machine m state reprovision")
    assert code != 0 and "upgrade nettd" in text
    assert two.boot(UUID)[0] == 404  # as its copy says: active
    cluster.client("put", "/nett/meta", json.dumps(meta))
    two.wait_member()


def test_a_plan_that_is_too_large_for_etcd_is_refused_whole(servers, tmp_path):
    messages = api.messages(tmp_path / "proto")
    calls = api.Api(servers[0], messages)
    machines = [messages.Machine(name=f"p{i}", tenant="t", artifact_set="s", uuid=f"6e657474-0000-4000-8000-0000d0001{i:03x}")
                for i in range(100)]
    plan = [messages.Mutation(put_machine=messages.PutMachineRequest(machine=machine, config=b"x: y\n")) for machine in machines]

    def apply(mutations):
        calls.call("Inventory/Apply", messages.ApplyRequest(mutations=mutations, reason="test"), messages.MutationReply, 30)

    with pytest.raises(grpc.RpcError) as refused:
        apply(plan)
    assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert "--max-txn-ops=8192" in refused.value.details(), refused.value.details()
    assert {machine["name"] for machine in servers[0].show("show machines")} == {"m"}
    for begin in range(0, len(plan), 10):
        apply(plan[begin:begin + 10])
    wait.until("all are there", lambda: len(servers[1].show("show machines")) == 101, 20, every=0.2)
    calls.close()


def restore(build, *words):
    done = subprocess.run([build.program("nett-restore"), *map(str, words)], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_backup_of_one_server_brings_the_whole_cluster_back(servers, build, tmp_path):
    """As docs/replication.md says it, after the loss of every server and every member."""
    one, two = servers
    cluster = one.cluster
    assert one.try_shell("machine m state reprovision")[0] == 0  # it is active
    archive = tmp_path / "backup.tar"
    wait.until("the other has it", lambda: two.machine("m")["state"] == "reprovision", 20, every=0.1)
    two.shell(f"backup {archive}")
    # What came after the backup is lost, with everything.
    one.add_tenant("later")
    for server in servers:
        server.process.kill()
        for file in server.folder.glob("state.db*"):
            file.unlink()
    for number, member in cluster.members.items():
        member.kill()
        shutil.rmtree(cluster.folder / f"data{number}")
    cluster.raise_all()
    # One server from the archive, for itself at first; then into the empty etcd.
    restore(build, archive, "--detach")
    two.start()
    wait.until("it says what to do", lambda: "state migrate in" in two.replication()["error"], 30, every=0.2)
    code, text = two.try_shell("state migrate in")
    assert code == 0, text
    two.wait_member()
    one.start()
    one.wait_member()
    for server in servers:
        assert server.machine("m")["state"] == "reprovision"
        assert [tenant["name"] for tenant in server.show("show tenants")] == ["t"]
    answers = [server.boot(UUID) for server in servers]
    assert [WIPE in script for _, script in answers] == [True, False], answers
