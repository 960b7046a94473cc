"""One lab for all integration tests: it is raised once, and after each test whatever the test broke is started again."""

import dataclasses
import os

import pytest

from tests.lab import api, fabric, story
from tests.lab.anycast import Anycast
from tests.lab.build import SOURCE, Build
from tests.lab.server import NICS, Server
from tests.lab.steps import output_of

PORTS = (1, 2, 3)


@dataclasses.dataclass
class World:
    """What a test works with."""

    build: Build
    lab: fabric.Lab
    fabric: fabric.Fabric
    pki: story.Pki
    agents: dict
    servers: dict
    messages: object

    @property
    def home(self):
        """The agent of the metadata host that the fabric prefers."""
        return self.agents[story.HOME]

    @property
    def tenant(self):
        return self.pki.credentials()

    def api(self, name=story.HOME):
        return api.Api(self.lab.nodes[name], self.messages)

    def restore(self):
        """Starts again whatever is not running; returns when the fabric is as it was in the beginning."""
        for instance in self.fabric.frr.values():
            instance.start_dead_daemons()
        for agent in self.agents.values():
            if not agent.running():
                agent.start()
        self.fabric.wait_established()
        story.wait_anycast(self.fabric)


def pytest_configure(config):
    config.addinivalue_line("markers", "fabric: uses the shared lab; check runs these in one lane and the others beside them")


def pytest_collection_modifyitems(items):
    for item in items:
        if "lab" in item.fixturenames:
            item.add_marker("fabric")


# Of a log, in the report of a failure.
LOG_TAIL_BYTES = 8192


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item):
    """A failure shows what the test's own agents said: on another machine nobody can look at their logs afterwards."""
    outcome = yield
    report = outcome.get_result()
    if report.failed and "tmp_path" in item.funcargs:
        for log in sorted(item.funcargs["tmp_path"].rglob("nettd*.log")):
            report.sections.append((f"the end of {log.name}", log.read_bytes()[-LOG_TAIL_BYTES:].decode(errors="replace")))


@pytest.fixture(scope="session")
def build():
    return Build(os.environ.get("NETT_BUILD", SOURCE / "build" / "check"))


@pytest.fixture(scope="session")
def lab(build):
    # Two runs beside each other need a name each.
    with fabric.Lab(os.environ.get("NETT_LAB_PREFIX", "nettest-"), build.environment()) as made:
        yield made


@pytest.fixture(scope="session")
def raised(build, lab, tmp_path_factory):
    """The whole world, once."""
    network = fabric.Fabric(lab)
    network.start_frr()
    pki = story.Pki(lab, build)
    pki.create()
    servers = {port: Server(lab, port) for port in PORTS}
    agents = story.make_agents(network, build, pki, f"swp{PORTS[0]}-{PORTS[-1]}")
    for agent in agents.values():
        agent.start()
    made = World(build, lab, network, pki, agents, servers, api.messages(tmp_path_factory.mktemp("proto")))
    for meta in fabric.METAS:
        story.register_tenant(agents[meta])
    setup = SOURCE / "tests" / "lab" / "setup"
    story.register_artifacts(made.home, output_of([setup / "kernel.sh"]), output_of([setup / "initramfs.sh"]))
    made.restore()
    for server in servers.values():
        for nic in NICS:
            server.wait_slaac(nic)
    return made


@pytest.fixture
def world(raised):
    yield raised
    raised.restore()


@pytest.fixture
def anycast(world):
    made = Anycast(world)
    made.configure()
    yield made
    made.configure()
    if made.agent.running():
        made.agent.nettsh("anycast resume")
        # Flaps of one test must not hold down the next.
        made.agent.kill()
