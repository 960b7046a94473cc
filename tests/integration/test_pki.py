"""Certificates over their life: a root that is rotated under running machines, step-ca as CA, the server's certificate renewed by ACME while
clients keep connecting, and what is about to expire."""

import contextlib
import json
import os
import ssl
import subprocess
import threading

import pytest

from tests.lab import boot_site, netns, wait
from tests.lab.lone_agent import ELSEWHERE, LoneAgent, get
from tests.lab.step_ca import StepCa


class Agent(LoneAgent):
    """With the roots of machines in clients.pem, as docs/pki.md has it."""

    def metadata_node(self, more="", server_address=True):
        return super().metadata_node(more, server_address).replace("/root.pem", "/clients.pem")


@pytest.fixture
def agent(build, tmp_path):
    made = Agent(build, tmp_path)
    made.start()
    made.builder("tenant", "add", "t", "--common-name", "t.boot.example")
    yield made
    made.process.stop()


def keep(agent, name):
    """The tenant's certificate and key as they are now, as an image made now has them."""
    folder = agent.folder / name
    folder.mkdir()
    for file in ("t.pem", "t.key"):
        (folder / file).write_bytes((agent.folder / file).read_bytes())
    return folder


def asks(agent, image):
    """Whether a machine with this image gets an answer. It trusts both roots, as OpenSSL needs it: it goes by the first root of a chain. What
    iPXE makes of the chain is the next test's."""
    context = ssl.create_default_context(cafile=agent.folder / "clients.pem")
    context.load_cert_chain(image / "t.pem", image / "t.key")
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with agent.http(context) as connection:
        return get(connection, f"/v1/boot/{ELSEWHERE}")[0] == 404


def refused(agent, image):
    try:
        asks(agent, image)
    except (ssl.SSLError, ConnectionError):
        return True
    return False


def test_a_root_is_rotated_while_old_and_new_images_work_and_the_old_is_refused_after(agent):
    old = keep(agent, "old")
    assert asks(agent, old)
    agent.builder("pki", "rotate", agent.folder, "--server-address", "::1")
    agent.builder("pki", "tenant", agent.folder, "t", "--force")
    new = keep(agent, "new")
    wait.until("a new image is served", lambda: asks(agent, new), 10, every=0.2)
    assert asks(agent, old), "the old one too"
    agent.builder("pki", "rotate", agent.folder, "--finish")
    wait.until("the old certificate is refused", lambda: refused(agent, old), 10, every=0.2)
    assert asks(agent, new)
    assert not list(agent.folder.glob("root-*"))


def test_ipxe_follows_a_rotation(build, tmp_path):
    """Real iPXE trusts one root alone: the old image through the cross-signed one, the new image directly."""
    with boot_site.Site(build, tmp_path) as site:
        images = {}
        for name in ("old", "new"):
            (tmp_path / name).mkdir()
        images["old"] = boot_site.make_images(build, site.pki, tmp_path / "old", kinds=("usb",))["usb"]
        boot_site.builder(build, "pki", "rotate", site.pki, "--server-address", boot_site.META)
        boot_site.builder(build, "pki", "tenant", site.pki, "tenant-a", "--force")
        images["new"] = boot_site.make_images(build, site.pki, tmp_path / "new", kinds=("usb",))["usb"]
        for image in images.values():
            site.restore()
            with site.boot(*boot_site.stick(image)) as running:
                running.wait(boot_site.MARK)
        boot_site.builder(build, "pki", "rotate", site.pki, "--finish")
        site.restore()
        with site.boot(*boot_site.stick(images["old"])) as running:
            running.wait("LOCALBOOT")
        assert site.server.requests == []
        with site.boot(*boot_site.stick(images["new"])) as running:
            running.wait(boot_site.MARK)


@contextlib.contextmanager
def step_ca(folder):
    """step-ca in a namespace of its own with the agent: its ACME asks port 80."""
    namespace = f"nettstep-{os.getpid()}"
    netns.create(namespace)
    try:
        with StepCa(folder, namespace) as ca:
            yield ca
    finally:
        netns.destroy(namespace)


