"""10,000 machines boot at once through three servers that share one state.

Usage: bench/run storm [--build FOLDER] [--machines N] [--max-connections N]
       bench/run storm --faults SECONDS [--build FOLDER] [--seed N]

Three members of etcd and three agents, each in a namespace of its own, on this machine. The machines are of three sorts: new ones, which
are installed, and whose first boot each server stores in etcd before it answers; active ones, which boot their disks; and ones to be
wiped, which is stored too. Each has a TLS connection of its own (mutual, TLS 1.2, no resumption), all are opened at once, and each answer is
checked: its kind, and that it is this machine's. What is shed comes back when it was told to, what is cut off a little later each time; who
left before it could read its wipe is installed the next time (`wipes_unread`), because a wipe is served once. CPU time is that of the agents and of
etcd. Without --build an optimized build is made in build/bench.

--faults: the storm of tests/integration/test_storm.py for so long, with faults in random order, and the checker's verdict.
"""

import argparse
import contextlib
import json
import pathlib
import random
import resource
import shutil
import subprocess
import sys
import tempfile

from bench.common import SOURCE, build, cpu_seconds
from tests.lab import api
from tests.lab.build import PLUGINS, Build
from tests.lab.etcd import Server, raised_cluster, raised_servers
from tests.lab.storm import checker, history, run

PREFIX = "nettbench-"
TENANT, PROFILE, SET = "t", "storm", "s"
PORT = 8443
PLAN = 200  # machines a plan: below etcd's --max-txn-ops
SORTS = ("install", "install", "install", "install", "install", "install", "install", "disk", "disk", "wipe")
HOLD_SECONDS = 8  # of a fault in the long storm
TARGETS = ("agent/nettd", "agent/nett-restore", "agent/cli/nettsh", "builder/talos-fabric-builder", "bench/storm/boots",
           *(f"plugins/{name}/nett-{name}.so" for name in PLUGINS))


class StormServer(Server):
    """Also serves on its own address, so that machines can be spread over the servers."""

    max_connections = 4096

    def metadata_node(self, more="", server_address=True):
        own = (f" listen [2001:db8:e:{self.number}::2]:{PORT}\n max-connections {self.max_connections}\n"
               " max-connections-per-source 100000\n")
        return super().metadata_node(more + own, server_address)


