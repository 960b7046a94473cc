"""The tenant's images, booted: real iPXE under UEFI (x86_64, arm64) and BIOS, a switch port that advertises a prefix, and a metadata
server that wants a client certificate. One namespace is all the fabric there is; tests/e2e boots against real agents."""

import json
import os
import shutil
import subprocess

import pytest

from tests.lab import boot_site
from tests.lab.boot_site import BOOT_SECONDS, MAC, MARK, META, PREFIX, UUID

SNAKEOIL = "/usr/share/ovmf/PkKek-1-snakeoil"  # Debian's ovmf: the key that its "snakeoil" firmware knows


@pytest.fixture(scope="module")
def site(build, tmp_path_factory):
    with boot_site.Site(build, tmp_path_factory.mktemp("image-boot")) as made:
        yield made


@pytest.fixture(scope="module")
def images(build, site):
    """One medium for both kinds of machines."""
    return boot_site.make_images(build, site.pki, site.folder, ipxe=("ipxe-amd64.efi", "ipxe-arm64.efi"))


@pytest.fixture(autouse=True)
def _as_before(site):
    site.restore()


def boots(site, *media, board=None):
    """The machine fetches the script with the tenant's certificate, under its own name."""
    with site.boot(*media, board=board) as running:
        running.wait(MARK)
        assert f"BOOT-ID {UUID} via net0 {MAC} {PREFIX[:-1]}" in running.shown()
    name, target, agent = site.server.requests[0]
    assert (name, target) == ("tenant-a.boot.example", f"/v1/boot/{UUID}?mac={MAC.replace(':', '-')}")
    assert agent.startswith("iPXE/")


@pytest.mark.parametrize("kind, medium", [("usb", boot_site.stick), ("iso", boot_site.cd), ("iso", boot_site.virtual_cd), ("iso", boot_site.stick)],
                         ids=["usb-stick", "iso-cd", "iso-virtual-cd", "iso-stick"])
def test_each_medium_fetches_the_boot_script_with_the_tenants_certificate(site, images, kind, medium):
    boots(site, *medium(images[kind]))


@pytest.mark.parametrize("kind, medium", [("usb", boot_site.stick), ("iso", boot_site.virtual_cd)], ids=["usb-stick", "iso-virtual-cd"])
def test_an_arm64_machine_boots_the_same_media(site, images, kind, medium):
    boots(site, *medium(images[kind]), board=boot_site.arm())


def test_bare_files_on_a_partition_of_ones_own(build, site, tmp_path):
    boot_site.make_images(build, site.pki, tmp_path, kinds=("efi",))
    (tmp_path / "esp/EFI").mkdir(parents=True)
    shutil.move(tmp_path / "tenant-a.efi", tmp_path / "esp/EFI/BOOT")
    # QEMU shows a folder as a FAT disk
    boots(site, "-drive", f"if=none,id=esp,format=raw,file=fat:rw:{tmp_path}/esp", "-device", "usb-storage,drive=esp,bootindex=1")


def test_a_machine_without_uuid_asks_by_its_mac_address(site, images):
    with site.boot(*boot_site.stick(images["usb"]), uuid=None) as running:
        running.wait(MARK)
    mac = MAC.replace(":", "-")
    assert site.server.requests[0][1] == f"/v1/boot/{mac}?mac={mac}"


def test_a_clock_that_is_three_years_behind_does_not_matter(site, images):
    with site.boot("-rtc", "base=2023-10-01T00:00:00", *boot_site.stick(images["usb"])) as running:
        running.wait(MARK)


@pytest.fixture(scope="module")
def trouble(site):
    """(images, disk) for machines that end up at their own disk."""
    disk = site.folder / "disk.img"
    boot_site.setup("disk.sh", disk)
    return boot_site.make_trouble_images(site), disk


@pytest.mark.parametrize("case", boot_site.TROUBLES, ids=lambda case: case.name)
def test_in_trouble_the_machine_boots_its_disk(site, trouble, case):
    boot_site.suffer(site, case, *trouble)
    assert len(site.server.requests) == case.requests
    if case.image == "foreign-root":
        assert site.server.refused, "the handshake was broken off by iPXE"


@pytest.fixture(scope="module")
def signed(build, site, tmp_path_factory):
    folder = tmp_path_factory.mktemp("signed")
    subprocess.run(["openssl", "rsa", "-in", f"{SNAKEOIL}.key", "-passin", "pass:snakeoil", "-out", folder / "db.key"], check=True,
                   capture_output=True)
    return boot_site.make_images(build, site.pki, folder, "--secure-boot-key", folder / "db.key", "--secure-boot-certificate", f"{SNAKEOIL}.pem",
                                 kinds=("usb",))["usb"]


