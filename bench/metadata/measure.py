"""nett's metadata service and nginx, side by side on loopback, by the server's own CPU time.

Usage: bench/run metadata [--build FOLDER] [--rounds N] [--seconds S] [--only NAME...]

Both have one worker, the same certificates and the same TLS settings. They take turns in short rounds, and the medians count:
other work on the machine then disturbs both alike, and wall time counts for nothing. Without --build an optimized build is made in
build/bench. Needs nginx (Debian: nginx-light).
"""

import argparse
import json
import pathlib
import statistics
import sys
import tempfile

SOURCE = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(SOURCE))

from bench.common import build  # noqa: E402
from bench.metadata import servers  # noqa: E402  (after the path is set)
from bench.metadata.servers import Load  # noqa: E402

IDLE, SLOW = 10_000, 8_000
FEW, MANY = 100, 100_000
ASKED = 100  # machines, spread over all
ARTIFACT = 100 << 20


class Bench:
    def __init__(self, arguments, folder):
        self.arguments, self.folder = arguments, folder
        self.rounds, self.seconds = arguments.rounds, arguments.seconds
        self.load = Load(arguments.build / "bench/metadata/load", folder)
        self.nett = servers.Nett(arguments.build, arguments.tools or arguments.build, folder)
        self.nginx = None
        self.rows, self.result = [], {}

    def start(self):
        self.nett.start()
        self.nett.register(ARTIFACT)
        self.nginx = servers.Nginx(self.nett.folder, self.nett.script(), self.nett.artifact)

    def stop(self):
        self.nett.stop()
        if self.nginx:
            self.nginx.stop()

    def row(self, name, nett, nginx, ratio, unit):
        self.rows.append((name, nett, nginx, ratio, unit))
        print(f"{name:34} {nett:>12} {nginx:>12} {ratio:>7}  {unit}", flush=True)

    def throughput(self, mode, version, nett_path, nginx_path, connections, amount="good"):
        """Medians of what each server did in a second of its own CPU time."""
        done = {}
        for _ in range(self.rounds):
            for server, path in ((self.nett, nett_path), (self.nginx, nginx_path)):
                before = server.cpu_seconds()
                answer = self.load.run(mode, server.port, version, path, connections, self.seconds)
                spent = server.cpu_seconds() - before
                assert answer["good"] and answer["good"] == answer["answers"], (server.name, mode, answer)
                # The first of each connection has no session to resume.
                assert mode != "resumed" or answer["answers"] - answer["resumed"] <= connections < answer["resumed"], answer
                done.setdefault(server.name, []).append(answer[amount] / spent)
        return statistics.median(done["nett"]), statistics.median(done["nginx"])

    def compare(self, key, title, mode, versions=("1.2", "1.3"), connections=16):
        for version in versions:
            nett, nginx = self.throughput(mode, version, self.nett.boot_path, "/script", connections)
            ratio = nett / nginx
            self.row(f"{title}, TLS {version}", f"{nett:.0f}", f"{nginx:.0f}", f"{ratio:.2f}", "boot decisions | 1 KiB files per CPU second")
            self.result[key + ("" if version == "1.2" else "_tls13")] = round(ratio, 3)

    def full(self):
        self.compare("full_handshake_ratio", "full mTLS handshake", "full")

    def resumed(self):
        self.compare("resumed_ratio", "resumed", "resumed")

    def keepalive(self):
        self.compare("keepalive_ratio", "keep-alive", "keepalive")

    def artifact(self):
        nett, nginx = self.throughput("keepalive", "1.2", "/v1/artifacts/s/vmlinuz", "/vmlinuz", 4, amount="bytes")
        self.row("100 MiB over mTLS", f"{nett / 1e6:.0f}", f"{nginx / 1e6:.0f}", f"{nett / nginx:.2f}", "MB per CPU second")
        self.result["artifact_ratio"] = round(nett / nginx, 3)

    def idle(self):
        # An agent that has done nothing before: memory that an earlier measurement has freed would be taken again, and not be seen.
        fresh, load = self.beside()
        sizes = {}
        try:
            for server, load in ((fresh, load), (self.nginx, self.load)):
                before = server.memory_mib()
                with load.hold("idle", server.port, "1.2", "/", IDLE) as held:
                    assert held == IDLE, f"{server.name} held {held}"
                    sizes[server.name] = server.memory_mib() - before
        finally:
            fresh.stop()
        self.row(f"{IDLE} idle mTLS connections", f"{sizes['nett']:.0f}", f"{sizes['nginx']:.0f}",
                 f"{sizes['nett'] / sizes['nginx']:.2f}", "MiB more resident memory")
        self.result["idle_10k_mib"] = round(sizes["nett"], 1)
        self.result["idle_10k_mib_nginx"] = round(sizes["nginx"], 1)

    def beside(self):
        """A second agent that differs in one thing only; the two take turns, so that what else the machine does meets both alike."""
        folder = pathlib.Path(tempfile.mkdtemp(dir=self.folder))
        agent = servers.Nett(self.arguments.build, self.arguments.tools or self.arguments.build, folder)
        agent.start()
        agent.register(1 << 20)
        return agent, Load(self.arguments.build / "bench/metadata/load", folder)

    def slow(self):
        other, load = self.beside()
        try:
            def p99(load, agent):
                return load.run("keepalive", agent.port, "1.2", agent.boot_path, 1, self.seconds)["p99_us"]

            pairs = []
            with self.load.hold("slow", self.nett.port, "1.2", "/v1/artifacts/s/vmlinuz", SLOW) as held:
                assert held == SLOW, f"held {held}"
                for _ in range(self.rounds):
                    pairs.append((p99(self.load, self.nett), p99(load, other)))
                memory = self.nett.memory_mib()
        finally:
            other.stop()
        loaded, unloaded = (statistics.median(values) for values in zip(*pairs))
        self.row(f"boot p99 with {SLOW} slow readers", f"{loaded:.0f}", f"({unloaded:.0f})", f"{loaded / unloaded:.2f}",
                 f"µs, (without them, another agent in turn); {memory:.0f} MiB resident")
        self.result["slow_p99_ratio"] = round(loaded / unloaded, 2)

    def decision(self):
        other, load = self.beside()
        try:
            other.fill(FEW)
            self.nett.fill(MANY)

            def cost(load, agent, count):
                before = agent.cpu_seconds()
                answer = load.run("keepalive", agent.port, "1.2", agent.machine_paths(ASKED, count), 16, self.seconds)
                assert answer["good"] == answer["answers"] > 0, answer
                return (agent.cpu_seconds() - before) / answer["answers"] * 1e6

            pairs = [(cost(load, other, FEW), cost(self.load, self.nett, MANY)) for _ in range(self.rounds)]
        finally:
            other.stop()
        few, many = (statistics.median(values) for values in zip(*pairs))
        self.row(f"decision with {MANY} machines", f"{many:.1f}", f"({few:.1f})", f"{many / few:.2f}", f"µs CPU a request, (with {FEW})")
        self.result["decision_100k_ratio"] = round(many / few, 3)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, help="a build folder to measure as it is")
    parser.add_argument("--tools", type=pathlib.Path, help="another build folder for nettsh and talos-fabric-builder")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--only", nargs="*", default=["full", "resumed", "keepalive", "artifact", "idle", "slow", "decision"])
    arguments = parser.parse_args()
    if arguments.build is None:
        arguments.build = SOURCE / "build" / "bench"
        build(arguments.build, "agent/nettd", "plugins/metadata/nett-metadata.so", "agent/cli/nettsh", "builder/talos-fabric-builder",
              "bench/metadata/load")
    arguments.build = arguments.build.resolve()
    with tempfile.TemporaryDirectory(prefix="nett-bench-") as folder:
        bench = Bench(arguments, pathlib.Path(folder))
        try:
            bench.start()
            print(f"{'':34} {'nett':>12} {'nginx':>12} {'ratio':>7}")
            for name in arguments.only:
                getattr(bench, name)()
        finally:
            bench.stop()
    print(json.dumps(bench.result))


if __name__ == "__main__":
    main()
