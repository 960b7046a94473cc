"""Making images when something is wrong: a clear error with its place and remedy, exit status 1, and nothing half-written."""

import os
import signal
import subprocess

import pytest

from tests.lab import boot_site, netns, pki as lab_pki, wait

NOBODY = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]
SMALL = "size=2m"  # an image is 38 MB, most of it holes


@pytest.fixture(scope="module")
def pki(build, tmp_path_factory):
    return boot_site.make_pki(build, tmp_path_factory.mktemp("files") / "pki")


@pytest.fixture
def out(tmp_path):
    """A folder that is a small file system of its own."""
    folder = tmp_path / "out"
    folder.mkdir()
    netns.run("mount", "-t", "tmpfs", "-o", SMALL, "tmpfs", str(folder))
    yield folder
    netns.run("umount", str(folder))


def arguments(build, pki, **replaced):
    """Of the command that makes a USB image; `replaced` options have other values."""
    options = {"tenant_certificate": pki / "tenant-a.pem", "tenant_key": pki / "tenant-a.key", "root": pki / "root.pem",
               "server_address": boot_site.META, "ipxe": f"{boot_site.ipxe_folder()}/ipxe-amd64.efi", **replaced}
    return [build.program("talos-fabric-builder"), "image",
            *(word for name, value in options.items() for word in (f"--{name.replace('_', '-')}", str(value)))]


def run(words):
    return subprocess.run(list(map(str, words)), capture_output=True, text=True, check=False)


@pytest.mark.parametrize("output", ["usb", "iso"])
def test_a_full_disk_leaves_what_was_there(build, pki, out, output):
    (out / "image").write_text("the image of yesterday", encoding="ascii")
    done = run([*arguments(build, pki), f"--{output}", out / "image"])
    assert done.returncode == 1 and "make room" in done.stderr and str(out) in done.stderr, done.stderr
    assert [path.name for path in out.iterdir()] == ["image"]
    assert (out / "image").read_text(encoding="ascii") == "the image of yesterday"


def expired(build, pki, folder):
    certificate, key = lab_pki.expired_client(folder, pki / "root.pem", pki / "root.key", "tenant-a.boot.example")
    return {"tenant_certificate": certificate, "tenant_key": key}


def foreign_root(build, pki, folder):
    return {"root": boot_site.make_pki(build, folder / "foreign") / "root.pem"}


def damaged(build, pki, folder):
    (folder / "damaged.pem").write_bytes((pki / "tenant-a.pem").read_bytes()[:200])
    return {"tenant_certificate": folder / "damaged.pem"}


def encrypted(build, pki, folder):
    subprocess.run(["openssl", "pkey", "-in", pki / "tenant-a.key", "-aes256", "-passout", "pass:x", "-out", folder / "encrypted.key"], check=True)
    return {"tenant_key": folder / "encrypted.key"}


@pytest.mark.parametrize("make, says", [
    (expired, "issue a new one"),
    (foreign_root, "does not chain to the root"),
    (damaged, "damaged.pem"),
    (encrypted, "decrypt it first"),
    (lambda build, pki, folder: {"tenant_certificate": pki / "server.pem", "tenant_key": pki / "server.key"}, "clientAuth"),
    (lambda build, pki, folder: {"tenant_key": pki / "server.key"}, "is not the key of"),
    (lambda build, pki, folder: {"tenant_key": folder / "absent.key"}, "absent.key"),
    (lambda build, pki, folder: {"ipxe": folder / "absent.efi"}, "Debian's package ipxe"),
    (lambda build, pki, folder: {"ipxe": "/bin/true"}, "no EFI application"),
    (lambda build, pki, folder: {"ipxe": f"{boot_site.ipxe_folder()}/undionly.kpxe"}, "no EFI application"),
], ids=["expired", "foreign-root", "damaged", "encrypted-key", "server-certificate", "foreign-key", "no-key", "no-ipxe", "no-efi", "bios-ipxe"])
def test_inputs_that_cannot_be_used(build, pki, tmp_path, make, says):
    folder = tmp_path / "out"
    folder.mkdir()
    done = run([*arguments(build, pki, **make(build, pki, tmp_path)), "--usb", folder / "image"])
    assert done.returncode == 1 and says in done.stderr, done.stderr
    assert not list(folder.iterdir())


def test_a_key_that_may_not_be_read(build, pki, tmp_path):
    for folder in (tmp_path, *list(tmp_path.parents)[:2], pki, *list(pki.parents)[:3]):
        folder.chmod(0o755)
    tmp_path.chmod(0o777)
    done = run([*NOBODY, *arguments(build, pki), "--usb", tmp_path / "image"])
    assert done.returncode == 1 and "tenant-a.key" in done.stderr and "its owner" in done.stderr, done.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_leaves_nothing(build, pki, tmp_path, number):
    process = subprocess.Popen(list(map(str, [*arguments(build, pki), "--usb", tmp_path / "image", "--iso", tmp_path / "image.iso"])),
                               start_new_session=True, stderr=subprocess.PIPE)
    wait.until("it works", lambda: list(tmp_path.iterdir()), 30, every=0.001)
    os.killpg(process.pid, number)  # as ^C does
    process.communicate()
    assert process.returncode != 0
    assert not list(tmp_path.iterdir())


def test_the_key_is_in_no_log_and_no_process_list(build, pki, tmp_path):
    """What tools are called with is everybody's to read while they run."""
    trace = tmp_path / "trace"
    done = run(["strace", "-f", "-e", "trace=execve", "-s", "100000", "-o", trace, *arguments(build, pki), "--usb", tmp_path / "image"])
    assert done.returncode == 0, done.stderr
    secret = "".join(line for line in (pki / "tenant-a.key").read_text(encoding="ascii").splitlines() if "-" not in line)
    shown = done.stdout + done.stderr + trace.read_text(encoding="utf-8", errors="replace")
    assert "mcopy" in shown and secret[:40] not in shown and secret[40:80] not in shown
