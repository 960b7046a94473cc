"""The media listener: images for BMCs, by curl over http and https, from an agent on loopback. What a Redfish job would grant is
written into the state file before the agent starts."""

import datetime
import hashlib
import http.client
import os
import secrets
import socket
import ssl
import subprocess

import pytest

from tests.lab import wait
from tests.lab.loopback import LoopbackAgent
from tests.lab.ports import free_port

IMAGE = os.urandom(1 << 20) * 8  # more than the buffers of both ends hold
GRANTS = 1000


def expiry(seconds):
    at = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=seconds)
    return at.strftime("%Y-%m-%dT%H:%M:%S.000Z")


class Media:
    def __init__(self, build, folder):
        self.directory = folder / "media"
        self.directory.mkdir()
        (self.directory / "tenant-a.iso").write_bytes(IMAGE)
        (self.directory / "small.iso").write_bytes(IMAGE[:1000])
        (folder / "outside.iso").write_bytes(b"secret")
        self.http, self.https = free_port(), free_port()
        self.agent = LoopbackAgent(build, folder, f"media listen [::1]:{self.http} http", f"media listen [::1]:{self.https} https",
                                   f"media directory {self.directory}", "media allow ::1/128")
        self._grants = {}
        self.good = self.grant("1", self.directory / "tenant-a.iso")
        self.expired = self.grant("2", self.directory / "small.iso", expires=expiry(-1))
        self.elsewhere = self.grant("3", self.directory / "small.iso", sources=["2001:db8::/32"])
        self.outside = self.grant("4", folder / "outside.iso")
        self.tampered = self.grant("5", self.directory / "small.iso", sha256="0" * 64)
        self.stalled = self.grant("6", self.directory / "tenant-a.iso")
        self.many = [self.grant(str(100 + index), self.directory / "small.iso") for index in range(GRANTS)]
        self.agent.start()
        self.agent.process.stop()
        self.agent.put_records("media-grant", self._grants)
        self.agent.start()

    def grant(self, job, image, sources=("::1/128",), expires=None, sha256=""):
        token = secrets.token_hex(16)
        key = hashlib.sha256(token.encode()).hexdigest()
        self._grants[key] = {"token_sha256": key, "job": job, "machine": f"node-{job}", "file": str(image), "sha256": sha256,
                             "sources": list(sources), "expires": expires or expiry(3600)}
        return f"/m/{token}/{image.name}"

    def curl(self, path, *more, scheme="http"):
        """Status and body."""
        port = self.https if scheme == "https" else self.http
        done = subprocess.run(["curl", "-sS", "-g", "-m", "20", "--cacert", self.agent.folder / "root.pem", "--path-as-is", "-w", "\n%{http_code}", *more,
                               f"{scheme}://[::1]:{port}{path}"], stdout=subprocess.PIPE, timeout=40, check=True)
        body, _, status = done.stdout.rpartition(b"\n")
        return int(status), body

    def shown(self, job):
        return next(row for row in self.agent.show("show media") if row["job"] == job)


@pytest.fixture(scope="module")
def media(build, tmp_path_factory):
    made = Media(build, tmp_path_factory.mktemp("media"))
    yield made
    made.agent.process.stop()


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_an_image_comes_whole_in_ranges_and_by_head(media, scheme):
    assert media.curl(media.good, scheme=scheme) == (200, IMAGE)
    assert media.curl(media.good, "-r", "2048-4095", scheme=scheme) == (206, IMAGE[2048:4096])
    assert media.curl(media.good, "-r", f"{len(IMAGE)}-", scheme=scheme)[0] == 416
    status, head = media.curl(media.good, "-I", scheme=scheme)
    assert status == 200
    assert f"Content-Length: {len(IMAGE)}\r\n".encode() in head and b"Accept-Ranges: bytes\r\n" in head
    wait.until("the job sees that all of it was fetched", lambda: media.shown("1")["complete"], within=10)