def test_secure_boot_takes_what_the_operators_key_has_signed(site, signed):
    boots(site, *boot_site.stick(signed), board=boot_site.pc(site.folder, "OVMF_CODE_4M.secboot.fd", "OVMF_VARS_4M.snakeoil.fd", smm=True))


def test_secure_boot_refuses_an_image_without_signature(site, images, trouble):
    board = boot_site.pc(site.folder, "OVMF_CODE_4M.secboot.fd", "OVMF_VARS_4M.snakeoil.fd", smm=True)
    with site.boot(*boot_site.stick(images["usb"]), board=board) as running:
        running.wait("Access Denied")
        assert "iPXE initialising" not in running.shown()


@pytest.fixture(scope="module")
def hybrid(build, site, tmp_path_factory):
    """An ISO from a source tree: a stand-in that builds by copying Debian's binaries, with iPXE's own layout and variables."""
    folder = tmp_path_factory.mktemp("hybrid")
    tree = make_tree(folder / "ipxe")
    iso = folder / "hybrid.iso"
    boot_site.builder(build, "image", "--tenant-certificate", site.pki / "tenant-a.pem", "--tenant-key", site.pki / "tenant-a.key", "--root",
                      site.pki / "root.pem", "--server-address", META, "--ipxe-source", tree, "--bios", "--iso", iso)
    return iso


def make_tree(folder):
    """iPXE's targets, made of Debian's binaries: the trust anchor as TRUST= says, the rest behind the end of the EFI application."""
    ipxe = boot_site.ipxe_folder()
    src = folder / "src"
    src.mkdir(parents=True)
    (src / "Makefile.housekeeping").write_text("", encoding="ascii")
    (src / "build.py").write_text(
        "import hashlib, ssl, sys\n"
        f"binary, product = open('{ipxe}/ipxe-amd64.efi', 'rb').read(), sys.argv[1]\n"
        "embed, trust, certificates, key = sys.argv[2:6]\n"
        "der = [ssl.PEM_cert_to_DER_cert('-----BEGIN' + part) for name in certificates.split(',')\n"
        "       for part in open(name).read().split('-----BEGIN')[1:]]\n"
        "root = ssl.PEM_cert_to_DER_cert(open(trust).read())\n"
        "builtin = bytes.fromhex('9faf717b7f8ca2f93c256c79f8ac5591895d66d1ff3bee6397a70d29c65eed1a')\n"
        "assert 'PRIVATE KEY' in open(key).read()\n"
        "open(product, 'wb').write(binary.replace(builtin, hashlib.sha256(root).digest()) + b''.join(der) + open(embed, 'rb').read())\n",
        encoding="ascii")
    (src / "Makefile").write_text(
        "bin-x86_64-efi/ipxe.efi:\n\tmkdir -p bin-x86_64-efi && cp $(PRIVKEY) bin-x86_64-efi/.private_key.der\n"
        "\t$(OPENSSL) rsa -in $(PRIVKEY) -check -noout\n\tpython3 build.py $@ $(EMBED) $(TRUST) $(CERT) $(PRIVKEY)\n"
        f"bin/ipxe.lkrn:\n\tmkdir -p bin && cp {ipxe}/ipxe.lkrn $@\n", encoding="ascii")
    return folder


@pytest.mark.parametrize("medium", [boot_site.cd, boot_site.stick], ids=["cd", "stick"])
def test_a_hybrid_iso_starts_ipxe_under_bios(site, hybrid, medium):
    with site.boot(*medium(hybrid), board=boot_site.bios_pc()) as running:
        running.wait("iPXE 2.")


@pytest.mark.parametrize("medium", [boot_site.cd, boot_site.stick], ids=["cd", "stick"])
def test_a_hybrid_iso_starts_ipxe_under_uefi(site, hybrid, medium):
    with site.boot(*medium(hybrid)) as running:
        running.wait("iPXE initialising devices", within=BOOT_SECONDS)


def test_inspect_tells_whose_an_image_is(build, site, images, hybrid):
    def inspected(path):
        return json.loads(subprocess.run([build.program("talos-fabric-builder"), "--json", "image", "inspect", path], check=True, stdout=subprocess.PIPE,
                                         env={**os.environ, **build.environment()}).stdout)

    for kind, path in images.items():
        facts = inspected(path)
        assert (facts["medium"], facts["bios"], facts["server"], facts["subject"]) == (kind, False, f"[{META}]", "CN=tenant-a.boot.example")
        assert [binary["name"] for binary in facts["binaries"]] == ["BOOTX64.EFI", "BOOTAA64.EFI"]
        assert all(binary["ipxe_version"].startswith("2.") for binary in facts["binaries"])
    facts = inspected(hybrid)
    assert (facts["medium"], facts["bios"], facts["server"], facts["subject"]) == ("iso", True, f"[{META}]", "CN=tenant-a.boot.example")
