"""Waiting for a condition, with a deadline. Nothing in the lab sleeps for a guessed time."""

import time


class Timeout(AssertionError):
    """A condition did not come true in time; the text says which one and what was seen last."""


def until(what, condition, within, every=0.05):
    """Calls `condition` until it returns something true, and returns that. `within` and `every` are seconds.

    An AssertionError or OSError of the condition counts as "not yet"; the last one is told in the Timeout.
    """
    deadline = time.monotonic() + within
    last = None
    while True:
        try:
            value = condition()
            last = None
            if value:
                return value
        except (AssertionError, OSError) as error:
            last = error
        if time.monotonic() >= deadline:
            seen = f"; last: {last}" if last else ""
            raise Timeout(f"not within {within:g} s: {what}{seen}")
        time.sleep(every)


def stays(what, condition, during, every=0.05):
    """The opposite of until(): fails as soon as `condition` is not true within the next `during` seconds."""
    deadline = time.monotonic() + during
    while time.monotonic() < deadline:
        assert condition(), f"did not stay so for {during:g} s: {what}"
        time.sleep(every)


class Stopwatch:
    """Seconds since it was made."""

    def __init__(self):
        self._start = time.monotonic()

    @property
    def seconds(self):
        return time.monotonic() - self._start
