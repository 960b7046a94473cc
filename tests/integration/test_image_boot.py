"""The tenant's images, booted: real iPXE under OVMF, a switch port that advertises a prefix, and a metadata server that wants a
client certificate. One namespace is all the fabric there is; tests/e2e boots against real agents."""

import contextlib
import ctypes
import dataclasses
import http.server
import os
import re
import shutil
import socket
import socketserver
import ssl
import struct
import subprocess
import threading

import pytest

from tests.lab import machine, netns, wait
from tests.lab.build import SOURCE

META = "2001:db8:ffff::1"
PREFIX = "2001:db8:b000:1::"
PORT = "swp1"
MAC = "52:54:00:6e:00:01"
UUID = "5f1c8d0e-3b1a-4c0e-9d54-6a0f5b8e2c11"
MARK = "NETT-SCRIPT-RAN"
BOOT_SECONDS = 180  # under TCG on a busy machine; 15 are usual


@contextlib.contextmanager
def inside(namespace):
    """Sockets made in this block belong to the namespace. Only the calling thread changes its namespace."""
    libc = ctypes.CDLL(None, use_errno=True)
    with open("/proc/thread-self/ns/net", "rb") as home, open(f"/run/netns/{namespace}", "rb") as there:
        assert libc.setns(there.fileno(), 0) == 0, os.strerror(ctypes.get_errno())
        try:
            yield
        finally:
            assert libc.setns(home.fileno(), 0) == 0, os.strerror(ctypes.get_errno())


class RouterAdvertiser:
    """What a ToR does on a port: RFC 4861 router advertisements with one SLAAC prefix, M and O flags clear."""

    def __init__(self, namespace):
        with inside(namespace):
            self._socket = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
            index = socket.if_nametoindex(PORT)
        self._socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
        self._socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
        self._target = ("ff02::1", 0, 0, index)
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._advertise, daemon=True)
        self._thread.start()

    def _advertise(self):
        prefix = struct.pack("!BBBBIII16s", 3, 4, 64, 0xC0, 86400, 14400, 0, socket.inet_pton(socket.AF_INET6, PREFIX))
        packet = struct.pack("!BBHBBHII", 134, 0, 0, 64, 0, 1800, 0, 0) + prefix
        while not self._end.wait(0.3):
            with contextlib.suppress(OSError):  # the port has no carrier before the machine starts
                self._socket.sendto(packet, self._target)

    def stop(self):
        self._end.set()
        self._thread.join()
        self._socket.close()


class MetadataServer(socketserver.ThreadingMixIn, http.server.HTTPServer):
    """Notes who asks for what, and answers with an iPXE script. TLS as plugins/metadata has it: client certificate or nothing."""

    address_family = socket.AF_INET6
    daemon_threads = True

    def __init__(self, namespace, pki):
        self.requests = []  # (common name, target, user agent)
        self.refused = []   # reasons of failed handshakes
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._tls.minimum_version = ssl.TLSVersion.TLSv1_2
        self._tls.load_cert_chain(pki / "server.pem", pki / "server.key")
        self._tls.verify_mode = ssl.CERT_REQUIRED
        self._tls.load_verify_locations(pki / "root.pem")
        with inside(namespace):
            super().__init__((META, 443), _Answer)
        self._thread = threading.Thread(target=self.serve_forever, daemon=True)
        self._thread.start()

    def finish_request(self, request, client_address):
        request.settimeout(10)
        try:
            secured = self._tls.wrap_socket(request, server_side=True)
        except (ssl.SSLError, OSError) as error:
            self.refused.append(str(error))
            return
        with contextlib.suppress(OSError):
            super().finish_request(secured, client_address)

    def stop(self):
        self.shutdown()
        self._thread.join()
        self.server_close()


class _Answer(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        subject = dict(field[0] for field in self.connection.getpeercert()["subject"])
        self.server.requests.append((subject["commonName"], self.path, self.headers["User-Agent"]))
        script = f"#!ipxe\necho {MARK} ${{uuid}} ${{cwuri}}\nprompt\n".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(script)))
        self.end_headers()
        self.wfile.write(script)

    def log_message(self, *_):
        pass


@dataclasses.dataclass
class Site:
    """A namespace with a port, a router and a metadata server, and the images for it."""

    namespace: str
    folder: object
    pki: object
    server: MetadataServer
    images: dict
    accelerator: str

    @contextlib.contextmanager
    def boot(self, *arguments, uuid=UUID):
        """Runs a machine; gives a function that returns what its console shows so far."""
        variables, console = self.folder / "variables.fd", self.folder / "console.log"
        shutil.copyfile("/usr/share/OVMF/OVMF_VARS_4M.fd", variables)
        console.write_bytes(b"")
        tap = netns.open_tap(self.namespace, PORT)
        qemu = subprocess.Popen(
            ["qemu-system-x86_64", "-machine", f"q35,accel={self.accelerator}", "-cpu", "host" if self.accelerator == "kvm" else "max",
             "-m", "512", "-smp", "1", "-display", "none", "-nodefaults", "-no-reboot", *(["-uuid", uuid] if uuid else []),
             "-serial", f"file:{console}", "-drive", "if=pflash,unit=0,format=raw,readonly=on,file=/usr/share/OVMF/OVMF_CODE_4M.fd",
             "-drive", f"if=pflash,unit=1,format=raw,file={variables}", "-device", "qemu-xhci", "-device", "virtio-rng-pci",
             "-netdev", f"tap,id=n0,fd={tap}", "-device", f"virtio-net-pci,netdev=n0,mac={MAC},romfile=", *arguments],
            stdin=subprocess.DEVNULL, pass_fds=[tap])
        os.close(tap)

        def shown():
            assert qemu.poll() is None, f"QEMU ended with {qemu.returncode}"
            return re.sub(rb"\x1b\[[0-9;?=]*[A-Za-z]", b"", console.read_bytes()).decode(errors="replace")

        try:
            yield shown
        finally:
            qemu.kill()
            qemu.wait()


