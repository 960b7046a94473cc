"""The installed service, started as its unit file says, in a network namespace of its own. Run as root where the packages are installed:

    unshare --net python3 -m tests.packages.service            what the service does: ready, configured, stopped, crashed
    unshare --net python3 -m tests.packages.service upgrade FOLDER    that an upgrade to FOLDER's packages loses nothing
"""

import contextlib
import json
import os
import pathlib
import shutil
import stat
import subprocess
import sys
import threading
import time

from tests.lab import wait

from .unit import Unit, run_oneshot

ADDRESS = "2001:db8:ffff::1"
CONFIG = pathlib.Path("/etc/nett/nett.conf")
STATE = pathlib.Path("/var/lib/nett")
LOG = "/var/log/nett-test.log"
GATEWAY = f"""hostname packaged
plugin metadata
 listen [{ADDRESS}]:443
 server-address {ADDRESS}
 certificate /etc/nett/server.pem
 private-key /etc/nett/server.key
 client-ca /etc/nett/root.pem
plugin bgp-anycast
 address {ADDRESS}/128
 lease 3
 gate prefix-list NETT-ANYCAST sequence 5
"""
# What "show health" says without one of the unit's capabilities.
NEEDED_FOR = {"CAP_NET_BIND_SERVICE": "bind: Permission denied", "CAP_NET_ADMIN": "nettd needs CAP_NET_ADMIN"}


def run(*argv, check=True):
    done = subprocess.run([str(word) for word in argv], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          check=False)
    assert done.returncode == 0 or not check, f"{' '.join(map(str, argv))}: exit status {done.returncode}: {done.stdout}"
    return done.stdout


def show(command):
    return json.loads(run("nettsh", "--json", "-c", command))


def has_address():
    return ADDRESS in run("ip", "-6", "-oneline", "address", "show")


def mode(path):
    return stat.S_IMODE(os.stat(path).st_mode)


class Frr:
    """The installed FRR with the sockets of its gRPC module, as its daemons make them; nett's unit opens them to the agent."""

    _DAEMONS = {"mgmtd": "", "zebra": "/run/frr/zebra-grpc.sock", "bgpd": "/run/frr/bgpd-grpc.sock"}

    def __init__(self):
        os.makedirs("/run/frr", exist_ok=True)
        shutil.chown("/run/frr", "frr", "frr")
        self._log = open("/var/log/nett-test-frr.log", "ab")  # pylint: disable=consider-using-with
        self._processes = []
        for name, grpc in self._DAEMONS.items():
            module = ["-M", f"grpc:unix:{grpc}"] if grpc else []
            self._processes.append(subprocess.Popen([f"/usr/lib/frr/{name}", "--log", "stdout", *module], stdin=subprocess.DEVNULL,
                                                    stdout=self._log, stderr=subprocess.STDOUT))
        for name, grpc in self._DAEMONS.items():
            for path in [f"/run/frr/{name}.vty", *([grpc] if grpc else [])]:
                wait.until(f"{path} is there", lambda p=path: os.path.exists(p), within=30)
        run("vtysh", "-c", "configure terminal", "-c", "ipv6 prefix-list NETT-ANYCAST seq 1000 deny any", "-c", "router bgp 4200000001",
            "-c", "bgp router-id 0.0.0.1")

    def sockets(self):
        return {path: f"{mode(path):o} {pathlib.Path(path).group()}" for path in self._DAEMONS.values() if path}

    def gate_is_open(self):
        return "seq 5 permit" in run("vtysh", "-c", "show ipv6 prefix-list NETT-ANYCAST")

    def end(self):
        for process in self._processes:
            process.kill()
            process.wait()
        self._log.close()


def wait_address():
    def announced():
        assert has_address(), f"{show('show anycast')['reason']}"
        return True

    wait.until("the address is on the host", announced, within=20, every=0.2)


def step(text):
    print(text, flush=True)


def make_certificates():
    """As the page of the metadata plugin says: readable for the agent's group, not for others."""
    run("talos-fabric-builder", "pki", "init", "/root/pki", "--server-address", ADDRESS)
    for name in ("server.pem", "server.key", "root.pem"):
        run("install", "-g", "nett", "-m", "640", f"/root/pki/{name}", f"/etc/nett/{name}")


def configure(unit, text):
    """As an operator does it: edit the file, check it, reload. The file keeps its owner and mode."""
    CONFIG.write_text(text, encoding="utf-8")
    run("nettd", "--check-config")
    unit.reload()


def process_status(unit, key):
    lines = pathlib.Path(f"/proc/{unit.pid}/status").read_text(encoding="ascii").splitlines()
    return next(line.split(None, 1)[1] for line in lines if line.startswith(f"{key}:"))


