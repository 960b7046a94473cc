"""Certificates that change on disk: new connections get the new ones, within a second, and live ones are left alone."""

import hashlib
import os
import shutil
import ssl
import subprocess
import time

import pytest

from tests.lab import wait
from tests.lab.lone_agent import ELSEWHERE, LoneAgent, get

WITHIN = 1.0


@pytest.fixture(scope="module")
def agent(build, tmp_path_factory):
    made = LoneAgent(build, tmp_path_factory.mktemp("r"), extra="", large=1 << 20)
    made.start()
    made.register()
    yield made
    made.process.stop()


@pytest.fixture(autouse=True)
def _healthy(agent):
    """Each test leaves usable files behind."""
    yield
    wait.until("the files are in use", lambda: agent.show("show tls")["reload"]["error"] == "", 10, every=0.2)


def served(agent):
    """The digest of the certificate that a new connection gets."""
    with agent.http() as connection:
        return hashlib.sha256(connection.sock.getpeercert(True)).hexdigest()


def issue(agent, folder):
    """A new server certificate and key in a folder of their own."""
    folder.mkdir()
    for name in ("root.pem", "root.key"):
        shutil.copy(agent.folder / name, folder / name)
    agent.builder("pki", "server", folder, "--server-address", "::1")
    return folder / "server.pem", folder / "server.key"


def put(source, target):
    """As careful programs do: beside it, then renamed over it."""
    beside = target.with_suffix(".new")
    shutil.copy(source, beside)
    os.rename(beside, target)


def openssl(*arguments):
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)


def test_a_renamed_pair_is_for_new_connections_within_a_second_and_live_ones_stay(agent, tmp_path):
    certificate, key = issue(agent, tmp_path / "new")
    before = served(agent)
    with agent.http() as live:
        put(key, agent.folder / "server.key")
        put(certificate, agent.folder / "server.pem")
        changed = time.monotonic()
        wait.until("the new certificate is served", lambda: served(agent) != before, WITHIN, every=0.05)
        assert time.monotonic() - changed <= WITHIN + 0.2
        assert get(live, f"/v1/boot/{ELSEWHERE}")[0] == 404
    shown = agent.show("show tls")
    assert shown["certificate"]["sha256"] == served(agent)
    assert shown["certificate"]["names"] == ["::1"] and shown["certificate"]["file"] == str(agent.folder / "server.pem")
    assert shown["reload"]["trigger"] == "file" and shown["reload"]["changes"] >= 1
    assert [one["type"] for one in agent.show("show events")].count("tls.reloaded") >= 1


@pytest.mark.parametrize("damage, reason", [("broken", "no PEM certificate"), ("mismatched", "does not belong"), ("expired", "expired at"),
                                            ("absent", "No such file")])
def test_what_cannot_be_used_is_refused_and_the_old_stays(agent, tmp_path, damage, reason):
    certificate = agent.folder / "server.pem"
    good, before = certificate.read_bytes(), served(agent)
    if damage == "broken":
        certificate.write_text("no certificate\n", encoding="ascii")
    elif damage == "mismatched":
        put(issue(agent, tmp_path / "other")[0], certificate)
    elif damage == "expired":
        request = tmp_path / "expired.csr"
        openssl("req", "-new", "-key", agent.folder / "server.key", "-subj", "/CN=old", "-out", request)
        openssl("x509", "-req", "-in", request, "-CA", agent.folder / "root.pem", "-CAkey", agent.folder / "root.key", "-days", "-1",
                "-CAcreateserial", "-out", tmp_path / "expired.pem")
        put(tmp_path / "expired.pem", certificate)
    else:
        certificate.unlink()
    wait.until("the refusal is shown", lambda: reason in agent.show("show tls")["reload"]["error"], 5, every=0.1)
    assert served(agent) == before
    wait.until("and is a health condition", lambda: agent.health("certificate-files") == "degraded", 10, every=0.2)
    assert agent.health("certificate") == "ok"  # what is in use is good
    assert "tls.refused" in [one["type"] for one in agent.show("show events")]
    certificate.write_bytes(good)
    wait.until("the good one is taken again", lambda: agent.health("certificate-files") == "ok", 10, every=0.2)


