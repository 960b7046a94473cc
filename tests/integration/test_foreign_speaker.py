"""A router of another make (BIRD) in a session with a metadata host: it takes the anycast address, and loses it with its health."""

import pytest

from tests.lab import frr, speaker, story, wait

ANYCAST = f"{frr.META}/128"


@pytest.fixture(scope="module")
def bird(raised):
    made = speaker.Bird(raised.lab, "bird", raised.lab.nodes[story.HOME], raised.fabric.frr[story.HOME])
    made.start()
    wait.until("BIRD's session is up", lambda: "Established" in made.show("protocols", "meta"), within=30)
    yield made
    raised.fabric.frr[story.HOME].vtysh("configure terminal", "router bgp",
                                        f"no neighbor {speaker.link_local(made.node, 'up0')}")


def test_bird_accepts_the_anycast_address_and_nothing_else(world, bird):
    wait.until("BIRD has the anycast address", lambda: bird.knows(ANYCAST), within=20)
    routes = [line.split()[0] for line in bird.show("route", "protocol", "meta").splitlines() if "/" in line]
    assert [route for route in routes if "/" in route] == [ANYCAST]
    assert speaker.link_local(world.lab.nodes[story.HOME], "fab-bird") in bird.show("route", "for", frr.META, "all")


def test_bird_loses_the_anycast_address_when_a_health_check_fails_and_has_it_again(world, bird):
    wait.until("BIRD has the anycast address", lambda: bird.knows(ANYCAST), within=20)
    home = world.home
    # A check of the operator's own that cannot succeed: nothing listens on that port.
    home.nettsh("configure terminal", "plugin bgp-anycast", "check port tcp", "target [::1]:9", "commit")
    try:
        wait.until("BIRD has lost it", lambda: not bird.knows(ANYCAST) and not bird.node.routes_to(ANYCAST), within=30)
        assert "Established" in bird.show("protocols", "meta"), "withdrawn, not cut off"
    finally:
        home.nettsh("configure terminal", "plugin bgp-anycast", "no check port tcp", "commit")
    wait.until("BIRD has it again", lambda: bird.knows(ANYCAST), within=60)


def test_bird_loses_the_anycast_address_when_the_agent_is_killed(world, bird):
    wait.until("BIRD has the anycast address", lambda: bird.knows(ANYCAST), within=60)
    world.home.kill()
    wait.until("BIRD has lost it", lambda: not bird.knows(ANYCAST), within=10)
    world.home.start()
    wait.until("BIRD has it again", lambda: bird.knows(ANYCAST), within=30)
