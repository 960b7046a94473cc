"""HTTPS over one network interface, as a program of its own: it runs inside a server's namespace.

Prints one JSON object: {"status", "headers", "body" (base64), "sha256", "source"} or {"error": the kind, "message"}.
`--interface` binds to one NIC, so that a test reaches the fabric through exactly one port.
"""

import argparse
import base64
import hashlib
import http.client
import json
import socket
import ssl
import sys
import time


class _Connection(http.client.HTTPSConnection):
    receive_buffer = 0

    def __init__(self, host, port, interface, context, timeout):
        super().__init__(host, port, context=context, timeout=timeout)
        self._interface = interface
        self._tls = context

    def connect(self):
        plain = socket.socket(socket.AF_INET6, socket.SOCK_STREAM)
        plain.settimeout(self.timeout)
        if self.receive_buffer:
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self.receive_buffer)
        if self._interface:
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, self._interface.encode())
        plain.connect((self.host, self.port))
        self.source = plain.getsockname()[0]
        self.sock = self._tls.wrap_socket(plain, server_hostname=self.host)


def _context(options):
    context = ssl.create_default_context(cafile=options.ca)
    # As iPXE: TLS 1.2 is its ceiling. It also makes a refused client certificate show in the handshake.
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    if options.certificate:
        context.load_cert_chain(options.certificate, options.key)
    return context


def _read(reply, rate):
    """The body; with a rate as a slow machine reads it, in twentieths of a second."""
    if not rate:
        return reply.read()
    body = b""
    while len(body) < int(reply.headers["Content-Length"]):
        begun = time.monotonic()
        part = reply.read(max(1, rate // 20))
        if not part:
            raise ConnectionError(f"the body ended after {len(body)} bytes")
        body += part
        time.sleep(max(0.0, begun + 0.05 - time.monotonic()))
    return body


def fetch(options):
    connection = _Connection(options.address, options.port, options.interface, _context(options), options.timeout)
    # A slow reader's kernel must not read ahead for it.
    connection.receive_buffer = 65536 if options.bytes_per_second else 0
    try:
        connection.request(options.method, options.path)
        reply = connection.getresponse()
        body = _read(reply, options.bytes_per_second)
    finally:
        connection.close()
    return {"status": reply.status, "headers": {name.lower(): value for name, value in reply.getheaders()},
            "body": base64.b64encode(body).decode(), "sha256": hashlib.sha256(body).hexdigest(), "source": connection.source}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("path")
    parser.add_argument("--address", required=True)
    parser.add_argument("--port", type=int, default=443)
    parser.add_argument("--interface", default="")
    parser.add_argument("--bytes-per-second", type=int, default=0)
    parser.add_argument("--ca", required=True)
    parser.add_argument("--certificate", default="")
    parser.add_argument("--key", default="")
    parser.add_argument("--method", default="GET")
    parser.add_argument("--timeout", type=float, default=5)
    options = parser.parse_args()
    try:
        answer = fetch(options)
    except ssl.SSLError as error:
        answer = {"error": "tls", "message": str(error)}
    except (ConnectionError, http.client.RemoteDisconnected) as error:
        # A server that refuses the client's certificate may close before its alert is read.
        answer = {"error": "connection", "message": f"{type(error).__name__}: {error}"}
    except OSError as error:
        answer = {"error": "network", "message": f"{type(error).__name__}: {error}"}
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main()