def test_a_switched_link_is_a_new_certificate(agent, tmp_path):
    """As secrets are mounted: server.pem -> ..data/server.pem, ..data -> a folder."""
    folder, before = tmp_path / "mounted", served(agent)
    folder.mkdir()
    old = folder / "one"
    old.mkdir()
    for name in ("server.pem", "server.key"):
        shutil.copy(agent.folder / name, old / name)
    (folder / "..data").symlink_to("one")
    for name in ("server.pem", "server.key"):
        (folder / name).symlink_to(f"..data/{name}")
        link = agent.folder / f"{name}.link"
        link.symlink_to(folder / name)
        os.rename(link, agent.folder / name)
    wait.until("the links are read", lambda: agent.show("show tls")["reload"]["error"] == "" and served(agent) == before, 5, every=0.1)
    issue(agent, folder / "two")
    (folder / "..data_new").symlink_to("two")
    os.rename(folder / "..data_new", folder / "..data")
    wait.until("the switch is seen", lambda: served(agent) != before, WITHIN, every=0.05)


def test_client_cas_overlap_while_they_are_replaced(agent, tmp_path):
    root = agent.folder / "root.pem"
    first = root.read_bytes()
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=next root",
            "-addext", "keyUsage=critical,keyCertSign,cRLSign", "-keyout", tmp_path / "next.key", "-out", tmp_path / "next.pem")
    openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", "/CN=t.boot.example", "-keyout",
            agent.folder / "u.key", "-out", tmp_path / "u.csr")
    openssl("x509", "-req", "-in", tmp_path / "u.csr", "-CA", tmp_path / "next.pem", "-CAkey", tmp_path / "next.key", "-days", "2",
            "-CAcreateserial", "-out", agent.folder / "u.pem")

    # Made while root.pem is the first one: it is what the client checks the server by.
    old, new = agent.context("t"), agent.context("u")

    def let_in(context):
        try:
            with agent.http(context) as connection:
                return get(connection, f"/v1/boot/{ELSEWHERE}")[0] == 404
        except (ssl.SSLError, ConnectionError):
            return False

    assert let_in(old) and not let_in(new)
    root.write_bytes(first + (tmp_path / "next.pem").read_bytes())
    wait.until("the new CA's clients are let in", lambda: let_in(new), 2, every=0.05)
    assert let_in(old) and len(agent.show("show tls")["client_ca"]["certificates"]) == 2
    root.write_bytes((tmp_path / "next.pem").read_bytes())
    wait.until("the old CA's clients are not", lambda: not let_in(old), 2, every=0.05)
    assert let_in(new)
    root.write_bytes(first)
    wait.until("and back", lambda: let_in(old), 2, every=0.05)


def test_a_resumed_session_ends_with_its_context(agent):
    """Tickets are the context's own: after a reload nobody skips the check of his certificate."""
    context = agent.context(version=ssl.TLSVersion.TLSv1_2)
    with agent.tls(context) as first:
        session = first.session
    with context.wrap_socket(agent.tcp(), server_hostname="::1", session=session) as again:
        assert again.session_reused
    counted = agent.show("show tls")["handshakes"]["resumed"]
    assert counted >= 1
    changes = agent.show("show tls")["reload"]["changes"]
    os.utime(agent.folder / "root.pem")
    wait.until("the files are read again", lambda: agent.show("show tls")["reload"]["changes"] > changes, 5, every=0.1)
    with context.wrap_socket(agent.tcp(), server_hostname="::1", session=session) as later:
        assert not later.session_reused


def test_a_revoked_client_is_refused_from_the_moment_its_list_says_so(build, tmp_path_factory):
    folder = tmp_path_factory.mktemp("crl")
    database, settings, crl = folder / "index", folder / "ca.conf", folder / "crl.pem"
    agent = LoneAgent(build, folder, extra=f" client-crl {crl}\n", large=1024)
    database.write_text("", encoding="ascii")
    (folder / "crlnumber").write_text("01\n", encoding="ascii")
    settings.write_text(f"[ca]\ndefault_ca=lab\n[lab]\ndatabase={database}\ncrlnumber={folder}/crlnumber\ndefault_md=sha256\n", encoding="ascii")
    authority = ("ca", "-config", settings, "-cert", folder / "root.pem", "-keyfile", folder / "root.key")

    def publish():
        openssl(*authority, "-gencrl", "-crldays", "2", "-out", folder / "crl.new")
        os.rename(folder / "crl.new", crl)

    publish()
    agent.start()
    try:
        agent.register()
        assert agent.boots()
        openssl(*authority, "-revoke", folder / "t.pem")
        publish()

        def refused():
            try:
                return not agent.boots()
            except (ssl.SSLError, ConnectionError):
                return True

        wait.until("the revoked client is refused", refused, 2, every=0.05)
        assert agent.refusals()["certificate revoked"] >= 1
        assert agent.show("show tls")["client_crl"][0]["revoked"] == 1
    finally:
        agent.process.stop()
