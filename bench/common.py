"""What benchmarks have in common: the build that is measured, and CPU time."""

import os
import pathlib
import subprocess

SOURCE = pathlib.Path(__file__).resolve().parents[1]
TICKS = os.sysconf("SC_CLK_TCK")


def build(folder, *targets):
    """An optimized build in `folder`, of what is measured only."""
    if not (folder / "build.ninja").exists():
        subprocess.run(["meson", "setup", folder, SOURCE, "--buildtype=plain", "-Doptimization=2", "-Ddebug=true", "-Dtests=false",
                        "-Dbench=true"], check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["ninja", "-C", folder, *targets], check=True, stdout=subprocess.DEVNULL)


def cpu_seconds(pids):
    """utime and stime of these processes, all their threads."""
    total = 0
    for pid in pids:
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        total += int(fields[11]) + int(fields[12])
    return total / TICKS
