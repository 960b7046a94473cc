"""`check`: builds with warnings as errors and runs every test. Packages and FRR are there already (see the script `check`).

The last line of the output is "N passed, N failed" and, when tests were skipped, ", N skipped".
"""

import argparse
import os
import pathlib
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree

from .build import SOURCE
from .steps import BUILD_FOLDER, StepFailed, Steps, configure_and_build

_PYTHON = "/usr/bin/python3"


class Totals:
    def __init__(self):
        self.passed = self.failed = self.skipped = 0
        self.failures = []

    def add_junit(self, path):
        """Adds the test cases of a JUnit file; returns what was in it. A missing file or one without a test is a failure."""
        before = (self.passed, self.failed, self.skipped)
        cases = list(xml.etree.ElementTree.parse(path).getroot().iter("testcase")) if path.exists() else []
        for case in cases:
            name = f"{case.get('classname') or path.stem}: {case.get('name')}"
            if case.find("failure") is not None or case.find("error") is not None:
                self.add_failure(name)
            elif case.find("skipped") is not None:
                self.skipped += 1
            else:
                self.passed += 1
        if not cases:
            self.add_failure(f"{path} holds no test")
        return tuple(now - then for now, then in zip((self.passed, self.failed, self.skipped), before))

    def add_failure(self, name):
        self.failed += 1
        self.failures.append(name)

    def line(self):
        skipped = f", {self.skipped} skipped" if self.skipped else ""
        return f"{self.passed} passed, {self.failed} failed{skipped}"


def describe(counts):
    passed, failed, skipped = counts
    return f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else "")


def run_unit_tests(step, totals, build):
    junit = build / "meson-logs" / "testlog.junit.xml"
    junit.unlink(missing_ok=True)
    subprocess.run(["meson", "test", "-C", str(build), "--no-rebuild", "--print-errorlogs"], stdin=subprocess.DEVNULL, check=False,
                   cwd=SOURCE)
    step.say(describe(totals.add_junit(junit)))


class Pytest:
    """One run of pytest, in the background; `name` tells it from others. Its output is in a file until somebody asks for it."""

    def __init__(self, build, name, environment, *arguments):
        self._name = name
        self._junit = build / f"{name}.junit.xml"
        self._junit.unlink(missing_ok=True)
        self._output = build / f"{name}.pytest.log"
        with open(self._output, "wb") as output:
            self._process = subprocess.Popen([_PYTHON, "-m", "pytest", "-q", "-ra", "--tb=short", "-p", "no:cacheprovider",
                                              f"--junitxml={self._junit}", *map(str, arguments)],
                                             stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, cwd=SOURCE, env=environment)

    def finish(self, step, totals):
        """Waits for its end and prints what it said."""
        status = self._process.wait()
        print(self._output.read_text(encoding="utf-8", errors="replace"), end="", flush=True)
        counts = totals.add_junit(self._junit)
        # Anything but "all passed" and "some failed" is trouble of pytest itself, which its JUnit file may not show.
        if status not in (0, 1):
            totals.add_failure(f"pytest {self._name}: exit status {status}")
        step.say(f"{self._name}: {describe(counts)}")

    def end(self):
        """Ends it early, as Ctrl-C does: its fixtures take down what they raised."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait()


def run_pytest(step, totals, runs):
    """Runs at the same time, e.g. the tests that share the lab of namespaces beside those that have something of their own."""
    try:
        for run in runs:
            run.finish(step, totals)
    finally:
        for run in runs:
            run.end()


# How each folder of tests is run: lanes side by side, each a name, what picks its tests, and its prefix of namespaces. The tests of
# the fabric wait for FRR's timers most of the time, so another lane fits beside them even on two cores (the mark comes from
# tests/integration/conftest.py).
_LANES = {
    "lint": (("lint", (), ""),),
    "integration": (("integration-fabric", ("-m", "fabric"), "nettest-"), ("integration-alone", ("-m", "not fabric"), "nettalone-")),
    "e2e": (("e2e", (), ""),),
    "packages": (("packages", (), ""),),
}
_TITLES = {
    "lint": "Lint: formatting, includes, scripts, clang-tidy",
    "integration": "Integration tests: real FRR in namespaces, and agents alone beside them",
    "e2e": "End to end: a machine boots the tenant's iPXE image",
    "packages": "Packages: built, installed and used in clean roots of Debian 12 and 13",
}
_DEFAULT = ("unit", "lint", "integration", "e2e")


def main():
    parser = argparse.ArgumentParser(prog="check", description="Builds nett with warnings as errors and runs every test.")
    parser.add_argument("--build", default=str(BUILD_FOLDER), help="build folder (default: build/check)")
    parser.add_argument("--only", choices=(*_DEFAULT, "packages"), action="append",
                        help="run only these tests (may be repeated); packages are tested only when they are named here")
    options = parser.parse_args()
    build = pathlib.Path(options.build).resolve()
    wanted = options.only or _DEFAULT
    environment = {**os.environ, "NETT_BUILD": str(build)}
    steps = Steps(first=3, started=float(os.environ.get("NETT_STARTED", time.time())))
    totals = Totals()
    try:
        if wanted != ["packages"]:
            with steps.step("Building with warnings as errors"):
                configure_and_build(build, build / "check-build.log", tests=True)
        if "unit" in wanted:
            with steps.step("Unit tests") as step:
                run_unit_tests(step, totals, build)
        for folder, lanes in _LANES.items():
            if folder in wanted:
                with steps.step(_TITLES[folder]) as step:
                    build.mkdir(parents=True, exist_ok=True)
                    run_pytest(step, totals, [Pytest(build, name, {**environment, **({"NETT_LAB_PREFIX": prefix} if prefix else {})},
                                                     *arguments, SOURCE / "tests" / folder) for name, arguments, prefix in lanes])
    except StepFailed as failure:
        print(failure)
        totals.add_failure(steps.title)
    print(f"\n{steps.elapsed() / 60:.1f} minutes")
    for name in totals.failures:
        print(f"failed: {name}")
    if totals.failures:
        print(f"logs: {build}/check-build.log, {build}/meson-logs, {build}/*.pytest.log, /var/tmp/nett*-lab/*/log")
    print(totals.line())
    return 1 if totals.failed or not totals.passed else 0


if __name__ == "__main__":
    sys.exit(main())
