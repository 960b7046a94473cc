"""Artifacts over mutual TLS: every name they have, ranges, conditions, and files that go bad on disk."""

import hashlib
import shutil
import subprocess

import pytest

from tests.lab import wait
from tests.lab.metadata import MetadataAgent, ask, flip_byte, get

KERNEL = bytes(range(256)) * 40000  # 10 MB, so that hashing it takes several slices
INITRAMFS = b"initramfs " * 1000
DIGEST = hashlib.sha256(KERNEL).hexdigest()
UUID = "6e657474-0000-4000-8000-00000000d001"


@pytest.fixture(scope="module")
def agent(build, tmp_path_factory):
    made = MetadataAgent(build, tmp_path_factory.mktemp("artifacts"))
    made.start()
    made.add_tenant("t")
    made.add_tenant("other")
    made.add_set("factory", KERNEL, INITRAMFS, "--version", "v1.13.9", "--arch", "amd64", "--schematic", "3765")
    made.add_set("release", b"another kernel", INITRAMFS, "--version", "v1.13.9", "--arch", "amd64")
    made.add_machine("m", "t", "factory", "version: v1alpha1\n", "--uuid", UUID, "--mac", "52:54:00:00:d0:01", "--serial", "CZ 77")
    yield made
    made.process.stop()


@pytest.fixture
def connection(agent):
    made = agent.connect("t")
    yield made
    made.close()


@pytest.mark.parametrize("path", [
    "/v1/artifacts/factory/vmlinuz",
    "/v1/artifacts/v1.13.9/amd64/3765/vmlinuz",
    f"/v1/artifacts/vmlinuz?uuid={UUID}",
    "/v1/artifacts/vmlinuz?mac=52-54-00-00-d0-01",
    "/v1/artifacts/vmlinuz?serial=CZ%2077",
])
def test_the_same_file_by_each_of_its_names(connection, path):
    status, fields, body = ask(connection, path)
    assert (status, hashlib.sha256(body).hexdigest()) == (200, DIGEST)
    assert fields["etag"] == f'"{DIGEST}"'
    assert "content-encoding" not in fields


def test_a_version_without_a_schematic_is_another_file(connection):
    assert get(connection, "/v1/artifacts/v1.13.9/amd64/vmlinuz") == (200, b"another kernel")
    assert get(connection, "/v1/artifacts/v1.13.9/arm64/vmlinuz")[0] == 404


def test_flat_names_follow_the_boot_request_on_any_connection(agent, connection):
    assert get(connection, "/v1/artifacts/vmlinuz")[0] == 404  # whose? There are two sets.
    assert get(connection, f"/v1/boot/{UUID}")[0] == 200
    assert hashlib.sha256(get(connection, "/v1/artifacts/vmlinuz")[1]).hexdigest() == DIGEST
    another = agent.connect("t")
    assert hashlib.sha256(get(another, "/v1/artifacts/vmlinuz")[1]).hexdigest() == DIGEST
    another.close()
    stranger = agent.connect("other")
    assert get(stranger, "/v1/artifacts/vmlinuz")[0] == 404
    stranger.close()


def test_ranges_and_conditions(connection):
    path, tag = "/v1/artifacts/factory/vmlinuz", f'"{DIGEST}"'
    status, fields, body = ask(connection, path, Range="bytes=256-511")
    assert (status, fields["content-range"], body) == (206, f"bytes 256-511/{len(KERNEL)}", KERNEL[256:512])
    assert get(connection, path, Range="bytes=-3") == (206, KERNEL[-3:])
    assert get(connection, path, Range="bytes=1-2", If_Range='"stale"')[0] == 200
    assert get(connection, path, Range="bytes=1-2", If_Range=tag) == (206, KERNEL[1:3])
    status, fields, _ = ask(connection, path, Range=f"bytes={len(KERNEL)}-")
    assert (status, fields["content-range"]) == (416, f"bytes */{len(KERNEL)}")
    assert get(connection, path, If_None_Match=f"W/{tag}") == (304, b"")
    assert get(connection, path, If_Match='"other"')[0] == 412
    assert get(connection, path, If_Match=tag, Range="bytes=0-0") == (206, KERNEL[:1])
    status, fields, body = ask(connection, path, method="HEAD", Range="bytes=0-0")
    assert (status, fields["content-length"], body) == (200, str(len(KERNEL)), b"")
    assert get(connection, path, Accept_Encoding="gzip")[1] == KERNEL


