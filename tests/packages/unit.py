"""What systemd would do with an installed unit, where systemd is not process 1: in a chroot, in a container.

The command lines, the user, the capabilities and the folders are read from the unit file itself, so a test cannot drift from what the
package installs. Not done: the system call filter and the mounts (ProtectSystem= and the like), which systemd-analyze judges in
tests/lint; a setting that is in neither list is an error, so that a new one cannot be forgotten.
"""

import contextlib
import grp
import os
import pathlib
import pwd
import resource
import shlex
import shutil
import signal
import socket
import subprocess
import time

_UNIT_FOLDERS = ("/usr/lib/systemd/system", "/lib/systemd/system")
_DONE_HERE = {"Type", "NotifyAccess", "ExecStartPre", "ExecStart", "ExecReload", "ExecStopPost", "TimeoutStopSec", "User", "Group",
              "SupplementaryGroups", "AmbientCapabilities", "CapabilityBoundingSet", "NoNewPrivileges", "UMask", "RuntimeDirectory",
              "RuntimeDirectoryMode", "StateDirectory", "StateDirectoryMode", "LogsDirectory", "LogsDirectoryMode", "LimitNOFILE",
              "WatchdogSec"}
_LEFT_TO_SYSTEMD = {"PrivateDevices", "PrivateNetwork", "Restart", "RestartSec", "ReadWritePaths", "ProtectSystem", "ProtectHome", "PrivateTmp", "DevicePolicy",
                    "DeviceAllow",
                    "PrivateMounts", "ProtectClock", "ProtectControlGroups", "ProtectHostname", "ProtectKernelLogs",
                    "ProtectKernelModules", "ProtectKernelTunables", "ProtectProc", "ProcSubset", "RemoveIPC", "RestrictNamespaces",
                    "RestrictRealtime", "RestrictSUIDSGID", "LockPersonality", "MemoryDenyWriteExecute", "RestrictAddressFamilies",
                    "SystemCallArchitectures", "SystemCallFilter", "SystemCallErrorNumber"}


def read_unit(name):
    """The [Service] section: setting → its values, in order. Sections and comments as systemd.syntax(7) has them."""
    path = next(path for path in (pathlib.Path(folder) / name for folder in _UNIT_FOLDERS) if path.exists())
    settings, section = {}, ""
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            section = line.strip("[]")
        elif line and line[0] not in "#;" and section == "Service":
            key, _, value = line.partition("=")
            settings.setdefault(key, []).append(value)
    unknown = set(settings) - _DONE_HERE - _LEFT_TO_SYSTEMD
    if unknown:
        raise RuntimeError(f"{path} has settings that the tests do not know: {', '.join(sorted(unknown))}")
    return settings


def command_line(settings, line):
    """The argv that runs one of the unit's command lines as the unit's user, with its groups and its capabilities."""
    def names(key):
        return [name for value in settings.get(key, []) for name in value.split()]

    user, group = settings["User"][0], settings["Group"][0]
    # A group that does not exist is an error here as in systemd: nett-agent's sysusers file makes FRR's where FRR is not.
    groups = [str(grp.getgrnam(name).gr_gid) for name in names("SupplementaryGroups")]
    ambient, bounding = ("".join(f",+{name.lower().removeprefix('cap_')}" for name in names(key))
                         for key in ("AmbientCapabilities", "CapabilityBoundingSet"))
    limits = []
    if "LimitNOFILE" in settings:
        # A container may not raise it above its own.
        limit = min(int(settings["LimitNOFILE"][0]), resource.getrlimit(resource.RLIMIT_NOFILE)[1])
        limits = ["prlimit", f"--nofile={limit}:{limit}"]
    return [*limits, "setpriv", f"--reuid={pwd.getpwnam(user).pw_uid}", f"--regid={grp.getgrnam(group).gr_gid}",
            f"--groups={','.join(groups)}" if groups else "--clear-groups", f"--inh-caps=-all{ambient}", f"--ambient-caps=-all{ambient}",
            f"--bounding-set=-all{bounding}", *(["--no-new-privs"] if settings["NoNewPrivileges"] == ["yes"] else []), *shlex.split(line)]


def run_oneshot(name):
    """A service of Type=oneshot, once."""
    settings = read_unit(name)
    for line in settings["ExecStart"]:
        subprocess.run(command_line(settings, line), stdin=subprocess.DEVNULL, check=True)


