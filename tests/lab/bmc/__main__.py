"""Runs one emulated BMC until it is told to end (SIGTERM)."""

import argparse
import os
import pathlib
import signal
import subprocess
import sys
import threading

from .drivers import CommandDriver, NullDriver
from .personalities import PERSONALITIES
from .redfish import Service, System
from .service import BmcServer


def _arguments():
    parser = argparse.ArgumentParser(prog="tests.lab.bmc", description="An emulated BMC (Redfish).")
    parser.add_argument("--listen", default="[::1]:8443", help="[address]:port; port 0 takes a free one")
    parser.add_argument("--system", action="append", help="a machine's name; may stand many times (default node-1)")
    parser.add_argument("--folder", default=".", help="for the certificate and downloaded images")
    parser.add_argument("--user", default="admin")
    parser.add_argument("--password", default="password")
    parser.add_argument("--tls", action="store_true", help="https with bmc.crt/bmc.key of the folder, made if absent")
    parser.add_argument("--media", choices=("Systems", "Managers"), default="Systems", help="where VirtualMedia is")
    parser.add_argument("--personality", choices=PERSONALITIES, default="generic", help="whose BMC it is like")
    parser.add_argument("--max-sessions", type=int, default=8)
    parser.add_argument("--needs-etag", action="store_true", help="PATCH without If-Match is refused (428)")
    parser.add_argument("--off", action="store_true", help="machines are off in the beginning (without --power-on)")
    parser.add_argument("--power-on", help="command that is the running machine: {system} {image} {boot}; killed at power off")
    parser.add_argument("--qmp-socket", help="QEMU's monitor ({system}): an eject takes the medium out of the drive with id cd")
    parser.add_argument("--image-ca", help="CA for https image URLs; without it certificates are not checked")
    parser.add_argument("--ready-fd", type=int, help="the endpoint's URL is written there once it is up")
    return parser.parse_args()


def make_certificate(folder, address):
    certificate, key = folder / "bmc.crt", folder / "bmc.key"
    if not certificate.exists():
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "3650",
                        "-subj", "/CN=bmc", "-addext", f"subjectAltName=IP:{address}", "-keyout", key, "-out", certificate],
                       check=True, capture_output=True)
    return certificate, key


def _driver(arguments, name):
    if arguments.power_on:
        return CommandDriver(name, arguments.power_on, arguments.qmp_socket)
    return NullDriver(on=not arguments.off)


def main():
    arguments = _arguments()
    # Handlers, not a blocked mask: the machines that are started would inherit that.
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    folder = pathlib.Path(arguments.folder).resolve()
    address, _, port = arguments.listen.rpartition(":")
    address = address.strip("[]")
    systems = [System(name, _driver(arguments, name), folder, arguments.media, arguments.image_ca, PERSONALITIES[arguments.personality])
               for name in arguments.system or ["node-1"]]
    service = Service(systems, arguments.user, arguments.password, arguments.max_sessions, arguments.needs_etag)
    certificate, key = make_certificate(folder, address) if arguments.tls else (None, None)
    server = BmcServer((address, int(port)), service, certificate, key)
    endpoint = f"{'https' if arguments.tls else 'http'}://[{address}]:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(f"BMC of {', '.join(service.systems)} at {endpoint}", flush=True)
    if arguments.ready_fd is not None:
        os.write(arguments.ready_fd, f"{endpoint}\n".encode())
        os.close(arguments.ready_fd)
    ended.wait()
    for system in systems:
        system.driver.power_off()
    return 0


if __name__ == "__main__":
    sys.exit(main())
