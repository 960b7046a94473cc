"""The job runner of plugin redfish against a Redfish service that this project has not written: sushy-tools' emulator."""

import functools
import http.server
import socket
import threading

import bcrypt
import pytest

from tests.lab import wait
from tests.lab.bmc.__main__ import make_certificate
from tests.lab.build import SOURCE
from tests.lab.lone import PASSWORD, USER, make_agent
from tests.lab.ports import free_port
from tests.lab.process import Process
from tests.lab.steps import output_of

UUID = "6e657474-0000-4000-8000-000000000000"
MAC = "52:54:00:6e:00:01"
POWER_SECONDS = 30  # its fake machines take up to 11 s for a change of power


class ImageServer(http.server.ThreadingHTTPServer):
    """Serves a folder over HTTP and notes what was asked for."""

    address_family = socket.AF_INET6

    def __init__(self, folder):
        self.paths = []
        super().__init__(("::1", 0), functools.partial(_Files, directory=folder))
        threading.Thread(target=self.serve_forever, daemon=True).start()


class _Files(http.server.SimpleHTTPRequestHandler):
    def do_GET(self):
        self.server.paths.append(self.path)
        super().do_GET()

    def log_message(self, format, *args):  # pylint: disable=redefined-builtin
        """The server's list of paths is the log."""


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    folder = tmp_path_factory.mktemp("images")
    (folder / "nett.iso").write_bytes(b"\0" * 65536)
    with ImageServer(folder) as server:
        yield server
        server.shutdown()


@pytest.fixture(scope="module")
def emulator(tmp_path_factory):
    """The endpoint of a running emulator with one fake machine."""
    program = f"{output_of([SOURCE / 'tests/lab/setup/sushy-tools.sh'])}/bin/sushy-emulator"
    folder = tmp_path_factory.mktemp("sushy")
    port = free_port()
    certificate, key = make_certificate(folder, "::1")
    (folder / "users").write_text(f"{USER}:{bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()}\n", encoding="ascii")
    (folder / "emulator.conf").write_text(f"""
SUSHY_EMULATOR_FAKE_SYSTEMS = [{{"uuid": "{UUID}", "name": "node-1", "power_state": "On", "external_notifier": False,
                                "nics": [{{"mac": "{MAC}", "ip": ""}}]}}]
SUSHY_EMULATOR_STATE_DIR = "{folder}"
SUSHY_EMULATOR_FAKE_DRIVER = True
SUSHY_EMULATOR_SSL_CERT = "{certificate}"
SUSHY_EMULATOR_SSL_KEY = "{key}"
SUSHY_EMULATOR_AUTH_FILE = "{folder}/users"
SUSHY_EMULATOR_LISTEN_IP = "::1"
SUSHY_EMULATOR_LISTEN_PORT = {port}
""", encoding="utf-8")
    process = Process("sushy-emulator", [program, "--fake", "--config", folder / "emulator.conf"], folder / "log")
    wait.until("the emulator listens", lambda: "Running on" in process.log() and process.running(), 20)
    yield f"https://[::1]:{port}"
    process.stop()


@pytest.fixture(scope="module")
def agent(build, emulator, images, tmp_path_factory):
    made = make_agent(build, tmp_path_factory.mktemp("a"), image=f"http://[::1]:{images.server_port}/nett.iso")
    made.register(["node-1"], emulator, system="/redfish/v1/Systems/" + UUID)
    yield made
    made.process.stop()


def test_the_full_sequence(agent, emulator, images):
    job = agent.provision("node-1")
    agent.wait_state(job, "BOOT_WAIT", within=4 * POWER_SECONDS)
    assert "/nett.iso" in images.paths
    agent.boots("node-1")
    done = agent.wait_state(job, "DONE")
    steps = [entry["step"] for entry in done["progress"]["history"]]
    assert steps == ["PROBE", "POWER_OFF", "EJECT", "INSERT", "OVERRIDE", "VERIFY", "POWER_ON", "BOOT_WAIT", "CLEANUP", "DONE"]
