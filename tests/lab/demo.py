"""`demo`, from step 3 on; the shell script of that name does the steps before there is a Python."""

import argparse
import os
import pathlib
import re
import sys
import time

from . import fabric as fabric_module
from . import frr, machine, story, wait
from .build import INSTALLED, SOURCE, make_build
from .steps import BUILD_FOLDER, StepFailed, Steps, configure_and_build, output_of
from .story import HOME, MACHINE, TENANT, require

UUID = "6e657474-0000-4000-8000-00000000a001"
_SETUP = SOURCE / "tests" / "lab" / "setup"
_CACHE = pathlib.Path(os.environ.get("NETT_CACHE", "/var/cache/nett"))
# iPXE's error for an HTTP 404, in its UEFI build.
_NOT_FOUND = "0x2d0c618e"
# Under TCG on a busy two-core machine; with KVM or an idle machine it is a tenth.
BOOT_SECONDS = 180


class Demo:
    PORTS = "swp1-4"

    def __init__(self, options, steps):
        self._options = options
        self._steps = steps
        self._lab = self._fabric = self._machine = self._build = None
        self._agents = {}

    def run(self):
        self._get_ready()
        self._raise_fabric()
        self._start_agents()
        self._enrol()
        self._boot_from_stick()
        self._boot_from_disk()
        with self._steps.step(f'nettsh -c "show machines" on {HOME}') as step:
            step.say(self._home.nettsh("show machines").stdout)

    @property
    def _home(self):
        return self._agents[HOME]

    def _get_ready(self):
        with self._steps.step("Building nett") as step:
            if self._options.build:
                step.say("as it is installed" if self._options.build == INSTALLED else f"as it is in {self._options.build}")
            else:
                configure_and_build(BUILD_FOLDER, BUILD_FOLDER / "check-build.log", tests=False)
            self._build = make_build(self._options.build or BUILD_FOLDER)
        with self._steps.step("iPXE, a kernel, an initramfs and a disk for the machine") as step:
            self._ipxe = pathlib.Path(output_of([_SETUP / "ipxe.sh"]))
            self._kernel = output_of([_SETUP / "kernel.sh"])
            self._initramfs = output_of([_SETUP / "initramfs.sh"])
            self._disk = _CACHE / "disk.img"
            output_of([_SETUP / "disk.sh", self._disk])
            step.say(f"iPXE {(self._ipxe / 'version').read_text(encoding='ascii').strip()}, kernel "
                     f"{(pathlib.Path(self._kernel).parent / 'release').read_text(encoding='ascii').strip()}")
            self._accelerator = machine.accelerator(_CACHE)
            step.say(f"QEMU runs with {self._accelerator}" + ("" if self._accelerator == "kvm" else " (KVM does not start here)"))

    def _raise_fabric(self):
        with self._steps.step("Raising the fabric: tor-a, tor-b, meta-1, meta-2, BGP unnumbered between them") as step:
            self._lab = fabric_module.Lab(self._options.prefix, self._build.environment())
            self._fabric = fabric_module.Fabric(self._lab)
            self._fabric.start_frr()
            self._fabric.wait_established()
            step.say("four sessions are up, IPv6 link-local only")

    def _start_agents(self):
        with self._steps.step("A PKI, and an agent on every node"):
            self._pki = story.Pki(self._lab, self._build)
            self._pki.create()
            self._agents = story.make_agents(self._fabric, self._build, self._pki, self.PORTS)
        with self._steps.step(f"Tenant {TENANT}'s iPXE image: a USB stick") as step:
            self._stick = self._pki.make_image(self._ipxe / "ipxe-amd64.efi")
            step.say(self._stick)
        with self._steps.step("A virtual machine, cabled to swp1 of both ToRs; starting the agents") as step:
            self._machine = machine.Machine(self._lab, MACHINE, 1, UUID, self._stick, self._disk, self._accelerator)
            for instance in self._agents.values():
                instance.start()
            story.wait_anycast(self._fabric)
            for tor in fabric_module.TORS:
                step.say(f"{tor}: {frr.META}/128 via {self._fabric.anycast_next_hop(tor)}")

    def _enrol(self):
        with self._steps.step(f"Enrolling {TENANT} and {MACHINE}, importing its kernel") as step:
            story.register_tenant(self._home)
            story.register_artifacts(self._home, self._kernel, self._initramfs)
            self._config_sha256 = story.register_machine(self._home, MACHINE, UUID, self._machine.macs, story.machine_config(MACHINE))
            step.say(f"SHA-256 of its config: {self._config_sha256}")

    def _boot_from_stick(self):
        vm = self._machine
        with self._steps.step("Booting from the stick: RA, SLAAC, mTLS to the anycast address, kernel") as step:
            vm.start()
            step.tell("power on, UEFI firmware")
            found = vm.wait_console(r"^BOOT-ID (\S+) via (\S+) \S+ ?(\S*)", BOOT_SECONDS)
            step.tell(f"iPXE has an address by SLAAC on {found[2]}: {found[3]}")
            vm.wait_console(r"/v1/boot/\S+\.* *ok", BOOT_SECONDS)
            step.tell(f"https://[{frr.META}]/v1/boot/{found[1]} answered with a script")
            found = vm.wait_console(r"^NETT-LAB-CMDLINE: (.*)$", BOOT_SECONDS)
            step.tell(f"the kernel runs: {found[1]}")
            found = vm.wait_console(r"^NETT-LAB-CONFIG-SHA256: (\w+)$|^NETT-LAB-(CONFIG: none|ERROR.*)$", BOOT_SECONDS)
            require(found[1], f"the machine says: {found[2]}")
            step.tell(f"config SHA-256 {found[1]}")
            require(found[1] == self._config_sha256, f"the config of another digest was registered: {self._config_sha256}")
            step.tell("the machine was given exactly the config that was registered")
            vm.wait_console(r"^NETT-LAB-DONE", BOOT_SECONDS)
            wait.until("the machine has switched itself off", vm.powered_off, within=30)

    def _boot_from_disk(self):
        vm = self._machine
        with self._steps.step("Set active, rebooted: 404, and it boots its own disk") as step:
            self._home.nettsh(f"machine {MACHINE} state active")
            position = vm.reset()
            found = vm.wait_console(r"^LOCALBOOT (\S*)|^NETT-LAB-CMDLINE", BOOT_SECONDS, since=position)
            require(found[0].startswith("LOCALBOOT"), "the machine was served a kernel although it is active")
            require(found[1] == _NOT_FOUND, f"iPXE fell back to the disk for another reason than a 404: error {found[1]}")
            step.tell("404: iPXE leaves it to the firmware's next boot entry")
            vm.wait_console(r"^NETT-LAB-DISK-BOOT", BOOT_SECONDS, since=position)
            step.tell("the machine runs from its disk")

    def finish(self, failed):
        if self._lab is None:
            return
        if self._options.keep:
            print(_LOOK_AROUND.format(folder=self._lab.folder, prefix="" if self._options.prefix == "nett-" else
                                      f"NETT_LAB_PREFIX={self._options.prefix} ", home=HOME, machine=MACHINE))
            return
        folder = self._lab.down()
        if failed:
            print(f"The logs are in {folder}/*/log; {folder}/{MACHINE}/log/console.log is the machine's console.")


