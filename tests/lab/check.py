"""`check`: builds with warnings as errors and runs every test. Packages and FRR are there already (see the script `check`).

The last line of the output is "N passed, N failed" and, when tests were skipped, ", N skipped".
"""

import argparse
import os
import pathlib
import subprocess
import sys
import time
import xml.etree.ElementTree

from .build import SOURCE
from .steps import StepFailed, Steps, configure_and_build

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


def run_pytest(step, totals, build, folder, environment):
    junit = build / f"{folder.name}.junit.xml"
    junit.unlink(missing_ok=True)
    done = subprocess.run([_PYTHON, "-m", "pytest", "-q", "-ra", "--tb=short", "-p", "no:cacheprovider", f"--junitxml={junit}", str(folder)],
                          stdin=subprocess.DEVNULL, check=False, cwd=SOURCE, env=environment)
    counts = totals.add_junit(junit)
    # Anything but "all passed" and "some failed" is trouble of pytest itself, which its JUnit file may not show.
    if done.returncode not in (0, 1):
        totals.add_failure(f"pytest {folder.name}: exit status {done.returncode}")
    step.say(describe(counts))


def main():
    parser = argparse.ArgumentParser(prog="check", description="Builds nett with warnings as errors and runs every test.")
    parser.add_argument("--build", default=str(SOURCE / "build" / "check"), help="build folder (default: build/check)")
    parser.add_argument("--only", choices=("unit", "lint", "integration", "e2e"), action="append",
                        help="run only these tests (may be repeated)")
    options = parser.parse_args()
    build = pathlib.Path(options.build).resolve()
    wanted = options.only or ["unit", "lint", "integration", "e2e"]
    environment = {**os.environ, "NETT_BUILD": str(build)}
    steps = Steps(first=3, started=float(os.environ.get("NETT_STARTED", time.time())))
    totals = Totals()
    try:
        with steps.step("Building with warnings as errors"):
            configure_and_build(build, build / "check-build.log", "-Dwerror=true", "-Dtests=true", "-Dfuzzers=true")
        if "unit" in wanted:
            with steps.step("Unit tests") as step:
                run_unit_tests(step, totals, build)
        for folder, title in (("lint", "Lint: formatting, includes, scripts, clang-tidy"),
                              ("integration", "Integration tests: real FRR in namespaces"),
                              ("e2e", "End to end: a machine boots the tenant's iPXE image")):
            if folder in wanted:
                with steps.step(title) as step:
                    run_pytest(step, totals, build, SOURCE / "tests" / folder, environment)
    except StepFailed as failure:
        print(failure)
        totals.add_failure(steps.title)
    print(f"\n{steps.elapsed() / 60:.1f} minutes")
    for name in totals.failures:
        print(f"failed: {name}")
    if totals.failures:
        print(f"logs: {build}/check-build.log, {build}/meson-logs, /var/tmp/nettest-lab/*/log, /var/tmp/nette2e-lab/*/log")
    print(totals.line())
    return 1 if totals.failed or not totals.passed else 0


if __name__ == "__main__":
    sys.exit(main())
