"""Measures plugin redfish beside python3-sushy; the last line is one JSON object. Runs in a network namespace of its own."""

import argparse
import http.client
import json
import os
import pathlib
import queue
import re
import ssl
import subprocess
import sys
import tempfile
import threading
import time

import grpc

from tests.lab import api, wait
from tests.lab.bmc.__main__ import make_certificate
from tests.lab.build import SOURCE, Build
from tests.lab.lone import PASSWORD, USER, LoneAgent

PREFIX = "2001:db8:bc::"
TICKS = os.sysconf("SC_CLK_TCK")


def address_of(number):
    return f"{PREFIX}{number + 0x1000:x}"


def cpu_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def status_of(pid, name):
    return int(re.search(rf"^{name}:\s+(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text(encoding="ascii"), re.MULTILINE)[1])


class Bmcs:
    """The emulator as a process; `on_power` is called with the address of each machine that is powered on."""

    def __init__(self, folder, on_power, latency):
        certificate, key = make_certificate(folder, PREFIX + "1")
        self._process = subprocess.Popen(
            ["/usr/bin/python3", "-m", "bench.redfish.bmcs", "--certificate", certificate, "--key", key, "--latency", str(latency)],
            cwd=SOURCE, stdout=subprocess.PIPE, text=True)
        self._on_power = on_power
        self._last = ""
        ready = threading.Event()
        self._thread = threading.Thread(target=self._read, args=(ready,), daemon=True)
        self._thread.start()
        if not ready.wait(20):
            raise RuntimeError("the emulated BMCs did not start")

    def _read(self, ready):
        for line in self._process.stdout:
            if line.startswith("on "):
                self._on_power(line.split()[1])
            elif line.startswith("ready"):
                ready.set()
            else:
                self._last = line

    def stop(self):
        """What they report."""
        self._process.terminate()
        self._process.wait(20)
        self._thread.join(20)
        return json.loads(self._last)


class Boots:
    """The machines' own boot requests: over one connection with the tenant's certificate, one after the other."""

    def __init__(self, agent):
        self._agent = agent
        self._wanted = queue.Queue()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def want(self, uuid):
        self._wanted.put(uuid)

    def _run(self):
        context = ssl.create_default_context(cafile=self._agent.folder / "root.pem")
        context.load_cert_chain(self._agent.folder / "t.pem", self._agent.folder / "t.key")
        connection = None
        while True:
            uuid = self._wanted.get()
            for attempt in range(5):
                try:
                    connection = connection or http.client.HTTPSConnection("::1", self._agent.port, timeout=20, context=context)
                    connection.request("GET", f"/v1/boot/{uuid}")
                    answer = connection.getresponse()
                    answer.read()
                    assert answer.status == 200, answer.status
                    break
                except (OSError, http.client.HTTPException):
                    connection = None
                    if attempt == 4:
                        raise


class Management:
    """The agent's API, for a thousand registrations in a few seconds."""

    def __init__(self, agent, folder):
        self.pb = api.messages(folder / "proto")
        self._channel = grpc.insecure_channel(f"unix:{agent.socket}")

    def call(self, method, request, reply):
        stub = self._channel.unary_unary(f"/nett.v1.{method}", request_serializer=type(request).SerializeToString,
                                         response_deserializer=reply.FromString)
        return stub(request, timeout=60)

    def register(self, name, uuid, address):
        pb = self.pb
        bmc = pb.Bmc(name=name, endpoint=f"https://[{address}]", username=USER)
        self.call("Inventory/PutBmc", pb.PutBmcRequest(bmc=bmc, password=PASSWORD), pb.MutationReply)
        machine = pb.Machine(name=name, tenant="t", uuid=uuid, artifact_set="s", bmc=name)
        self.call("Inventory/PutMachine", pb.PutMachineRequest(machine=machine, config=b"version: v1alpha1\n"), pb.MutationReply)

    def provision(self, name):
        self.call("Jobs/CreateJob", self.pb.CreateJobRequest(type="provision", machine=name), self.pb.Job)

    def states(self):
        found = {}
        after = ""
        while True:
            reply = self.call("Jobs/ListJobs", self.pb.ListRequest(after=after), self.pb.ListJobsReply)
            for job in reply.jobs:
                found[job.id] = (job.state, job.message)
            if not reply.jobs or reply.jobs[-1].id == after:
                return found
            after = reply.jobs[-1].id


def measure_nett(build, folder, arguments):
    agent = LoneAgent(build, folder, allow=f"{PREFIX}/64", boot_wait=1800, more=f" concurrency {arguments.at_once}\n")
    agent.start()
    agent.prepare()
    boots = Boots(agent)
    uuids = {address_of(n): f"6e657474-0000-4000-8000-{n:012d}" for n in range(arguments.machines)}
    bmcs = Bmcs(folder, lambda address: boots.want(uuids[address]), arguments.latency)
    try:
        management = Management(agent, folder)
        for number, (address, uuid) in enumerate(uuids.items()):
            management.register(f"n{number}", uuid, address)
        before, started = cpu_seconds(agent.process.pid), time.monotonic()
        for number in range(arguments.machines):
            management.provision(f"n{number}")
        states = {}

        def all_done():
            states.update(management.states())
            ended = [state for state, _ in states.values() if state in ("DONE", "FAILED", "CANCELLED", "NEEDS_OPERATOR")]
            return len(ended) == arguments.machines

        wait.until("all jobs are at rest", all_done, arguments.within, every=1)
        seconds = time.monotonic() - started
        failed = [f"{job}: {state} {message}" for job, (state, message) in states.items() if state != "DONE"]
        if failed:
            raise RuntimeError("\n".join(failed[:10]))
        result = {"seconds": seconds, "cpu_seconds": cpu_seconds(agent.process.pid) - before,
                  "rss_mib": status_of(agent.process.pid, "VmHWM") / 1024, "threads": status_of(agent.process.pid, "Threads")}
    finally:
        report = bmcs.stop()
        agent.process.stop()
    return result | report


def measure_sushy(folder, arguments):
    bmcs = Bmcs(folder, lambda address: None, arguments.latency)
    addresses = [address_of(number) for number in range(arguments.sushy_machines)]
    # requests lets these overrule what its caller says of certificates.
    environment = {name: value for name, value in os.environ.items() if name not in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")}
    done = subprocess.run(["/usr/bin/python3", "-m", "bench.redfish.sushy_jobs", "--at-once", str(arguments.at_once), *addresses],
                          cwd=SOURCE, env=environment, stdout=subprocess.PIPE, text=True, timeout=arguments.within, check=False)
    report = bmcs.stop()
    if done.returncode != 0:
        raise RuntimeError("sushy did not come to its end")
    return json.loads(done.stdout.splitlines()[-1]) | report


def main():
    parser = argparse.ArgumentParser(prog="bench/run redfish")
    parser.add_argument("--build", default=os.environ.get("NETT_BUILD", SOURCE / "build" / "check"))
    parser.add_argument("--machines", type=int, default=1000)
    parser.add_argument("--at-once", type=int, default=64)
    parser.add_argument("--sushy-machines", type=int, default=200)
    parser.add_argument("--latency", type=float, default=0.01, help="of the emulated BMCs, seconds")
    parser.add_argument("--within", type=float, default=900)
    arguments = parser.parse_args()
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    subprocess.run(["ip", "-6", "route", "add", "local", f"{PREFIX}/64", "dev", "lo"], check=True)
    with tempfile.TemporaryDirectory(prefix="nett-bench-") as text:
        folder = pathlib.Path(text)
        (folder / "nett").mkdir()
        (folder / "sushy").mkdir()
        nett = measure_nett(Build(arguments.build), folder / "nett", arguments)
        sushy = measure_sushy(folder / "sushy", arguments)
    per_machine = {"nett": nett["cpu_seconds"] / arguments.machines, "sushy": sushy["cpu_seconds"] / arguments.sushy_machines}
    print(f"{'':8} {'machines':>9} {'seconds':>9} {'per minute':>11} {'CPU ms each':>12} {'requests each':>14}")
    for name, result, count in (("nett", nett, arguments.machines), ("sushy", sushy, arguments.sushy_machines)):
        print(f"{name:8} {count:9} {result['seconds']:9.1f} {count / result['seconds'] * 60:11.0f} {per_machine[name] * 1000:12.1f} "
              f"{result['requests'] / count:14.1f}")
    print(f"nett: {nett['rss_mib']:.0f} MiB at most, {nett['threads']} threads; powered on twice: {nett['twice']}, "
          f"left inserted: {nett['left_inserted']}", flush=True)
    print(json.dumps({"cpu_ratio": round(per_machine["sushy"] / per_machine["nett"], 2),
                      "machines_per_minute": round(arguments.machines / nett["seconds"] * 60),
                      "rss_mib": round(nett["rss_mib"], 1), "max_inflight_per_bmc": nett["max_inflight_per_bmc"]}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
