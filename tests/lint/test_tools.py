"""clang-format, clang-tidy and shellcheck over the tree."""

import concurrent.futures
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
    done = run("shellcheck", "--external-sources", "--source-path=SCRIPTDIR", "--source-path=.", *scripts)
    assert done.returncode == 0, done.stdout[-6000:]


# Two cores are all there is, and a file with Asio coroutines or TLS takes clang-tidy up to a minute: it looks at the pure
# logic, the same files on every run; the headers that these include come along.
TIDY = ("agent/sdk/*.cpp", "agent/core/config/*.cpp", "agent/core/shell/*.cpp")
TIDY_LEAVES_OUT = ("agent/sdk/boost.cpp",)


def build_folder():
    """Where compile_commands.json is; `check` names it."""
    return pathlib.Path(os.environ.get("NETT_BUILD", ROOT / "build" / "check"))


@pytest.fixture(scope="module")
def tidy_results():
    """clang-tidy's findings of every file, all cores at work."""
    commands = json.loads((build_folder() / "compile_commands.json").read_text(encoding="utf-8"))
    compiled = {(pathlib.Path(entry["directory"]) / entry["file"]).resolve() for entry in commands}

    def look_at(path):
        if path.resolve() not in compiled:
            return f"{path} is not compiled in {build_folder()}"
        # The build's own compiler is GCC, some of whose options clang does not know.
        done = run("clang-tidy", "--quiet", "--warnings-as-errors=*", "--extra-arg=-Wno-unknown-warning-option", "-p", build_folder(), path)
        return done.stdout if done.returncode else ""

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        return dict(zip(tidy_files(), pool.map(look_at, tidy_files())))


def tidy_files():
    return [path for path in files_of_git(*TIDY) if str(path.relative_to(ROOT)) not in TIDY_LEAVES_OUT]


@pytest.mark.parametrize("name", [str(path.relative_to(ROOT)) for path in tidy_files()])
def test_clang_tidy_finds_nothing(name, tidy_results):
    assert tidy_results[ROOT / name] == "", tidy_results[ROOT / name][-6000:]
