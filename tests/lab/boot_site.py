"""One switch port and one metadata server in one namespace, for booting images: real iPXE in QEMU, under UEFI or BIOS. tests/integration
boots each kind of image here, bench/image measures what a machine does when something is wrong."""

import contextlib
import ctypes
import dataclasses
import functools
import http.server
import json
import os
import pathlib
import re
import shutil
import socket
import socketserver
import ssl
import struct
import subprocess
import threading
import time

from . import machine, netns, wait
from .build import SOURCE

META = "2001:db8:ffff::1"
PREFIX = "2001:db8:b000:1::"
PORT = "swp1"
MAC = "52:54:00:6e:00:01"
UUID = "5f1c8d0e-3b1a-4c0e-9d54-6a0f5b8e2c11"
MARK = "NETT-SCRIPT-RAN"
DISK_MARK = "NETT-LAB-DISK-BOOT"
BOOT_SECONDS = 240  # under TCG on a busy machine; 15 are usual


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
    """What a ToR does on a port: RFC 4861 router advertisements with one SLAAC prefix, M and O flags clear. `silent` stops it."""

    def __init__(self, namespace):
        with inside(namespace):
            self._socket = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
            index = socket.if_nametoindex(PORT)
        self._socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
        self._socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
        self._target = ("ff02::1", 0, 0, index)
        self.silent = False
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._advertise, daemon=True)
        self._thread.start()

    def _advertise(self):
        prefix = struct.pack("!BBBBIII16s", 3, 4, 64, 0xC0, 86400, 14400, 0, socket.inet_pton(socket.AF_INET6, PREFIX))
        packet = struct.pack("!BBHBBHII", 134, 0, 0, 64, 0, 1800, 0, 0) + prefix
        while not self._end.wait(0.3):
            with contextlib.suppress(OSError):  # the port has no carrier before the machine starts
                if not self.silent:
                    self._socket.sendto(packet, self._target)

    def stop(self):
        self._end.set()
        self._thread.join()
        self._socket.close()


class MetadataServer(socketserver.ThreadingMixIn, http.server.HTTPServer):
    """Notes who asks for what, and answers with an iPXE script. TLS as plugins/metadata has it: client certificate or nothing.
    `status` is what it answers, 0: it takes connections and says nothing."""

    address_family = socket.AF_INET6
    daemon_threads = True

    def __init__(self, namespace, pki):
        self.requests = []  # (common name, target, user agent)
        self.refused = []   # reasons of failed handshakes
        self.status = 200
        self.use(pki)
        with inside(namespace):
            super().__init__((META, 443), _Answer)
        self._thread = threading.Thread(target=self.serve_forever, daemon=True)
        self._thread.start()

    def use(self, pki):
        """The folder's certificates from now on."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(pki / "server.pem", pki / "server.key")
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(pki / "clients.pem")
        self._tls = context

    def finish_request(self, request, client_address):
        if self.status == 0:
            with contextlib.suppress(OSError):
                while request.recv(4096):
                    pass
            return
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
        script = f"#!ipxe\necho {MARK} ${{uuid}} ${{cwuri}}\nprompt\n".encode() if self.server.status == 200 else b""
        self.send_response(self.server.status)
        self.send_header("Content-Length", str(len(script)))
        self.end_headers()
        self.wfile.write(script)

    def log_message(self, *_):
        pass


def setup(script, *arguments):
    """What a script of tests/lab/setup prints."""
    return subprocess.run([SOURCE / "tests/lab/setup" / script, *map(str, arguments)], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


@functools.cache
def ipxe_folder():
    """Of Debian's iPXE binaries."""
    return setup("ipxe.sh")


def builder(build, *arguments):
    subprocess.run([build.program("talos-fabric-builder"), *map(str, arguments)], check=True, env={**os.environ, **build.environment()},
                   stdout=subprocess.DEVNULL)


def make_pki(build, folder, tenant="tenant-a"):
    builder(build, "pki", "init", folder, "--server-address", META)
    builder(build, "pki", "tenant", folder, tenant)
    return folder


def make_images(build, pki, folder, *more, tenant="tenant-a", ipxe=("ipxe-amd64.efi",), kinds=("usb", "iso")):
    """The images of a kind, by kind."""
    images = {kind: folder / f"{tenant}.{'img' if kind == 'usb' else kind}" for kind in kinds}
    engine = [word for name in ipxe for word in ("--ipxe", f"{ipxe_folder()}/{name}")]
    outputs = [word for kind, path in images.items() for word in (f"--{kind}", path)]
    builder(build, "image", "--tenant-certificate", pki / f"{tenant}.pem", "--tenant-key", pki / f"{tenant}.key", "--root", pki / "root.pem",
            "--server-address", META, *engine, *outputs, *more)
    return images


