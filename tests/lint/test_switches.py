"""The files for SONiC and Cumulus switches: laid out in a root as docs/sonic.md and docs/cumulus.md say, and checked with the programs that
read them, as far as those run without a switch."""

import json
import os
import pathlib
import re
import shutil
import subprocess

import pytest
import yaml

from tests.lab.build import Build

ROOT = pathlib.Path(__file__).resolve().parents[2]
SWITCHES = ROOT / "packaging" / "switches"
UNIT = ROOT / "packaging" / "deb" / "debian" / "nett-agent.nettd.service"
BUILD = pathlib.Path(os.environ.get("NETT_BUILD", ROOT / "build" / "check"))
# As in test_packaging.py.
CEILING = 2.0


def run(*argv, **more):
    return subprocess.run([str(word) for word in argv], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, **more)


@pytest.fixture(params=["sonic", "cumulus"])
def laid_out(request, tmp_path):
    """The switch's name, and a root with its files, put there by the command of the page."""
    source = SWITCHES / request.param
    page = (ROOT / "docs" / f"{request.param}.md").read_text(encoding="utf-8")
    (command,) = re.findall(rf"^cp -r /usr/share/doc/nett-agent/examples/{request.param}/root/\. /$", page, re.MULTILINE)
    root = tmp_path / "root"
    root.mkdir()
    done = run(*command.replace(f"/usr/share/doc/nett-agent/examples/{request.param}", str(source)).split()[:-1], root)
    assert done.returncode == 0, done.stdout
    return request.param, root


def test_the_page_names_every_file_with_its_place(laid_out):
    name, root = laid_out
    page = (ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8")
    for path in root.rglob("*"):
        if path.is_file():
            assert f"\n/{path.relative_to(root)} " in page


def test_the_agent_takes_the_configuration(laid_out, tmp_path):
    _, root = laid_out
    build = Build(BUILD)
    done = run(build.program("nettd"), "--check-config", "--allow-missing-ports", "--plugin-dir", build.plugin_folder(tmp_path), "--config",
               root / "etc/nett/nett.conf")
    findings = [line for line in done.stdout.splitlines() if "is good" not in line and "no port" not in line]
    assert (done.returncode, findings) == (0, []), done.stdout


def test_frr_takes_the_lines(laid_out, tmp_path):
    """By vtysh's own parser, which needs no daemon for that."""
    name, root = laid_out
    if name == "sonic":
        text = (root / "etc/sonic/frr/bgpd.conf").read_text(encoding="utf-8")
    else:
        ((patch,),) = [yaml.safe_load((SWITCHES / name / "nvue-nett.yaml").read_text(encoding="utf-8"))]
        text = patch["set"]["system"]["config"]["snippet"]["frr.conf"]
    (tmp_path / "good").write_text(text, encoding="utf-8")
    (tmp_path / "bad").write_text(text.replace("redistribute kernel", "redistribute colonel"), encoding="utf-8")
    good, bad = (run("vtysh", "--dryrun", "--inputfile", tmp_path / which) for which in ("good", "bad"))
    assert good.returncode == 0 and "Unknown" not in good.stdout, good.stdout
    assert bad.returncode != 0, "vtysh does not look at the file"


def test_sonics_unit_still_verifies_and_stays_in_its_sandbox(tmp_path):
    """The drop-in beside the unit that it changes."""
    text = re.sub(r"^(Exec\w+=)(-?)/usr/\S+", r"\1\2/bin/true", UNIT.read_text(encoding="utf-8"), flags=re.MULTILINE)
    (tmp_path / "nettd.service").write_text(text, encoding="utf-8")
    shutil.copytree(SWITCHES / "sonic/root/etc/systemd/system/nettd.service.d", tmp_path / "nettd.service.d")
    verified = run("systemd-analyze", "verify", "--man=no", "--recursive-errors=no", tmp_path / "nettd.service")
    assert (verified.returncode, verified.stdout) == (0, "")
    judged = run("systemd-analyze", "security", "--offline=true", f"--threshold={round(CEILING * 10)}", "--no-pager", tmp_path / "nettd.service")
    assert judged.returncode == 0, judged.stdout


def test_sonics_vtysh_hands_everything_to_the_containers(tmp_path):
    docker = tmp_path / "docker"
    docker.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\ncat\n', encoding="ascii")
    docker.chmod(0o755)
    done = run(SWITCHES / "sonic/root/usr/local/lib/nett/sonic-vtysh", "--vty_socket", "/run/frr", "-d", "mgmtd", "-c", "show running-config",
               input="lines\nof a file\n", env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"})
    assert done.stdout.splitlines() == ["exec", "-i", "bgp", "vtysh", "--vty_socket", "/run/frr", "-d", "mgmtd", "-c", "show running-config",
                                        "lines", "of a file"]


def test_sonics_port_addresses():
    shown = [{"port": "Ethernet0", "prefix": "2001:db8:b000:1::/64"}, {"port": "Ethernet4", "prefix": "2001:db8:b000:2::/64"}]
    done = run(SWITCHES / "sonic/port-addresses", input=json.dumps(shown))
    assert json.loads(done.stdout) == {"INTERFACE": {"Ethernet0": {}, "Ethernet4": {}, "Ethernet0|2001:db8:b000:1::1/64": {},
                                                     "Ethernet4|2001:db8:b000:2::1/64": {}}}
    assert run(SWITCHES / "sonic/port-addresses", input="[]").returncode != 0


def test_sonics_config_db_is_in_split_mode():
    text = json.loads((SWITCHES / "sonic/config_db.json").read_text(encoding="utf-8"))
    assert text["DEVICE_METADATA"]["localhost"]["docker_routing_config_mode"] == "split"
    uplinks = re.findall(r"neighbor (\S+) interface", (SWITCHES / "sonic/root/etc/sonic/frr/bgpd.conf").read_text(encoding="utf-8"))
    assert sorted(text["INTERFACE"]) == sorted(uplinks)
