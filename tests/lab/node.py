"""A node: a network namespace with its own copies of the folders that FRR and nett use (see `enter`)."""

import os
import pathlib
import shutil
import subprocess

from . import netns
from .process import Process

_ENTER = pathlib.Path(__file__).with_name("enter")
_FOLDERS = ("etc/frr", "run/frr", "etc/nett", "run/nett", "var/lib/nett", "log")


class Node:
    """`lab` gives the prefix of the namespaces, the folder and the environment (tests/lab/fabric.py, Lab)."""

    def __init__(self, lab, name):
        self.lab = lab
        self.name = name
        self.namespace = lab.prefix + name
        self.folder = lab.folder / name
        for folder in _FOLDERS:
            (self.folder / folder).mkdir(parents=True, exist_ok=True)
        for folder in ("etc/frr", "run/frr"):
            shutil.chown(self.folder / folder, "frr", "frr")
        netns.create(self.namespace)

    def path(self, stock_path):
        """Where the node's own file of that stock path is on the machine: "/etc/frr/frr.conf" → …/tor-a/etc/frr/frr.conf."""
        return self.folder / stock_path.lstrip("/")

    def write(self, stock_path, text, mode=0o644, owner=None):
        """Replaces the file at once: a daemon that is just reading it gets the old one or the new one, never half of it."""
        path = self.path(stock_path)
        path.parent.mkdir(parents=True, exist_ok=True)
        new = path.with_name(f".{path.name}.new")
        new.write_bytes(text if isinstance(text, bytes) else text.encode())
        new.chmod(mode)
        if owner:
            shutil.chown(new, owner, owner)
        new.replace(path)
        return path

    def command(self, *argv):
        """The command line that runs argv in this node."""
        return [str(_ENTER), self.name, *map(str, argv)]

    def environment(self):
        return {"NETT_LAB_PREFIX": self.lab.prefix, "NETT_LAB_DIR": str(self.lab.folder)}

    def start(self, name, *argv, environment=None, pass_fds=()):
        """Starts a program that stays; it is found in lab.processes until the lab comes down."""
        process = Process(f"{self.name}/{name}", self.command(*argv), self.folder / "log" / f"{name}.log",
                          environment={**self.environment(), **(environment or {})}, pass_fds=pass_fds)
        self.lab.processes.append(process)
        return process

    def run(self, *argv, check=True, within=60, stdin=None):
        """Runs a command to its end and returns its subprocess.CompletedProcess with texts."""
        done = subprocess.run(self.command(*argv), input=stdin, stdin=None if stdin is not None else subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=within, check=False,
                              env={**os.environ, **self.environment()})
        if check and done.returncode != 0:
            raise RuntimeError(f"{self.name}: {' '.join(map(str, argv))}: exit status {done.returncode}: "
                               f"{(done.stderr or done.stdout).strip()}")
        return done

    def cut_off(self):
        """Nothing goes in or out any more, and no link goes down."""
        netns.nft(self.namespace, "table inet cut {\n" + "".join(
            f"chain {hook} {{ type filter hook {hook} priority 0; policy drop; }}\n" for hook in ("input", "output")) + "}\n")

    def join_again(self):
        netns.nft(self.namespace, "table inet cut {}\ndelete table inet cut\n")

    def ip(self, *argv):
        """`ip -6 …` in this node's namespace; cheaper than run() because it needs no mounts."""
        return netns.run("ip", "-n", self.namespace, "-6", *argv)

    def routes_to(self, prefix):
        """The kernel's routes for exactly this prefix, as text lines."""
        return [line.strip() for line in self.ip("route", "show", prefix).splitlines() if line.strip()]

