"""How fast an anycast address leaves the fabric when something fails, and what a client notices of it.

Usage: bench/run anycast [--build FOLDER] [--runs N] [--only NAME...]

The lab is that of the integration tests: FRR on two ToRs and two metadata hosts, in network namespaces. Each figure is the median of
the runs, from the event to the moment at which the kernel of a ToR has lost the route (`ip monitor`). ExaBGP's healthcheck (Debian's
package exabgp) is one more neighbor of the same ToR; it runs the same check program at the same interval, and the two take turns, so that
other work on the machine disturbs both alike. Both withdraw after one failed check and announce after one good one.
"""

import argparse
import json
import os
import pathlib
import random
import signal
import statistics
import subprocess
import sys
import time

SOURCE = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(SOURCE))

from bench.anycast import world as lab_world  # noqa: E402  (after the path is set)
from bench.anycast.world import EXABGP, EXABGP_ADDRESS, HOME, INTERVAL, LEASE, OTHER, Client, World  # noqa: E402
from tests.lab import fabric, frr, story, wait  # noqa: E402
from tests.lab.build import Build  # noqa: E402

PROGRAMS = ("agent/nettd", "agent/cli/nettsh", "builder/talos-fabric-builder",
            *(f"plugins/{name}/nett-{name}.so" for name in ("ra", "metadata", "bgp-anycast", "redfish")))
SETTLE = 1.0  # seconds after a failover in which requests still count for it


def optimized_build(folder):
    if not (folder / "build.ninja").exists():
        subprocess.run(["meson", "setup", folder, SOURCE, "--buildtype=plain", "-Doptimization=2", "-Dtests=false"], check=True,
                       stdout=subprocess.DEVNULL)
    subprocess.run(["ninja", "-C", folder, *PROGRAMS], check=True, stdout=subprocess.DEVNULL)
    return folder


def gone(address):
    return lambda line: line.startswith("Deleted ") and line.split()[1] == address


