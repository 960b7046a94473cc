"""Daemons die, and the fabric goes on: each test kills one thing and looks at what the others see."""

import signal
import time

from tests.lab import frr, wait
from tests.lab.agent import LEASE_SECONDS
from tests.lab.fabric import METAS, TORS

ANY_MACHINE = "/v1/boot/00000000-1111-4222-8333-444444444444"


def test_advertisements_are_back_within_five_seconds_of_a_restart_of_zebra(world):
    server = world.servers[1]
    server.wait_slaac("eth0")
    world.fabric.frr["tor-a"].kill("zebra")
    restarted = time.monotonic()
    world.fabric.frr["tor-a"].start_daemon("zebra")
    wait.until("tor-a advertises its prefix on swp1 again",
               lambda: any(seen["prefixes"] and seen["router_lifetime"] > 0 for seen in server.advertisements("eth0", since=restarted)),
               within=5 - (time.monotonic() - restarted))
    world.agents["tor-a"].wait_health("frr", "zebra", "ok", within=5)


def test_an_agent_keeps_serving_and_says_so_while_frr_is_away(world):
    agent = world.agents["tor-a"]
    world.fabric.frr["tor-a"].kill("zebra")
    condition = agent.wait_health("frr", "zebra", "failed", within=10)
    assert condition["message"] and condition["remedy"]
    assert "plugin ra" in agent.nettsh("show running-config").stdout
    world.fabric.frr["tor-a"].start_daemon("zebra")
    agent.wait_health("frr", "zebra", "ok", within=10)


def test_a_metadata_host_keeps_serving_while_its_bgpd_is_away(world):
    server = world.servers[2]
    world.fabric.frr["meta-1"].kill("bgpd")
    wait.until("the fabric has moved to meta-2", lambda: all(world.fabric.anycast_next_hop(tor) == "fab-meta-2" for tor in TORS), within=5)
    assert server.fetch(ANY_MACHINE, world.tenant).status == 404
    world.home.wait_health("frr", "bgpd", "failed", within=10)
    assert world.home.show("show tenants")
    world.fabric.frr["meta-1"].start_daemon("bgpd")
    world.home.wait_health("frr", "bgpd", "ok", within=10)
    wait.until("the fabric prefers meta-1 again", lambda: all(world.fabric.anycast_next_hop(tor) == "fab-meta-1" for tor in TORS), within=15)


def test_the_anycast_address_leaves_the_fabric_within_the_lease_when_its_agents_are_killed(world):
    killed = time.monotonic()
    for meta in METAS:
        world.agents[meta].kill()
    wait.until(f"{frr.META}/128 is gone from both ToRs", lambda: not any(world.fabric.anycast_next_hop(tor) for tor in TORS),
               within=LEASE_SECONDS + 1)
    gone = time.monotonic() - killed
    assert gone < LEASE_SECONDS + 1
    for meta in METAS:
        world.agents[meta].start()
    wait.until("both ToRs reach it again", lambda: all(world.fabric.anycast_next_hop(tor) == "fab-meta-1" for tor in TORS), within=10)


def test_machines_reach_the_other_metadata_host_when_one_agent_is_killed(world):
    world.home.kill()
    wait.until("both ToRs have moved to meta-2", lambda: all(world.fabric.anycast_next_hop(tor) == "fab-meta-2" for tor in TORS),
               within=LEASE_SECONDS + 1)
    assert world.servers[3].fetch(ANY_MACHINE, world.tenant).status == 404


def test_the_address_leaves_the_fabric_within_the_lease_when_the_agent_hangs(world):
    world.home.process.signal(signal.SIGSTOP)
    try:
        wait.until("both ToRs have moved to meta-2", lambda: all(world.fabric.anycast_next_hop(tor) == "fab-meta-2" for tor in TORS),
                   within=LEASE_SECONDS + 1)
    finally:
        world.home.process.signal(signal.SIGCONT)
    wait.until("both ToRs prefer meta-1 again", lambda: all(world.fabric.anycast_next_hop(tor) == "fab-meta-1" for tor in TORS), within=10)


def test_ports_go_on_when_a_tors_agent_is_killed_and_started_again(world):
    server = world.servers[1]
    before = server.wait_slaac("eth0")
    world.agents["tor-a"].kill()
    assert server.fetch(ANY_MACHINE, world.tenant, nic="eth0").status == 404
    world.agents["tor-a"].start()
    world.agents["tor-a"].wait_health("frr", "zebra", "ok", within=10)
    assert server.addresses("eth0") == [before]
    assert server.fetch(ANY_MACHINE, world.tenant, nic="eth0").status == 404


def test_an_ordered_stop_takes_the_address_off_the_host(world):
    world.home.stop()
    assert world.home.process.exit_status() == 0
    wait.until("both ToRs have moved to meta-2", lambda: all(world.fabric.anycast_next_hop(tor) == "fab-meta-2" for tor in TORS), within=2)
    assert frr.META not in world.lab.nodes["meta-1"].ip("address", "show")
