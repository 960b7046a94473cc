"""Boot decisions of a real agent: ids, tenants, ports, the wipe that is served once, tokens, unknown machines."""

import dataclasses
import hashlib
import itertools
import re

import pytest

from tests.lab import wait
from tests.lab.metadata import MetadataAgent, ask, get
from tests.lab.ports import free_port

CONFIG = "version: v1alpha1\nmachine:\n  type: worker\n"
NUMBERS = itertools.count(1)


@dataclasses.dataclass
class Machine:
    name: str
    uuid: str
    mac: str
    serial: str

    @property
    def boot(self):
        return f"/v1/boot/{self.uuid}"

    @property
    def config(self):
        return f"/v1/config/{self.uuid}"


@pytest.fixture(scope="module")
def agent(build, tmp_path_factory):
    port = free_port()
    made = MetadataAgent(build, tmp_path_factory.mktemp("boot"),
                         f" token-listen [::1]:{port}\n erase-set s\n config-image zstd\n port lab/lo prefix ::1/128\n")
    made.token_port = port
    made.start()
    for tenant in ("t", "other"):
        made.add_tenant(tenant)
    made.add_set("s", b"kernel", b"initramfs")
    yield made
    made.process.stop()


@pytest.fixture
def register(agent):
    """Registers a machine of tenant t that is used by this test alone."""
    def make(*more):
        number = next(NUMBERS)
        made = Machine(f"m{number}", f"6e657474-0000-4000-8000-0000e000{number:04x}", f"52:54:00:00:e0:{number:02x}", f"CZ {number}")
        agent.add_machine(made.name, "t", "s", CONFIG, "--uuid", made.uuid, "--mac", made.mac, "--serial", made.serial, *more)
        return made

    return make


@pytest.fixture
def connection(agent):
    made = agent.connect("t")
    yield made
    made.close()


@pytest.fixture
def stranger(agent):
    made = agent.connect("other")
    yield made
    made.close()


@pytest.fixture
def without_certificate(agent):
    made = agent.connect(port=agent.token_port)
    yield made
    made.close()


def spellings(machine):
    """Every usual way to name a machine."""
    swapped = "-".join(["7474656e", "0000", "0040", *machine.uuid.split("-")[3:]])
    return [f"/{machine.uuid}", f"/{machine.uuid.upper()}", f"/{machine.uuid.replace('-', '')}", f"/{swapped}", f"/{machine.mac}",
            f"/{machine.mac.replace(':', '-').upper()}", f"/{machine.mac.replace(':', '')}", f"?uuid={machine.uuid}",
            f"/?mac={machine.mac.replace(':', '%3A')}", f"?serial={machine.serial.replace(' ', '%20')}",
            f"/00000000-0000-0000-0000-000000000000?mac={machine.mac}",
            f"/ffffffff-ffff-ffff-ffff-ffffffffffff?uuid={machine.uuid}",
            f"/03000200-0400-0500-0006-000700080009?mac=&serial={machine.serial.replace(' ', '+').replace('+', '%20')}"]


def test_a_machine_is_found_by_each_of_its_names(connection, register):
    machine = register()
    for spelling in spellings(machine):
        status, _, script = ask(connection, f"/v1/boot{spelling}")
        assert status == 200, spelling
        assert script.startswith(b"#!ipxe\n")


def test_head_tells_what_get_would_and_changes_nothing(agent, connection, register):
    machine = register()
    status, head, body = ask(connection, machine.boot, method="HEAD")
    assert (status, body) == (200, b"")
    assert agent.machine(machine.name)["state"] == "new"
    status, fields, script = ask(connection, machine.boot)
    assert (status, fields["content-length"]) == (200, head["content-length"])
    assert len(script) == int(head["content-length"])
    assert agent.machine(machine.name)["state"] == "provisioning"


def test_unknown_foreign_locked_and_installed_machines_get_the_same_bytes(agent, connection, stranger, register):
    def bytes_of(answer):
        status, fields, body = answer
        return status, {name: value for name, value in fields.items() if name != "date"}, body

    machine, locked, active = register(), register(), register()
    agent.shell(f"machine {locked.name} lock")
    agent.builder("machine", "state", active.name, "active")
    nobody = bytes_of(ask(connection, "/v1/boot/6e657474-0000-4000-8000-00000000ffff"))
    assert nobody[0] == 404
    assert bytes_of(ask(stranger, machine.boot)) == nobody
    assert bytes_of(ask(connection, locked.boot)) == nobody
    assert bytes_of(ask(connection, active.boot)) == nobody
    for part in ("", "/extensions.yaml", "/config.sqsh"):
        for client, asked in ((stranger, machine), (connection, locked), (connection, active)):
            assert bytes_of(ask(client, asked.config + part)) == nobody, (part, asked)
    assert agent.machine(machine.name)["state"] == "new"


def test_a_machine_bound_to_a_port_is_served_only_from_there(connection, register):
    here, elsewhere = register("--port", "tor-a/swp7=::/64"), register("--port", "tor-a/swp7=2001:db8:b000:7::/64")
    assert get(connection, here.boot)[0] == 200
    assert get(connection, here.config)[0] == 200
    assert get(connection, elsewhere.boot)[0] == 404
    assert get(connection, elsewhere.config)[0] == 404


