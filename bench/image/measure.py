"""Two tables: making images for 20 tenants; from iPXE's first words to its giving up, for each trouble of tests/lab/boot_site."""

import argparse
import json
import os
import pathlib
import statistics
import tempfile
import time

from tests.lab import boot_site
from tests.lab.build import SOURCE, Build

TENANTS = 20


def make_for_tenants(build, folder):
    """Seconds for a USB image and an ISO of each of 20 tenants, one after the other."""
    pki = boot_site.make_pki(build, folder / "pki")
    names = [f"tenant-{number}" for number in range(TENANTS)]
    for name in names:
        boot_site.builder(build, "pki", "tenant", pki, name)
    boot_site.ipxe_folder()
    begun, cpu = time.monotonic(), os.times()
    for name in names:
        boot_site.make_images(build, pki, folder, tenant=name)
    now = os.times()
    used = now.children_user + now.children_system - cpu.children_user - cpu.children_system
    return time.monotonic() - begun, used


def troubles(build, folder, rounds):
    with boot_site.Site(build, folder) as site:
        disk = folder / "disk.img"
        boot_site.setup("disk.sh", disk)
        images = boot_site.make_trouble_images(site)
        return {case.name: statistics.median(boot_site.suffer(site, case, images, disk) for _ in range(rounds))
                for case in boot_site.TROUBLES}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", default=os.environ.get("NETT_BUILD", str(SOURCE / "build/check")))
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    build = Build(options.build)
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        seconds, cpu = make_for_tenants(build, folder)
        print(f"USB image and ISO for {TENANTS} tenants: {seconds:.1f} s ({cpu:.1f} s of CPU)\n")
        (folder / "site").mkdir()
        measured = troubles(build, folder / "site", options.rounds)
    print("seconds until the disk's turn")
    for case in boot_site.TROUBLES:
        print(f"{measured[case.name]:6.1f}  {case.text}")
    print(json.dumps({"tenants": TENANTS, "seconds": round(seconds, 2), "cpu_seconds": round(cpu, 2),
                      "troubles": {name: round(value, 2) for name, value in measured.items()}}))


if __name__ == "__main__":
    main()