def stick(image):
    return ["-drive", f"if=none,id=stick,format=raw,readonly=on,file={image}", "-device", "usb-storage,drive=stick,bootindex=1,removable=on"]


def cd(image):
    return ["-drive", f"if=none,id=cd,media=cdrom,format=raw,readonly=on,file={image}", "-device", "ide-cd,drive=cd,bootindex=1"]


def virtual_cd(image):
    """As a machine without IDE has it, and a BMC's virtual media: a USB CD."""
    return ["-drive", f"if=none,id=cd,media=cdrom,format=raw,readonly=on,file={image}", "-device", "usb-storage,drive=cd,bootindex=1"]


def disk(image):
    return ["-drive", f"if=none,id=disk,format=raw,snapshot=on,file={image}", "-device", "virtio-blk-pci,drive=disk,bootindex=2"]


@dataclasses.dataclass
class Board:
    """A kind of machine that QEMU makes."""

    program: str
    machine: str
    code: str = ""  # UEFI firmware; empty: BIOS
    variables: str = ""
    more: tuple = ()

    def arguments(self, folder):
        words = [self.program, "-machine", self.machine, "-m", "512", "-smp", "1", "-display", "none", "-nodefaults", "-no-reboot", *self.more]
        if self.code:
            shutil.copyfile(self.variables, folder / "variables.fd")
            words += ["-drive", f"if=pflash,unit=0,format=raw,readonly=on,file={self.code}",
                      "-drive", f"if=pflash,unit=1,format=raw,file={folder / 'variables.fd'}"]
        return words


def pc(folder, code="OVMF_CODE_4M.fd", variables="OVMF_VARS_4M.fd", smm=False):
    accelerator = machine.accelerator(folder)
    return Board("qemu-system-x86_64", f"q35,accel={accelerator}" + (",smm=on" if smm else ""), f"/usr/share/OVMF/{code}",
                 f"/usr/share/OVMF/{variables}", ("-cpu", "host" if accelerator == "kvm" else "max"))


def bios_pc():
    """SeaBIOS, whose screen is the serial port."""
    return Board("qemu-system-x86_64", "q35,accel=tcg,graphics=off", more=("-cpu", "max"))


def arm():
    return Board("qemu-system-aarch64", "virt,accel=tcg", "/usr/share/AAVMF/AAVMF_CODE.fd", "/usr/share/AAVMF/AAVMF_VARS.fd", ("-cpu", "cortex-a57"))


class Running:
    """A machine that runs."""

    def __init__(self, process, console, started):
        self._process, self._console, self.started = process, console, started

    def shown(self):
        """What the console shows so far."""
        assert self._process.poll() is None or b"NETT-LAB" in self._console.read_bytes(), f"QEMU ended with {self._process.returncode}"
        return re.sub(rb"\x1b\[[0-9;?=]*[A-Za-z]", b"", self._console.read_bytes()).decode(errors="replace")

    def wait(self, text, within=BOOT_SECONDS):
        """The time at which the console showed the text."""
        wait.until(f"the console shows {text}", lambda: text in self.shown(), within=within, every=0.05)
        return time.monotonic()


class Port:
    """A namespace with one switch port that a machine is plugged into, and its router, until it is left. META is an address of it."""

    def __init__(self, build, folder, prefix="nettimage-"):
        self.build, self.folder = build, pathlib.Path(folder)
        self.namespace = f"{prefix}{os.getpid()}"

    def __enter__(self):
        netns.create(self.namespace)
        try:
            netns.add_tap(self.namespace, PORT)
            for arguments in (("address", "add", "fe80::1/64", "dev", PORT), ("route", "add", f"{PREFIX}/64", "dev", PORT),
                              ("address", "add", f"{META}/128", "dev", "lo")):
                netns.run("ip", "-n", self.namespace, "-6", *arguments)
            self.router = RouterAdvertiser(self.namespace)
        except BaseException:
            netns.destroy(self.namespace)
            raise
        return self

    def __exit__(self, *_):
        self.router.stop()
        netns.destroy(self.namespace)

    @contextlib.contextmanager
    def boot(self, *media, board=None, uuid=UUID, link=True):
        """Runs a machine. Without `link` its network card has no cable."""
        console, qmp = self.folder / "console.log", self.folder / "qmp.sock"
        console.write_bytes(b"")
        board = board or pc(self.folder)
        tap = netns.open_tap(self.namespace, PORT)
        qemu = subprocess.Popen(
            [*board.arguments(self.folder), *(["-uuid", uuid] if uuid else []), "-S", "-qmp", f"unix:{qmp},server=on,wait=off",
             "-serial", f"file:{console}", "-device", "qemu-xhci", "-device", "virtio-rng-pci",
             "-netdev", f"tap,id=n0,fd={tap}", "-device", f"virtio-net-pci,netdev=n0,mac={MAC},romfile=", *media],
            stdin=subprocess.DEVNULL, pass_fds=[tap])
        os.close(tap)
        try:
            _command(qemu, qmp, [] if link else [("set_link", {"name": "n0", "up": False})])
            yield Running(qemu, console, time.monotonic())
        finally:
            qemu.kill()
            qemu.wait()
            qmp.unlink(missing_ok=True)