def test_several_ranges_are_one_multipart_answer(connection):
    status, fields, body = ask(connection, "/v1/artifacts/factory/vmlinuz", Range="bytes=0-1,1000000-1000003,-2")
    assert status == 206
    kind, boundary = fields["content-type"].split("; boundary=")
    assert kind == "multipart/byteranges"
    assert int(fields["content-length"]) == len(body)
    parts = body.split(f"\r\n--{boundary}".encode())
    assert parts[0] == b"" and parts[-1] == b"--\r\n"
    found = [part.split(b"\r\n\r\n", 1) for part in parts[1:-1]]
    assert [head.decode().rsplit("bytes ", 1)[1] for head, _ in found] == [
        f"0-1/{len(KERNEL)}", f"1000000-1000003/{len(KERNEL)}", f"{len(KERNEL) - 2}-{len(KERNEL) - 1}/{len(KERNEL)}"]
    assert [bytes_ for _, bytes_ in found] == [KERNEL[:2], KERNEL[1000000:1000004], KERNEL[-2:]]
    overlapping = ",".join(["0-"] * 16)
    assert len(get(connection, "/v1/artifacts/factory/vmlinuz", Range=f"bytes={overlapping}")[1]) == len(KERNEL)


def test_curl_resumes_a_download_that_broke_off(agent, tmp_path):
    """By If-Range and one range, as any server with the same bytes would let it."""
    target = tmp_path / "vmlinuz"
    target.write_bytes(KERNEL[:1_234_567])
    subprocess.run(["curl", "-sf", "--cacert", agent.folder / "root.pem", "--cert", agent.folder / "t.pem", "--key",
                    agent.folder / "t.key", "-C", "-", "-o", target, f"https://[::1]:{agent.port}/v1/artifacts/factory/vmlinuz"],
                   check=True, timeout=60)
    assert target.read_bytes() == KERNEL


def test_a_flipped_byte_is_never_served_until_the_set_is_imported_again(agent, connection):
    path = agent.artifact_path(DIGEST)
    keep = agent.folder / "keep"
    shutil.copyfile(path, keep)
    assert get(connection, "/v1/artifacts/factory/vmlinuz")[0] == 200
    flip_byte(path, 5_000_000)
    assert get(connection, "/v1/artifacts/factory/vmlinuz")[0] == 500
    assert get(connection, "/v1/artifacts/factory/vmlinuz", Range="bytes=0-1")[0] == 500
    assert get(connection, f"/v1/boot/{UUID}")[0] == 404  # the disk, rather than an installer that might do anything
    wait.until("it is a failed local condition", lambda: agent.health("artifacts") == ("failed", "local"), 10, every=0.2)
    assert "an artifact is damaged and not served" in agent.process.log()
    assert get(connection, "/v1/artifacts/factory/initramfs.xz")[0] == 200  # the rest is served
    agent.add_set("factory", KERNEL, INITRAMFS, "--version", "v1.13.9", "--arch", "amd64", "--schematic", "3765")
    assert get(connection, "/v1/artifacts/factory/vmlinuz") == (200, KERNEL)
    assert get(connection, f"/v1/boot/{UUID}")[0] == 200
    wait.until("and its cure is noticed", lambda: agent.health("artifacts") == ("ok", "local"), 10, every=0.2)


def test_a_file_that_was_bad_before_the_start_is_not_served(agent):
    agent.process.stop()
    path = agent.artifact_path(DIGEST)
    flip_byte(path, 9_000_000)
    agent.start()
    connection = agent.connect("t")
    assert get(connection, "/v1/artifacts/factory/vmlinuz")[0] == 500
    flip_byte(path, 9_000_000)
    assert get(connection, "/v1/artifacts/factory/vmlinuz") == (200, KERNEL)
    connection.close()
