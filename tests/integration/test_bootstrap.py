"""What a machine on a switch port sees: RA, SLAAC, a way to the metadata address and back."""

import ipaddress

import pytest

from tests.lab import fabric
from tests.lab.server import NICS

PORTS = (1, 2, 3)
NIC_OF = {tor: nic for nic, tor in NICS.items()}
EVERY_PORT = [(tor, port) for tor in fabric.TORS for port in PORTS]


@pytest.mark.parametrize("tor, port", EVERY_PORT)
def test_a_machine_reaches_the_metadata_address_over_tcp_from_every_port(world, tor, port):
    server, nic = world.servers[port], NIC_OF[tor]
    address = server.wait_slaac(nic)
    reply = server.fetch("/v1/boot/00000000-1111-4222-8333-444444444444", world.tenant, nic=nic)
    assert reply.error == "", reply.message
    assert reply.status == 404  # nobody registered this machine; that it was said over mutual TLS is the point
    assert reply.source == address
    assert ipaddress.ip_address(address) in ipaddress.ip_network(fabric.TORS[tor])


@pytest.mark.parametrize("tor, port", EVERY_PORT)
def test_the_advertisement_is_one_that_ipxe_can_use(world, tor, port):
    server, nic = world.servers[port], NIC_OF[tor]
    server.wait_slaac(nic)
    latest = server.advertisements(nic)[-1]
    # iPXE waits for DHCPv6 when M or O is set, and fails.
    assert not latest["managed"] and not latest["other"]
    assert latest["router_lifetime"] == 30
    assert list(latest["prefixes"].values()) == [[600, 300]]


def test_every_port_has_a_prefix_of_its_own(world):
    seen = {}
    for tor, port in EVERY_PORT:
        nic = NIC_OF[tor]
        world.servers[port].wait_slaac(nic)
        prefix = next(iter(world.servers[port].advertisements(nic)[-1]["prefixes"]))
        assert prefix.endswith("/64")
        assert prefix not in seen, f"{tor}/swp{port} and {seen[prefix]} share {prefix}"
        seen[prefix] = f"{tor}/swp{port}"


def test_the_fabric_learns_the_aggregates_and_nothing_else(world):
    for meta in fabric.METAS:
        for tor, aggregate in fabric.TORS.items():
            learned = world.fabric.frr[meta].vtysh_json(f"show bgp ipv6 unicast neighbors fab-{tor} routes")["routes"]
            assert list(learned) == [aggregate]


def test_both_tors_prefer_the_same_metadata_host(world):
    for tor in fabric.TORS:
        assert world.fabric.anycast_next_hop(tor) == "fab-meta-1"
        assert world.fabric.anycast_announcers(tor) == 2