class Bench:
    def __init__(self, arguments, folder):
        self.arguments, self.folder = arguments, folder
        self.cluster, self.servers, self.up = None, [], contextlib.ExitStack()

    def start(self):
        StormServer.max_connections = self.arguments.max_connections
        made = Build(self.arguments.build)
        (self.folder / "etcd").mkdir()
        self.cluster = self.up.enter_context(raised_cluster(PREFIX, self.folder / "etcd"))
        raised = raised_servers(lambda number, first: StormServer(made, self.folder / str(number), self.cluster, number, first))
        self.servers = list(self.up.enter_context(raised).values())
        self.servers[0].add_tenant(TENANT)
        self.servers[0].add_set(SET, b"kernel", b"initramfs")

    def register(self):
        """The file of machines for the client."""
        messages = api.messages(self.folder / "proto")
        calls = api.Api(self.servers[0], messages)
        call = lambda method, request: calls.call(f"Inventory/{method}", request, messages.MutationReply, 60)
        call("PutProfile", messages.PutProfileRequest(reason="storm", profile=messages.Profile(
            name=PROFILE, artifact_set=SET, boot_loop=messages.BootLoopLimit(boots=0, minutes=0))))
        sorts = {f"m{i}": SORTS[i % len(SORTS)] for i in range(self.arguments.machines)}
        uuid = {name: f"6e657474-0000-4000-8000-{0x1000000 + i:012x}" for i, name in enumerate(sorts)}

        def put(name):
            machine = messages.Machine(name=name, tenant=TENANT, uuid=uuid[name], profile=PROFILE, kernel_args=f"storm.machine={name}.")
            return messages.Mutation(put_machine=messages.PutMachineRequest(machine=machine, config=b"version: v1alpha1\n"))

        def state(which):
            return lambda name: messages.Mutation(set_machine_state=messages.SetMachineStateRequest(name=name, state=which))

        for make, names in ((put, list(sorts)), (state(messages.MACHINE_STATE_ACTIVE), [n for n in sorts if sorts[n] != "install"]),
                            (state(messages.MACHINE_STATE_REPROVISION), [n for n in sorts if sorts[n] == "wipe"])):
            for begin in range(0, len(names), PLAN):
                call("Apply", messages.ApplyRequest(mutations=[make(name) for name in names[begin:begin + PLAN]], reason="storm"))
        calls.close()
        path = self.folder / "machines"
        path.write_text("".join(f"/v1/boot/{uuid[name]} {sort} storm.machine={name}.\n" for name, sort in sorts.items()), encoding="ascii")
        return path

    def boot(self, machines):
        agents = [server.process.pid for server in self.servers]
        members = [member.pid for member in self.cluster.members.values()]
        before = cpu_seconds(agents), cpu_seconds(members)
        mine = self.servers[0].folder
        addresses = [word for number in (1, 2, 3) for word in ("--address", f"2001:db8:e:{number}::2")]
        done = subprocess.run(["ip", "netns", "exec", self.cluster.namespace, self.arguments.build / "bench/storm/boots", *addresses,
                               "--port", str(PORT), "--certificate", mine / f"{TENANT}.pem", "--key", mine / f"{TENANT}.key",
                               "--machines", machines], stdout=subprocess.PIPE, text=True, check=True)
        print("".join(line + "\n" for line in done.stdout.splitlines()[:-1]), end="")
        said = json.loads(done.stdout.splitlines()[-1])
        agents_cpu, etcd_cpu = cpu_seconds(agents) - before[0], cpu_seconds(members) - before[1]
        return {"machines": said["machines"], "answers_wrong": said["wrong"] + said["unanswered"], "shed": said["shed"],
                "connections_ended": said["ended"] + said["silent"], "wipes_unread": said["unread"],
                "p50_ms": said["p50_ms"], "p99_ms": said["p99_ms"], "last_ms": said["last_ms"],
                "cpu_seconds_agents": round(agents_cpu, 1), "cpu_seconds_etcd": round(etcd_cpu, 1),
                "boots_per_cpu_second": round(said["right"] / (agents_cpu + etcd_cpu), 1)}

    def stop(self):
        self.up.close()


def table(result):
    for name, value in result.items():
        print(f"{name:24} {value:>12}")


def boots(arguments, folder):
    bench = Bench(arguments, folder)
    try:
        bench.start()
        result = bench.boot(bench.register())
    finally:
        bench.stop()
    table(result)
    print(json.dumps(result))
    return 1 if result["answers_wrong"] else 0


def faults(arguments, folder):
    with run.storm_lab(PREFIX, Build(arguments.build)) as (world, more):
        storm = run.Storm(world, folder, api.messages(folder / "proto"), seed=arguments.seed, more_faults=more)
        storm.prepare()
        order = random.Random(arguments.seed)
        rounds = int(arguments.faults / HOLD_SECONDS / 1.5) + 1  # half as much again passes until all is well
        names = list(storm.faults)
        storm.run([name for _ in range(rounds // len(names) + 1) for name in order.sample(names, len(names))][:rounds], HOLD_SECONDS)
    findings, figures = checker.check(history.read(storm.history.path))
    if findings:
        kept = pathlib.Path(tempfile.gettempdir()) / "nett-storm-history.jsonl"
        shutil.copy(storm.history.path, kept)
        print("\n".join(findings), f"\nthe history: {kept}")
    result = {**figures, "findings": len(findings)}
    table(result)
    print(json.dumps(result))
    return 1 if findings else 0


def main():
    parser = argparse.ArgumentParser(prog="bench/run storm", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, help="a build folder to measure as it is (of option bench)")
    parser.add_argument("--machines", type=int, default=10_000)
    parser.add_argument("--max-connections", type=int, default=512, help="of each server; what is above it is shed")
    parser.add_argument("--faults", type=float, help="the storm of faults for so many seconds")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    if arguments.build is None:
        arguments.build = SOURCE / "build" / "bench"
        build(arguments.build, *TARGETS)
    arguments.build = arguments.build.resolve()
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with tempfile.TemporaryDirectory(prefix="nett-bench-") as folder:
        return (faults if arguments.faults else boots)(arguments, pathlib.Path(folder))


if __name__ == "__main__":
    sys.exit(main())
