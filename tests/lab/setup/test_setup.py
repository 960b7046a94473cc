"""The set-up scripts give things that boot: real QEMU with UEFI firmware, no network, no root.

Run: /usr/bin/python3 -m pytest tests/lab/setup
"""

import hashlib
import pathlib
import shutil
import subprocess

import pytest

HERE = pathlib.Path(__file__).parent
UUID = "5a0d3f0e-6b1c-4f57-9f0a-1c2d3e4f5a6b"
OVMF = pathlib.Path("/usr/share/OVMF")
BOOT_SECONDS = 180  # without KVM, on a busy machine
CONFIG = b"machine:\n  type: worker\n"

EXTENSIONS_BLOCK = """\
layers:
  - image: schematic.sqsh
    metadata:
      name: schematic
      version: lab
  - image: node-config.sqsh
    metadata:
      name: embedded-config
      version: "1"
"""
EXTENSIONS_FLOW = (
    "layers: [{image: schematic.sqsh, metadata: {name: schematic}}, "
    "{image: node-config.sqsh, metadata: {name: embedded-config, version: abc}}]\n"
)


def run_script(name, *arguments):
    done = subprocess.run([HERE / name, *arguments], check=True, stdout=subprocess.PIPE, text=True)
    return done.stdout.strip()


def qemu(tmp_path, *arguments):
    """Runs a machine until it powers off (or resets) and returns its console's lines."""
    done = subprocess.run(
        ["qemu-system-x86_64", "-machine", "q35,accel=tcg", "-cpu", "max", "-m", "512", "-display", "none",
         "-serial", "stdio", "-monitor", "none", "-no-reboot", "-nodefaults", "-uuid", UUID, *arguments],
        cwd=tmp_path, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, timeout=BOOT_SECONDS, check=True)
    return done.stdout.decode(errors="replace").replace("\r", "").split("\n")


def appended_initrd(tmp_path, files):
    """A cpio archive with the files, as iPXE appends for `initrd URL /path`."""
    tree = tmp_path / "appended"
    tree.mkdir()
    for name, content in files.items():
        (tree / name).write_bytes(content)
    names = "\n".join(sorted(files)) + "\n"
    return subprocess.run(["cpio", "--quiet", "-o", "-H", "newc"], cwd=tree, input=names.encode(),
                          stdout=subprocess.PIPE, check=True).stdout


def config_image(tmp_path, config=CONFIG, path="usr/local/etc/talos/config.yaml"):
    tree = tmp_path / "config"
    (tree / path).parent.mkdir(parents=True)
    (tree / path).write_bytes(config)
    image = tmp_path / "node-config.sqsh"
    subprocess.run(["mksquashfs", tree, image, "-comp", "xz", "-quiet", "-no-progress"], check=True)
    return image.read_bytes()


def boot_kernel(tmp_path, files=None, arguments=""):
    initramfs = tmp_path / "initramfs.xz"
    content = pathlib.Path(run_script("initramfs.sh")).read_bytes()
    if files:
        content += appended_initrd(tmp_path, files)
    initramfs.write_bytes(content)
    return qemu(tmp_path, "-kernel", run_script("kernel.sh"), "-initrd", str(initramfs),
                "-append", f"console=ttyS0 quiet {arguments}".strip())


def story(lines):
    return [line for line in lines if line.startswith("NETT-LAB-")]


@pytest.mark.parametrize("extensions", [EXTENSIONS_BLOCK, EXTENSIONS_FLOW], ids=["block", "flow"])
def test_kernel_reports_the_config_that_was_handed_over(tmp_path, extensions):
    files = {"extensions.yaml": extensions.encode(), "node-config.sqsh": config_image(tmp_path)}
    assert story(boot_kernel(tmp_path, files, "talos.platform=metal")) == [
        "NETT-LAB-CMDLINE: console=ttyS0 quiet talos.platform=metal",
        f"NETT-LAB-UUID: {UUID}",
        "NETT-LAB-LAYERS: schematic embedded-config",
        "NETT-LAB-CONFIG-SHA256: " + hashlib.sha256(CONFIG).hexdigest(),
        "NETT-LAB-DONE",
    ]


def test_kernel_without_a_config_says_so_and_reboots_when_told(tmp_path):
    lines = story(boot_kernel(tmp_path, arguments="nett.lab.reboot=1"))
    assert lines[2:] == ["NETT-LAB-LAYERS: schematic", "NETT-LAB-CONFIG: none", "NETT-LAB-DONE"]


def test_kernel_names_a_config_that_is_missing(tmp_path):
    lines = story(boot_kernel(tmp_path, {"extensions.yaml": EXTENSIONS_BLOCK.encode()}))
    assert lines[3:] == [
        "NETT-LAB-ERROR: /extensions.yaml names /node-config.sqsh, which was not handed over",
        "NETT-LAB-DONE",
    ]


def test_kernel_names_a_config_that_is_no_squashfs(tmp_path):
    files = {"extensions.yaml": EXTENSIONS_BLOCK.encode(), "node-config.sqsh": b"not a file system" * 1000}
    assert "NETT-LAB-ERROR: /node-config.sqsh is no squashfs that this kernel can mount" in boot_kernel(tmp_path, files)


def test_disk_boots_from_uefi_firmware(tmp_path):
    disk = tmp_path / "disk.img"
    run_script("disk.sh", disk)
    shutil.copy(OVMF / "OVMF_VARS_4M.fd", tmp_path / "vars.fd")
    lines = qemu(tmp_path, "-drive", f"if=pflash,format=raw,readonly=on,file={OVMF / 'OVMF_CODE_4M.fd'}",
                 "-drive", "if=pflash,format=raw,file=vars.fd",
                 "-drive", f"if=none,id=disk,format=raw,file={disk}",
                 "-device", "virtio-blk-pci,drive=disk,bootindex=1")
    assert any("NETT-LAB-DISK-BOOT" in line for line in lines)


@pytest.mark.parametrize("script", ["initramfs.sh", "disk.sh"])
def test_same_inputs_give_the_same_bytes(tmp_path, monkeypatch, script):
    digests = set()
    for attempt in ("first", "second"):
        if script == "disk.sh":
            made = tmp_path / attempt
            run_script(script, made)
        else:
            kernel = pathlib.Path(run_script("kernel.sh")).parent
            cache = tmp_path / attempt
            (cache / "kernel").mkdir(parents=True)
            for link in kernel.parent.glob("current-*"):
                (cache / "kernel" / link.name).symlink_to(kernel)
            with monkeypatch.context() as patch:
                patch.setenv("NETT_CACHE", str(cache))
                made = pathlib.Path(run_script(script))
        digests.add(hashlib.sha256(made.read_bytes()).hexdigest())
    assert len(digests) == 1
