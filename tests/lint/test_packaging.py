"""The Debian packaging: units, the configuration it installs, and what it must not forget."""

import fnmatch
import json
import os
import pathlib
import re
import socket
import subprocess

import pytest

from tests.lab.build import PLUGINS, Build

ROOT = pathlib.Path(__file__).resolve().parents[2]
DEBIAN = ROOT / "packaging" / "deb" / "debian"
BUILD = pathlib.Path(os.environ.get("NETT_BUILD", ROOT / "build" / "check"))
# name → highest exposure that systemd may find. nettd needs one real device, /dev/net/tun, and so no PrivateDevices= (0.2 of it).
UNITS = {"nettd.service": 2.0, "nett-frr-access.service": 0.8}
PACKAGES = ("nett-libs", "nett-agent", "nett-cli", "talos-fabric-builder", *(f"nett-plugin-{name}" for name in PLUGINS))


def run(*argv):
    return subprocess.run([str(word) for word in argv], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)


def setting(unit, name):
    """The values of a unit's setting, in order."""
    return re.findall(rf"^{name}=(.*)$", (DEBIAN / f"nett-agent.{unit}").read_text(encoding="utf-8"), re.MULTILINE)


@pytest.fixture
def units(tmp_path):
    """The units under the names that they are installed with; their programs need not be installed."""
    for path in [*DEBIAN.glob("nett-agent.*.service"), *DEBIAN.glob("nett-agent.*.path")]:
        text = re.sub(r"^(Exec\w+=)/usr/\S+", r"\1/bin/true", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
        (tmp_path / path.name.removeprefix("nett-agent.")).write_text(text, encoding="utf-8")
    return sorted(tmp_path.iterdir())


def test_systemd_finds_no_mistake_in_the_units(units):
    assert len(units) == 3
    done = run("systemd-analyze", "verify", "--man=no", "--recursive-errors=no", *units)
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize("name, ceiling", UNITS.items())
def test_the_sandbox_does_not_weaken(units, name, ceiling):
    path = next(path for path in units if path.name == name)
    done = run("systemd-analyze", "security", "--offline=true", f"--threshold={round(ceiling * 10)}", "--no-pager", path)
    assert done.returncode == 0, done.stdout


def test_sysusers_and_tmpfiles_make_the_user_and_its_folder(tmp_path):
    """By systemd's own programs, in a root that has nothing but what the package installs there."""
    config = tmp_path / "etc/nett/nett.conf"
    config.parent.mkdir(parents=True)
    config.touch()
    for program, file in (("systemd-sysusers", "sysusers"), ("systemd-tmpfiles", "tmpfiles")):
        done = run(program, *(["--create"] if file == "tmpfiles" else []), f"--root={tmp_path}", DEBIAN / f"nett-agent.{file}")
        assert done.returncode == 0, done.stdout
    users = dict(line.split(":", 1) for line in (tmp_path / "etc/passwd").read_text(encoding="ascii").splitlines())
    groups = dict(line.split(":", 1) for line in (tmp_path / "etc/group").read_text(encoding="ascii").splitlines())
    number = int(groups["nett"].split(":")[1])
    assert users["nett"].endswith(f":{number}:nett router agent:/var/lib/nett:/usr/sbin/nologin")
    assert groups["frrvty"].endswith(":nett")
    assert [(path.stat().st_mode & 0o7777, path.stat().st_gid) for path in (config.parent, config)] == [(0o2770, number), (0o640, number)]


def test_systemd_waits_longer_than_the_agent_takes_to_stop():
    source = (ROOT / "agent" / "agent.cpp").read_text(encoding="utf-8")
    deadline = int(re.search(r"kStopDeadline\{(\d+)\}", source)[1])
    (timeout,) = setting("nettd.service", "TimeoutStopSec")
    assert int(timeout.removesuffix("s")) > deadline


def test_the_version_is_the_builds():
    version = re.search(r"version: '([^']+)'", (ROOT / "meson.build").read_text(encoding="utf-8"))[1]
    assert (DEBIAN / "changelog").read_text(encoding="utf-8").startswith(f"nett ({version})")


def test_the_licence_is_the_one_of_the_tree():
    """And every pattern of debian/copyright stands for files that exist."""
    declared = re.search(r"license: '([^']+)'", (ROOT / "meson.build").read_text(encoding="utf-8"))[1]
    text = (DEBIAN / "copyright").read_text(encoding="utf-8")
    stanzas = dict(re.findall(r"^Files: (.*)\n(?:.*\n)*?License: (.*)$", text, re.MULTILINE))
    assert stanzas.pop("*") == declared
    for pattern in stanzas:
        assert list(ROOT.glob(pattern)), pattern


def test_dep8_tests_are_programs_and_need_what_the_lab_needs():
    control = (DEBIAN / "tests" / "control").read_text(encoding="utf-8")
    names = re.findall(r"^Tests: (.*)$", control, re.MULTILINE)
    assert names == ["service", "boot"]
    assert all(os.access(DEBIAN / "tests" / name, os.X_OK) for name in names)
    needed = set(re.split(r"[,\s]+", " ".join(re.findall(r"^Depends: @,((?:.*\n)(?:^ .*\n)*)", control, re.MULTILINE)))) - {"", "frr-grpc", "frr"}
    listed = run(ROOT / "tests" / "lab" / "setup" / "packages.sh", "--list", "lab", "test").stdout.split()
    assert needed <= set(listed)


def test_whatever_the_build_installs_is_in_a_package():
    listed = run("meson", "introspect", "--installed", BUILD)
    patterns = [word for path in DEBIAN.glob("*.install") for word in path.read_text(encoding="utf-8").split()]
    prefix = "/usr/local/"  # meson's own; debhelper's is /usr
    missing = [path for path in json.loads(listed.stdout).values()
               if not any(fnmatch.fnmatch("usr/" + path.removeprefix(prefix), pattern) for pattern in patterns)]
    assert not missing


def test_control_names_the_packages():
    control = (DEBIAN / "control").read_text(encoding="utf-8")
    assert set(re.findall(r"^Package: (\S+)$", control, re.MULTILINE)) == set(PACKAGES)


@pytest.mark.parametrize("release, boost", [("12", "libboost1.81-dev"), ("13", "libboost-dev")])
def test_build_dependencies_are_those_of_the_set_up(release, boost):
    """Every library that packages.sh installs to build with, on both releases, is a build dependency."""
    script = (ROOT / "tests" / "lab" / "setup" / "packages.sh").read_text(encoding="utf-8")
    group = script.split("[build]\n", 1)[1].split("\n\n", 1)[0]
    wanted = set()
    for line in group.splitlines():
        limit, name = re.match(r"\s*(?:(1[23]):\s*)?(\S+)", line).groups()
        if limit in (None, release):
            wanted.add(name)
    assert boost in wanted
    control = (DEBIAN / "control").read_text(encoding="utf-8")
    section = control.split("Build-Depends:", 1)[1].split("\n\n", 1)[0]
    declared = {re.sub(r"\s*\(.*", "", name.strip()) for name in re.split(r"[,|]", section)}
    not_for_packages = {"git", "ccache", "mold", "libgtest-dev", "libgmock-dev"}
    assert wanted - declared == not_for_packages


def check_config(text, tmp_path):
    build = Build(BUILD)
    config = tmp_path / "nett.conf"
    config.write_text(text, encoding="utf-8")
    return run(build.program("nettd"), "--check-config", "--allow-missing-ports", "--plugin-dir", build.plugin_folder(tmp_path),
               "--config", config)


def test_the_installed_configuration_is_good(tmp_path):
    done = check_config((DEBIAN / "nett.conf").read_text(encoding="utf-8"), tmp_path)
    assert (done.returncode, done.stdout) == (0, f"{tmp_path}/nett.conf: the configuration is good\n")


@pytest.mark.parametrize("role", ["tor-a", "meta-1"])
def test_the_examples_in_it_are_good(tmp_path, role):
    """The commented blocks, as an operator would take them over; certificates may not be there yet."""
    text = (DEBIAN / "nett.conf").read_text(encoding="utf-8")
    block = re.search(rf"(?:^!   .*\n)*^!   hostname {role}\n(?:^!   .*\n)*", text, re.MULTILINE)[0]
    done = check_config(re.sub(r"^!   ", "", block, flags=re.MULTILINE), tmp_path)
    findings = [line for line in done.stdout.splitlines() if "/etc/nett/" not in line and "swp" not in line and "is good" not in line]
    assert not findings, done.stdout


def test_frrs_sockets_are_opened_to_the_group(tmp_path):
    path = tmp_path / "zebra-grpc.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        path.chmod(0o750)
        (tmp_path / "other-grpc.sock").write_text("not a socket", encoding="utf-8")
        (tmp_path / "other-grpc.sock").chmod(0o600)
        done = run(DEBIAN / "open-frr-sockets", tmp_path)
        assert (done.returncode, done.stdout) == (0, "")
        assert (path.stat().st_mode & 0o777, path.group()) == (0o770, "frrvty")
        changed = path.stat().st_ctime_ns
        run(DEBIAN / "open-frr-sockets", tmp_path)
        # Another change would wake nett-frr-access.path again, for ever.
        assert path.stat().st_ctime_ns == changed
        assert (tmp_path / "other-grpc.sock").stat().st_mode & 0o777 == 0o600
