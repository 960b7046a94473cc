"""Faults: what real BMCs do wrong, on request. A fault matches requests, a number of times."""

import dataclasses
import re
import threading

KINDS = (
    "busy",            # 503 with Retry-After, no effect
    "status",          # the status given in `status`, no effect
    "slow",            # answers after `seconds`
    "no-effect",       # 204, and nothing happens
    "task",            # 202 with a task monitor; the effect comes after `polls` polls of it
    "stale-inserted",  # the eject works, and the next `reads` reads of the slot do not show it
    "content",         # `content`, `repeat` times over, with `status` (200 unless told)
    "restart",         # the BMC restarts: no answer, sessions are gone, the next `reads` requests get 502
    "override-lost",   # the PATCH is accepted, and the override reads back as Disabled
    "hold-before",     # the request arrives and is lost: no effect, no answer until released, then the connection breaks
    "hold-after",      # the effect is there, and the answer is lost in the same way
)


@dataclasses.dataclass
class Fault:
    kind: str
    method: str = ".*"   # regular expressions, searched for
    path: str = ".*"
    body: str = ".*"
    skip: int = 0        # so many matching requests go well first
    times: int = 1
    seconds: float = 1.0
    status: int = 500
    polls: int = 2
    reads: int = 2
    content: str = ""
    repeat: int = 1

    def __post_init__(self):
        if self.kind == "content" and self.status == 500:
            self.status = 200
        if self.kind not in KINDS:
            raise ValueError(f"{self.kind} is no fault; there are {', '.join(KINDS)}")

    def matches(self, method, path, body):
        return self.times > 0 and all(re.search(pattern, text) for pattern, text in
                                      ((self.method, method), (self.path, path), (self.body, body)))


class Faults:
    """The faults in force; thread-safe."""

    def __init__(self):
        self._lock = threading.Lock()
        self._faults = []
        self._released = threading.Event()

    def set(self, descriptions):
        """Replaces all faults; whatever was held is released."""
        faults = [Fault(**description) for description in descriptions]
        with self._lock:
            self._faults = faults
            self._released.set()
            self._released = threading.Event()

    def add(self, description):
        with self._lock:
            self._faults.append(Fault(**description))

    def release(self):
        """Lets held requests end."""
        with self._lock:
            self._released.set()
            self._released = threading.Event()

    def take(self, method, path, body):
        """The fault for this request and, for holding ones, the event that ends the hold."""
        with self._lock:
            for fault in self._faults:
                if not fault.matches(method, path, body):
                    continue
                if fault.skip > 0:
                    fault.skip -= 1
                    continue
                fault.times -= 1
                return fault, self._released
        return None, None
