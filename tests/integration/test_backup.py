"""A backup under load, put back where nothing is left, serves machines as before."""

import hashlib
import json
import os
import shutil
import stat
import subprocess
import tarfile
import threading

import pytest

from tests.lab import lone_agent, wait
from tests.lab.etcd import Server, raised_cluster
from tests.lab.lone_agent import LoneAgent

LARGE = 3 << 20


@pytest.fixture
def agent(build, tmp_path):
    (tmp_path / "agent").mkdir()
    made = LoneAgent(build, tmp_path / "agent", large=LARGE)
    made.start()
    made.register()
    yield made
    if made.process.running():
        made.process.stop()


def nettsh(agent, *words, check=True):
    done = subprocess.run([agent.build.program("nettsh"), "--socket", agent.socket, *map(str, words)], capture_output=True, text=True,
                          timeout=60, check=False)
    assert not check or done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
    return done


def restore(build, *words):
    return subprocess.run([build.program("nett-restore"), *map(str, words)], capture_output=True, text=True, timeout=60,
                          check=False)


class Writers:
    """Changes the state as fast as it goes while the block runs."""

    def __init__(self, agent):
        self._agent, self._stop, self.written = agent, threading.Event(), 0
        self._thread = threading.Thread(target=self._write)

    def _write(self):
        while not self._stop.is_set():
            words = ("lock", "unlock")[self.written % 2]
            nettsh(self._agent, *[word for _ in range(20) for word in ("-c", f"machine m {words}")])
            self.written += 1

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join(60)


def take(agent, path):
    return nettsh(agent, "-c", f"backup {path}")


def test_a_backup_under_load_brings_back_a_server_whose_machine_boots(agent, build, tmp_path):
    archive = tmp_path / "backup.tar"
    nettsh(agent, "-c", "machine m unlock")
    with Writers(agent) as writers:
        done = take(agent, archive)
    assert writers.written > 0
    assert done.stdout == f"Saved to {archive}, {archive.stat().st_size} bytes.\n"
    assert stat.S_IMODE(archive.stat().st_mode) == 0o600
    agent.process.stop()
    agent.folder.rename(tmp_path / "lost")
    agent.folder.mkdir()

    done = restore(build, archive)
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in agent.folder.iterdir()) == [
        "artifacts", "nett.conf", "root.pem", "secret.key", "server.key", "server.pem", "state.db", "state.db.lock"]
    for name in ("t.pem", "t.key"):  # the machine's own, which no backup has
        shutil.copy(tmp_path / "lost" / name, agent.folder / name)
    agent.start()
    # Whatever the last write before the copy was, the rest is as before: the machine gets its script and its kernel.
    nettsh(agent, "-c", "machine m unlock")
    with agent.http() as connection:
        status, script = lone_agent.get(connection, f"/v1/boot/{lone_agent.UUID}")
        assert status == 200 and script.startswith(b"#!ipxe"), script
        kernel = next(word for word in script.decode().split() if word.endswith("/vmlinuz"))
        status, body = lone_agent.get(connection, kernel[kernel.index("/v1/"):])
        assert status == 200 and body == b"k" * LARGE
    agent.process.stop()


def test_a_backup_is_a_tar_file_whose_manifest_tells_the_truth(agent, tmp_path):
    archive = tmp_path / "backup.tar"
    take(agent, archive)
    with tarfile.open(archive) as tar:
        members = tar.getnames()
        manifest = json.load(tar.extractfile("manifest.json"))
        assert members == ["manifest.json", *(file["name"] for file in manifest["files"])]
        for file in manifest["files"]:
            content = tar.extractfile(file["name"]).read()
            assert (len(content), hashlib.sha256(content).hexdigest()) == (file["size"], file["sha256"]), file["name"]
    assert manifest["format"] == 1
    roles = {file["role"] for file in manifest["files"]}
    assert roles == {"configuration", "state", "secret-key", "certificate", "artifact"}
    nettsh(agent, "-c", f"backup {archive} without-artifacts")
    assert archive.stat().st_size < LARGE


