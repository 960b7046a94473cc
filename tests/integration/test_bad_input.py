"""What must not disturb the metadata service: requests that no client of ours sends, and clients that only want to hurt.

Each gets a definite answer or a close, and machines are served meanwhile."""

import contextlib
import random
import socket
import ssl
import subprocess
import time

import pytest

from tests.lab import wait
from tests.lab.lone_agent import UUID, LoneAgent, get

TOTAL, PER_SOURCE = 64, 48
HANDSHAKE, IDLE, SLACK = 10, 30, 4  # plugins/metadata/limits.hpp; and what a busy machine needs more
VMLINUZ = "/v1/artifacts/s/vmlinuz"


@pytest.fixture(scope="module")
def agent(build, tmp_path_factory):
    limits = f" max-connections {TOTAL}\n max-connections-per-source {PER_SOURCE}\n"
    made = LoneAgent(build, tmp_path_factory.mktemp("b"), extra=limits, large=32 << 20)
    made.start()
    made.register()
    yield made
    made.process.stop()


@pytest.fixture(autouse=True)
def _served_afterwards(agent):
    yield
    assert agent.process.running(), agent.process.log()[-2000:]
    agent.wait_connections(0)
    assert agent.boots()


def exchange(agent, request):
    """What comes back for these bytes until the server closes or has answered; b"" when it closed without an answer."""
    with agent.tls() as connection:
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            connection.sendall(request)
        answer = b""
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            while b"\r\n\r\n" not in answer:
                got = connection.recv(65536)
                if not got:
                    break
                answer += got
        return answer


def status(answer):
    return int(answer.split()[1]) if answer.startswith(b"HTTP/1.1 ") else None


def ask(target, *fields):
    return "\r\n".join([f"GET {target} HTTP/1.1", "Host: x", *fields, "", ""]).encode("latin-1")


@pytest.mark.parametrize("request_bytes, expected", [
    pytest.param(ask("/v1/boot/x", "X: " + "x" * 9000), 431, id="a header field that is too long"),
    pytest.param(ask("/v1/boot/x", *(f"X{i}: y" for i in range(2000))), 431, id="too many header fields"),
    pytest.param(ask("/" + "a" * 20000), 431, id="a path that is too long"),
    pytest.param(ask("/v1/boot/" + "a" * 2000), 400, id="a segment that is too long"),
    pytest.param(ask("/v1/boot/" + UUID, "Content-Length: 5") + b"hello", 413, id="a body"),
    pytest.param(ask("/v1/boot/" + UUID, "Content-Length: 99999999999999999999"), 400, id="a length that is no number"),
    pytest.param(ask("/v1/boot/" + UUID, "Transfer-Encoding: chunked") + b"5\r\nhello\r\n0\r\n\r\n", 413, id="a chunked body"),
    pytest.param(ask("/v1/artifacts/../state.db"), 400, id="dot dot"),
    pytest.param(ask("/v1/artifacts/%2e%2e/state.db"), 400, id="encoded dot dot"),
    pytest.param(ask("/v1/artifacts/s%2fvmlinuz"), 400, id="an encoded slash"),
    pytest.param(ask("/v1/artifacts/s%00/vmlinuz"), 400, id="an encoded NUL"),
    pytest.param(ask("/v1/artifacts//vmlinuz"), 400, id="an empty segment"),
    pytest.param(ask("/v1/boot/%zz"), 400, id="broken percent-encoding"),
    pytest.param(ask("/v1/boot/not-a-uuid"), 400, id="no UUID"),
    pytest.param(ask("/v1/boot/" + UUID + "0"), 400, id="a UUID with a digit more"),
    pytest.param(ask("/v1/boot/\u00fc"), 400, id="no ASCII"),
    pytest.param(ask("http://elsewhere/v1/boot/" + UUID), 400, id="absolute form"),
    pytest.param(ask("/v2/boot/" + UUID), 404, id="another version"),
    pytest.param(ask("/v1/boot/" + UUID).replace(b"GET", b"POST"), 405, id="another method"),
    pytest.param(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400, id="HTTP/2"),
    pytest.param(b"\x00\x01\x02\x03\r\n\r\n", 400, id="noise"),
    pytest.param(b"GET /v1/boot/" + UUID.encode() + b" HTTP/1.1\nHost: x\n\n\r\n\r\n", 400, id="bare line feeds"),
    pytest.param(ask(VMLINUZ, "Range: bytes=99999999999-"), 416, id="a range beyond the end"),
    pytest.param(ask(VMLINUZ, "Range: bytes=9-2"), 200, id="a range that ends before it begins"),
    pytest.param(ask(VMLINUZ, "Range: bytes=a-b"), 200, id="a range of no numbers"),
    pytest.param(ask(VMLINUZ, "Range: bytes=99999999999999999999999-"), 200, id="a range beyond 64 bits"),
    pytest.param(ask(VMLINUZ, "Range: furlongs=1-2"), 200, id="a range of another unit"),
])
def test_a_request_of_no_client_of_ours_has_a_definite_answer(agent, request_bytes, expected):
    assert status(exchange(agent, request_bytes)) == expected


