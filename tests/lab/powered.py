"""A machine as its BMC starts it: becomes QEMU with the inserted image as its CD. The emulated BMC's --power-on command.

    powered.py FOLDER IMAGE cd|disk

FOLDER has machine.json (what write() puts there) and the disk; the console and the control socket appear in it.
"""

import json
import os
import pathlib
import shutil
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))

from tests.lab import machine, netns  # pylint: disable=wrong-import-position

EMPTY_DISK_BYTES = 1 << 30


def write(folder, uuid, macs, taps, accelerator):
    """Describes a machine with an empty disk. `taps`: (namespace, interface) of each NIC."""
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "disk.img", "wb") as disk:
        disk.truncate(EMPTY_DISK_BYTES)
    shutil.copyfile(machine.VARIABLES, folder / "firmware-variables.fd")
    (folder / "console.log").touch()
    (folder / "machine.json").write_text(json.dumps({"uuid": uuid, "macs": macs, "taps": taps, "accelerator": accelerator}), encoding="utf-8")


def arguments_of(folder, description, image, boot, taps):
    accelerator = description["accelerator"]
    arguments = [machine.QEMU, "-machine", f"q35,accel={accelerator}", "-cpu", "host" if accelerator == "kvm" else "max", "-m", "512",
                 "-smp", "1", "-display", "none", "-nodefaults", "-no-shutdown", "-uuid", description["uuid"],
                 "-chardev", f"file,id=console,path={folder}/console.log,append=on", "-serial", "chardev:console",
                 "-qmp", f"unix:{folder}/qmp.sock,server=on,wait=off", *machine.firmware_arguments(folder / "firmware-variables.fd"),
                 "-drive", f"if=none,id=disk,format=raw,file={folder}/disk.img", "-device", "virtio-blk-pci,drive=disk,bootindex=2",
                 "-device", "virtio-rng-pci"]
    medium = f",format=raw,readonly=on,file={image}" if image else ""
    arguments += ["-drive", f"if=none,id=medium,media=cdrom{medium}",
                  "-device", f"ide-cd,id=cd,drive=medium,bootindex={1 if boot == 'cd' else 3}"]
    for index, (tap, mac) in enumerate(zip(taps, description["macs"])):
        arguments += ["-netdev", f"tap,id=n{index},fd={tap}", "-device", f"virtio-net-pci,netdev=n{index},mac={mac},romfile="]
    return arguments


def main():
    folder, image, boot = pathlib.Path(sys.argv[1]), sys.argv[2], sys.argv[3]
    description = json.loads((folder / "machine.json").read_text(encoding="utf-8"))
    taps = [netns.open_tap(namespace, link) for namespace, link in description["taps"]]
    for tap in taps:
        os.set_inheritable(tap, True)
    os.execv(machine.QEMU, arguments_of(folder, description, image, boot, taps))


if __name__ == "__main__":
    main()
