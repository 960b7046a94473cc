"""The hardened gRPC module against real daemons: each test names the hunk of README.md that it proves.

Run as root with the packages installed: /usr/bin/python3 -m pytest packaging/frr-grpc
"""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import threading
import time

import grpc
import pytest

PROTO = pathlib.Path("/usr/share/doc/frr-grpc/frr-northbound.proto")
DAEMONS = pathlib.Path("/usr/lib/frr")
INTERFACE = "swp1"
RA = f'/frr-interface:lib/interface[name="{INTERFACE}"]/frr-zebra:zebra/ipv6-router-advertisements'
INTERFACES = "/frr-interface:lib"
DEADLINE = 20


@pytest.fixture(scope="session", autouse=True)
def stubs(tmp_path_factory):
    """The client's code, generated from the .proto that the package ships."""
    out = tmp_path_factory.mktemp("stubs")
    subprocess.run(["protoc", f"-I{PROTO.parent}", f"--python_out={out}", f"--grpc_out={out}",
                    f"--plugin=protoc-gen-grpc={shutil.which('grpc_python_plugin')}", PROTO.name], check=True)
    sys.path.insert(0, str(out))
    global pb, rpc
    import frr_northbound_pb2 as pb
    import frr_northbound_pb2_grpc as rpc


class Router:
    """mgmtd and zebra in a network namespace of their own."""

    def __init__(self, directory):
        self.name = f"frrgrpc{os.getpid()}"
        self.directory = directory
        self.running = {}
        self.run = pathlib.Path("/var/run/frr") / self.name
        subprocess.run(["ip", "netns", "add", self.name], check=True)
        for command in (["link", "set", "lo", "up"], ["link", "add", INTERFACE, "type", "veth", "peer", "name", "far"]):
            subprocess.run(["ip", "-n", self.name, *command], check=True)
        self.start("mgmtd")

    def start(self, daemon, grpc_argument=None, wait=True):
        self.log(daemon).unlink(missing_ok=True)
        arguments = ["-N", self.name, "-P", "0", "--log", f"file:{self.log(daemon)}", "--log-level", "informational"]
        if grpc_argument:
            arguments += ["-M", f"grpc:{grpc_argument}"]
        self.directory.chmod(0o777)
        with open(self.directory / f"{daemon}.stderr", "wb") as stderr:
            self.running[daemon] = subprocess.Popen(
                ["ip", "netns", "exec", self.name, DAEMONS / daemon, *arguments], stderr=stderr)
        if wait:
            self.wait_for(lambda: self.vtysh("show version", daemon).returncode == 0, f"{daemon} to answer vtysh")
        return self.running[daemon]

    def log(self, daemon):
        return self.directory / f"{daemon}.log"

    def vtysh(self, command, daemon, *more):
        arguments = [item for each in (command, *more) for item in ("-c", each)]
        return subprocess.run(["vtysh", "-N", self.name, "-d", daemon, *arguments],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    @staticmethod
    def wait_for(condition, what):
        until = time.monotonic() + DEADLINE
        while not condition():
            assert time.monotonic() < until, f"waited {DEADLINE} s for {what}"
            time.sleep(0.05)

    def stop(self, daemon, signal_number=signal.SIGTERM):
        process = self.running.pop(daemon)
        if process.poll() is None:
            process.send_signal(signal_number)
        return process.wait(DEADLINE)

    def close(self):
        for daemon in list(self.running):
            self.stop(daemon, signal.SIGKILL)
        subprocess.run(["ip", "netns", "del", self.name], check=True)
        shutil.rmtree(self.run, ignore_errors=True)


@pytest.fixture(scope="module")
def namespace(tmp_path_factory):
    router = Router(tmp_path_factory.mktemp("router"))
    yield router
    router.close()


@pytest.fixture
def router(namespace):
    yield namespace
    if "zebra" in namespace.running:  # the test failed half-way
        namespace.stop("zebra", signal.SIGKILL)


class Zebra:
    """zebra with the module on a Unix socket, and a client."""

    def __init__(self, router):
        self.router = router
        self.address = f"unix:{router.run}/zebra-grpc.sock"
        self.process = router.start("zebra", self.address)
        self.connect()

    def connect(self):
        # of its own: shared ones remember the back-off of earlier tests
        self.channel = grpc.insecure_channel(self.address, options=[("grpc.use_local_subchannel_pool", 1)])
        grpc.channel_ready_future(self.channel).result(DEADLINE)
        self.call = rpc.NorthboundStub(self.channel)

    def healthy(self):
        """The daemon is the one that was started, and answers a new client."""
        assert self.process.poll() is None
        self.connect()
        return self.call.GetCapabilities(pb.GetCapabilitiesRequest(), timeout=DEADLINE).frr_version

    def candidate(self):
        return self.call.CreateCandidate(pb.CreateCandidateRequest()).candidate_id

    def delete(self, candidate):
        self.call.DeleteCandidate(pb.DeleteCandidateRequest(candidate_id=candidate))

    def load(self, candidate, tree):
        data = pb.DataTree(encoding=pb.JSON, data=tree if isinstance(tree, str) else json.dumps(tree))
        self.call.LoadToCandidate(pb.LoadToCandidateRequest(
            candidate_id=candidate, type=pb.LoadToCandidateRequest.MERGE, config=data))

    def commit(self, candidate, phase):
        """Commits, again while mgmtd holds the transaction (it does when a daemon has just connected to it)."""
        until = time.monotonic() + DEADLINE
        while True:
            try:
                return self.call.Commit(pb.CommitRequest(candidate_id=candidate, phase=phase))
            except grpc.RpcError as error:
                if error.code() != grpc.StatusCode.UNAVAILABLE or time.monotonic() > until:
                    raise
                time.sleep(0.02)

    def set_interval(self, milliseconds):
        candidate = self.candidate()
        self.load(candidate, {"frr-interface:lib": {"interface": [{"name": INTERFACE, "frr-zebra:zebra": {
            "ipv6-router-advertisements": {"send-advertisements": True, "max-rtr-adv-interval": milliseconds}}}]}})
        self.commit(candidate, pb.CommitRequest.ALL)
        self.delete(candidate)

    def get(self, path, kind=None, encoding=0):
        request = pb.GetRequest(type=pb.GetRequest.CONFIG if kind is None else kind, encoding=encoding, path=[path])
        # an error comes with an empty message before it
        answers = list(self.call.Get(request, timeout=DEADLINE))
        return [json.loads(answer.data.data) for answer in answers]

    def interval(self):
        tree = self.get(f"{RA}/max-rtr-adv-interval")[0]
        while isinstance(tree, (dict, list)):
            if isinstance(tree, list):
                tree = tree[0]
            else:
                tree = next(value for key, value in tree.items() if key != "name")
        return tree


@pytest.fixture
def zebra(router):
    zebra = Zebra(router)
    yield zebra
    zebra.channel.close()
    if "zebra" in router.running:
        assert router.stop("zebra") == 0


def status_of(call):
    with pytest.raises(grpc.RpcError) as error:
        call()
    return error.value.code()


def test_01_version_tells_that_the_module_is_hardened(zebra):
    assert zebra.healthy().endswith("+nett1")


def test_02_candidates_are_bounded_and_03_shutdown_with_open_ones_is_clean(zebra, router):
    for _ in range(64):
        last = zebra.candidate()
    assert status_of(zebra.candidate) == grpc.StatusCode.RESOURCE_EXHAUSTED
    zebra.delete(last)
    zebra.candidate()
    assert router.stop("zebra") == 0


@pytest.mark.parametrize("end", ["open", "abort", "apply"])
def test_04_10_deleting_a_candidate_after_prepare(zebra, end):
    candidate = zebra.candidate()
    zebra.load(candidate, {"frr-interface:lib": {"interface": [{"name": INTERFACE, "description": f"to {end}"}]}})
    zebra.commit(candidate, pb.CommitRequest.PREPARE)
    if end != "open":
        zebra.commit(candidate, pb.CommitRequest.ABORT if end == "abort" else pb.CommitRequest.APPLY)
        assert status_of(lambda: zebra.commit(candidate, pb.CommitRequest.APPLY)) == grpc.StatusCode.FAILED_PRECONDITION
    zebra.delete(candidate)
    zebra.healthy()


def test_05_unknown_encoding_is_read_as_json(zebra):
    zebra.set_interval(4000)
    assert zebra.get(INTERFACES, encoding=7) == zebra.get(INTERFACES)
    zebra.healthy()


@pytest.mark.parametrize("tree", ['{"frr-interface:lib":{"no-such-leaf":1}}', '{"no-such-module:x":{}}', "{", ""])
def test_06_configuration_that_yang_does_not_know_is_refused(zebra, tree):
    candidate = zebra.candidate()
    assert status_of(lambda: zebra.load(candidate, tree)) == grpc.StatusCode.INTERNAL
    zebra.delete(candidate)
    zebra.healthy()


@pytest.mark.parametrize("path, kind", [("", 0), ("", 1), ("", 2), (INTERFACES, 9), (INTERFACES, -1), ("/nope", 1), ("]", 1)])
def test_07_bad_paths_and_types_are_invalid_arguments(zebra, path, kind):
    assert status_of(lambda: zebra.get(path, kind)) == grpc.StatusCode.INVALID_ARGUMENT
    zebra.healthy()


def test_08_every_top_level_node_of_a_candidate_can_be_deleted(zebra):
    zebra.set_interval(4000)
    candidate = zebra.candidate()
    edit = lambda path: zebra.call.EditCandidate(pb.EditCandidateRequest(  # noqa: E731
        candidate_id=candidate, delete=[pb.PathValue(path=path)]))
    assert status_of(lambda: edit("")) == grpc.StatusCode.INVALID_ARGUMENT
    assert status_of(lambda: edit("/nope")) == grpc.StatusCode.INVALID_ARGUMENT
    for top in ("/frr-interface:lib", "/frr-zebra:zebra", "/frr-vrf:lib", "/frr-filter:lib", "/frr-route-map:lib"):
        try:
            edit(top)
        except grpc.RpcError as error:
            assert error.code() == grpc.StatusCode.INVALID_ARGUMENT  # not configured
    zebra.load(candidate, {"frr-interface:lib": {"interface": [{"name": INTERFACE, "description": "again"}]}})
    zebra.delete(candidate)
    zebra.healthy()


def test_09_a_prepared_candidate_cannot_be_edited(zebra):
    candidate = zebra.candidate()
    tree = {"frr-interface:lib": {"interface": [{"name": INTERFACE, "description": "prepared"}]}}
    zebra.load(candidate, tree)
    zebra.commit(candidate, pb.CommitRequest.PREPARE)
    assert status_of(lambda: zebra.load(candidate, tree)) == grpc.StatusCode.FAILED_PRECONDITION
    update = pb.EditCandidateRequest(candidate_id=candidate, update=[
        pb.PathValue(path=f'/frr-interface:lib/interface[name="{INTERFACE}"]/description', value="edited")])
    assert status_of(lambda: zebra.call.EditCandidate(update)) == grpc.StatusCode.FAILED_PRECONDITION
    zebra.commit(candidate, pb.CommitRequest.ABORT)
    zebra.call.EditCandidate(update)
    zebra.delete(candidate)
    zebra.healthy()


def test_11_a_change_through_mgmtd_keeps_what_was_committed_over_grpc(zebra, router):
    zebra.set_interval(4000)
    told = router.vtysh("configure terminal", "mgmtd", f"interface {INTERFACE}", "description by-mgmtd")
    assert told.returncode == 0, told.stdout
    description = f'/frr-interface:lib/interface[name="{INTERFACE}"]/description'

    def arrived():
        try:
            return "by-mgmtd" in json.dumps(zebra.get(description))
        except grpc.RpcError:
            return False

    router.wait_for(arrived, "mgmtd's change in zebra")
    assert zebra.interval() == 4000
    # A mgmtd that knows the interface sends every daemon that connects all its defaults (README.md, "Not changed").
    router.stop("mgmtd")
    router.start("mgmtd")


@pytest.mark.parametrize("argument", ["80", "99999", "port", "50051x"])
def test_12_a_bad_port_is_logged_and_the_daemon_runs_on(router, argument):
    process = router.start("zebra", argument)
    router.wait_for(lambda: "failed to initialize the gRPC module" in router.log("zebra").read_text(), "the log")
    assert process.poll() is None
    assert router.stop("zebra") == 0


def test_12_a_bare_port_listens_on_loopback_only(router):
    router.start("zebra", "50077")
    listening = lambda: subprocess.run(  # noqa: E731
        ["ip", "netns", "exec", router.name, "ss", "-Hltn", "sport", "=", "50077"],
        stdout=subprocess.PIPE, text=True, check=True).stdout
    router.wait_for(listening, "the port")
    assert listening().split()[3] in ("127.0.0.1:50077", "[::ffff:127.0.0.1]:50077")
    assert router.stop("zebra") == 0


def test_13_an_address_in_use_is_logged_and_the_daemon_runs_on(router):
    holder = subprocess.Popen(["ip", "netns", "exec", router.name, sys.executable, "-c",
                               "import socket; s = socket.create_server(('::1', 50078), family=socket.AF_INET6);"
                               "print('ready', flush=True); input()"],
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert holder.stdout.readline() == b"ready\n"
        process = router.start("zebra", "[::1]:50078")
        router.wait_for(lambda: "gRPC server cannot listen on [::1]:50078" in router.log("zebra").read_text(), "the log")
        assert process.poll() is None
        assert router.stop("zebra") == 0
    finally:
        holder.communicate(b"\n")


def half_a_call(zebra):
    """A client that sends a Get for many paths and resets the connection without reading the answer."""
    client = grpc.insecure_channel(zebra.address, options=[("grpc.use_local_subchannel_pool", 1)])
    stream = rpc.NorthboundStub(client).Get(pb.GetRequest(type=pb.GetRequest.CONFIG, path=[INTERFACES] * 2000))
    next(stream)
    client.close()


def cancelled_stream(zebra):
    stream = zebra.call.Get(pb.GetRequest(type=pb.GetRequest.CONFIG, path=[INTERFACES] * 2000))
    next(stream)
    stream.cancel()


def expired_deadline(zebra):
    candidate = zebra.candidate()
    try:
        zebra.call.Commit(pb.CommitRequest(candidate_id=candidate, phase=pb.CommitRequest.ALL), timeout=0.0005)
    except grpc.RpcError:
        pass
    zebra.delete(candidate)


@pytest.mark.parametrize("misbehave", [half_a_call, cancelled_stream, expired_deadline])
def test_14_clients_that_go_away_end_only_their_own_call(zebra, misbehave):
    zebra.set_interval(4000)
    for _ in range(20):
        misbehave(zebra)
    zebra.healthy()
    assert zebra.interval() == 4000


def test_14_many_clients_at_once(zebra):
    zebra.set_interval(4000)
    failures = []

    def client():
        try:
            for _ in range(3):
                cancelled_stream(zebra)
                assert zebra.interval() == 4000
        except Exception as error:  # reported by the assertion below
            failures.append(error)

    threads = [threading.Thread(target=client) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    zebra.healthy()


@pytest.mark.parametrize("requests", [1, 5000], ids=["idle", "in-flight"])
def test_15_a_client_that_hangs_does_not_keep_the_daemon_from_ending(zebra, router, requests):
    client = subprocess.Popen([sys.executable, "-c", f"""
import grpc, sys, time
sys.path.insert(0, {sys.path[0]!r})
import frr_northbound_pb2 as pb, frr_northbound_pb2_grpc as rpc
stub = rpc.NorthboundStub(grpc.insecure_channel({zebra.address!r}))
next(stub.Get(pb.GetRequest(type=pb.GetRequest.CONFIG, path=[{INTERFACES!r}] * {requests})))
print("ready", flush=True)
sys.stdin.read()
"""], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert client.stdout.readline() == b"ready\n"
        client.send_signal(signal.SIGSTOP)
        started = time.monotonic()
        assert router.stop("zebra") == 0
        assert time.monotonic() - started < 2
    finally:
        client.kill()
        client.communicate()