def test_the_service(unit, frr):
    step("as installed: starts, is ready, does nothing to the host")
    assert (mode("/etc/nett"), mode(CONFIG)) == (0o2770, 0o640), (oct(mode("/etc/nett")), oct(mode(CONFIG)))
    unit.start()
    assert not has_address()
    assert process_status(unit, "CapEff") == process_status(unit, "CapBnd") == "0000000000001400"  # NET_ADMIN, NET_BIND_SERVICE
    assert process_status(unit, "NoNewPrivs") == "1"
    assert {row["name"] for row in show("show plugins")} == {"ra", "metadata", "bgp-anycast", "redfish"}

    step("the state belongs to the agent alone")
    run("talos-fabric-builder", "tenant", "add", "tenant-a", "--common-name", "tenant-a.boot.example")
    for name in ("state.db", "secret.key"):
        assert mode(STATE / name) & 0o007 == 0 and (STATE / name).owner() == "nett", name

    step("FRR's sockets are opened to the agent's group, by a unit without any capability")
    assert set(frr.sockets().values()) != {"770 frrvty"}
    run_oneshot("nett-frr-access.service")
    assert set(frr.sockets().values()) == {"770 frrvty"}, frr.sockets()

    step("a reload configures the metadata service and its anycast address")
    make_certificates()
    configure(unit, GATEWAY)
    wait_address()
    wait.until("the gate is open", frr.gate_is_open, within=15)

    step("write memory by the agent's own user")
    run("nettsh", "-c", "configure terminal", "-c", "log level debug", "-c", "commit", "-c", "end", "-c", "write memory")
    assert "log level debug" in CONFIG.read_text(encoding="utf-8")
    assert mode(CONFIG) & 0o007 == 0

    step("a stop withdraws")
    assert unit.stop() == 0
    assert not has_address() and not frr.gate_is_open()
    assert not os.path.exists("/run/nett")

    step("a crash leaves nothing either, and the next start has everything")
    unit.start()
    wait_address()
    assert [row["name"] for row in show("show tenants")] == ["tenant-a"]
    unit.kill()
    assert not has_address() and not frr.gate_is_open()

    step("each of its capabilities is needed")
    for capability, trouble in NEEDED_FOR.items():
        with unit.without(capability):
            unit.start()
            wait.until(f"without {capability} the agent names what it cannot do", lambda words=trouble: words in run("nettsh", "-c", "show health"), within=20)
            assert not has_address()
            unit.stop()

    step("a configuration with mistakes does not start")
    CONFIG.write_text("hostname packaged\nplugin bgp-anycast\n address nonsense\n", encoding="utf-8")
    with contextlib.suppress(RuntimeError):
        unit.start()
        raise AssertionError("the service started with a bad configuration")
    assert "nett.conf:3" in unit.log()


class FakeSystemd:
    """Stands for systemd while dpkg runs the packages' scripts: it does what they ask of nettd.service, and remembers all."""

    _FIFO = pathlib.Path("/run/nett-test.fifo")
    _DONE = pathlib.Path("/run/nett-test.done")
    _PROGRAM = pathlib.Path("/usr/local/bin/deb-systemd-invoke")

    def __init__(self, unit):
        self._unit = unit
        self.asked = []
        os.mkfifo(self._FIFO)
        os.mkfifo(self._DONE)
        os.makedirs("/run/systemd/system", exist_ok=True)
        self._PROGRAM.write_text(f'#!/bin/sh\necho "$*" >{self._FIFO}\nread answer <{self._DONE}\n', encoding="ascii")
        self._PROGRAM.chmod(0o755)
        systemctl = self._PROGRAM.with_name("systemctl")
        systemctl.write_text("#!/bin/sh\nexit 0\n", encoding="ascii")
        systemctl.chmod(0o755)
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            words = self._FIFO.read_text(encoding="ascii").split()
            self.asked.append(words)
            if "nettd.service" in words:
                if "try-restart" in words or "restart" in words:
                    self._unit.stop()
                    self._unit.start()
                elif "stop" in words and self._unit.running():
                    self._unit.stop()
                elif "start" in words and not self._unit.running():
                    self._unit.start()
            self._DONE.write_text("done\n", encoding="ascii")


class Watcher:
    """When the address was away, in seconds, looked at every 20 ms."""

    def __init__(self):
        self.gaps = []
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()

    def _watch(self):
        since = None
        while not self._ended.wait(0.02):
            away = not has_address()
            if away and since is None:
                since = time.monotonic()
            elif not away and since is not None:
                self.gaps.append(time.monotonic() - since)
                since = None
        if since is not None:
            self.gaps.append(float("inf"))

    def end(self):
        self._ended.set()
        self._thread.join()
        return self.gaps


def test_an_upgrade(unit, folder):
    step("the version before: an address, a tenant, a changed configuration")
    make_certificates()
    CONFIG.write_text(GATEWAY, encoding="utf-8")
    unit.start()
    wait_address()
    run("talos-fabric-builder", "tenant", "add", "tenant-a", "--common-name", "tenant-a.boot.example")
    key = (STATE / "secret.key").read_bytes()
    before = run("dpkg-query", "-W", "nett-agent")

    step("the upgrade")
    systemd, watcher = FakeSystemd(unit), Watcher()
    run("dpkg", "--force-confold", "-i", *sorted(pathlib.Path(folder).glob("*.deb")))
    wait_address()
    gaps = watcher.end()
    assert run("dpkg-query", "-W", "nett-agent") != before
    step(f"the address was away for {', '.join(f'{gap * 1000:.0f} ms' for gap in gaps)}")
    restarts = [words for words in systemd.asked if "nettd.service" in words and any("restart" in word or word == "stop" for word in words)]
    assert len(restarts) == 1, systemd.asked
    assert len(gaps) == 1, gaps

    step("state, key and configuration are as they were")
    assert [row["name"] for row in show("show tenants")] == ["tenant-a"]
    assert (STATE / "secret.key").read_bytes() == key
    assert CONFIG.read_text(encoding="utf-8") == GATEWAY
    unit.stop()


def main():
    run("ip", "link", "set", "lo", "up")
    unit, frr = Unit("nettd.service", LOG), Frr()
    try:
        if sys.argv[1:2] == ["upgrade"]:
            run_oneshot("nett-frr-access.service")
            test_an_upgrade(unit, sys.argv[2])
        else:
            test_the_service(unit, frr)
    except AssertionError:
        print(f"the end of the service's log:\n{unit.log()[-3000:]}", file=sys.stderr)
        raise
    finally:
        if unit.running():
            unit.kill()
        frr.end()
    step("good")


if __name__ == "__main__":
    main()
