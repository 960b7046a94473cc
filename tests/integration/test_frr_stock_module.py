"""FRR's own northbound module, without the patch of packaging/frr-grpc: nett says that it is the stock one, and works all the same."""

import time

import pytest

from tests.lab import wait
from tests.lab.build import SOURCE
from tests.lab.steps import output_of
from tests.lab.switch import Switch


@pytest.fixture(scope="module")
def switch(lab, build):
    made = Switch(lab, build, "grpc", ports=2, stock_module=output_of([SOURCE / "tests" / "lab" / "setup" / "stock-module.sh"]))
    made.agent.configure(made.config(ports="swp1-2"))
    made.start()
    return made


def alive(number):
    return lambda entry: entry["prefixes"] == {f"2001:db8:b000:{number}::/64": [600, 300]} and entry["router_lifetime"] == 30


def wait_advertised(switch, since, within=10):
    for number, host in enumerate(switch.hosts.values(), start=1):
        host.wait_advertised("its advertisement", alive(number), within=within, since=since)


def test_the_stock_module_is_named_with_its_faults_and_the_remedy(switch):
    condition = switch.agent.wait_health("frr", "zebra", "degraded", within=10)
    assert "unpatched gRPC module" in condition["message"] and "packaging/frr-grpc" in condition["remedy"]
    shown = switch.agent.show("show ra interface swp1")
    assert (shown["backend"], shown["module"], shown["state"]) == ("grpc", "stock, worked around", "advertising")
    wait_advertised(switch, time.monotonic())


def test_what_the_stock_module_forgets_at_any_other_commit_is_back_within_five_seconds(switch):
    """Its candidate is not mgmtd's: a commit of anything else by mgmtd undoes everything that came over gRPC."""
    before = len(switch.drift())
    switch.frr.vtysh("configure terminal", "interface fab1", "description to the fabric")
    edited = time.monotonic()
    lost = wait.until("the loss is repaired and shown", lambda: switch.drift()[before:], within=5)
    assert {row["port"] for row in lost} >= {"swp1", "swp2"} and all(row["where"] == "zebra" for row in lost)
    wait_advertised(switch, edited + 1, within=5)


def test_ports_come_and_go_and_the_module_lives(switch):
    zebra = switch.frr.pid("zebra")
    changed = time.monotonic()
    switch.commit("plugin ra", "router-lifetime 25")
    switch.hosts["swp1"].wait_advertised("the new router lifetime", lambda entry: entry["router_lifetime"] == 25, within=10, since=changed)
    switch.commit("plugin ra", "no ports swp1-2", "ports swp1")
    switch.hosts["swp2"].wait_advertised("the farewell", lambda entry: entry["router_lifetime"] == 0, within=10, since=changed)
    switch.commit("plugin ra", "no ports swp1", "ports swp1-2", "no router-lifetime 25")
    back = time.monotonic()
    wait_advertised(switch, back, within=15)
    # Neither a stop of the agent nor a start ends the module's server, which one cut-off call would.
    switch.agent.stop()
    switch.agent.start()
    switch.wait_ready()
    assert switch.frr.pid("zebra") == zebra and switch.agent.health("frr", "zebra")["state"] == "degraded"


def test_a_restart_of_zebra_with_the_stock_module_is_repaired_within_five_seconds(switch):
    switch.frr.kill("zebra")
    switch.frr.start_daemon("zebra")
    wait_advertised(switch, time.monotonic(), within=5)