@pytest.fixture
def ca(tmp_path):
    with step_ca(tmp_path / "ca") as made:
        yield made


def builder(build, ca, *words, check=True):
    """talos-fabric-builder where step-ca is reached."""
    done = subprocess.run([*ca.inside, build.program("talos-fabric-builder"), "--json", *map(str, words)], capture_output=True, text=True, check=False,
                          env={**os.environ, **build.environment(), "PATH": f"{ca.programs}:{os.environ['PATH']}"})
    assert not check or done.returncode == 0, done.stderr
    return done


def facts_of(certificate):
    text = subprocess.run(["openssl", "x509", "-in", certificate, "-noout", "-subject", "-enddate", "-ext", "subjectAltName,extendedKeyUsage"],
                          check=True, capture_output=True, text=True).stdout
    return text


def test_step_ca_issues_by_its_provisioner_and_by_tokens(build, ca, tmp_path):
    pki = tmp_path / "pki"
    builder(build, ca, "pki", "step", pki, "--ca-url", ca.url, "--root-file", ca.root, "--provisioner", "admin", "--provisioner-password-file",
            ca.password)
    builder(build, ca, "pki", "tenant", pki, "tenant-a")
    builder(build, ca, "pki", "server", pki, "--server-address", "2001:db8:ffff::1")
    assert "tenant-a.boot.example" in facts_of(pki / "tenant-a.pem") and "TLS Web Client" in facts_of(pki / "tenant-a.pem")
    assert "IP Address:2001:DB8:FFFF:0:0:0:0:1" in facts_of(pki / "server.pem")
    token = tmp_path / "token"
    token.write_text(ca.token("tenant-b.boot.example"), encoding="ascii")
    builder(build, ca, "pki", "tenant", pki, "tenant-b", "--token-file", token)
    # Its chain has an intermediate, which images carry.
    boot_site.make_images(build, pki, tmp_path, kinds=("usb",))
    shown = json.loads(builder(build, ca, "pki", "status", pki, tmp_path / "tenant-a.img").stdout)
    assert {entry["kind"] for entry in shown["entries"]} == {"root", "intermediate", "server and client", "image usb"}
    assert all(entry["state"] == "valid" for entry in shown["entries"])
    for name in ("tenant-a.key", "tenant-b.key", "server.key"):
        assert (pki / name).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("wrong, says", [("password", "right password"), ("url", "is it running"), ("root", "does not chain"), ("days", "maxTLSCertDuration"),
                                         ("token", "a token that is new"), ("nothing", "give --token-file")])
def test_what_step_ca_refuses_is_explained(build, ca, tmp_path, wrong, says):
    pki, password, url, root = tmp_path / "pki", tmp_path / "wrong", ca.url, ca.root
    password.write_text("wrong\n", encoding="ascii")
    url = url.replace(":9000", ":9001") if wrong == "url" else url
    if wrong == "root":
        boot_site.make_pki(build, tmp_path / "other")
        root = tmp_path / "other/root.pem"
    more = [] if wrong in ("nothing", "token") else ["--provisioner", "admin", "--provisioner-password-file",
                                                     password if wrong == "password" else ca.password]
    builder(build, ca, "pki", "step", pki, "--ca-url", url, "--root-file", root, *more)
    wanted = ["--days", "3000"] if wrong == "days" else []
    if wrong == "token":
        password.write_text(ca.token("somebody-else"), encoding="ascii")
        wanted = ["--token-file", password]
    done = builder(build, ca, "pki", "tenant", pki, "tenant-a", *wanted, check=False)
    assert done.returncode == 1 and says in done.stderr, done.stderr
    assert sorted(path.name for path in pki.iterdir()) == ["clients.pem", "root.pem", "step-ca.json"], "nothing half-written"