def _builder(build, *arguments):
    subprocess.run([build.program("talos-fabric-builder"), *map(str, arguments)], check=True, env={**os.environ, **build.environment()},
                   stdout=subprocess.DEVNULL)


def _make_images(build, pki, root, folder):
    ipxe = subprocess.run([SOURCE / "tests/lab/setup/ipxe.sh"], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
    images = {"usb": folder / "tenant-a.img", "iso": folder / "tenant-a.iso"}
    _builder(build, "image", "--tenant-certificate", pki / "tenant-a.pem", "--tenant-key", pki / "tenant-a.key", "--root", root,
             "--server-address", META, "--ipxe", f"{ipxe}/ipxe-amd64.efi", "--usb", images["usb"], "--iso", images["iso"])
    return images


def _make_pki(build, folder):
    _builder(build, "pki", "init", folder, "--server-address", META)
    _builder(build, "pki", "tenant", folder, "tenant-a")
    return folder


@pytest.fixture(scope="module")
def site(build, tmp_path_factory):
    folder = tmp_path_factory.mktemp("image-boot")
    pki = _make_pki(build, folder / "pki")
    images = _make_images(build, pki, pki / "root.pem", folder)
    namespace = f"nettimage-{os.getpid()}"
    netns.create(namespace)
    try:
        netns.add_tap(namespace, PORT)
        netns.run("ip", "-n", namespace, "-6", "address", "add", "fe80::1/64", "dev", PORT)
        netns.run("ip", "-n", namespace, "-6", "route", "add", f"{PREFIX}/64", "dev", PORT)
        netns.run("ip", "-n", namespace, "-6", "address", "add", f"{META}/128", "dev", "lo")
        router, server = RouterAdvertiser(namespace), MetadataServer(namespace, pki)
        yield Site(namespace, folder, pki, server, images, machine.accelerator(folder))
        server.stop()
        router.stop()
    finally:
        netns.destroy(namespace)


@pytest.fixture(autouse=True)
def _forget(site):
    site.server.requests.clear()
    site.server.refused.clear()


def _stick(image):
    return ["-drive", f"if=none,id=stick,format=raw,readonly=on,file={image}", "-device", "usb-storage,drive=stick,bootindex=1,removable=on"]


def _cd(image):
    return ["-drive", f"if=none,id=cd,media=cdrom,format=raw,readonly=on,file={image}", "-device", "ide-cd,drive=cd,bootindex=1"]


def _wait_script(shown):
    wait.until("iPXE runs the server's script", lambda: MARK in shown(), within=BOOT_SECONDS, every=0.2)


@pytest.mark.parametrize("kind, medium", [("usb", _stick), ("iso", _cd), ("iso", _stick)], ids=["usb-stick", "iso-cd", "iso-stick"])
def test_each_medium_fetches_the_boot_script_with_the_tenants_certificate(site, kind, medium):
    with site.boot(*medium(site.images[kind])) as shown:
        _wait_script(shown)
        assert f"BOOT-ID {UUID} via net0 {MAC} {PREFIX[:-1]}" in shown()
    name, target, agent = site.server.requests[0]
    assert (name, target) == ("tenant-a.boot.example", f"/v1/boot/{UUID}?mac={MAC.replace(':', '-')}")
    assert agent.startswith("iPXE/")


def test_a_machine_without_uuid_asks_by_its_mac_address(site):
    with site.boot(*_stick(site.images["usb"]), uuid=None) as shown:
        _wait_script(shown)
    mac = MAC.replace(":", "-")
    assert site.server.requests[0][1] == f"/v1/boot/{mac}?mac={mac}"


def test_a_clock_that_is_three_years_behind_does_not_matter(site):
    with site.boot("-rtc", "base=2023-10-01T00:00:00", *_stick(site.images["usb"])) as shown:
        _wait_script(shown)


def test_a_server_of_another_root_gets_nothing(build, site, tmp_path):
    foreign = _make_pki(build, tmp_path / "pki")
    images = _make_images(build, foreign, foreign / "root.pem", tmp_path)
    with site.boot(*_stick(images["usb"])) as shown:
        wait.until("iPXE gives up and boots the disk", lambda: "LOCALBOOT" in shown(), within=BOOT_SECONDS, every=0.2)
    assert site.server.requests == []
    wait.until("the server has noted the broken handshake", lambda: site.server.refused, within=10)
