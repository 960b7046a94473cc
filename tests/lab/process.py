"""A program that runs in a node of the lab: its log file, its readiness, its end."""

import os
import signal
import socket
import subprocess

from . import wait

# Nobody sends these: a program that ended by one of them has crashed.
CRASHES = (signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGILL)


class Process:
    """One running program. Its output goes to a log file; it has a session of its own, so that Ctrl-C at the lab's terminal
    reaches the lab, which then ends things in order."""

    def __init__(self, name, argv, log_path, environment=None, pass_fds=(), cwd=None):
        self.name = name
        self.log_path = log_path
        self.log_start = os.path.getsize(log_path) if os.path.exists(log_path) else 0
        with open(log_path, "ab") as log:
            self._popen = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
                env={**os.environ, **(environment or {})}, pass_fds=pass_fds, cwd=cwd)

    @property
    def pid(self):
        return self._popen.pid

    def running(self):
        return self._popen.poll() is None

    def exit_status(self):
        """None while it runs; negative: the signal that ended it."""
        return self._popen.poll()

    def require_running(self):
        if not self.running():
            raise RuntimeError(f"{self.name} ended with status {self.exit_status()}; the end of {self.log_path}:\n{self.log_tail()}")

    def log(self):
        """What this run of the program has written."""
        with open(self.log_path, "rb") as log:
            log.seek(self.log_start)
            return log.read().decode(errors="replace")

    def log_tail(self, lines=15):
        return "\n".join(self.log().splitlines()[-lines:])

    def signal(self, number):
        self._popen.send_signal(number)

    def stop(self, within=10):
        """Asks it to end (SIGTERM); one that has not ended in time is killed, which is an error, as is one that has crashed."""
        if not self.running():
            if -self.exit_status() in CRASHES:
                self.require_running()
            return
        self._popen.terminate()
        try:
            self._popen.wait(within)
        except subprocess.TimeoutExpired:
            self.kill()
            raise RuntimeError(f"{self.name} did not end within {within} s of SIGTERM; its log is {self.log_path}") from None

    def kill(self):
        """SIGKILL, and waits until it is gone."""
        if self.running():
            self._popen.send_signal(signal.SIGKILL)
        self._popen.wait()


class ReadySocket:
    """The receiving end of sd_notify(3): tells when a program says READY=1."""

    def __init__(self, path):
        self.path = path
        if os.path.exists(path):
            os.unlink(path)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        self._socket.bind(path)
        self._socket.setblocking(False)
        self.messages = []

    def wait_ready(self, process, within):
        def ready():
            process.require_running()
            self._drain()
            return any("READY=1" in message.split("\n") for message in self.messages)

        wait.until(f"{process.name} is ready (log: {process.log_path})", ready, within)

    def _drain(self):
        while True:
            try:
                self.messages.append(self._socket.recv(4096).decode(errors="replace"))
            except BlockingIOError:
                return

    def close(self):
        self._socket.close()
        if os.path.exists(self.path):
            os.unlink(self.path)
