"""The Debian packages in clean roots of Debian 12 and 13: built, installed, used, upgraded, removed, purged.

    ./check --only packages          most of it is compiling for the other release, which ccache knows the next time (README.md, "Packages")

It does what autopkgtest does with a virtual machine (packaging/deb/debian/tests, DEP-8), with debootstrap and chroot only. In the roots
there is no systemd as process 1; what it would do is read from the installed unit (tests/packages/unit.py). Root is needed.
NETT_PACKAGES names a folder with packages that are ready: NETT_PACKAGES/12/*.deb, NETT_PACKAGES/13/*.deb. Then nothing is compiled.
"""

import os
import pathlib
import re
import shutil
import subprocess

import pytest

from tests.lab.build import SOURCE

ROOT_SH = SOURCE / "packaging" / "deb" / "root.sh"
TESTS = SOURCE / "packaging" / "deb" / "debian" / "tests"
CACHE = pathlib.Path(os.environ.get("NETT_CACHE", "/var/cache/nett"))
OLDER = "0.0.9"
# What dpkg, apt and the tests themselves leave in any root.
NOT_NETTS = re.compile(r"^/(proc|sys|dev|run|tmp|debs|source|root|var/cache|var/log(?!/nett(/|$))|var/lib/(apt|dpkg)|usr/local/bin)(/|$)|^/etc/(passwd|group|shadow"
                       r"|gshadow|subuid|subgid)-?$|^/(etc|var/lib|var/tmp)/frr(/|$)|/__pycache__/|^/etc/ld\.so\.cache$|^/var/lib/systemd/deb-systemd-helper-(enabled|masked)$")


# lintian's tag → why it is not followed. What is about one package only is in debian/*.lintian-overrides.
NOT_FOR_US = {
    "spelling-error-in-binary": "the compiler lays string constants end to end",
    "no-symbols-control-file": "nett-libs is private to programs of the same version",
    "repeated-path-segment": "the files for switches are laid out as they are in a switch's root",
}


def run(*argv, check=True, **more):
    done = subprocess.run([str(word) for word in argv], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          check=False, **more)
    assert done.returncode == 0 or not check, f"{' '.join(map(str, argv))}: exit status {done.returncode}\n{done.stdout[-6000:]}"
    return done.stdout


