"""How fast an anycast address leaves the fabric when something fails, and what a client notices of it.

Usage: bench/run anycast [--build FOLDER] [--runs N] [--only NAME...]

The last line has the medians: fail_extra_ms (after the check said no), kill_ms, hang_extra_ms (beyond the lease), exabgp_fail_ms (from the
failure, with the wait for the check), requests_lost (a local check fails). A run that fails is said, repaired and taken again; a figure that
could not be taken is null, and the exit status 1.

The lab is that of the integration tests: FRR on two ToRs and two metadata hosts, in network namespaces. Each figure is the median of
the runs, from the event to the moment at which the kernel of a ToR has lost the route (`ip monitor`). ExaBGP's healthcheck (Debian's
package exabgp) is one more neighbor of the same ToR; it runs the same check program at the same interval, and the two take turns, so that
other work on the machine disturbs both alike. Both withdraw after one failed check and announce after one good one.
"""

import argparse
import contextlib
import functools
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

from bench.anycast.world import EXABGP, EXABGP_ADDRESS, EXABGP_OTHER, HOME, INTERVAL, LEASE, World  # noqa: E402  (after the path is set)
from tests.lab import fabric, frr, story, wait  # noqa: E402
from tests.lab.build import PLUGIN_MODULES, PROGRAMS, Build  # noqa: E402

SETTLE = 1.0  # seconds after a failover in which requests still count for it
KEYS = ("fail_extra_ms", "kill_ms", "hang_extra_ms", "exabgp_fail_ms", "requests_lost")
MOST_FAILURES = 10  # of a stage's runs; more say that the lab is not fit for it
# What a run that hangs or breaks ends with: deadlines of waits, commands and programs.
FAILURES = (AssertionError, OSError, RuntimeError, LookupError, ValueError, subprocess.SubprocessError)


def optimized_build(folder):
    if not (folder / "build.ninja").exists():
        subprocess.run(["meson", "setup", folder, SOURCE, "--buildtype=plain", "-Doptimization=2", "-Dtests=false"], check=True,
                       stdout=subprocess.DEVNULL)
    subprocess.run(["ninja", "-C", folder, *PROGRAMS.values(), *PLUGIN_MODULES.values()], check=True, stdout=subprocess.DEVNULL)
    return folder


def gone(address):
    return lambda line: line.startswith("Deleted ") and line.split()[1] == address


class StageFailed(Exception):
    """Too many runs failed: the lab or the machine is not fit for this figure."""


