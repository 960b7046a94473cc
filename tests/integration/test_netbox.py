"""Production prefixes out of a NetBox: its REST API, played by http.server over TLS, with what goes wrong in the field."""

import http.server
import json
import pathlib
import signal
import socket
import ssl
import subprocess
import threading
import urllib.parse

import pytest

from tests.lab import wait
from tests.lab.loopback import LoopbackAgent

TOKEN = "0123456789abcdef0123456789abcdef01234567"
REFRESH = 10  # seconds, the least that can be configured


class Netbox(http.server.ThreadingHTTPServer):
    """`addresses` is {device: address}; `trouble` a function that answers a request in place of the API."""

    address_family = socket.AF_INET6
    daemon_threads = True

    def __init__(self, pki):
        super().__init__(("::1", 0), _Api)
        self.addresses, self.trouble, self.requests = {}, None, []
        self.page_limit = 2  # as MAX_PAGE_SIZE: whatever is asked for
        self.load(pki)
        self._thread = threading.Thread(target=self.serve_forever, daemon=True)
        self._thread.start()

    def load(self, pki):
        self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.tls.load_cert_chain(pki / "server.pem", pki / "server.key")

    def finish_request(self, request, client_address):
        request.settimeout(10)
        try:
            secured = self.tls.wrap_socket(request, server_side=True)
        except (ssl.SSLError, OSError):
            return
        self.RequestHandlerClass(secured, client_address, self)

    def handle_error(self, *_):
        pass

    def stop(self):
        self.shutdown()
        self._thread.join()
        self.server_close()


class _Api(http.server.BaseHTTPRequestHandler):
    def answer(self, status, body, **fields):
        self.send_response(status)
        for name, value in fields.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        self.server.requests.append(self.path)
        if self.server.trouble:
            return self.server.trouble(self)
        if self.headers["Authorization"] != f"Token {TOKEN}":
            return self.answer(401, b'{"detail": "Invalid token"}')
        url = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(url.query))
        if url.path != "/api/ipam/ip-addresses/" or query.get("role") != "loopback":
            return self.answer(404, b"{}")
        rows, offset = list(self.server.addresses.items()), int(query["offset"])
        end = offset + min(int(query["limit"]), self.server.page_limit)
        results = [{"id": number, "family": {"value": 6, "label": "IPv6"}, "address": address, "role": {"value": "loopback"},
                    "assigned_object_type": "dcim.interface",
                    "assigned_object": {"id": 1, "name": "lo", "device": {"id": number, "name": device, "display": device}}}
                   for number, (device, address) in enumerate(rows)][offset:end]
        following = "http://netbox.internal/api/ipam/ip-addresses/?offset=9" if end < len(rows) else None
        return self.answer(200, json.dumps({"count": len(rows), "next": following, "previous": None, "results": results}).encode(),
                           Content_Type="application/json")

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def pki(build, tmp_path_factory):
    folder = tmp_path_factory.mktemp("netbox-pki")
    subprocess.run([build.program("talos-fabric-builder"), "pki", "init", folder, "--server-address", "::1"], check=True,
                   stdout=subprocess.DEVNULL)
    return folder


@pytest.fixture(scope="module")
def netbox(pki):
    made = Netbox(pki)
    yield made
    made.stop()


@pytest.fixture(scope="module")
def agent(build, netbox, pki, tmp_path_factory):
    folder = tmp_path_factory.mktemp("netbox")
    (folder / "token").write_text(TOKEN + "\n", encoding="ascii")
    (folder / "token").chmod(0o600)
    made = LoopbackAgent(build, folder, f"netbox url https://[::1]:{netbox.server_address[1]}", f"netbox token-file {folder}/token",
                         f"netbox ca {pki}/root.pem", "netbox filter role=loopback", f"netbox refresh {REFRESH}")
    netbox.addresses = {f"node-{number}": f"2001:db8:1::{number}/128" for number in range(1, 6)}
    made.start()
    yield made
    made.process.stop()


@pytest.fixture(autouse=True)
def _well(netbox):
    yield
    netbox.trouble = None


def prefixes(agent):
    return {row["machine"]: row["prefix"] for row in agent.show("show netbox")["prefixes"] if not row["gone"]}


def wait_read(agent, error=""):
    """Until the last reading ended like this; "" is well."""
    agent.process.signal(signal.SIGHUP)  # reads at once

    def reached():
        shown = agent.show("show netbox")
        assert (error in shown["error"]) if error else (not shown["error"] and shown["last_read"] >= shown["last_attempt"]), shown["error"]
        return True

    wait.until(f"NetBox was read: {error or 'well'}", reached, within=3 * REFRESH, every=0.2)