def test_whatever_is_not_served_is_the_same_404(media):
    def answer(path):
        status, text = media.curl(path, "-i")
        return status, b"\r\n".join(line for line in text.split(b"\r\n") if not line.startswith(b"Date:"))

    missing = answer(f"/m/{'0' * 32}/tenant-a.iso")
    assert missing[0] == 404
    token = media.good.split("/")[2]
    for path in (media.expired, media.elsewhere, media.outside, media.tampered, "/", "/m/", f"/m/{token}/small.iso",
                 f"/m/{token}/../../outside.iso", f"/m/{token}/%2e%2e/outside.iso", media.good + "?a=b", media.good + "/",
                 "/v1/boot/52-54-00-12-34-56", "/v1/config/52-54-00-12-34-56", "/talos/talos.ipxe", "/state.db"):
        assert answer(path) == missing, path


def test_what_was_fetched_survives_the_agent(media):
    def recorded():
        return [use for use in media.agent.records("media-use").values() if use["job"] == "1" and use["complete"]]

    media.curl(media.good)
    wait.until("it is in the state file", recorded, within=10)
    media.agent.process.stop()
    media.agent.start()
    assert media.shown("1")["complete"]


def test_a_grant_that_nobody_used_is_gone_after_its_time(media):
    jobs = lambda: [row["job"] for row in media.agent.show("show media")]
    assert "1" in jobs()
    wait.until("the expired grant is gone", lambda: "2" not in jobs(), within=10)


def test_a_reader_that_stalls_holds_up_nobody(media):
    slow = socket.create_connection(("::1", media.http))
    slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    slow.sendall(f"GET {media.stalled} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    assert slow.recv(12) == b"HTTP/1.1 200"
    assert media.curl(media.good) == (200, IMAGE)
    row = wait.until("its first bytes are counted", lambda: media.shown("6") if media.shown("6")["bytes"] else None, within=10)
    assert not row["complete"]
    slow.close()


def test_a_thousand_grants_are_served_each_its_own(media):
    connection = http.client.HTTPConnection("::1", media.http, timeout=20)
    for path in media.many:
        connection.request("GET", path)
        reply = connection.getresponse()
        assert (reply.status, reply.read()) == (200, IMAGE[:1000])
    connection.close()

    def counted():
        rows = [row for row in media.agent.show("show media") if int(row["job"]) >= 100]
        return len(rows) == GRANTS and all(row["complete"] and row["requests"] == 1 for row in rows)

    wait.until("each is counted", counted, within=20, every=0.5)


def test_tokens_are_in_no_log_and_no_record(media):
    media.curl(media.elsewhere)
    state = (media.agent.folder / "state.db").read_bytes() + (media.agent.folder / "state.db-wal").read_bytes()
    log = (media.agent.folder / "nettd.log").read_bytes()
    assert b"refused an image" in log
    for path in (media.good, media.elsewhere, media.outside):
        token = path.split("/")[2].encode()
        assert token not in state and token not in log


def test_a_new_certificate_is_the_media_listeners_too(media):
    def fingerprint():
        context = ssl.create_default_context(cafile=media.agent.folder / "root.pem")
        with socket.create_connection(("::1", media.https), timeout=10) as plain, context.wrap_socket(plain, server_hostname="::1") as secured:
            return secured.getpeercert(True)

    before = fingerprint()
    media.agent.builder("pki", "server", media.agent.folder, "--server-address", "::1")
    wait.until("new connections get the new certificate", lambda: fingerprint() != before, within=10, every=0.2)
    assert media.curl(media.good, "-r", "0-9", scheme="https") == (206, IMAGE[:10])


def test_the_configuration_refuses_what_would_serve_nobody_or_everything(media, tmp_path):
    config = (media.agent.folder / "nett.conf").read_text(encoding="utf-8")
    wrong = tmp_path / "nett.conf"
    wrong.write_text("\n".join(line for line in config.splitlines() if "media allow" not in line and "media directory" not in line),
                     encoding="utf-8")
    done = subprocess.run([media.agent.build.program("nettd"), "--check-config", "--config", wrong, "--plugin-dir",
                           media.agent.build.plugin_folder(media.agent.folder)], capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode != 0
    assert '"media directory" is missing' in done.stdout + done.stderr
    assert '"media allow" is missing' in done.stdout + done.stderr
