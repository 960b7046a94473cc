"""The history of a storm: a file of JSON lines, written while it happens, that the checker reads when it is over.

Each line: {"id", "type", "time", "op", …}; `time` is seconds of CLOCK_MONOTONIC, the same for all that write. What was asked has two
lines of one id: type "invoke", and

    ok    it was answered, with `value`
    fail  it was refused, and certainly did not happen
    info  nobody knows: it may have happened, now or later

| op | what | value |
|---|---|---|
| order | `machine` is told `state` by the API of `server` | |
| boot | `machine` asks `server` | "install", "wipe", "disk", "shed" |
| allocations | all prefixes that `server` knows | {machine: prefix} |
| machines | at the end, what `server` knows | {machine: state} |
| fault | between its two lines `servers` are not in reach of etcd, or do not run; `what` for people | |
| announcers | one line, "ok": whom the fabric reaches | {"announcing": […], "healthy": […]} |
"""

import itertools
import json
import threading
import time


class Recorder:
    """Any thread."""

    def __init__(self, path):
        self._file = open(path, "w", encoding="ascii")  # pylint: disable=consider-using-with
        self._lock = threading.Lock()
        self._ids = itertools.count(1)
        self.path = path

    def _write(self, line):
        with self._lock:
            self._file.write(json.dumps(line) + "\n")

    def invoke(self, op, **fields):
        number = next(self._ids)
        self._write({"id": number, "type": "invoke", "time": time.monotonic(), "op": op, **fields})
        return number

    def end(self, number, kind, **fields):
        self._write({"id": number, "type": kind, "time": time.monotonic(), **fields})

    def tell(self, op, value):
        self._write({"id": next(self._ids), "type": "ok", "time": time.monotonic(), "op": op, "value": value})

    def close(self):
        with self._lock:
            self._file.close()


def read(path):
    """The lines of a history file."""
    with open(path, encoding="ascii") as file:
        return [json.loads(line) for line in file]
