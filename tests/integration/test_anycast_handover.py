"""A planned withdrawal of the anycast address: what is under way ends before the fabric moves, and no request is lost."""

import concurrent.futures
import time

from tests.lab import frr, story, wait
from tests.lab.anycast import HOME, OTHER, QUICK, UNKNOWN
from tests.lab.asker import Asker

DOWNLOADER = "6e657474-0000-4000-8000-00000000d0ad"


def lost_while(anycast, leave):
    """Of a client that asks all the time: what it lost while the server left and the fabric turned to the other one."""
    with Asker(anycast.world.servers[1].node, frr.META, anycast.world.tenant, UNKNOWN) as client:
        wait.until("the client gets answers", lambda: len(client.requests(0, time.time())) > 20, within=20)
        begun = time.time()
        leave()
        anycast.wait_next_hop(OTHER, within=15)
        moved = time.time()
        # A request that hangs is known only when it has ended.
        wait.until("the client has gone on", lambda: len(client.requests(moved, moved + 60)) > 20, within=20)
        seen = client.requests(begun - 0.5, time.time())
        assert len(seen) > 20
        return [request for request in seen if request[2] != "ok"]


def test_maintenance_loses_no_request_of_a_client_that_asks_all_the_time(anycast):
    for _ in range(3):
        assert lost_while(anycast, lambda: anycast.agent.nettsh("anycast maintenance new disk")) == []
        anycast.wait_state("withdrawn")
        wait.until("the address is off the host", lambda: not anycast.on_host(), within=2)
        anycast.agent.nettsh("anycast resume")
        anycast.wait_next_hop(HOME)


def test_a_drain_loses_no_request_of_a_client_that_asks_all_the_time(anycast):
    for _ in range(2):
        assert lost_while(anycast, lambda: anycast.agent.nettsh("anycast drain new disk")) == []
        assert anycast.show()["state"] == "de-preferred" and anycast.on_host()
        anycast.agent.nettsh("anycast resume")
        anycast.wait_next_hop(HOME)


def test_an_ordered_stop_loses_no_request_of_a_client_that_asks_all_the_time(anycast):
    for _ in range(2):
        assert lost_while(anycast, anycast.agent.stop) == []
        assert not anycast.on_host()
        anycast.agent.start()
        anycast.wait_next_hop(HOME, within=15)


def test_the_vtysh_backend_drains_gates_and_withdraws_too(anycast):
    """A stock FRR: bgpd's module is there in the lab, and the agent does not use it."""
    healthy = anycast.flag()
    anycast.configure(f" check flag exec\n  command /usr/bin/test -e {healthy}\n{QUICK}", before="frr backend vtysh\n")
    wait.until("it announces through vtysh", lambda: anycast.show()["state"] == "announced" and anycast.check("flag")["state"] == "up", within=15)
    assert anycast.show()["gate"]["backend"] == "vtysh" and "bgpd has it (vtysh)" in anycast.agent.nettsh("show anycast").stdout
    anycast.agent.nettsh("anycast drain new disk")
    wait.until("meta-1's path carries GRACEFUL_SHUTDOWN", lambda: "raceful" in ((anycast.path_of_home() or {}).get("community") or {}).get("string", ""),
               within=10)
    assert anycast.path_of_home()["locPrf"] == 0 and anycast.on_host()
    anycast.wait_next_hop(OTHER)
    anycast.agent.nettsh("anycast resume")
    anycast.wait_next_hop(HOME, within=10)
    assert "community" not in anycast.path_of_home()
    healthy.unlink()
    anycast.wait_state("withdrawn")
    anycast.wait_next_hop(OTHER)
    assert f"{frr.GATE} seq 5 deny" in anycast.frr.vtysh("show running-config")
    wait.until("the address is off the host", lambda: not anycast.on_host(), within=2)
    healthy.touch()
    anycast.wait_next_hop(HOME, within=10)
    assert lost_while(anycast, lambda: anycast.agent.nettsh("anycast maintenance")) == []
    anycast.wait_state("withdrawn")
    anycast.wait_next_hop(OTHER)


def test_a_drain_without_another_server_goes_on_serving(anycast):
    other = anycast.world.agents["meta-2"]
    other.stop()
    anycast.agent.nettsh("anycast drain new disk")
    wait.until("meta-1 is less preferred", lambda: (anycast.path_of_home() or {}).get("locPrf") == 0, within=5)
    wait.until("it takes new connections again", lambda: anycast.world.servers[1].fetch(UNKNOWN, anycast.world.tenant).status == 404, within=10)
    other.start()


def test_maintenance_lets_a_download_that_is_under_way_end_before_the_fabric_moves(anycast):
    """A connection that is under way when the route moves is lost: the other server knows nothing of it."""
    story.register_machine(anycast.agent, "downloader", DOWNLOADER, [], story.machine_config("downloader"))
    kernel = f"/v1/artifacts/vmlinuz?uuid={DOWNLOADER}"
    server, tenant = anycast.world.servers[1], anycast.world.tenant
    whole = server.fetch(kernel, tenant, timeout=30)
    assert whole.status == 200 and len(whole.body) > 2_000_000
    anycast.configure(" drain-time 8000\n")
    seconds = 3
    with concurrent.futures.ThreadPoolExecutor() as others:
        slow = others.submit(server.fetch, kernel, tenant, timeout=30, rate=len(whole.body) // seconds)
        wait.until("the download is under way", lambda: "2001:db8:b000:" in
                   anycast.node.run("ss", "-Htn", "state", "established", "sport", "=", ":443").stdout, within=10)
        anycast.agent.nettsh("anycast maintenance new disk")
        assert anycast.show()["state"] == "de-preferred"
        # Meanwhile no other connection begins; its next try finds the other server.
        asked = others.submit(server.fetch, UNKNOWN, tenant, timeout=30)
        assert slow.result().error == "" and slow.result().sha256 == whole.sha256, slow.result()
        assert asked.result().error == "" and asked.result().status == 404, asked.result()
    anycast.wait_state("withdrawn", within=10)
    anycast.wait_next_hop(OTHER)
    assert server.fetch(UNKNOWN, tenant).status == 404