def wait_health(agent, state):
    def reached():
        condition = agent.health("netbox")
        assert (condition["state"], condition["scope"]) == (state, "info"), condition
        return True

    wait.until(f"metadata/netbox is {state}", reached, within=15, every=0.3)


def test_all_pages_are_read_and_kept_in_the_state_file(agent, netbox):
    wait.until("all five are known", lambda: len(prefixes(agent)) == 5, within=15)
    assert prefixes(agent)["node-5"] == "2001:db8:1::5/128"
    assert [urllib.parse.parse_qs(urllib.parse.urlsplit(path).query)["offset"] for path in netbox.requests[:3]] == [["0"], ["2"], ["4"]]
    assert set(agent.records("netbox-prefix")) == set(netbox.addresses)
    wait_read(agent)


def test_a_change_in_netbox_arrives_with_the_next_reading(agent, netbox):
    netbox.addresses["node-2"] = "2001:db8:1::22/128"
    wait.until("the new one is known", lambda: prefixes(agent)["node-2"] == "2001:db8:1::22/128", within=3 * REFRESH, every=0.3)


def _huge(request):
    request.send_response(200)
    request.send_header("Content-Length", str(1 << 30))
    request.end_headers()
    chunk = b" " * (1 << 20)
    for _ in range(64):
        try:
            request.wfile.write(chunk)
        except OSError:
            return


def _cut_off(request):
    request.send_response(200)
    request.send_header("Content-Length", "100")
    request.end_headers()


@pytest.mark.parametrize("trouble, message", [
    (lambda request: request.answer(429, b"", Retry_After="1"), "HTTP 429"),
    (lambda request: request.answer(500, b"<html>oops</html>"), "HTTP 500"),
    (lambda request: request.answer(401, b"{}"), "refuses the token"),
    (lambda request: request.answer(302, b"", Location="https://elsewhere/"), "HTTP 302"),
    (lambda request: request.answer(200, b'{"results": "none"}'), "not what its API documents"),
    (lambda request: request.answer(200, b"[" * 100000), "not what its API documents"),
    (_huge, "its answer is larger"),
    (_cut_off, "closed the connection before its answer's end"),
], ids=["429", "500", "401", "redirect", "wrong-shape", "deep-json", "huge", "cut-off"])
def test_trouble_degrades_and_the_last_known_holds(agent, netbox, trouble, message):
    before = prefixes(agent)
    netbox.trouble = trouble
    wait_read(agent, message)
    assert prefixes(agent) == before
    netbox.trouble = None
    wait_read(agent)


def test_a_machine_whose_prefix_is_netboxs_has_it_without_a_boot(agent, netbox):
    agent.process.stop()
    machine = {"name": "node-3", "tenant": "t", "state": "new", "production": {"mode": "netbox", "pool": "", "prefix": ""}}
    agent.put_records("machine", {"node-3": machine})
    agent.start()
    given = lambda: agent.records("machine")["node-3"]["production"]["prefix"]
    wait.until("node-3 has what was known", lambda: given() == "2001:db8:1::3/128", within=15)
    netbox.addresses["node-3"] = "2001:db8:1::33/128"
    wait_read(agent)
    wait.until("and what is new", lambda: given() == "2001:db8:1::33/128", within=15)


def test_a_restart_while_netbox_is_down_keeps_what_was_known(agent, netbox):
    before = prefixes(agent)
    netbox.trouble = lambda request: request.answer(500, b"")
    agent.process.stop()
    agent.start()
    assert prefixes(agent) == before
    netbox.trouble = None
    wait_read(agent)


def test_the_token_is_in_no_log_and_no_answer(agent):
    assert TOKEN not in pathlib.Path(agent.folder / "nettd.log").read_text(encoding="utf-8", errors="replace")
    assert TOKEN not in json.dumps(agent.show("show netbox"))


def test_a_certificate_of_another_root_gets_no_token(agent, netbox, pki, build, tmp_path):
    subprocess.run([build.program("talos-fabric-builder"), "pki", "init", tmp_path, "--server-address", "::1"], check=True,
                   stdout=subprocess.DEVNULL)
    asked = len(netbox.requests)
    netbox.load(tmp_path)
    wait_read(agent, "certificate is refused")
    wait_health(agent, "degraded")
    assert len(netbox.requests) == asked
    netbox.load(pki)
    wait_read(agent)
    wait_health(agent, "ok")