def last_line(*argv):
    done = subprocess.run([str(word) for word in argv], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 0, argv
    return done.stdout.strip().splitlines()[-1]


class Root:
    """A clean root of a release: packages go in, commands run in it. Outside: `folder`; inside: /debs, /source and the cache."""

    def __init__(self, release, folder, debs):
        self.folder = folder
        self._debs = debs
        run(ROOT_SH, "make", release, folder)

    def install(self, *packages):
        run(ROOT_SH, "install", self.folder, *packages, env={**os.environ, "NETT_DEBS": str(self._debs)})

    def run(self, *argv, check=True):
        return run(ROOT_SH, "run", self.folder, "--bind", f"{self._debs}:/debs", "--bind", f"{SOURCE}:/source", "--bind",
                   f"{CACHE}:/var/cache/nett", *argv, check=check)

    def test(self, *argv):
        """A command with the source as its folder, as autopkgtest runs tests."""
        return self.run("/bin/sh", "-c", 'cd /source && exec "$@"', "test", *argv)

    def files(self):
        """Every path in it that is not the package manager's business."""
        found = set()
        for folder, names, files in os.walk(self.folder):
            inside = "/" + os.path.relpath(folder, self.folder)
            paths = [os.path.normpath(f"{inside}/{name}") for name in names + files]
            found.update(path for path in paths if not NOT_NETTS.search(path))
            names[:] = [name for name in names if not NOT_NETTS.search(os.path.normpath(f"{inside}/{name}"))]
        return found


def build_frr(release):
    """FRR's packages of packaging/frr-grpc for that release: where they are."""
    script = "packaging/frr-grpc/build.sh"
    if release == machine_release():
        run(SOURCE / "tests" / "lab" / "setup" / "packages.sh", "frr-build")
        return pathlib.Path(last_line(SOURCE / script))
    root = pathlib.Path(last_line(ROOT_SH, "build", release))
    lines = (SOURCE / "packaging/frr-grpc/build-depends").read_text(encoding="utf-8").splitlines()
    # "13: NAME" is for that release only, a bare name for both.
    wanted = [match[1] for line in lines if (match := re.match(rf"(?:{release}: *)?([a-z]\S*)$", line))]
    run(ROOT_SH, "install", root, *wanted)
    return pathlib.Path(run(ROOT_SH, "run", root, "--bind", f"{SOURCE}:/source", "--bind", f"{CACHE}:/var/cache/nett", f"/source/{script}")
                        .strip().splitlines()[-1].replace("/var/cache/nett", str(CACHE), 1))


def machine_release():
    return re.search(r'^VERSION_ID="?(\d+)', pathlib.Path("/etc/os-release").read_text(encoding="utf-8"), re.MULTILINE)[1]


def make_older(source, target):
    """The same packages with an older version, as if they had been installed before: what an upgrade begins with."""
    target.mkdir()
    for deb in sorted(source.glob("*.deb")):
        tree = target / "tree"
        run("dpkg-deb", "--raw-extract", deb, tree)
        control = tree / "DEBIAN" / "control"
        text = control.read_text(encoding="utf-8")
        version = re.search(r"^Version: (.*)$", text, re.MULTILINE)[1]
        control.write_text(re.sub(rf"(Version: |\(= ){re.escape(version)}", rf"\g<1>{OLDER}", text), encoding="utf-8")
        run("dpkg-deb", "--root-owner-group", "-Znone", "--build", tree, target / f"{deb.name.split('_')[0]}_{OLDER}_all.deb")
        shutil.rmtree(tree)


@pytest.fixture(scope="module", params=["12", "13"])
def release(request):
    return request.param


@pytest.fixture(scope="module")
def debs(release, tmp_path_factory):
    """A folder with nett's packages (nett/), older ones (older/) and FRR's (frr/)."""
    folder = tmp_path_factory.mktemp(f"debs{release}")
    ready = os.environ.get("NETT_PACKAGES")
    built = pathlib.Path(ready) / release if ready else SOURCE / "build" / "packages" / release
    if not ready:
        run(SOURCE / "packaging" / "deb" / "build.sh", "--release", release, "--quick", built)
    assert list(built.glob("nett-agent_*.deb")), f"there are no packages in {built}"
    for source, name in ((built, "nett"), (build_frr(release), "frr")):
        (folder / name).mkdir()
        for deb in source.glob("*.deb"):
            if "-dbgsym_" not in deb.name:
                shutil.copy(deb, folder / name)
    make_older(folder / "nett", folder / "older")
    return folder


@pytest.fixture
def root(release, debs, tmp_path):
    made = Root(release, tmp_path / "root", debs)
    yield made
    # A mount that was left would make this take what is mounted.
    assert str(made.folder) not in pathlib.Path("/proc/mounts").read_text(encoding="utf-8")
    shutil.rmtree(made.folder)


def names_of(debs, folder):
    return [f"/debs/{folder}/{deb.name}" for deb in sorted((debs / folder).glob("*.deb"))]


def dep8_tests():
    """The tests of debian/tests/control: name → the packages it needs besides nett's own."""
    text = re.sub(r"^#.*\n", "", (TESTS / "control").read_text(encoding="utf-8"), flags=re.MULTILINE)
    found = {}
    for stanza in re.split(r"\n\s*\n", text.strip()):
        fields = dict(re.findall(r"^(\S+):((?:.*\n?)(?:^[ \t].*\n?)*)", stanza + "\n", re.MULTILINE))
        found[fields["Tests"].strip()] = [name for name in re.split(r"[,\s]+", fields["Depends"]) if name not in ("", "@")]
    return found


@pytest.mark.parametrize("name", dep8_tests())
def test_dep8(root, debs, name):
    """What debian/tests has, in a clean root with nett's packages installed by apt with what they need."""
    needed = dep8_tests()[name]
    frr = names_of(debs, "frr") if "frr" in needed else []
    ready = {re.sub(r".*/([^_]+)_.*", r"\1", path) for path in frr}
    root.install(*names_of(debs, "nett"), *frr, *[package for package in needed if package not in ready])
    print(root.test(f"packaging/deb/debian/tests/{name}"))


def test_an_upgrade_loses_nothing(root, debs):
    root.install(*names_of(debs, "older"), *names_of(debs, "frr"), "iproute2", "python3")
    print(root.test("unshare", "--net", "/usr/bin/python3", "-B", "-m", "tests.packages.service", "upgrade", "/debs/nett"))


def test_a_purge_leaves_nothing(root, debs):
    """But what is the administrator's: keys and certificates that were put into /etc/nett. The user nett stays too, as Debian's system
    users do, because such files may belong to it."""
    nett = [deb.name.split("_")[0] for deb in (debs / "nett").glob("*.deb")]
    needed = run(ROOT_SH, "run", root.folder, "--bind", f"{debs}:/debs", "apt-get", "-s", "install", *names_of(debs, "nett"), *names_of(debs, "frr"), "iproute2", "python3")
    ready = {deb.name.split("_")[0] for deb in (debs / "frr").glob("*.deb")}
    others = sorted(set(re.findall(r"^Inst (\S+)", needed, re.MULTILINE)) - set(nett))
    root.install(*[name for name in others if name not in ready], *names_of(debs, "frr"))
    before = root.files()
    root.install(*names_of(debs, "nett"))
    installed = root.files() - before
    assert {"/usr/sbin/nettd", "/usr/bin/nettsh", "/etc/nett/nett.conf"} <= installed
    root.test("packaging/deb/debian/tests/service")
    root.run("dpkg", "--remove", *nett)
    removed = root.files() - before
    assert {path for path in removed if path.startswith(("/etc/nett/", "/var/lib/nett/"))} >= {"/etc/nett/nett.conf", "/var/lib/nett/state.db"}
    root.run("dpkg", "--purge", *nett)
    assert root.files() - before == {"/etc/nett", *(f"/etc/nett/{name}" for name in ("server.pem", "server.key", "root.pem"))}
    assert not before - root.files()
    assert "nett" not in root.run("dpkg-query", "-W", "-f", "${Package}\n").split()


def test_the_packages_verify(root, debs, release):
    """Every file is as packaged after installation; configuration is a conffile; lintian has nothing to say that is not explained."""
    root.install(*names_of(debs, "nett"))
    assert root.run("dpkg", "--verify") == ""
    assert "/etc/nett/nett.conf" in root.run("dpkg-query", "-W", "-f", "${Conffiles}", "nett-agent")


@pytest.mark.parametrize("switch", ["sonic", "cumulus"])
def test_a_switchs_files_come_along(root, debs, switch):
    """The installed examples, put in place by the command of the switch's page: the agent takes them, and may still replace nett.conf."""
    page = (SOURCE / "docs" / f"{switch}.md").read_text(encoding="utf-8")
    (command,) = re.findall(r"^cp -r \S+/root/\. /$", page, re.MULTILINE)
    root.install(*names_of(debs, "nett"))
    root.run(*command.split())
    layout = SOURCE / "packaging" / "switches" / switch / "root"
    for path in layout.rglob("*"):
        if path.is_file():
            copy = root.folder / path.relative_to(layout)
            assert copy.read_bytes() == path.read_bytes()
            assert bool(copy.stat().st_mode & 0o100) == bool(path.stat().st_mode & 0o100), copy
    assert root.run("stat", "-c", "%a %U %G", "/etc/nett/nett.conf") == "640 nett nett\n"
    checked = root.run("setpriv", "--reuid=nett", "--regid=nett", "--clear-groups", "nettd", "--check-config", "--allow-missing-ports")
    assert checked.splitlines()[-1] == "/etc/nett/nett.conf: the configuration is good", checked


def test_lintian_says_nothing(debs, release):
    if release != machine_release():
        # The other release's lintian is in its build root.
        root = last_line(ROOT_SH, "build", release)
        run(ROOT_SH, "install", root, "lintian")
        command = [ROOT_SH, "run", root, "--bind", f"{debs}:/debs", "lintian"]
        packages = [*names_of(debs, "nett"), *names_of(debs, "frr")]
    else:
        command, packages = ["lintian"], sorted([*(debs / "nett").glob("*.deb"), *(debs / "frr").glob("*.deb")])
    tags = dict(NOT_FOR_US)
    if release == "12":
        tags["package-supports-alternative-init-but-no-init.d-script"] = "supervised by systemd: watchdog, sandbox; 13's lintian has no such tag"
    if release == machine_release() and not os.environ.get("NETT_PACKAGES"):
        tags.update(dict.fromkeys(("hardening-no-fortify-functions", "hardening-no-bindnow", "hardening-no-relro"),
                                  "--quick leaves out Debian's hardening flags on this machine's own release, to share objects with ./check"))
    said = run(*command, "--allow-root", "--display-info", "--pedantic", "--suppress-tags", ",".join(tags), *packages, check=False)
    assert said == ""
