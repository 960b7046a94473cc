"""The HTTP side of the emulated BMC: authentication, faults, the request log, and the control endpoint for tests.

The control endpoint needs no login: GET /_control/log, GET /_control/systems, PUT /_control/faults, POST /_control/release,
DELETE /_control/log, POST /_control/expire (forgets all sessions).
"""

import base64
import http.server
import json
import socket
import ssl
import threading
import time

from .faults import Faults
from .redfish import ROOT, Answer, refusal

_MAX_BODY = 1 << 20


class RequestLog:
    """Every Redfish request, in order of arrival; thread-safe."""

    def __init__(self):
        self._lock = threading.Lock()
        self._entries = []
        self.in_flight = 0
        self.max_in_flight = 0

    def begin(self, source, method, path, body, login, if_match):
        if "Password" in body:
            body = {**body, "Password": "***"}
        with self._lock:
            self.in_flight += 1
            self.max_in_flight = max(self.max_in_flight, self.in_flight)
            entry = {"n": len(self._entries), "time": time.time(), "source": source, "method": method, "path": path, "body": body,
                     "login": login, "if_match": if_match, "status": None, "fault": None, "held": False}
            self._entries.append(entry)
            return entry

    def end(self):
        with self._lock:
            self.in_flight -= 1

    def entries(self):
        with self._lock:
            return [dict(entry) for entry in self._entries]

    def clear(self):
        with self._lock:
            self._entries.clear()
            self.max_in_flight = self.in_flight


