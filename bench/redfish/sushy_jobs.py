"""The same sequence as a provision job of plugin redfish, driven by python3-sushy with a thread a machine in flight.

Prints one JSON line: machines, seconds, CPU seconds of this process.
"""

import argparse
import concurrent.futures
import json
import os
import time

import sushy
import sushy.auth
import urllib3

SYSTEM = "/redfish/v1/Systems/1"
MANAGER = "/redfish/v1/Managers/1"
IMAGE = "http://[2001:db8::1]:8080/m/token/nett.iso"


def _until(system, state):
    while system.power_state != state:
        system.refresh(force=True)


def provision(address):
    auth = sushy.auth.SessionAuth("admin", "password")
    root = sushy.Sushy(f"https://[{address}]", auth=auth, verify=False)
    system = root.get_system(SYSTEM)
    system.reset_system(sushy.ResetType.FORCE_OFF)
    system.refresh(force=True)
    _until(system, sushy.PowerState.OFF)
    slot = next(media for media in root.get_manager(MANAGER).virtual_media.get_members() if sushy.VirtualMediaType.CD in media.media_types)
    if slot.inserted:
        slot.eject_media()
    slot.insert_media(IMAGE)
    slot.refresh(force=True)
    assert slot.inserted and slot.image == IMAGE
    system.set_system_boot_options(sushy.BootSource.CD, enabled=sushy.BootSourceOverrideEnabled.ONCE, mode=sushy.BootSourceOverrideMode.UEFI)
    system.refresh(force=True)
    assert system.boot.target == sushy.BootSource.CD and system.power_state == sushy.PowerState.OFF
    system.reset_system(sushy.ResetType.ON)
    system.refresh(force=True)
    _until(system, sushy.PowerState.ON)
    slot.refresh(force=True)
    slot.eject_media()
    slot.refresh(force=True)
    assert not slot.inserted
    auth.close()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--at-once", type=int, required=True)
    parser.add_argument("addresses", nargs="+")
    arguments = parser.parse_args()
    urllib3.disable_warnings()
    started, before = time.monotonic(), os.times()
    with concurrent.futures.ThreadPoolExecutor(arguments.at_once) as pool:
        list(pool.map(provision, arguments.addresses))
    after = os.times()
    print(json.dumps({"machines": len(arguments.addresses), "seconds": time.monotonic() - started,
                      "cpu_seconds": after.user + after.system - before.user - before.system}))


if __name__ == "__main__":
    main()