class Site(Port):
    """A port, and a server that plays the metadata service."""

    def __enter__(self):
        self.pki = make_pki(self.build, self.folder / "pki")
        super().__enter__()
        try:
            self.server = MetadataServer(self.namespace, self.pki)
        except BaseException:
            super().__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.server.stop()
        super().__exit__()

    def restore(self):
        """As it was in the beginning."""
        self.router.silent, self.server.status = False, 200
        self.server.use(self.pki)
        self.server.requests.clear()
        self.server.refused.clear()


def _command(qemu, path, commands):
    """Gives QEMU the commands and lets the machine run."""
    def connected():
        assert qemu.poll() is None, f"QEMU ended with {qemu.returncode}"
        client = socket.socket(socket.AF_UNIX)
        try:
            client.connect(str(path))
        except OSError:
            client.close()
            return None
        return client

    with wait.until("QEMU takes commands", connected, within=30) as client, client.makefile("rw") as stream:
        stream.readline()  # its greeting
        for name, arguments in [("qmp_capabilities", {}), *commands, ("cont", {})]:
            stream.write(json.dumps({"execute": name, "arguments": arguments}) + "\n")
            stream.flush()
            while "return" not in (answer := json.loads(stream.readline())):
                assert "error" not in answer, answer


@dataclasses.dataclass
class Trouble:
    """Something that is wrong, and how the console says so."""

    name: str
    text: str
    prepare: object = lambda site: None
    media: tuple = ()
    link: bool = True
    image: str = ""  # of another PKI or tenant: "foreign-root", "foreign-tenant"
    requests: int = 0  # that reach the server


TROUBLES = [
    Trouble("404", "the server has nothing for the machine", lambda site: setattr(site.server, "status", 404), requests=1),
    Trouble("foreign-tenant", "the image is another tenant's: the server answers 404", lambda site: setattr(site.server, "status", 404),
            image="foreign-tenant", requests=1),
    Trouble("refused", "the server answers an error (500)", lambda site: setattr(site.server, "status", 500), requests=1),
    Trouble("wrong-ca", "the server's certificate is of another CA", image="foreign-root"),
    Trouble("wrong-clock", "the clock is before the certificates' time", media=("-rtc", "base=2010-01-01T00:00:00")),
    Trouble("silent-server", "the server takes the connection and says nothing", lambda site: setattr(site.server, "status", 0)),
    Trouble("dead-nic", "the network card has no link", link=False),
    Trouble("no-ra", "no router advertises", lambda site: setattr(site.router, "silent", True)),
]


def make_trouble_images(site):
    """Images for every trouble, by `Trouble.image`."""
    foreign = make_pki(site.build, site.folder / "foreign-pki")
    builder(site.build, "pki", "tenant", site.pki, "tenant-b")
    for name in ("foreign", "own"):
        (site.folder / name).mkdir()
    return {"": make_images(site.build, site.pki, site.folder / "own", kinds=("usb",))["usb"],
            "foreign-root": make_images(site.build, foreign, site.folder / "foreign", kinds=("usb",))["usb"],
            "foreign-tenant": make_images(site.build, site.pki, site.folder / "foreign", tenant="tenant-b", kinds=("usb",))["usb"]}


def suffer(site, trouble, images, disk_image):
    """Boots the machine in this trouble until its disk's system speaks. Seconds from iPXE's first words to its giving up."""
    site.restore()
    trouble.prepare(site)
    with site.boot(*stick(images[trouble.image]), *disk(disk_image), *trouble.media, link=trouble.link) as running:
        begun = running.wait("iPXE initialising devices")
        ended = running.wait("LOCALBOOT")
        running.wait(DISK_MARK)
        return ended - begun
