"""clang-format, clang-tidy and shellcheck over the tree."""

import json
import os
import pathlib
import re
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
CPP_FOLDERS = ("agent", "plugins", "builder", "tests", "bench")


def files_of_git(*patterns):
    listed = subprocess.run(["git", "-C", str(ROOT), "ls-files", "-z", "--", *patterns], stdout=subprocess.PIPE, text=True, check=True)
    return [ROOT / name for name in listed.stdout.split("\0") if name and (ROOT / name).exists()]


def run(*argv):
    return subprocess.run([str(word) for word in argv], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, cwd=ROOT)


@pytest.mark.parametrize("folder", CPP_FOLDERS)
def test_clang_format_would_change_nothing(folder):
    files = files_of_git(f"{folder}/*.cpp", f"{folder}/*.hpp")
    if files:
        done = run("clang-format", "--dry-run", "-Werror", *files)
        assert done.returncode == 0, done.stdout[-4000:]


def is_shell_script(path):
    with open(path, "rb") as script:
        return re.match(rb"#!.*\b(ba)?sh\b", script.readline(200)) is not None


def test_shellcheck_finds_nothing():
    scripts = [path for path in files_of_git() if path.suffix in ("", ".sh", ".in") and path.is_file() and is_shell_script(path)]
    assert scripts
    done = run("shellcheck", "--external-sources", *scripts)
    assert done.returncode == 0, done.stdout[-6000:]


# Two cores are all there is, and a file with Asio or Beast takes clang-tidy up to a minute: the pure logic is looked at
# file by file, the same on every run; what it includes comes along through its headers.
TIDY = (
    "agent/sdk/address.cpp",
    "agent/sdk/identity.cpp",
    "agent/sdk/lifecycle.cpp",
    "agent/sdk/strings.cpp",
)


def build_folder():
    """Where compile_commands.json is; `check` names it."""
    return pathlib.Path(os.environ.get("NETT_BUILD", ROOT / "build" / "check"))


@pytest.mark.parametrize("name", TIDY)
def test_clang_tidy_finds_nothing(name):
    commands = json.loads((build_folder() / "compile_commands.json").read_text(encoding="utf-8"))
    files = [str((pathlib.Path(entry["directory"]) / entry["file"]).resolve()) for entry in commands]
    assert str(ROOT / name) in files, f"{name} is not compiled in {build_folder()}"
    done = run("clang-tidy", "--quiet", "--warnings-as-errors=*", "-p", build_folder(), ROOT / name)
    assert done.returncode == 0, done.stdout[-6000:]
