"""What can be wrong with one host: a small disk that fills up, a clock that jumps."""

import errno
import pathlib
import subprocess

from .. import netns

_DISK_SIZE = "96m"
# What is written elsewhere while the disk is full: more than SQLite finds room for in the files it has (a WAL of 4 MiB).
_BULK, _BULK_BYTES = 10, 700_000
_KINDS = 4  # of bulk; the disk has room for all of them when it is not full
_LIBRARY = "faketime/libfaketimeMT.so.1"


class SmallDisk:
    """A disk of its own for the agent's state file. Made before the agent's first start."""

    def __init__(self, agent):
        self._folder = pathlib.Path(f"/run/{agent.node.namespace}-disk")
        self._bites = 0
        self.remove()
        self._folder.mkdir()
        netns.run("mount", "-t", "tmpfs", "-o", f"size={_DISK_SIZE}", "none", str(self._folder))
        agent.keep_state_in(self._folder)

    def fill(self):
        """To the last byte."""
        with open(self._folder / "filler", "ab", buffering=0) as filler:
            for size in (65536, 4096, 1):
                try:
                    while True:
                        filler.write(b"\0" * size)
                except OSError as error:
                    assert error.errno == errno.ENOSPC, error

    def bite(self, writer, tenant, artifact_set):
        """Fills it, and has another server store so much that this one's copy cannot follow."""
        self.fill()
        config = writer.node.folder / "bulk.yaml"
        # Others than the last times: what is there already is not written again, and what replaces it finds its pages free.
        self._bites += 1
        kind = self._bites % _KINDS
        config.write_text(f"# {self._bites}\n" + "#" * _BULK_BYTES, encoding="ascii")
        for number in range(_BULK):
            writer.builder("machine", "add", f"bulk{kind}-{number}", "--tenant", tenant, "--artifact-set", artifact_set, "--uuid",
                           f"6e657474-0000-4000-8000-{0xb0000 + 16 * kind + number:012x}", "--config", config)

    def make_room(self):
        (self._folder / "filler").unlink(missing_ok=True)

    def remove(self):
        """Also what a run that crashed has left."""
        if self._folder.exists():
            if self._folder.is_mount():
                netns.run("umount", "-l", str(self._folder))
            self._folder.rmdir()


class FakeClock:
    """Another wall clock for the agent; the machine's own is not touched. Its monotonic clock stays, as when ntpd steps the time."""

    def __init__(self, agent):
        library = next(line for line in subprocess.run(["dpkg", "-L", "libfaketime"], capture_output=True, text=True, check=True)
                       .stdout.splitlines() if line.endswith(_LIBRARY))
        self._file = agent.node.folder / "clock"
        self.jump(0)
        agent.environment |= {"LD_PRELOAD": library, "FAKETIME_TIMESTAMP_FILE": str(self._file), "FAKETIME_CACHE_DURATION": "1",
                              "FAKETIME_DONT_FAKE_MONOTONIC": "1", "DONT_FAKE_MONOTONIC": "1"}

    def jump(self, seconds):
        """So much before (+) or behind (-) the machine's clock from now on."""
        self._file.write_text(f"{seconds:+d}\n", encoding="ascii")