class Bench:
    def __init__(self, world, runs):
        self.world, self.runs = world, runs
        self.result = {key: None for key in KEYS}

    def record(self, key, what, values, unit="ms"):
        self.result[key] = round(statistics.median(values), 1)
        print(f"{what:64} {statistics.median(values):8.1f} {min(values):8.1f} {max(values):8.1f}  {unit}", flush=True)

    def take(self, *parts):
        """The parts in turn, self.runs times; what each returned. One that fails is taken again, after a repair."""
        taken = [[] for _ in parts]
        left = MOST_FAILURES
        for _ in range(self.runs):
            for values, part in zip(taken, parts):
                while True:
                    try:
                        values.append(part())
                        break
                    except FAILURES as error:
                        left -= 1
                        print(f"# a run failed and is taken again: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
                        if left < 0:
                            raise StageFailed(f"too many runs failed, the last by: {error}") from error
                        self.world.repair()
        return taken

    def gone_after(self, address, event, since=0.0):
        """Milliseconds from the event until the peer's kernel has no route any more."""
        begun = time.time()
        event()
        return 1000 * (self.world.routes.wait(f"{address} gone", gone(address), begun) - begun - since)

    def _fail_once(self, name, address):
        """One failed check: (event → route gone, the check's first no → route gone), in milliseconds."""
        world = self.world
        world.failed[name].write_text("", encoding="ascii")
        time.sleep(random.uniform(0, INTERVAL))  # any moment between two checks
        begun = time.time()
        total = self.gone_after(address, world.flag[name].unlink)
        noticed = float(world.failed[name].read_text(encoding="ascii").split()[0])
        world.flag[name].touch()
        world.wait_route(address)
        return total, total - 1000 * (noticed - begun)

    def fail(self):
        mine, theirs = self.take(lambda: self._fail_once(HOME, frr.META), lambda: self._fail_once(EXABGP, EXABGP_ADDRESS))
        self.record("fail_ms", "a local check fails → route gone, nett", [total for total, _ in mine])
        self.record("exabgp_fail_ms", "  the same, ExaBGP", [total for total, _ in theirs])
        self.record("fail_extra_ms", "  of it after the check said no, nett", [extra for _, extra in mine])
        self.record("exabgp_fail_extra_ms", "  the same, ExaBGP", [extra for _, extra in theirs])

    def kill(self):
        world = self.world

        def mine():
            took = self.gone_after(frr.META, lambda: os.kill(world.home.process.pid, signal.SIGKILL))
            world.home.kill()
            world.home.start()
            world.wait_route(frr.META)
            return took

        def theirs():
            took = self.gone_after(EXABGP_ADDRESS, lambda: os.kill(world.exabgp[EXABGP].pid, signal.SIGKILL))
            world.restart_exabgp()
            world.wait_route(EXABGP_ADDRESS)
            return took

        values, foreign = self.take(mine, theirs)
        self.record("kill_ms", "agent SIGKILL → route gone, nett", values)
        self.record("exabgp_kill_ms", "  ExaBGP SIGKILL, which is its BGP speaker too", foreign)

    def hang(self):
        def part(process, address, since):
            took = self.gone_after(address, lambda: process().signal(signal.SIGSTOP), since)
            process().signal(signal.SIGCONT)
            self.world.wait_route(address)
            return took

        values, foreign = self.take(lambda: part(lambda: self.world.home.process, frr.META, LEASE),
                                    lambda: part(lambda: self.world.exabgp[EXABGP], EXABGP_ADDRESS, 0))
        self.record("hang_extra_ms", f"agent SIGSTOP → route gone, beyond the lease of {LEASE} s", values)
        self.record("exabgp_hang_ms", "  ExaBGP SIGSTOP → route gone (BGP hold time 3 s)", foreign)

    def bgpd(self):
        world = self.world

        def part():
            took = self.gone_after(frr.META, lambda: world.fabric.frr[HOME].kill("bgpd"))
            world.fabric.frr[HOME].start_daemon("bgpd")
            world.wait_route(frr.META)
            return took

        self.record("bgpd_kill_ms", "bgpd killed → route gone (ExaBGP: as its SIGKILL)", self.take(part)[0])

    def cut(self):
        world = self.world

        def part(name, address):
            if name == HOME:
                wait.until("BFD is up", world.bfd_up, within=30)
            took = self.gone_after(address, lambda: world.lab.nodes[name].cut_off())
            world.lab.nodes[name].join_again()
            world.wait_route(address)
            return took

        values, foreign = self.take(lambda: part(HOME, frr.META), lambda: part(EXABGP, EXABGP_ADDRESS))
        self.record("bfd_cut_ms", "host cut off, BFD 3 x 100 ms → route gone", values)
        self.record("exabgp_cut_ms", "  the same, ExaBGP, which has no BFD (hold time 3 s)", foreign)

    def requests(self):
        self.world.start_other()
        self._requests_nett()
        self._requests_exabgp()

    def _requests_nett(self):
        world, home = self.world, self.world.home
        moved, back = world.wait_moved, functools.partial(story.wait_anycast, world.fabric, within=60)
        with self._asking() as client:
            def lost(key, what, event, repair):
                self._lost(key, what, client, event, moved, lambda: (repair(), back()))

            resume = functools.partial(home.nettsh, "anycast resume")
            lost("requests_lost", "requests lost, a local check fails", world.flag[HOME].unlink, world.flag[HOME].touch)
            lost("requests_lost_kill", "requests lost, agent SIGKILL", home.kill, home.start)
            lost("requests_lost_maintenance", "requests lost, maintenance", lambda: home.nettsh("anycast maintenance"), resume)
            lost("requests_lost_drain", "requests lost, drain", lambda: home.nettsh("anycast drain"), resume)
            lost("requests_lost_stop", "requests lost, agent SIGTERM", home.stop, home.start)

    def _requests_exabgp(self):
        world = self.world
        world.start_exabgp(EXABGP_OTHER)
        world.wait_route(EXABGP_ADDRESS, f"fab-{EXABGP}")
        world.client_to_exabgp()
        moved = functools.partial(world.wait_route, EXABGP_ADDRESS, f"fab-{EXABGP_OTHER}")
        with self._asking(EXABGP_ADDRESS) as client:
            wait.until("both ExaBGP announce", world.both_exabgp_announce, within=20)

            def lost(key, what, event, repair):
                self._lost(key, what, client, event, moved, lambda: (repair(), world.wait_route(EXABGP_ADDRESS, f"fab-{EXABGP}")))

            end = functools.partial(world.exabgp_signal, EXABGP)
            lost("exabgp_requests_lost", "  ExaBGP, a check fails", world.flag[EXABGP].unlink, world.flag[EXABGP].touch)
            lost("exabgp_requests_lost_kill", "  ExaBGP, SIGKILL", lambda: end(signal.SIGKILL), world.restart_exabgp)
            lost("exabgp_requests_lost_maintenance", "  ExaBGP, its file of --disable", world.disabled.touch, world.disabled.unlink)
            lost("exabgp_requests_lost_stop", "  ExaBGP, SIGTERM", lambda: end(signal.SIGTERM), world.restart_exabgp)
        world.stop_exabgp(EXABGP_OTHER)

    @contextlib.contextmanager
    def _asking(self, address=frr.META):
        with self.world.asker(address) as client:
            wait.until("the client gets answers",
                       lambda: any(outcome == "ok" for _, _, outcome in client.requests(time.time() - 1, time.time())), within=20)
            yield client

    def _lost(self, key, what, client, event, moved, repair):
        def part():
            begun = time.time()
            event()
            moved()
            end = time.time() + SETTLE
            # A request that hangs is known only when it has ended.
            wait.until("the client has gone on", lambda: client.requests(end, end + 60), within=20)
            seen = client.requests(begun - 0.1, end)
            repair()
            return sum(outcome != "ok" for _, _, outcome in seen), 1000 * max(took for _, took, _ in seen), len(seen)

        taken = self.take(part)[0]
        lost = [one[0] for one in taken]
        self.record(key, f"{what} ({sum(lost)} in all, of about {statistics.median(one[2] for one in taken):.0f} each)", lost, "requests")
        self.record(f"{key}_slowest_ms", "  the slowest request of a failover", [one[1] for one in taken])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", type=pathlib.Path)
    parser.add_argument("--runs", type=int, default=30)
    names = ("fail", "kill", "hang", "bgpd", "cut", "requests")
    parser.add_argument("--only", nargs="+", choices=names, default=names)
    options = parser.parse_args()
    build = Build(options.build or os.environ.get("NETT_BUILD") or optimized_build(SOURCE / "build" / "bench"))
    failed = 0
    with fabric.Lab(os.environ.get("NETT_LAB_PREFIX", "nettbench-"), build.environment()) as lab:
        world = World(lab, build)
        try:
            world.wait_route(frr.META)
            world.wait_route(EXABGP_ADDRESS)
            print(f"median, least and most of {options.runs} runs, load average {os.getloadavg()[0]:.1f}; interval {INTERVAL:.0f} s")
            bench = Bench(world, options.runs)
            for name in options.only:
                try:
                    getattr(bench, name)()
                except (StageFailed, *FAILURES) as error:
                    failed += 1
                    print(f"# {name}: given up: {error}", file=sys.stderr, flush=True)
                    world.repair()
        finally:
            world.close()
    print(f"load average at the end {os.getloadavg()[0]:.1f}")
    print(json.dumps({key: bench.result[key] for key in KEYS}))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
