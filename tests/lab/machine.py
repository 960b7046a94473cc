"""A server that is a QEMU machine: OVMF firmware, two NICs on taps behind both ToRs, a USB stick and a disk."""

import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys

from . import netns, wait
from .fabric import TORS

QEMU = "/usr/bin/qemu-system-x86_64"
_FIRMWARE = "/usr/share/OVMF/OVMF_CODE_4M.fd"
VARIABLES = "/usr/share/OVMF/OVMF_VARS_4M.fd"
# The second command wakes a machine that has powered itself off.
RESET = ("system_reset", "cont")
_FIRMWARE_SPEAKS = re.compile(r"BdsDxe|UEFI|Boot[0-9]{4}")


def firmware_arguments(variables):
    return ["-drive", f"if=pflash,unit=0,format=raw,readonly=on,file={_FIRMWARE}",
            "-drive", f"if=pflash,unit=1,format=raw,file={variables}"]


def accelerator(folder):
    """"kvm" when a machine really starts with it, else "tcg". /dev/kvm may exist and yet not run OVMF (nested
    virtualisation), so the firmware must have spoken on the console within a few seconds. `folder` keeps the answer for
    this boot of the machine."""
    boot_id = pathlib.Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    answer = pathlib.Path(folder) / f"accelerator-{boot_id}"
    if not answer.exists():
        answer.write_text("kvm" if os.access("/dev/kvm", os.R_OK | os.W_OK) and _kvm_runs_firmware(folder) else "tcg", encoding="ascii")
    return answer.read_text(encoding="ascii")


def _kvm_runs_firmware(folder):
    variables = pathlib.Path(folder) / "probe-vars.fd"
    console = pathlib.Path(folder) / "probe-console.log"
    shutil.copyfile(VARIABLES, variables)
    console.write_text("", encoding="ascii")
    probe = subprocess.Popen([QEMU, "-machine", "q35,accel=kvm", "-cpu", "host", "-m", "256", "-display", "none", "-nodefaults",
                              "-serial", f"file:{console}", *firmware_arguments(variables)],
                             stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        spoke = lambda: probe.poll() is not None or _FIRMWARE_SPEAKS.search(console.read_text(encoding="utf-8", errors="replace"))
        return bool(wait.until("the firmware speaks under KVM", spoke, within=8)) and probe.poll() is None
    except wait.Timeout:
        return False
    finally:
        probe.kill()
        probe.wait()
        variables.unlink()
        console.unlink()


class Machine:
    """`port` 1 is behind swp1 of both ToRs, unless `places` says otherwise: (node, link) for each NIC. The taps are made here, so make
    the machine before the agents resolve their ports (or let them notice). `stick` is opened read-only and may be shared; `disk` is
    copied."""

    def __init__(self, lab, name, port, uuid, stick, disk, accelerator_name, memory_mib=512, places=None):
        self.lab = lab
        self.name = name
        self.uuid = uuid
        self.macs = [f"52:54:00:6e:{index:02x}:{port:02x}" for index in range(len(places or TORS))]
        self._places = places or [(lab.nodes[tor], f"swp{port}") for tor in TORS]
        self._stick = stick
        self._accelerator = accelerator_name
        self._memory = memory_mib
        self.node = lab.node(name)
        self.console_path = self.node.folder / "log" / "console.log"
        self._qmp_path = self.node.folder / "qmp.sock"
        self._disk = self.node.folder / "disk.img"
        self._variables = self.node.folder / "firmware-variables.fd"
        shutil.copyfile(disk, self._disk)
        shutil.copyfile(VARIABLES, self._variables)
        self.console_path.touch()
        self.process = None
        for node, link in self._places:
            netns.add_tap(node.namespace, link)

    def start(self):
        taps = [netns.open_tap(node.namespace, link) for node, link in self._places]
        try:
            self.process = self.node.start("qemu", QEMU, *self._arguments(taps), pass_fds=taps)
        finally:
            for tap in taps:
                os.close(tap)

    def _arguments(self, taps):
        cpu = "host" if self._accelerator == "kvm" else "max"
        arguments = ["-machine", f"q35,accel={self._accelerator}", "-cpu", cpu, "-m", self._memory, "-smp", 1, "-display", "none",
                     "-nodefaults", "-no-shutdown", "-uuid", self.uuid, "-serial", f"file:{self.console_path}",
                     "-qmp", f"unix:{self._qmp_path},server=on,wait=off", *firmware_arguments(self._variables),
                     "-device", "qemu-xhci", "-drive", f"if=none,id=stick,format=raw,readonly=on,file={self._stick}",
                     "-device", "usb-storage,drive=stick,bootindex=1,removable=on",
                     "-drive", f"if=none,id=disk,format=raw,file={self._disk}", "-device", "virtio-blk-pci,drive=disk,bootindex=2",
                     "-device", "virtio-rng-pci"]
        for index, (tap, mac) in enumerate(zip(taps, self.macs)):
            arguments += ["-netdev", f"tap,id=n{index},fd={tap}", "-device", f"virtio-net-pci,netdev=n{index},mac={mac},romfile="]
        return arguments

    def reset(self):
        """The reset button. What the console says from now on is found
        with console(since=the returned position)."""
        position = self.console_position()
        self._qmp(*RESET)
        return position

    def powered_off(self):
        """Whether the machine has switched itself off; QEMU stays."""
        return self._qmp("query-status")["status"] == "shutdown"

    def console_position(self):
        return os.path.getsize(self.console_path)

    def console(self, since=0):
        """What the machine wrote on its serial console, without terminal control sequences."""
        with open(self.console_path, "rb") as log:
            log.seek(since)
            text = log.read().decode(errors="replace")
        return re.sub(r"\x1b\[[0-9;?=]*[A-Za-z]", "", text).replace("\r", "")

    def wait_console(self, pattern, within, since=0):
        """Until a line of the console matches; returns the match."""
        def found():
            self.process.require_running()
            return re.search(pattern, self.console(since), re.MULTILINE)

        return wait.until(f"{self.name}'s console shows {pattern!r} (console: {self.console_path})", found, within, every=0.1)

    def _qmp(self, *commands):
        return qmp(self._qmp_path, *commands)


def qmp(path, *commands):
    """Runs commands on a QEMU's control socket; returns what the last one returned."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as control:
        control.settimeout(5)
        control.connect(str(path))
        stream = control.makefile("rw", encoding="utf-8", newline="\n")
        stream.readline()  # the greeting
        for execute in ("qmp_capabilities", *commands):
            stream.write(json.dumps({"execute": execute}) + "\n")
            stream.flush()
            while True:
                answer = json.loads(stream.readline())
                if "error" in answer:
                    raise RuntimeError(f"QEMU refused {execute}: {answer['error'].get('desc')}")
                if "return" in answer:
                    break
        return answer["return"]


if __name__ == "__main__":
    qmp(sys.argv[1], *RESET)
