"""Switches whose agents report what they see to the metadata host's agent, over mutual TLS."""

import contextlib

from tests.lab import frr, story
from tests.lab.fabric import TORS

# The agents' API, on the anycast address: the lab's hosts have no other.
API = f"[{frr.META}]:8443"
IDENTITY = "api certificate /etc/nett/api.crt\napi private-key /etc/nett/api.key\napi client-ca /etc/nett/api-ca.crt\n"
HOME_CONFIG = f"""{IDENTITY}api listen {API}
api role fabric common-name tor-a
api role fabric common-name tor-b
api role viewer common-name eyes
api role operator common-name ops
api role tenant {story.TENANT} common-name compute-a
api role tenant tenant-b common-name compute-b
"""
# Seconds. Longer than a flap takes on a busy machine.
STABLE = 4
TOR_CONFIG = f"{IDENTITY}upstream {API}\nfabric stable-time {STABLE}\n"


def add_config(agent, text):
    """Puts lines before the plugins into nett.conf, and into force; returns the configuration before."""
    path = agent.node.path("/etc/nett/nett.conf")
    before = path.read_text(encoding="utf-8")
    head, rest = before.split("!\n", maxsplit=1)
    agent.configure(head + text + "!\n" + rest)
    agent.reload()
    return before


@contextlib.contextmanager
def switches_report(world, clients=()):
    """The metadata host serves its API over TCP, and both switches report there. `clients`: who gets a certificate besides."""
    for name in (story.HOME, *TORS, *clients):
        world.pki.add_api(name, *([] if name in clients else [frr.META]))
    before = {}
    for name, text in ((story.HOME, HOME_CONFIG), *((tor, TOR_CONFIG) for tor in TORS)):
        world.pki.install_api(world.lab.nodes[name], name)
        before[name] = add_config(world.agents[name], text)
    world.home.wait_health("api", f"listener {API}", "ok", within=10)
    for tor in TORS:
        world.agents[tor].wait_health("fabric", f"upstream {API}", "ok", within=30)
    try:
        yield
    finally:
        for name, text in before.items():
            world.agents[name].configure(text)
            world.agents[name].reload()