class Bench:
    def __init__(self, world, runs):
        self.world, self.runs = world, runs
        self.rows, self.result = [], {"runs": runs}

    def record(self, key, what, values, unit="ms"):
        median = statistics.median(values)
        self.result[key] = round(median, 1)
        line = f"{what:64} {median:8.1f} {min(values):8.1f} {max(values):8.1f}  {unit}"
        self.rows.append(line)
        print(line, flush=True)

    def _fail_once(self, name, address):
        """One failed check: (event → route gone, the check's first no → route gone), in seconds."""
        world = self.world
        world.failed[name].write_text("", encoding="ascii")
        time.sleep(random.uniform(0, INTERVAL))  # any moment between two checks
        begun = time.time()
        world.flag[name].unlink()
        lost = world.routes.wait(f"{address} gone", gone(address), begun)
        noticed = float(world.failed[name].read_text(encoding="ascii").split()[0])
        world.flag[name].touch()
        world.wait_route(address)
        return lost - begun, lost - noticed

    def fail(self):
        mine, theirs = [], []
        for _ in range(self.runs):
            mine.append(self._fail_once(HOME, frr.META))
            theirs.append(self._fail_once(EXABGP, EXABGP_ADDRESS))
        self.record("fail_ms", "a local check fails → route gone, nett", [1000 * total for total, _ in mine])
        self.record("exabgp_fail_ms", "  the same, ExaBGP", [1000 * total for total, _ in theirs])
        self.record("fail_extra_ms", "  of it after the check said no, nett", [1000 * extra for _, extra in mine])
        self.record("exabgp_fail_extra_ms", "  the same, ExaBGP", [1000 * extra for _, extra in theirs])

    def kill(self):
        mine, theirs = [], []
        world = self.world
        for _ in range(self.runs):
            begun = time.time()
            os.kill(world.home.process.pid, signal.SIGKILL)
            mine.append(1000 * (world.routes.wait("route gone", gone(frr.META), begun) - begun))
            world.home.kill()
            world.home.start()
            world.wait_route(frr.META)
            begun = time.time()
            os.kill(world.exabgp.pid, signal.SIGKILL)
            theirs.append(1000 * (world.routes.wait("route gone", gone(EXABGP_ADDRESS), begun) - begun))
            world.exabgp.kill()
            world.start_exabgp()
            world.wait_route(EXABGP_ADDRESS)
        self.record("kill_ms", "agent SIGKILL → route gone, nett", mine)
        self.record("exabgp_kill_ms", "  the same, ExaBGP", theirs)

    def hang(self):
        values, world = [], self.world
        for _ in range(self.runs):
            begun = time.time()
            world.home.process.signal(signal.SIGSTOP)
            values.append(1000 * (world.routes.wait("route gone", gone(frr.META), begun) - begun - LEASE))
            world.home.process.signal(signal.SIGCONT)
            world.wait_route(frr.META)
        self.record("hang_extra_ms", f"agent SIGSTOP → route gone, beyond the lease of {LEASE} s", values)

    def bgpd(self):
        values, world = [], self.world
        instance = world.fabric.frr[HOME]
        for _ in range(self.runs):
            begun = time.time()
            instance.kill("bgpd")
            values.append(1000 * (world.routes.wait("route gone", gone(frr.META), begun) - begun))
            instance.start_daemon("bgpd")
            world.wait_route(frr.META)
        self.record("bgpd_kill_ms", "bgpd killed → route gone", values)

    def cut(self):
        values, world = [], self.world
        for _ in range(self.runs):
            wait.until("BFD is up", lambda: self._bfd_up(), within=30)
            begun = time.time()
            world.cut_off(HOME)
            values.append(1000 * (world.routes.wait("route gone", gone(frr.META), begun) - begun))
            world.join_again(HOME)
            world.wait_route(frr.META)
        self.record("bfd_cut_ms", "host cut off, BFD 3 x 100 ms → route gone", values)

    def _bfd_up(self):
        peers = self.world.fabric.frr["tor-a"].vtysh_json("show bfd peers")
        return any(peer["interface"] == f"fab-{HOME}" and peer["status"] == "up" for peer in peers)

    def requests(self):
        world = self.world
        world.agents[OTHER].start()
        story.register_tenant(world.agents[OTHER])
        story.wait_anycast(world.fabric, within=60)
        client = Client(world)
        try:
            wait.until("the client gets answers",
                       lambda: any(outcome == "ok" for _, _, outcome in client.requests(time.time() - 1, time.time())), within=20)
            self._lost("requests_lost", "requests lost, a local check fails", client, self._fail_home, self._heal_home)
            self._lost("requests_lost_kill", "requests lost, agent SIGKILL", client, world.home.kill, world.home.start)
            self._lost("requests_lost_maintenance", "requests lost, maintenance (drained first)", client, self._maintain,
                       lambda: world.home.nettsh("anycast resume"))
        finally:
            client.close()

    def _fail_home(self):
        self.world.flag[HOME].unlink()

    def _heal_home(self):
        self.world.flag[HOME].touch()

    def _maintain(self):
        self.world.home.nettsh("anycast maintenance bench")

    def _lost(self, key, what, client, event, repair):
        lost, slow, asked = [], [], []
        for _ in range(self.runs):
            begun = time.time()
            event()
            wait.until(f"both ToRs have moved to {OTHER}",
                       lambda: all(self.world.fabric.anycast_next_hop(tor) == f"fab-{OTHER}" for tor in fabric.TORS), within=20)
            end = time.time() + SETTLE
            # A request that hangs is known only when it has ended.
            wait.until("the client has gone on", lambda e=end: client.requests(e, e + 60), within=20)
            seen = client.requests(begun - 0.1, end)
            lost.append(sum(outcome != "ok" for _, _, outcome in seen))
            slow.append(1000 * max(took for _, took, _ in seen))
            asked.append(len(seen))
            repair()
            story.wait_anycast(self.world.fabric, within=60)
        self.record(key, f"{what} (of about {statistics.median(asked):.0f})", lost, "requests")
        self.result[f"{key}_total"] = sum(lost)
        self.record(f"{key}_slowest_ms", "  the slowest request of a failover", slow)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", type=pathlib.Path)
    parser.add_argument("--runs", type=int, default=30)
    names = ("fail", "kill", "hang", "bgpd", "cut", "requests")
    parser.add_argument("--only", nargs="+", choices=names, default=names)
    options = parser.parse_args()
    build = Build(options.build or os.environ.get("NETT_BUILD") or optimized_build(SOURCE / "build" / "bench"))
    with fabric.Lab(os.environ.get("NETT_LAB_PREFIX", "nettbench-"), build.environment()) as lab:
        world = World(lab, build)
        try:
            world.wait_route(frr.META)
            world.wait_route(EXABGP_ADDRESS)
            print(f"median, least and most of {options.runs} runs, load average {os.getloadavg()[0]:.1f}; interval {INTERVAL:.0f} s")
            bench = Bench(world, options.runs)
            for name in options.only:
                getattr(bench, name)()
        finally:
            world.close()
    bench.result["load_average"] = round(os.getloadavg()[0], 1)
    print(lab_world.show(bench.result))


if __name__ == "__main__":
    main()