def test_hundreds_of_ranges_do_not_multiply_the_answer(agent):
    answer = exchange(agent, ask(VMLINUZ, "Range: bytes=" + ",".join(f"{i}-" for i in range(500))))
    length = int(answer.lower().split(b"content-length: ")[1].split()[0])
    assert status(answer) in (200, 206, 416) and length <= agent.large + 4096


def test_noise_is_answered_or_closed(agent):
    noise = random.Random(6)  # the same each time
    for _ in range(60):
        answer = exchange(agent, noise.randbytes(noise.randrange(1, 4000)) + b"\r\n\r\n")
        assert answer == b"" or 400 <= status(answer) < 500
        with agent.tcp() as connection, contextlib.suppress(ConnectionError):
            connection.sendall(noise.randbytes(noise.randrange(1, 4000)))
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(4096):
                pass


def test_plain_http_on_the_tls_port_is_closed(agent):
    before = agent.refusals().get("http request", 0)
    with agent.tcp() as connection, contextlib.suppress(ConnectionError):
        connection.sendall(b"GET /v1/boot/x HTTP/1.1\r\n\r\n")
        assert not connection.recv(100).startswith(b"HTTP/")
    wait.until("it is counted", lambda: agent.refusals().get("http request", 0) == before + 1, 5, every=0.1)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_protocol_that_is_not_http_1_1_is_no_application_protocol(agent, version):
    context = agent.context(version=version)
    context.set_alpn_protocols(["h2"])
    with pytest.raises(ssl.SSLError, match="(?i)no.application.protocol"):
        agent.tls(context).close()
    context.set_alpn_protocols(["h2", "http/1.1"])
    with agent.tls(context) as connection:
        assert connection.selected_alpn_protocol() == "http/1.1"


def test_renegotiation_is_refused(agent):
    """OpenSSL's client asks for it on a line "R"; iPXE never does."""
    done = subprocess.run(["openssl", "s_client", "-connect", f"[::1]:{agent.port}", "-tls1_2", "-cert", agent.folder / "t.pem", "-key",
                           agent.folder / "t.key", "-CAfile", agent.folder / "root.pem"], input="R\n", capture_output=True, text=True,
                          timeout=20, check=False)
    assert "RENEGOTIATING" in done.stdout + done.stderr
    assert "no renegotiation" in done.stdout + done.stderr


def test_old_tls_and_weak_suites_are_refused(agent):
    for arguments in (["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"], ["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-SHA"]):
        done = subprocess.run(["openssl", "s_client", "-connect", f"[::1]:{agent.port}", *arguments, "-cert", agent.folder / "t.pem", "-key",
                               agent.folder / "t.key"], input="", capture_output=True, text=True, timeout=20, check=False)
        assert done.returncode != 0 and "Cipher is (NONE)" in done.stdout


def test_connections_of_one_network_beyond_its_share_are_closed_and_the_log_is_not_flooded(agent):
    log = len(agent.process.log())
    began = time.monotonic()
    with contextlib.ExitStack() as held:
        for _ in range(PER_SOURCE):
            held.enter_context(agent.tcp())
        wait.until("all are counted", lambda: agent.show("show metadata")["connections"]["now"] == PER_SOURCE, 10, every=0.1)
        for _ in range(500):
            with agent.tcp() as above, contextlib.suppress(ConnectionError):
                above.settimeout(5)
                assert above.recv(1) == b""
        assert agent.show("show metadata")["connections"]["now"] == PER_SOURCE
    lines = agent.process.log()[log:].count("too many connections")
    assert 1 <= lines <= time.monotonic() - began + 2