_LOOK_AROUND = """
The lab is up. To look around:
  {prefix}tests/lab/enter {home} nettsh                             the shell; try ?, Tab, show machines, show health
  {prefix}tests/lab/enter {home} nettsh -c "machine {machine} state reprovision"
  {prefix}tests/lab/reset-button {machine}                          then watch it being wiped and installed again
  {prefix}tests/lab/enter tor-a nettsh -c "show running-config"
  {prefix}tests/lab/enter tor-a vtysh -c "show bgp ipv6 unicast"
  {prefix}tests/lab/enter tor-b ip -6 route
  tail -f {folder}/{machine}/log/console.log            the machine's console
Logs are in {folder}/*/log. ./demo --down removes it all."""


def options_of(arguments):
    parser = argparse.ArgumentParser(prog="demo", add_help=False)
    parser.add_argument("--keep", action="store_true")
    parser.add_argument("--down", action="store_true")
    parser.add_argument("--ha", action="store_true")
    parser.add_argument("--build", default="")
    parser.add_argument("--prefix", default="nett-")
    options = parser.parse_args(arguments)
    if not re.fullmatch(r"[a-z][a-z0-9]{0,15}-", options.prefix):
        parser.error("--prefix: lower-case letters and digits, ending in a dash")
    return options


def kind_of(options):
    if options.ha:
        from .demo_ha import HaDemo  # which is made of this one
        return HaDemo
    return Demo


def main(arguments):
    options = options_of(arguments)
    if options.down:
        with fabric_module.lock(options.prefix):
            fabric_module.remove(options.prefix)
        print("The lab is gone.")
        return 0
    steps = Steps(first=3, started=float(os.environ.get("NETT_STARTED", time.time())))
    demo = kind_of(options)(options, steps)
    failed = True
    try:
        demo.run()
        failed = False
        print(f"\nDone in {steps.elapsed():.0f} s.")
    except (StepFailed, AssertionError, RuntimeError, OSError) as error:
        print(f'\nThe step "{steps.title}" failed: {error}')
    except KeyboardInterrupt:
        print("\nInterrupted.")
    finally:
        demo.finish(failed)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
