"""`demo --ha`: a machine goes on booting at another metadata host when the one that served it is killed."""

import os
import re
import subprocess

from tests.lab import netns
from tests.lab.build import SOURCE

PREFIX = "netteha-"
BUILD = os.environ.get("NETT_BUILD", str(SOURCE / "build" / "check"))


def test_the_machine_goes_on_at_another_server_and_nothing_is_left():
    done = subprocess.run([str(SOURCE / "demo"), "--ha", "--prefix", PREFIX, "--build", BUILD], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stdout
    killed = re.search(r"(meta-\d) has answered with the script, and is killed", done.stdout)[1]
    assert re.search(r"the machine (asked again|went on) .* and the kernel runs", done.stdout)
    assert "the config that was registered" in done.stdout and "the machine runs from its disk" in done.stdout
    assert re.search(rf"^ +{killed} +\d+ +[\d.]+ s +complete +yes$", done.stdout, re.MULTILINE), done.stdout  # it is back, and announces
    assert not netns.existing(PREFIX)
