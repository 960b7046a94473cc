"""Network namespaces, veth links and taps, by iproute2."""

import ctypes
import errno
import fcntl
import os
import signal
import struct
import subprocess

from . import wait

_CLONE_NEWNET = 0x40000000
_TUNSETIFF = 0x400454CA
_IFF_TAP, _IFF_NO_PI, _IFF_VNET_HDR = 0x0002, 0x1000, 0x4000


def run(*argv, check=True):
    """Runs a short command and returns its standard output; its error text is in the exception."""
    done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
    if check and done.returncode != 0:
        raise RuntimeError(f"{' '.join(argv)}: exit status {done.returncode}: {done.stderr.strip()}")
    return done.stdout


def existing(prefix):
    """Names of the namespaces that begin with the prefix."""
    names = [line.split()[0] for line in run("ip", "netns", "list").splitlines() if line.strip()]
    return sorted(name for name in names if name.startswith(prefix))


def create(name):
    """A namespace whose links neither take addresses from router advertisements nor do duplicate address detection."""
    run("ip", "netns", "add", name)
    for key, value in (("accept_ra", 0), ("accept_dad", 0), ("forwarding", 0)):
        for scope in ("all", "default"):
            sysctl(name, f"net/ipv6/conf/{scope}/{key}", value)
    run("ip", "-n", name, "link", "set", "lo", "up")


def sysctl(name, path, value):
    run("ip", "netns", "exec", name, "/bin/sh", "-c", f"echo {value} > /proc/sys/{path}")


def connect(name_a, link_a, name_b, link_b):
    """A cable: a veth pair between two namespaces, both ends up."""
    run("ip", "link", "add", link_a, "netns", name_a, "type", "veth", "peer", "name", link_b, "netns", name_b)
    run("ip", "-n", name_a, "link", "set", link_a, "up")
    run("ip", "-n", name_b, "link", "set", link_b, "up")


def add_tap(name, link):
    """A switch port for a virtual machine: it exists without carrier until the machine holds it open."""
    run("ip", "-n", name, "tuntap", "add", "dev", link, "mode", "tap", "vnet_hdr")
    run("ip", "-n", name, "link", "set", link, "up")


def open_tap(name, link):
    """A file descriptor of the tap in that namespace, for `qemu -netdev tap,fd=`. The caller closes it."""
    libc = ctypes.CDLL(None, use_errno=True)
    home = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    there = os.open(f"/run/netns/{name}", os.O_RDONLY | os.O_CLOEXEC)
    try:
        # Only this thread changes its namespace, and only while it opens the device: a tun device belongs to the
        # namespace in which /dev/net/tun was opened.
        if libc.setns(there, _CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), f"setns {name}")
        try:
            tap = os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC)
        finally:
            if libc.setns(home, _CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), "setns back")
        request = struct.pack("16sH22x", link.encode(), _IFF_TAP | _IFF_NO_PI | _IFF_VNET_HDR)
        fcntl.ioctl(tap, _TUNSETIFF, request)
        return tap
    finally:
        os.close(home)
        os.close(there)


def nft(name, text):
    """Gives nftables in the namespace these rules."""
    subprocess.run(["ip", "netns", "exec", name, "nft", "-f", "-"], input=text, text=True, check=True, timeout=10)


def pids(name):
    return [int(pid) for pid in run("ip", "netns", "pids", name, check=False).split()]


def destroy(name):
    """Kills by pid what runs in the namespace, waits until it is gone, and deletes the namespace."""
    for pid in pids(name):
        try:
            os.kill(pid, signal.SIGKILL)
        except OSError as error:
            if error.errno != errno.ESRCH:
                raise
    wait.until(f"the processes in {name} have ended", lambda: not _alive(name), within=10)
    run("ip", "netns", "delete", name)


def _alive(name):
    # A killed child of this very process is a zombie until it is waited for; it holds nothing of the namespace any more.
    def zombie(pid):
        try:
            with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as stat:
                return stat.read().rpartition(")")[2].split()[0] == "Z"
        except OSError:
            return True

    return [pid for pid in pids(name) if not zombie(pid)]
