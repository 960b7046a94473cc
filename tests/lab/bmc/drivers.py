"""What happens to the machine when its BMC is told to."""

import json
import os
import shlex
import signal
import socket
import subprocess
import threading


class MachineDriver:
    """One machine. Calls are made one at a time."""

    needs_image_file = False  # True: insert() and power_on() get the image downloaded

    def power_on(self, image, from_cd):
        """Powers on. `image` is the inserted image's file (None: empty), `from_cd` whether it boots from it."""
        raise NotImplementedError

    def power_off(self):
        """Takes the power away; returns when it is off."""
        raise NotImplementedError

    def is_on(self):
        raise NotImplementedError

    def eject(self):
        """The medium is taken out, perhaps of a running machine."""


class NullDriver(MachineDriver):
    """A machine that is only on or off."""

    def __init__(self, on=True):
        self._on = on
        self.power_ons = 0

    def power_on(self, image, from_cd):
        self._on = True
        self.power_ons += 1

    def power_off(self):
        self._on = False

    def is_on(self):
        return self._on


class CommandDriver(MachineDriver):
    """A machine that is a program: it runs while the machine is on.

    `command` is split like a shell's words; {system} is the machine's name, {image} the image's path (empty without
    one), {boot} "cd" or "disk". `qmp_socket` (may contain {system}), if given, is QEMU's monitor: the medium of the drive
    with the qdev id "cd" is taken out there.
    """

    needs_image_file = True
    _TERM_SECONDS = 5

    def __init__(self, name, command, qmp_socket=None):
        self._name = name
        self._command = command
        self._qmp_socket = qmp_socket and qmp_socket.replace("{system}", name)
        self._process = None
        self._lock = threading.Lock()

    def power_on(self, image, from_cd):
        values = {"{system}": self._name, "{image}": str(image or ""), "{boot}": "cd" if from_cd else "disk"}
        words = shlex.split(self._command)
        for placeholder, value in values.items():
            words = [word.replace(placeholder, value) for word in words]
        with self._lock:
            self._process = subprocess.Popen(words, stdin=subprocess.DEVNULL, start_new_session=True)

    def power_off(self):
        with self._lock:
            if self._process is None:
                return
            for number in (signal.SIGTERM, signal.SIGKILL):
                if self._process.poll() is not None:
                    break
                os.killpg(self._process.pid, number)
                try:
                    self._process.wait(self._TERM_SECONDS)
                except subprocess.TimeoutExpired:
                    continue
            self._process = None

    def is_on(self):
        with self._lock:
            return self._process is not None and self._process.poll() is None

    def eject(self):
        if self._qmp_socket and self.is_on():
            _qmp(self._qmp_socket, {"execute": "eject", "arguments": {"id": "cd", "force": True}})


def _qmp(path, command):
    """One command on QEMU's monitor (QMP); the machine going away meanwhile is no error."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as monitor:
            monitor.settimeout(10)
            monitor.connect(path)
            stream = monitor.makefile("rw", encoding="utf-8")
            stream.readline()  # the greeting
            for message in ({"execute": "qmp_capabilities"}, command):
                stream.write(json.dumps(message) + "\n")
                stream.flush()
                while "event" in json.loads(stream.readline() or "{}"):
                    pass
    except (OSError, ValueError):
        pass