def test_restore_says_what_it_would_do_and_refuses_what_it_cannot(agent, build, tmp_path):
    archive = tmp_path / "backup.tar"
    take(agent, archive)
    before = sorted(os.listdir(agent.folder))
    done = restore(build, archive, "--dry-run")
    assert done.returncode == 0 and str(agent.folder / "state.db") in done.stdout and "Nothing was changed" in done.stdout
    done = restore(build, archive)
    assert done.returncode == 1
    assert "nettd runs on it; stop it first" in done.stderr and "Nothing was changed." in done.stderr
    content = bytearray(archive.read_bytes())
    content[content.index(b"api socket")] ^= 1
    (tmp_path / "broken.tar").write_bytes(content)
    done = restore(build, tmp_path / "broken.tar", "--root", tmp_path / "root")
    assert done.returncode == 1 and "take another backup" in done.stderr
    assert not (tmp_path / "root").exists()
    assert sorted(os.listdir(agent.folder)) == before
    assert agent.boots()


def test_a_backup_that_cannot_be_written_leaves_nothing(agent, tmp_path):
    done = nettsh(agent, "-c", f"backup {tmp_path}/no/such/folder.tar", check=False)
    assert done.returncode == 1 and "No such file or directory" in done.stderr
    done = nettsh(agent, "-c", f"backup {tmp_path}", check=False)
    assert done.returncode == 1 and "is no regular file" in done.stderr
    kernel = next(path for path in (agent.folder / "artifacts" / "sha256").iterdir() if path.stat().st_size == LARGE)
    kernel.unlink()
    done = nettsh(agent, "-c", f"backup {tmp_path}/x.tar", check=False)
    assert done.returncode == 1 and "import the set again" in done.stderr
    assert not list(tmp_path.glob("x.tar*"))


# ---- a state that several servers share ----


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    with raised_cluster(os.environ.get("NETT_LAB_PREFIX", "nettest-") + "b-", tmp_path_factory.mktemp("etcd")) as made:
        yield made


@pytest.fixture
def shared(build, cluster, tmp_path):
    """A server of a cluster with a tenant, and a backup of it; after that the cluster got another tenant."""
    server = Server(build, tmp_path / "server", cluster, 1)
    server.start()
    server.wait_member()
    server.add_tenant("before")
    archive = tmp_path / "backup.tar"
    nettsh(server, "-c", f"backup {archive}")
    server.add_tenant("after")
    server.process.stop()
    yield server, archive
    server.down()
    cluster.client("del", "--prefix", "/")


def tenants(server):
    return {tenant["name"] for tenant in server.show("show tenants")}


def test_a_backup_of_shared_state_is_not_put_back_until_its_meaning_is_said(build, shared):
    server, archive = shared
    (server.folder / "state.db").unlink()
    refused = restore(build, archive)
    assert refused.returncode == 1
    for text in ("several servers share", "--rejoin  this server was lost", "--detach  the cluster was lost", "Nothing was changed."):
        assert text in refused.stderr, refused.stderr
    assert not (server.folder / "state.db").exists()
    assert "choose --rejoin or --detach" in restore(build, archive, "--dry-run").stdout
    assert restore(build, archive, "--rejoin", "--detach").returncode == 2


def test_a_server_that_was_lost_comes_back_into_its_cluster_and_takes_its_state(build, shared):
    server, archive = shared
    (server.folder / "state.db").unlink()
    done = restore(build, archive, "--rejoin")
    assert done.returncode == 0 and "joins cluster" in done.stdout, done.stdout + done.stderr
    server.start()
    server.wait_member()
    wait.until("what was committed after the backup is there", lambda: tenants(server) == {"before", "after"}, 20)


def test_the_state_of_a_cluster_that_was_lost_becomes_a_new_clusters(build, shared, cluster):
    server, archive = shared
    cluster.client("del", "--prefix", "/")
    done = restore(build, archive, "--detach")
    assert done.returncode == 0 and "state migrate in" in done.stdout, done.stdout + done.stderr
    server.start()
    wait.until("it says what to do", lambda: "state migrate in" in server.replication()["error"], 20)
    assert tenants(server) == {"before"}
    assert server.try_shell("state migrate in")[0] == 0
    server.wait_member()
    server.add_tenant("later")
    assert tenants(server) == {"before", "later"}


def test_the_options_of_shared_state_are_refused_for_a_state_that_is_not(agent, build, tmp_path):
    archive = tmp_path / "backup.tar"
    take(agent, archive)
    agent.process.stop()
    refused = restore(build, archive, "--detach")
    assert refused.returncode == 1 and "one server's own; leave --detach out" in refused.stderr
