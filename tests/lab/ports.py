"""TCP ports of loopback for servers of tests."""

import contextlib
import fcntl
import pathlib
import socket
import tempfile

# Below the ports of outgoing connections (net.ipv4.ip_local_port_range begins at 32768), one of which could take a port between
# here and its server's bind; above the services that a machine may run.
PORTS = range(20000, 32768)
# The last one given, to any run of this machine: the lanes of a check run side by side.
_LAST = pathlib.Path(tempfile.gettempdir()) / "nett-lab-last-port"


def free_port():
    """A port of ::1 that nobody listens at, and that is given to nobody else until all others were."""
    with open(_LAST, "a+", encoding="ascii") as last:
        fcntl.flock(last, fcntl.LOCK_EX)
        last.seek(0)
        text = last.read()
        before = int(text) if text.isdecimal() else PORTS[-1]
        for step in range(1, len(PORTS) + 1):
            port = PORTS[(before - PORTS[0] + step) % len(PORTS)]
            if _is_free(port):
                last.truncate(0)
                last.write(str(port))
                return port
    raise RuntimeError(f"no port of {PORTS[0]} to {PORTS[-1]} is free on ::1")


def _is_free(port):
    with socket.socket(socket.AF_INET6) as probe, contextlib.suppress(OSError):
        probe.bind(("::1", port))
        return True
    return False