def test_failed_handshakes_do_not_flood_the_log(agent):
    log = len(agent.process.log())
    began = time.monotonic()
    before = agent.show("show tls")["handshakes"]["failed"]

    def lines():
        return agent.process.log()[log:].count("TLS handshake failed")

    tried = 0
    while tried < 300 or not lines():  # the line of this second may be one of the test before
        tried += 1
        with agent.tcp() as connection, contextlib.suppress(ConnectionError):
            connection.sendall(b"\x16\x03\x01\x00\x05hello")
            connection.recv(100)
    wait.until("all are counted", lambda: agent.show("show tls")["handshakes"]["failed"] >= before + tried, 10, every=0.1)
    assert lines() <= time.monotonic() - began + 2


def test_the_slow_and_the_silent_are_cut_and_others_served_meanwhile(agent):
    """Half-open handshakes, slowloris, stalled readers: all at once, held as long as the server lets them."""
    before = agent.memory_kib()
    closed = {}
    with contextlib.ExitStack() as held:
        silent = [held.enter_context(agent.tcp()) for _ in range(8)]
        half = [held.enter_context(agent.tcp()) for _ in range(8)]
        for one in half:
            one.sendall(b"\x16\x03\x01\x02\x00\x01\x00")  # the beginning of a ClientHello
        loris = [held.enter_context(agent.tls()) for _ in range(8)]
        stalled = [held.enter_context(agent.tls()) for _ in range(8)]
        for one in stalled:
            one.sendall(ask(VMLINUZ))  # 32 MiB, and nothing of it is read
        groups = {"silent": silent, "half": half, "loris": loris}
        for one in [*silent, *half, *loris]:
            one.setblocking(False)
        began = time.monotonic()

        def all_closed():
            for one in loris:
                with contextlib.suppress(OSError):
                    one.send(b"G")  # a byte now and then makes it no less slow
            for name, group in groups.items():
                if name not in closed and all(map(ended, group)):
                    closed[name] = time.monotonic() - began
            assert agent.boots()
            assert len(closed) == len(groups), closed
            return closed

        wait.until("they are cut", all_closed, IDLE + 3 * SLACK, every=0.5)
        assert agent.memory_kib() - before < 16 * 1024
        # The stalled ones are cut too; what they had not taken is dropped, not sent later.
        wait.until("the stalled are cut", lambda: agent.show("show metadata")["connections"]["now"] == 0, 10, every=0.2)
    assert HANDSHAKE - 1 < closed["silent"] < HANDSHAKE + SLACK
    assert HANDSHAKE - 1 < closed["half"] < HANDSHAKE + SLACK
    assert IDLE - 1 < closed["loris"] < IDLE + SLACK
    assert agent.refusals()["timeout"] >= 16


def ended(connection):
    try:
        return connection.recv(4096) == b""
    except (BlockingIOError, ssl.SSLWantReadError):
        return False
    except OSError:
        return True


def test_a_flood_of_long_heads_stays_small(agent):
    before = agent.memory_kib()
    with contextlib.ExitStack() as held:
        for _ in range(PER_SOURCE - 4):
            connection = held.enter_context(agent.tls())
            connection.sendall(b"GET / HTTP/1.1\r\nX: " + b"x" * 7000)  # almost a header, and never its end
        wait.until("they are there", lambda: agent.show("show metadata")["connections"]["now"] == PER_SOURCE - 4, 10, every=0.1)
        assert agent.boots()
        assert agent.memory_kib() - before < 16 * 1024


def test_above_the_limit_machines_are_told_to_come_back(agent, build, tmp_path):
    """503 with Retry-After is what iPXE waits for (facts of its source); held connections are served on."""
    small = LoneAgent(build, tmp_path, extra=" max-connections 4\n max-connections-per-source 20\n", large=1024)
    small.start()
    try:
        small.register()
        with contextlib.ExitStack() as held:
            inside = [held.enter_context(small.http()) for _ in range(4)]
            with small.http() as above:
                above.request("GET", f"/v1/boot/{UUID}")
                reply = above.getresponse()
                assert (reply.status, reply.getheader("Retry-After"), reply.getheader("Connection")) == (503, "3", "close")
                reply.read()
            assert [get(one, f"/v1/boot/{UUID}")[0] for one in inside] == [200] * 4
        small.wait_connections(0)
        assert small.boots()
    finally:
        small.process.stop()
