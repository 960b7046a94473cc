"""One agent drives a BMC, fenced: three agents with one state, one emulated BMC, and its driver frozen in the middle of a job."""

import os
import signal
import uuid

import pytest

from tests.lab import wait
from tests.lab.bmc.client import Emulator
from tests.lab.boot_site import inside
from tests.lab.etcd import Server, raised_cluster, raised_servers
from tests.lab.lone import ENDS, IMAGE, PASSWORD, USER

MACHINE = "m"
UUID = str(uuid.uuid5(uuid.NAMESPACE_URL, f"/redfish/v1/Systems/{MACHINE}"))  # as the emulated BMC tells it
HUB = "2001:db8:e:1::1"
# All that a job changes, once each.
CHANGES = [("ForceOff", 204), ("InsertMedia", 204), ("Once", 200), ("On", 204), ("EjectMedia", 204)]
# Of the server's record in etcd: 10 s, and what a busy machine needs.
TAKEN_OVER_SECONDS = 60


class RedfishServer(Server):
    @property
    def source(self):
        """Where its requests to the BMC come from."""
        return f"2001:db8:e:{self.number}::2"

    def metadata_node(self, more="", server_address=True):
        return super().metadata_node(more, server_address) + (
            f"plugin redfish\n allow-bmc 2001:db8:e::/48\n image-url {IMAGE}\n boot-wait 120\n!\n")


@pytest.fixture(scope="module")
def servers(build, tmp_path_factory):
    prefix = os.environ.get("NETT_LAB_PREFIX", "nettest-") + "bmc-"
    folder = tmp_path_factory.mktemp("servers")
    with (raised_cluster(prefix, tmp_path_factory.mktemp("etcd")) as cluster,
          raised_servers(lambda number, first: RedfishServer(build, folder / str(number), cluster, number, first)) as made):
        made[1].add_tenant("t")
        made[1].add_set("s", b"kernel", b"initramfs")
        yield list(made.values())


@pytest.fixture
def bmc(servers, tmp_path):
    with inside(servers[0].cluster.namespace), Emulator(tmp_path, "--user", USER, "--password", PASSWORD, "--system", MACHINE,
                                                        address=HUB) as emulator:
        first = servers[0]
        password = first.folder / "password"
        password.write_text(f"{PASSWORD}\n", encoding="utf-8")
        first.builder("bmc", "add", MACHINE, "--endpoint", emulator.endpoint, "--username", USER, "--password-file", password,
                      "--system-path", f"/redfish/v1/Systems/{MACHINE}")
        first.add_machine(MACHINE, "t", "s", "version: v1alpha1\n", "--uuid", UUID, "--bmc", MACHINE)
        yield emulator


def owner_of(cluster):
    """The server whose claim of the BMC is in etcd."""
    key, = cluster.keys("/nett/state/record/bmc-owner/")
    return next(name for name in ("gw-1", "gw-2", "gw-3") if name in cluster.client("get", "--print-value-only", key))


def test_a_driver_that_was_frozen_wakes_and_does_nothing_more(servers, bmc):
    cluster = servers[0].cluster
    bmc.faults({"kind": "hold-after", "method": "POST", "path": "InsertMedia"})
    job = servers[1].show(f"machine provision {MACHINE}")["id"]
    wait.until("the BMC holds the request", lambda: any(request["held"] for request in bmc.requests()), 40, every=0.1)
    frozen = next(server for server in servers if server.name == owner_of(cluster))
    frozen.process.signal(signal.SIGSTOP)
    try:
        bmc.release()
        others = [server for server in servers if server is not frozen]
        wait.until("another server drives it", lambda: owner_of(cluster) != frozen.name, TAKEN_OVER_SECONDS, every=0.3)
        wait.until("the job waits for the boot", lambda: others[0].show(f"show job {job}")["state"] == "BOOT_WAIT", 60, every=0.2)
        before = bmc.requests()
    finally:
        frozen.process.signal(signal.SIGCONT)
    frozen.wait_member()
    wait.until("it knows that another drives it", lambda: owner_of(cluster) != frozen.name
               and frozen.show(f"show job {job}")["state"] == "BOOT_WAIT", 30, every=0.2)
    assert others[1].boot(UUID)[0] == 200
    done = wait.until("the job is at its end", lambda: (shown := frozen.show(f"show job {job}"))["state"] in ENDS and shown, 60, every=0.2)
    assert done["state"] == "DONE", done
    assert bmc.changes(MACHINE) == CHANGES
    # Woken in the middle of a step it looks at the BMC, cannot store what it saw, and leaves; it changes nothing.
    driver = next(server for server in servers if server.name == owner_of(cluster))
    assert driver is not frozen
    after = [request for request in bmc.requests()[len(before):] if request["source"] == frozen.source]
    assert not [request for request in after if request["method"] != "GET" and "/SessionService/" not in request["path"]], after