def test_the_wipe_is_served_once_even_across_a_crash(agent, connection, register):
    machine = register()
    assert get(connection, machine.boot)[0] == 200
    agent.builder("machine", "state", machine.name, "active")
    agent.builder("machine", "state", machine.name, "reprovision")
    assert b"talos.experimental.wipe=system" in get(connection, machine.boot)[1]
    agent.process.kill()
    agent.start()
    again = agent.connect("t")
    status, script = get(again, machine.boot)
    assert status == 200 and b"wipe" not in script
    assert agent.machine(machine.name)["state"] == "provisioning"
    again.close()


def test_two_nics_that_ask_at_once_get_one_wipe(agent, register):
    machine = register()
    first, second = agent.connect("t"), agent.connect("t")
    assert get(first, machine.boot)[0] == 200
    for _ in range(5):
        agent.builder("machine", "state", machine.name, "reprovision")
        for client in (first, second):
            client.request("GET", machine.boot)
        scripts = [client.getresponse().read() for client in (first, second)]
        assert sum(b"wipe" in script for script in scripts) == 1
        assert all(script.startswith(b"#!ipxe") for script in scripts)
    first.close()
    second.close()


def test_decommission_serves_the_erase_set_without_the_config(agent, connection, register):
    machine = register()
    agent.builder("machine", "state", machine.name, "decommission")
    status, script = get(connection, machine.boot)
    assert status == 200 and b"/v1/config/" not in script
    assert get(connection, machine.config)[0] == 404


def test_a_config_is_embedded_as_zstd_where_that_is_configured(connection, register):
    machine = register()
    status, fields, image = ask(connection, f"{machine.config}/config.sqsh")
    assert (status, image[:4], image[20]) == (200, b"hsqs", 6)
    assert fields["cache-control"] == "no-store"
    extensions = get(connection, f"{machine.config}/extensions.yaml")[1].decode()
    assert f"version: {hashlib.sha256(CONFIG.encode()).hexdigest()}" in extensions


def token_url(script):
    """The path and query of the script's talos.config."""
    return re.search(rb" talos\.config=https://\[::1\]:\d+(/v1/config/\S+)", script)[1].decode()


def test_a_token_fetches_its_machines_config_once_without_a_certificate(agent, connection, without_certificate, register):
    machine = register("--delivery", "token")
    status, script = get(connection, machine.boot)
    assert status == 200 and b" talos.config.early=" in script
    assert f":{agent.token_port}/v1/config/".encode() in script
    url = token_url(script)
    assert get(connection, url)[0] == 404  # not where a certificate is needed
    for wrong in (url[:-1] + ("0" if url[-1] != "0" else "1"), url.split("?")[0], "/v1/artifacts/s/vmlinuz", machine.boot):
        assert get(without_certificate, wrong)[0] == 404
    status, fields, body = ask(without_certificate, url)
    assert (status, body) == (200, CONFIG.encode())
    assert fields["cache-control"] == "no-store"
    newer = token_url(get(connection, machine.boot)[1])
    assert newer != url
    assert get(without_certificate, url)[0] == 404  # a new script revokes the last one's token
    agent.builder("machine", "state", machine.name, "active")
    assert get(without_certificate, newer)[0] == 404  # and so does the end of the installation


def test_a_token_is_good_after_a_crash_of_the_agent(agent, connection, register):
    machine = register("--delivery", "token")
    url = token_url(get(connection, machine.boot)[1])
    agent.process.kill()
    agent.start()
    client = agent.connect(port=agent.token_port)
    assert get(client, url) == (200, CONFIG.encode())
    client.close()


def test_the_early_config_carries_the_root_that_the_token_listener_chains_to(agent, connection, register):
    import base64
    import subprocess

    script = get(connection, register("--delivery", "token").boot)[1]
    packed = base64.b64decode(re.search(rb" talos\.config\.early=(\S+)", script)[1])
    document = subprocess.run(["zstd", "-dc"], input=packed, stdout=subprocess.PIPE, check=True).stdout.decode()
    assert document.startswith("apiVersion: v1alpha1\nkind: TrustedRootsConfig\n")
    certificate = "\n".join(line.strip() for line in document.splitlines()[4:])
    assert certificate == (agent.folder / "root.pem").read_text(encoding="ascii").strip()


def test_unknown_machines_are_listed_with_all_they_said(agent, connection):
    uuid = "6e657474-0000-4000-8000-0000000000aa"
    assert get(connection, f"/v1/boot/{uuid}?mac=52-54-00-00-aa-01&serial=CZ%2099")[0] == 404
    assert get(connection, f"/v1/boot/{uuid}?mac=52-54-00-00-aa-02")[0] == 404

    def listed():
        return [one for one in agent.show("show unknown-machines") if one["id"] == uuid and one["requests"] == 2]

    seen = wait.until("the unknown machine is listed", listed, 10, every=0.1)[0]
    assert (seen["tenant"], seen["source"]) == ("t", "::1")
