"""Numbered steps with times, as `demo` and `check` print them."""

import json
import os
import shutil
import subprocess
import sys
import time

from .build import PLUGIN_MODULES, PROGRAMS, SOURCE

# The build folder of `demo` and `check`, and its options. What is compiled here is for the lab, not for the packages: no debugging
# information, which is a fifth of the compiler's time, and an optimisation that is enough for the tests' timing.
BUILD_FOLDER = SOURCE / "build" / "check"
_BUILD_OPTIONS = ("-Dwerror=true", "-Dtests=true", "-Ddebug=false", "-Doptimization=1")


class StepFailed(Exception):
    """A step did not do what it should; the text is for the user."""


class Steps:
    """Prints to standard output, unbuffered, so that the story can be followed. `first` is the number of the next step:
    the shell script that starts Python has done the ones before."""

    def __init__(self, first=1, started=None):
        self._number = first - 1
        self._started = started if started is not None else time.time()
        self.title = ""

    def step(self, title):
        self._number += 1
        self.title = title
        return _Step(f"[{self._number:2}]", title)

    def elapsed(self):
        return time.time() - self._started


class _Step:
    def __init__(self, label, title):
        self._label, self._title = label, title

    def __enter__(self):
        print(f"{self._label} {self._title} …", flush=True)
        self._start = time.monotonic()
        return self

    def say(self, text):
        for line in str(text).splitlines():
            print(f"        {line}", flush=True)

    def tell(self, what):
        """Says what has happened, and how long after the step's beginning."""
        self.say(f"{time.monotonic() - self._start:5.1f} s  {what}")

    def __exit__(self, kind, error, _):
        seconds = time.monotonic() - self._start
        verdict = "done" if kind is None else "FAILED"
        print(f"        {verdict} after {seconds:.1f} s", flush=True)
        return False


def run_logged(argv, log_path, cwd=None, environment=None):
    """Runs a long command with its output in a log; StepFailed with the log's end when it fails."""
    log_path.parent.mkdir(parents=True, exist_ok=True)
    with open(log_path, "ab") as log:
        log.write(f"== {' '.join(map(str, argv))}\n".encode())
        log.flush()
        begin = log.tell()
        done = subprocess.run([str(word) for word in argv], stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                              cwd=cwd, check=False, env={**os.environ, **(environment or {})})
    if done.returncode != 0:
        with open(log_path, "rb") as log:
            log.seek(begin)
            tail = log.read().decode(errors="replace").splitlines()[-30:]
        raise StepFailed(f"{argv[0]} ended with status {done.returncode}; the end of {log_path}:\n" + "\n".join(tail))


def output_of(argv, cwd=None):
    """Runs a set-up script whose last line on standard output is its answer; what it says meanwhile goes to standard error."""
    done = subprocess.run([str(word) for word in argv], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=sys.stderr, text=True,
                          cwd=cwd, check=False)
    if done.returncode != 0:
        raise StepFailed(f"{argv[0]} ended with status {done.returncode}")
    return done.stdout.strip().splitlines()[-1] if done.stdout.strip() else ""


def _has_fuzzers(folder):
    options = json.loads((folder / "meson-info" / "intro-buildoptions.json").read_text(encoding="utf-8"))
    return any(option["name"] == "fuzzers" and option["value"] for option in options)


def configure_and_build(folder, log_path, tests):
    """meson set-up (once) and ninja in a build folder. `demo` and `check` share one and its options, so that nothing is compiled twice:
    with `tests` everything is built, without only what the lab runs."""
    linker = {"CXX_LD": "mold"} if shutil.which("mold") else {}
    if not (folder / "build.ninja").exists():
        run_logged(["meson", "setup", folder, *_BUILD_OPTIONS, f"-Dfuzzers={str(tests).lower()}"], log_path, environment=linker)
    elif tests and not _has_fuzzers(folder):
        # `demo` has made the folder, which does without clang.
        run_logged(["meson", "configure", folder, "-Dfuzzers=true"], log_path)
    targets = [] if tests else [*PROGRAMS.values(), *PLUGIN_MODULES.values()]
    run_logged(["ninja", "-C", folder, *targets], log_path)