class Unit:
    """One service of Type=notify, run as its unit file says. Needs root."""

    def __init__(self, name, log_path):
        self._settings = read_unit(name)
        self._log_path = pathlib.Path(log_path)
        self._process = None
        self._notify_path = f"/run/{name}.notify"
        self.messages = []
        if self._one("Type") != "notify":
            raise RuntimeError(f"{name}: Type={self._one('Type')}")

    def start(self, within=30):
        """ExecStartPre and ExecStart; returns when the service has said READY=1."""
        self._make_folders()
        for line in self._settings.get("ExecStartPre", []):
            self.run(line)
        if os.path.exists(self._notify_path):
            os.unlink(self._notify_path)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
            notify.bind(self._notify_path)
            os.chown(self._notify_path, pwd.getpwnam(self._one("User")).pw_uid, -1)
            notify.settimeout(0.2)
            environment = {"NOTIFY_SOCKET": self._notify_path, "WATCHDOG_USEC": str(_microseconds(self._one("WatchdogSec")))}
            with open(self._log_path, "ab") as log:
                self._process = subprocess.Popen(command_line(self._settings, self._one("ExecStart")), stdin=subprocess.DEVNULL, stdout=log,
                                                 stderr=subprocess.STDOUT, env=self._environment(environment), umask=self._umask())
            self._wait_ready(notify, time.monotonic() + within)

    def stop(self):
        """SIGTERM, ExecStopPost, and the runtime folder away, as `systemctl stop`; the exit status."""
        self._process.terminate()
        status = self._process.wait(_microseconds(self._one("TimeoutStopSec")) / 1e6)
        for line in self._settings.get("ExecStopPost", []):
            self.run(line)
        self._remove_runtime_folders()
        return status

    def kill(self):
        """SIGKILL and what follows, as after a crash without the restart."""
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()
        for line in self._settings.get("ExecStopPost", []):
            self.run(line)
        self._remove_runtime_folders()

    def reload(self):
        (line,) = self._settings["ExecReload"]
        self.run(line.replace("$MAINPID", str(self._process.pid)))

    @contextlib.contextmanager
    def without(self, capability):
        """Starts in here lack one of the unit's capabilities."""
        whole = self._settings
        self._settings = {key: [" ".join(name for name in value.split() if name != capability) for value in values]
                          if key in ("AmbientCapabilities", "CapabilityBoundingSet") else values for key, values in whole.items()}
        if self._settings == whole:
            raise RuntimeError(f"the unit does not have {capability}")
        try:
            yield
        finally:
            self._settings = whole

    def running(self):
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self):
        return self._process.pid

    def log(self):
        return self._log_path.read_text(encoding="utf-8", errors="replace")

    def run(self, line):
        """One of the unit's command lines to its end; a failure of one that does not begin with "-" is an error."""
        may_fail = line.startswith("-")
        with open(self._log_path, "ab") as log:
            done = subprocess.run(command_line(self._settings, line.lstrip("-")), stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                                  env=self._environment({}), umask=self._umask(), check=False)
        if done.returncode != 0 and not may_fail:
            raise RuntimeError(f"{line}: exit status {done.returncode}; the end of its log:\n{self.log()[-2000:]}")

    def _one(self, key):
        (value,) = self._settings[key]
        return value

    def _umask(self):
        return int(self._one("UMask"), 8)

    def _environment(self, more):
        return {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin", "LANG": "C.UTF-8", **more}

    def _make_folders(self):
        for base, key in (("/run", "RuntimeDirectory"), ("/var/lib", "StateDirectory"), ("/var/log", "LogsDirectory")):
            path = pathlib.Path(base) / self._one(key)
            path.mkdir(exist_ok=True)
            path.chmod(int(self._one(f"{key}Mode"), 8))
            shutil.chown(path, self._one("User"), self._one("Group"))

    def _remove_runtime_folders(self):
        shutil.rmtree(f"/run/{self._one('RuntimeDirectory')}", ignore_errors=True)

    def _wait_ready(self, notify, deadline):
        while True:
            try:
                self.messages += notify.recv(4096).decode(errors="replace").split("\n")
            except TimeoutError:
                pass
            if "READY=1" in self.messages:
                return
            if not self.running():
                raise RuntimeError(f"the service ended with status {self._process.returncode}; the end of its log:\n{self.log()[-2000:]}")
            if time.monotonic() > deadline:
                raise RuntimeError(f"the service did not say READY=1; the end of its log:\n{self.log()[-2000:]}")


def _microseconds(text):
    return int(float(text.removesuffix("s")) * 1_000_000)
