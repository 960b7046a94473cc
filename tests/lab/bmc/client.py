"""The emulator's control endpoint, and the emulator as a process, for tests."""

import http.client
import json
import os
import pathlib
import ssl
import subprocess
import sys

SOURCE = pathlib.Path(__file__).resolve().parents[3]


def command(*arguments):
    """The command line that starts the emulator; run it with cwd=SOURCE."""
    return ["/usr/bin/python3", "-m", "tests.lab.bmc", *map(str, arguments)]


def _patched(body):
    """What a PATCH is about, in one word."""
    if "Boot" in body:
        return body["Boot"]["BootSourceOverrideEnabled"]
    if "Attributes" in body:
        return body["Attributes"]["ServerBoot.1.FirstBootDevice"]
    return "InsertMedia" if body.get("Inserted") else "EjectMedia"


class Control:
    """Talks to /_control/ of a running emulator."""

    def __init__(self, endpoint):
        self.endpoint = endpoint
        scheme, _, address = endpoint.partition("://")
        self._tls = scheme == "https"
        self._address = address

    def _call(self, method, what, body=None):
        host, _, port = self._address.rpartition(":")
        kind = http.client.HTTPSConnection if self._tls else http.client.HTTPConnection
        more = {"context": ssl._create_unverified_context()} if self._tls else {}
        connection = kind(host.strip("[]"), int(port), timeout=10, **more)
        try:
            connection.request(method, f"/_control/{what}", body=None if body is None else json.dumps(body))
            answer = connection.getresponse()
            text = answer.read()
            if answer.status >= 300:
                raise RuntimeError(f"{method} {what}: {answer.status} {text.decode()}")
            return json.loads(text) if text else None
        finally:
            connection.close()

    def requests(self):
        return self._call("GET", "log")["requests"]

    def max_in_flight(self):
        return self._call("GET", "log")["max_in_flight"]

    def changes(self, system):
        """What was asked of one machine: ("ForceOff", 204), ("InsertMedia", None) …; None: not answered."""
        found = []
        for request in self.requests():
            if f"/{system}/" not in request["path"] + "/":
                continue
            name = request["path"].rpartition(".")[2]
            if request["method"] == "POST" and "/Actions/" in request["path"]:
                found.append((request["body"].get("ResetType", name), request["status"]))
            elif request["method"] == "PATCH":
                found.append((_patched(request["body"]), request["status"]))
        return found

    def systems(self):
        return self._call("GET", "systems")

    def faults(self, *descriptions):
        self._call("PUT", "faults", list(descriptions))

    def release(self):
        self._call("POST", "release")

    def expire_sessions(self):
        self._call("POST", "expire")

    def clear_log(self):
        self._call("DELETE", "log")


class Emulator(Control):
    """An emulator on a free port of `address`, as a child process. Its output goes to `folder`/bmc.log."""

    def __init__(self, folder, *arguments, tls=True, address="::1"):
        folder = pathlib.Path(folder)
        reader, writer = os.pipe()
        with open(folder / "bmc.log", "ab") as log:
            self._process = subprocess.Popen(
                command("--listen", f"[{address}]:0", "--folder", folder, "--ready-fd", writer, *(["--tls"] if tls else []), *arguments),
                cwd=SOURCE, stdin=subprocess.DEVNULL, stdout=log, stderr=log, pass_fds=[writer])
        os.close(writer)
        with open(reader, encoding="ascii") as ready:
            endpoint = ready.readline().strip()
        if not endpoint:
            raise RuntimeError(f"the BMC emulator did not start: {(folder / 'bmc.log').read_text()}")
        super().__init__(endpoint)

    def stop(self):
        self._process.terminate()
        self._process.wait(10)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


if __name__ == "__main__":
    # For the shell: client.py https://[::1]:8443 log|systems|release|faults JSON
    control = Control(sys.argv[1])
    if sys.argv[2] == "faults":
        control.faults(*json.loads(sys.argv[3]))
    elif sys.argv[2] == "release":
        control.release()
    else:
        print(json.dumps(control.systems() if sys.argv[2] == "systems" else control.requests(), indent=1))