class BmcServer(http.server.ThreadingHTTPServer):
    """One emulated BMC at one address."""

    address_family = socket.AF_INET6
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, address, service, certificate=None, key=None):
        self.service = service
        self.faults = Faults()
        self.log = RequestLog()
        self._context = None
        if certificate:
            self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._context.load_cert_chain(certificate, key)
        super().__init__(address, _Handler)

    def finish_request(self, request, client_address):
        """The TLS handshake is made here, in the connection's own thread."""
        if self._context is not None:
            try:
                request.settimeout(30)
                request = self._context.wrap_socket(request, server_side=True)
            except OSError:
                return
        request.settimeout(300)
        super().finish_request(request, client_address)

    def handle_error(self, request, client_address):
        """Peers that are killed are what the tests are about."""


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "nett-lab-bmc"

    def log_message(self, format, *args):  # pylint: disable=redefined-builtin
        """The request log is the server's."""

    def do_GET(self):
        self._serve()

    do_POST = do_PATCH = do_PUT = do_DELETE = do_GET

    def _serve(self):
        length = int(self.headers.get("Content-Length") or 0)
        raw = self.rfile.read(length) if 0 < length <= _MAX_BODY else b""
        if self.path.startswith("/_control/"):
            return self._send(self._control(raw))
        try:
            body = json.loads(raw) if raw else {}
        except ValueError:
            return self._send(refusal(400, "MalformedJSON", "the body is not JSON"))
        if not isinstance(body, dict):
            return self._send(refusal(400, "MalformedJSON", "the body is no object"))
        entry = self.server.log.begin(self.client_address[0], self.command, self.path, body, self._login(),
                                      self.headers.get("If-Match"))
        try:
            answer = self._answer(entry, body)
        finally:
            self.server.log.end()
        if answer is None:
            self.close_connection = True
            self.connection.close()
            return None
        entry["status"] = answer.status
        return self._send(answer)

    def _login(self):
        """"session", "basic", or None."""
        service = self.server.service
        if service.is_token(self.headers.get("X-Auth-Token")):
            return "session"
        kind, _, value = (self.headers.get("Authorization") or "").partition(" ")
        if kind == "Basic":
            try:
                user, _, password = base64.b64decode(value).decode().partition(":")
            except ValueError:
                return None
            return "basic" if service.is_login(user, password) else None
        return None

    def _answer(self, entry, body):
        fault, released = self.server.faults.take(self.command, self.path, json.dumps(body))
        entry["fault"] = fault and fault.kind
        if fault is None:
            return self._apply(entry, body)
        if fault.kind == "busy":
            answer = refusal(503, "ServiceTemporarilyUnavailable", "try again later")
            answer.headers["Retry-After"] = "1"
            return answer
        if fault.kind == "status":
            return refusal(fault.status, "GeneralError", "this is a fault")
        if fault.kind == "slow":
            threading.Event().wait(fault.seconds)
        if fault.kind == "no-effect":
            return Answer(204)
        if fault.kind == "content":
            return Answer(fault.status, raw=fault.content.encode("utf-8", "surrogateescape") * fault.repeat)
        if fault.kind == "restart":
            # The BMC itself restarts: it has forgotten its sessions, and its services come up one by one.
            self.server.service.sessions.clear()
            self.server.faults.add({"kind": "status", "status": 502, "times": fault.reads})
            return None
        if fault.kind == "override-lost":
            answer = self._apply(entry, body)
            for system in self.server.service.systems.values():
                system.boot["BootSourceOverrideEnabled"] = "Disabled"
            return answer
        if fault.kind == "task":
            return self.server.service.defer(lambda: self._apply_locked(entry, body), fault.polls)
        if fault.kind in ("hold-before", "hold-after"):
            if fault.kind == "hold-after":
                entry["status"] = self._apply(entry, body).status
            entry["held"] = True
            released.wait(300)
            return None
        before = {system.name: system.image for system in self.server.service.systems.values()}
        answer = self._apply(entry, body)
        if fault.kind == "stale-inserted":
            for system in self.server.service.systems.values():
                if before[system.name] and system.image is None:
                    system.stale = (fault.reads, before[system.name])
        return answer

    def _apply(self, entry, body):
        with self.server.service.lock:
            return self._apply_locked(entry, body)

    def _apply_locked(self, entry, body):
        service = self.server.service
        is_open = (entry["method"], entry["path"].rstrip("/")) in (("GET", ROOT), ("POST", f"{ROOT}/SessionService/Sessions"))
        if not is_open and entry["login"] is None:
            return refusal(401, "NoValidSession", "log in first")
        if entry["method"] == "GET":
            return service.get(entry["path"])
        if entry["method"] == "POST":
            return service.post(entry["path"], body, entry["if_match"])
        if entry["method"] == "PATCH":
            return service.patch(entry["path"], body, entry["if_match"])
        if entry["method"] == "DELETE":
            return service.delete(entry["path"])
        return refusal(405, "OperationNotAllowed", "that method is not supported")

    def _control(self, raw):
        what = (self.command, self.path.removeprefix("/_control/"))
        server = self.server
        if what == ("GET", "log"):
            return Answer(200, {"requests": server.log.entries(), "max_in_flight": server.log.max_in_flight})
        if what == ("GET", "systems"):
            return Answer(200, {name: {"power": "On" if system.driver.is_on() else "Off", "image": system.image, "boot": system.boot,
                                       "uuid": system.uuid, "mac": system.mac, "serial": system.serial, "resets": system.resets} for name, system in server.service.systems.items()}
                          | {"_sessions": len(server.service.sessions)})
        if what == ("PUT", "faults"):
            try:
                server.faults.set(json.loads(raw))
            except (ValueError, TypeError) as error:
                return Answer(400, {"error": str(error)})
        elif what == ("POST", "release"):
            server.faults.release()
        elif what == ("POST", "expire"):
            server.service.sessions.clear()
        elif what == ("DELETE", "log"):
            server.log.clear()
        else:
            return Answer(404, {"error": "no such control"})
        return Answer(204)

    def _send(self, answer):
        content = json.dumps(answer.body).encode() if answer.body is not None else answer.raw
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header("OData-Version", "4.0")
        if content:
            self.send_header("Content-Type", "application/json")
        if answer.status != 204:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
