"""Configuration from the outside: files that are wrong, the running configuration, candidate and commit."""

import pytest

from tests.lab import agent
from tests.lab.fabric import TORS

GOOD = agent.tor_config("tor-a", TORS["tor-a"], "swp1-3")


def lines(*text):
    return "\n".join(text) + "\n"


BAD = {
    "unknown key": (lines("hostname tor-a", "plugin ra", " agregate 2001:db8:b000::/56"), 3, "agregate"),
    "one prefix on two ports": (lines("plugin ra", " aggregate 2001:db8:b000::/56", " ports swp1-3", " interface swp1", "  prefix 2001:db8:b000:7::/64",
                                      " interface swp2", "  prefix 2001:db8:b000:7::/64"), 7, "2001:db8:b000:7::/64"),
    "range that matches nothing": (lines("plugin ra", " aggregate 2001:db8:b000::/56", " ports eth100-120"), 3, "eth100-120"),
    "unreadable certificate": (lines("plugin metadata", " listen [2001:db8:ffff::1]:443", " server-address 2001:db8:ffff::1",
                                     " certificate /etc/nett/absent.crt", " private-key /etc/nett/absent.key",
                                     " client-ca /etc/nett/absent-ca.crt"), 4, "/etc/nett/absent.crt"),
    "value out of its range": (lines("plugin ra", " aggregate 2001:db8:b000::/56", " ports swp1-3", " interval 100000"), 4, "interval"),
    "an IPv4 address": (lines("plugin bgp-anycast", " address 192.0.2.1/32"), 2, "192.0.2.1"),
}


def test_a_good_file_passes(world):
    done = world.agents["tor-a"].check_config(GOOD)
    assert done.returncode == 0, done.stderr + done.stdout


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_is_refused_with_file_and_line(world, name):
    text, line, words = BAD[name]
    done = world.agents["tor-a"].check_config(text)
    said = done.stderr + done.stdout
    assert done.returncode != 0
    assert f"checked.conf:{line}:" in said, said
    assert words in said, said


def test_all_errors_are_told_at_once(world):
    done = world.agents["tor-a"].check_config(lines("hostnam x", "plugin ra", " aggregate 2001:db8::/129", " interval none", "plugin nowhere"))
    said = done.stderr + done.stdout
    assert done.returncode != 0
    for line in (1, 3, 4, 5):
        assert f"checked.conf:{line}:" in said, said


def test_an_agent_does_not_start_on_a_bad_file_and_applies_nothing(world):
    node = world.lab.nodes["tor-a"]
    other = agent.Agent(node, world.build, GOOD)
    before = node.ip("address", "show")
    other.configure(BAD["unknown key"][0])
    try:
        done = node.run(*other.arguments(), check=False, within=20)
    finally:
        other.configure(GOOD)
    assert done.returncode != 0
    assert "nett.conf:3:" in done.stderr
    assert node.ip("address", "show") == before


def test_a_reload_of_a_bad_file_changes_nothing(world):
    tor = world.agents["tor-a"]
    before = tor.nettsh("show running-config").stdout
    tor.configure(GOOD + "nonsense\n")
    tor.reload()
    tor.wait_log("nett.conf:7:", within=5)
    assert tor.nettsh("show running-config").stdout == before
    tor.configure(GOOD)
    tor.reload()
    assert world.agents["tor-a"].running()


def test_the_running_configuration_is_a_file_that_gives_the_same_running_configuration(world):
    for name, instance in world.agents.items():
        shown = instance.nettsh("show running-config").stdout
        done = instance.check_config(shown)
        assert done.returncode == 0, f"{name}: {done.stderr}{done.stdout}"
        instance.configure(shown)
        instance.stop()
        instance.start()
        assert instance.nettsh("show running-config").stdout == shown


def test_a_commit_takes_effect_and_another_one_takes_it_back(world):
    tor, server = world.agents["tor-a"], world.servers[1]
    before = tor.nettsh("show running-config").stdout
    tor.nettsh("configure terminal", "plugin ra", "preferred-lifetime 200", "commit", "end")
    assert "preferred-lifetime 200" in tor.nettsh("show running-config").stdout
    prefix = server.wait_advertised("eth0", preferred=200, within=15)
    assert prefix
    tor.nettsh("configure terminal", "plugin ra", "no preferred-lifetime", "commit", "end")
    assert tor.nettsh("show running-config").stdout == before
    server.wait_advertised("eth0", preferred=300, within=15)


def test_a_candidate_that_a_plugin_refuses_is_not_applied(world):
    tor = world.agents["tor-a"]
    before = tor.nettsh("show running-config").stdout
    done = tor.nettsh("configure terminal", "plugin ra", "interface swp1", "prefix 2001:db8:b000:9::/64", "interface swp2",
                      "prefix 2001:db8:b000:9::/64", "commit", check=False)
    assert "2001:db8:b000:9::/64" in done.stdout + done.stderr
    assert done.returncode != 0
    assert tor.nettsh("show running-config").stdout == before
