"""The installed service, started as its unit file says, in a network namespace of its own. Run as root where the packages are installed:

    unshare --net python3 -m tests.packages.service            what the service does: ready, configured, stopped, crashed
    unshare --net python3 -m tests.packages.service upgrade FOLDER    that an upgrade to FOLDER's packages loses nothing
"""

import contextlib
import json
import os
import pathlib
import stat
import subprocess
import sys
import threading
import time

from tests.lab import wait

from .unit import Unit

ADDRESS = "2001:db8:ffff::1"
CONFIG = pathlib.Path("/etc/nett/nett.conf")
STATE = pathlib.Path("/var/lib/nett")
LOG = "/var/log/nett-test.log"
# The address is put on the host without FRR: there is no gate to open and nobody to announce to.
ANYCAST = f"""hostname packaged
plugin bgp-anycast
 address {ADDRESS}/128
 lease 3
"""


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


def step(text):
    print(text, flush=True)


def configure(unit, text):
    """As an operator does it: edit the file, check it, reload. The file keeps its owner and mode."""
    CONFIG.write_text(text, encoding="utf-8")
    run("nettd", "--check-config")
    unit.reload()


def process_status(unit, key):
    lines = pathlib.Path(f"/proc/{unit.pid}/status").read_text(encoding="ascii").splitlines()
    return next(line.split(None, 1)[1] for line in lines if line.startswith(f"{key}:"))


def test_the_service(unit):
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

    step("a reload configures the anycast address")
    configure(unit, ANYCAST)
    wait.until("the address is on the host", has_address, within=15)

    step("write memory by the agent's own user")
    run("nettsh", "-c", "configure terminal", "-c", "log level debug", "-c", "commit", "-c", "end", "-c", "write memory")
    assert "log level debug" in CONFIG.read_text(encoding="utf-8")
    assert mode(CONFIG) & 0o007 == 0

    step("a stop withdraws")
    assert unit.stop() == 0
    assert not has_address()
    assert not os.path.exists("/run/nett")

    step("a crash leaves nothing either, and the next start has everything")
    unit.start()
    wait.until("the address is back", has_address, within=15)
    assert [row["name"] for row in show("show tenants")] == ["tenant-a"]
    unit.kill()
    assert not has_address()

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
    CONFIG.write_text(ANYCAST, encoding="utf-8")
    unit.start()
    wait.until("the address is on the host", has_address, within=15)
    run("talos-fabric-builder", "tenant", "add", "tenant-a", "--common-name", "tenant-a.boot.example")
    key = (STATE / "secret.key").read_bytes()
    before = run("dpkg-query", "-W", "nett-agent")

    step("the upgrade")
    systemd, watcher = FakeSystemd(unit), Watcher()
    run("dpkg", "--force-confold", "-i", *sorted(pathlib.Path(folder).glob("*.deb")))
    wait.until("the address is on the host", has_address, within=15)
    gaps = watcher.end()
    assert run("dpkg-query", "-W", "nett-agent") != before
    step(f"the address was away for {', '.join(f'{gap * 1000:.0f} ms' for gap in gaps)}")
    restarts = [words for words in systemd.asked if "nettd.service" in words and any("restart" in word or word == "stop" for word in words)]
    assert len(restarts) == 1, systemd.asked
    assert len(gaps) == 1, gaps

    step("state, key and configuration are as they were")
    assert [row["name"] for row in show("show tenants")] == ["tenant-a"]
    assert (STATE / "secret.key").read_bytes() == key
    assert CONFIG.read_text(encoding="utf-8") == ANYCAST
    unit.stop()


def main():
    run("ip", "link", "set", "lo", "up")
    unit = Unit("nettd.service", LOG)
    try:
        if sys.argv[1:2] == ["upgrade"]:
            test_an_upgrade(unit, sys.argv[2])
        else:
            test_the_service(unit)
    except AssertionError:
        print(f"the end of the service's log:\n{unit.log()[-3000:]}", file=sys.stderr)
        raise
    finally:
        if unit.running():
            unit.kill()
    step("good")


if __name__ == "__main__":
    main()
