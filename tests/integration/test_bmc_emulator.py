"""The emulated BMC itself: power is a process, virtual media is a file that was fetched from the image's URL."""

import base64
import functools
import http.client
import http.server
import json
import os
import socket
import threading

import pytest

from tests.lab import wait
from tests.lab.bmc.client import Emulator

ROOT = "/redfish/v1/Systems/node-1"
MEDIA = f"{ROOT}/VirtualMedia/Cd"


class Ipv6Server(http.server.ThreadingHTTPServer):
    address_family = socket.AF_INET6


@pytest.fixture
def image_url(tmp_path):
    (tmp_path / "served").mkdir()
    (tmp_path / "served" / "nett.iso").write_bytes(b"iso" * 1000)
    server = Ipv6Server(("::1", 0), functools.partial(http.server.SimpleHTTPRequestHandler, directory=tmp_path / "served"))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://[::1]:{server.server_port}/nett.iso"
    server.shutdown()
    server.server_close()


@pytest.fixture
def bmc(tmp_path):
    # What runs while the machine is on: tells its process id and what it boots, and then does nothing.
    machine = tmp_path / "machine"
    machine.write_text(f'#!/bin/sh\necho "$$ $1 $2 $3" >{tmp_path}/started.tmp\nmv {tmp_path}/started.tmp {tmp_path}/started\nexec sleep 600\n',
                       encoding="utf-8")
    machine.chmod(0o755)
    with Emulator(tmp_path, "--power-on", f"{machine} {{system}} {{boot}} {{image}}", tls=False) as emulator:
        yield emulator


def call(bmc, method, path, body=None):
    host, _, port = bmc.endpoint.removeprefix("http://").rpartition(":")
    connection = http.client.HTTPConnection(host.strip("[]"), int(port), timeout=10)
    login = base64.b64encode(b"admin:password").decode()
    connection.request(method, path, json.dumps(body) if body is not None else None, {"Authorization": f"Basic {login}"})
    answer = connection.getresponse()
    text = answer.read()
    connection.close()
    return answer.status, json.loads(text) if text else None


def is_running(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_power_and_media_drive_a_machine(bmc, image_url, tmp_path):
    assert call(bmc, "GET", ROOT)[1]["PowerState"] == "Off"
    assert call(bmc, "POST", f"{MEDIA}/Actions/VirtualMedia.InsertMedia", {"Image": image_url})[0] == 204
    boot = {"Boot": {"BootSourceOverrideEnabled": "Once", "BootSourceOverrideTarget": "Cd"}}
    assert call(bmc, "PATCH", ROOT, boot)[0] == 200
    assert call(bmc, "POST", f"{ROOT}/Actions/ComputerSystem.Reset", {"ResetType": "On"})[0] == 204
    started = tmp_path / "started"
    wait.until("the machine runs", started.exists, 10)
    pid, system, source, image = started.read_text(encoding="utf-8").split()
    assert (system, source) == ("node-1", "cd")
    with open(image, "rb") as file:
        assert file.read() == b"iso" * 1000
    shown = call(bmc, "GET", ROOT)[1]
    assert (shown["PowerState"], shown["Boot"]["BootSourceOverrideEnabled"]) == ("On", "Disabled")
    assert call(bmc, "POST", f"{MEDIA}/Actions/VirtualMedia.EjectMedia", {})[0] == 204
    assert call(bmc, "POST", f"{ROOT}/Actions/ComputerSystem.Reset", {"ResetType": "ForceRestart"})[0] == 204
    assert not is_running(int(pid))
    wait.until("it boots its disk now", lambda: started.read_text(encoding="utf-8").split()[1:] == ["node-1", "disk"], 10)
    assert call(bmc, "POST", f"{ROOT}/Actions/ComputerSystem.Reset", {"ResetType": "ForceOff"})[0] == 204
    assert call(bmc, "GET", ROOT)[1]["PowerState"] == "Off"


def test_an_image_that_cannot_be_read_is_not_inserted(bmc, image_url):
    status, body = call(bmc, "POST", f"{MEDIA}/Actions/VirtualMedia.InsertMedia", {"Image": image_url.replace("nett", "other")})
    assert status == 500 and "cannot read the image" in body["error"]["message"]
    assert call(bmc, "GET", MEDIA)[1]["Inserted"] is False