class Clients:
    """Connects anew all the time, and counts what fails."""

    def __init__(self, agent, namespace):
        self._agent, self._namespace = agent, namespace
        self.done, self.failures, self.serials = 0, [], set()
        self._end = threading.Event()
        self._threads = [threading.Thread(target=self._connect) for _ in range(2)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._end.set()
        for thread in self._threads:
            thread.join()

    def _connect(self):
        context = self._agent.context()
        with boot_site.inside(self._namespace):
            while not self._end.is_set():
                try:
                    with self._agent.http(context) as connection:
                        assert get(connection, f"/v1/boot/{ELSEWHERE}")[0] == 404
                        self.serials.add(connection.sock.getpeercert()["serialNumber"])
                    self.done += 1
                except (OSError, AssertionError) as error:
                    self.failures.append(repr(error))


def test_acme_renews_the_servers_certificate_and_no_connection_is_lost(build, ca, tmp_path):
    folder = tmp_path / "agent"
    folder.mkdir()
    agent = Agent(build, folder)
    (folder / "root.pem").write_bytes((folder / "root.pem").read_bytes() + ca.root.read_bytes())
    # As docs/pki.md says: an IPv6 literal by ACME, the root behind the chain, renamed into place.
    (folder / "install").write_text(f"#!/bin/sh\nset -e\ncat {folder}/acme.pem {ca.root} > {folder}/server.pem.new\n"
                                    f"cp {folder}/acme.key {folder}/server.key.new\nmv {folder}/server.key.new {folder}/server.key\n"
                                    f"mv {folder}/server.pem.new {folder}/server.pem\n", encoding="ascii")
    (folder / "install").chmod(0o755)
    ca.step("ca", "certificate", "::1", folder / "acme.pem", folder / "acme.key", "--san", "::1", "--provisioner", "acme", "--standalone",
            "--http-listen", "[::1]:80")
    subprocess.run([folder / "install"], check=True)
    agent.start(ca.inside)
    try:
        agent.builder("tenant", "add", "t", "--common-name", "t.boot.example")
        with Clients(agent, ca.namespace) as clients:
            wait.until("clients connect", lambda: clients.done >= 5 or clients.failures, 20)
            for count in (2, 3):
                ca.step("ca", "renew", "--force", "--exec", folder / "install", folder / "acme.pem", folder / "acme.key")
                wait.until("clients see the new certificate", lambda: len(clients.serials) == count or clients.failures, 20)
            seen = clients.done
            wait.until("clients go on", lambda: clients.done >= seen + 5 or clients.failures, 20)
        assert clients.failures == []
        assert len(clients.serials) == 3
    finally:
        agent.process.stop()


def test_status_lists_what_expires_and_says_so_by_its_exit_status(build, tmp_path):
    def status(*words):
        done = subprocess.run([build.program("talos-fabric-builder"), "--json", "pki", "status", *map(str, words)], capture_output=True, text=True,
                              env={**os.environ, **build.environment()}, check=False)
        return done.returncode, [(entry["path"].rpartition("/")[2], entry["state"]) for entry in json.loads(done.stdout)["entries"]]

    pki = boot_site.make_pki(build, tmp_path / "pki")
    boot_site.make_images(build, pki, pki)
    good = [("clients.pem", "valid"), ("root.pem", "valid"), ("server.pem", "valid"), ("tenant-a.img", "valid"), ("tenant-a.iso", "valid"), ("tenant-a.pem", "valid")]
    code, entries = status(pki)
    assert (code, sorted(entries)) == (0, good)
    boot_site.builder(build, "pki", "tenant", pki, "tenant-b", "--days", "7")
    code, entries = status(pki)
    assert code == 1 and ("tenant-b.pem", "expiring") in entries and ("tenant-a.pem", "valid") in entries
    assert status(pki, "--warn-days", "5")[0] == 0
    (tmp_path / "broken.pem").write_text("-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n", encoding="ascii")
    assert status(tmp_path / "broken.pem") == (1, [("broken.pem", "unreadable")])
