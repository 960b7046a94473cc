"""Node configs by Talos version: golden differences to what talosctl writes, and Talos' own Go module, which loads, validates and patches."""

import difflib
import os
import pathlib
import subprocess

import pytest

from tests.lab.build import SOURCE
from tests.lab.steps import output_of

DATA = SOURCE / "tests" / "data" / "talos"
VERSIONS = sorted(one.name for one in DATA.iterdir())
# The pre-release of 1.14 that the module exists of does not know this document yet.
NEWER = {"v1.14.0-alpha.2": {"BGPInstanceConfig"}}

NODES = """\
tenants:
  - name: tenant-a
    common-names: [tenant-a.boot.example]
    talos:
      version: {version}
      controlplane: {data}/controlplane.yaml
      worker: {data}/worker.yaml
      pod-subnets: ["2001:db8:10::/56"]
      service-subnets: ["2001:db8:20::/112"]
      links: [eth0, eth1]
      install-disk: /dev/nvme0n1
      encryption: tpm
nodes:
  - name: cp-1
    role: controlplane
    mac: 52:54:00:00:00:01
    production: {{static: "2001:db8:c0de::1/128"}}
    boot: other
  - name: worker-1
    role: worker
    mac: 52:54:00:00:00:02
    production: {{static: "2001:db8:c0de::2/128"}}
    boot: other
    talos:
      patches:
        - patch.yaml
"""

PATCH = """\
machine:
  nodeLabels:
    rack: r13
  certSANs: ["2001:db8:c0de::2"]
---
apiVersion: v1alpha1
kind: LinkConfig
name: eth0
mtu: 9000
"""


@pytest.fixture(params=VERSIONS)
def version(request):
    return request.param


@pytest.fixture(scope="session")
def talos():
    """The program of tests/lab/setup/talos-config of a version."""
    return lambda version, *words: subprocess.run([output_of([SOURCE / "tests/lab/setup/talos-config.sh", version]), *map(str, words)],
                                                  capture_output=True, text=True, check=False)


@pytest.fixture
def config(build, tmp_path, version):
    def make(node, more=""):
        (tmp_path / "patch.yaml").write_text(PATCH, encoding="utf-8")
        (tmp_path / "nodes.yaml").write_text(NODES.format(version=version.replace("-alpha.2", ""), data=DATA / version) + more, encoding="utf-8")
        done = subprocess.run([build.program("talos-fabric-builder"), "config", node, "--nodes", "nodes.yaml"], cwd=tmp_path,
                              capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return make


def known_part(text, version):
    """Without documents that this version of the module does not know; which they are."""
    kept, left = [], set()
    for document in text.split("\n---\n"):
        kind = next((line.split()[1] for line in document.splitlines() if line.startswith("kind:")), "")
        if kind in NEWER.get(version, ()):
            left.add(kind)
        else:
            kept.append(document)
    return "\n---\n".join(kept), left


@pytest.mark.parametrize("node, base", [("cp-1", "controlplane"), ("worker-1", "worker")])
def test_a_config_is_the_golden_one(config, version, node, base):
    original = (DATA / version / f"{base}.yaml").read_text(encoding="utf-8")
    made = config(node)
    difference = "".join(difflib.unified_diff(original.splitlines(keepends=True), made.splitlines(keepends=True), f"{base}.yaml", node, n=1))
    golden = DATA / version / f"{node}.diff"
    if os.environ.get("NETT_WRITE_GOLDEN"):
        golden.write_text(difference, encoding="utf-8")
    assert difference == golden.read_text(encoding="utf-8")
    # Nothing of the base is lost but what is replaced: every comment is still there.
    comments = [line.partition("#")[2] for line in original.splitlines() if "#" in line]
    assert [one for one in comments if one not in made] == []


@pytest.mark.parametrize("node", ["cp-1", "worker-1"])
def test_talos_loads_and_validates_it(config, talos, version, tmp_path, node):
    text, left = known_part(config(node), version)
    (tmp_path / "made.yaml").write_text(text, encoding="utf-8")
    done = talos(version, "check", tmp_path / "made.yaml")
    assert done.returncode == 0, done.stderr
    assert left == NEWER.get(version, set())


def test_talos_refuses_what_is_wrong(config, talos, version, tmp_path):
    """So that the test above means something."""
    text, _ = known_part(config("worker-1"), version)
    (tmp_path / "made.yaml").write_text(text.replace("name: STATE", "name: NOTHING"), encoding="utf-8")
    assert talos(version, "check", tmp_path / "made.yaml").returncode == 1
    (tmp_path / "made.yaml").write_text(text.replace("sysctls:", "sysctlz:").replace("params:", "paramz:"), encoding="utf-8")
    assert talos(version, "check", tmp_path / "made.yaml").returncode == 1


# Patches whose merging is told apart by Talos' types; each is merged into controlplane.yaml by Talos and by us.
PATCHES = {
    "scalar": "machine: {kubelet: {image: \"ghcr.io/siderolabs/kubelet:v1.99.0\"}}",
    "new-map": "machine: {sysctls: {net/ipv6/conf/eth0/accept_ra: \"0\"}}",
    "list": "machine: {certSANs: [a.example, b.example]}\n",
    "interfaces": "machine:\n  network:\n    interfaces:\n      - interface: eth0\n        mtu: 9000\n        addresses: [\"2001:db8::1/64\"]\n"
                  "---\nmachine:\n  network:\n    interfaces:\n      - interface: eth0\n        addresses: [\"2001:db8::2/64\"]\n      - interface: eth1\n        dhcp: true\n",
    "vlans": "machine:\n  network:\n    interfaces:\n      - interface: eth0\n        vlans: [{vlanId: 5, mtu: 1400}]\n"
             "---\nmachine:\n  network:\n    interfaces:\n      - interface: eth0\n        vlans: [{vlanId: 5, addresses: [\"2001:db8::5/64\"]}, {vlanId: 6}]\n",
    "host-name-deleted": "apiVersion: v1alpha1\nkind: HostnameConfig\n$patch: delete\n",
    "key-deleted": "machine: {features: {$patch: delete}}",
    "item-deleted": "machine:\n  network:\n    interfaces:\n      - interface: eth0\n      - interface: eth1\n"
                    "---\nmachine:\n  network:\n    interfaces:\n      - interface: eth0\n        $patch: delete\n",
    "document-added-and-merged": "apiVersion: v1alpha1\nkind: ExtensionServiceConfig\nname: a\nconfigFiles: [{content: x, mountPath: /a}]\nenvironment: [A=1]\n"
                                 "---\napiVersion: v1alpha1\nkind: ExtensionServiceConfig\nname: a\nconfigFiles: [{content: y, mountPath: /a}, {content: z, mountPath: /b}]\nenvironment: [B=2]\n",
    "false-counts": "machine: {features: {diskQuotaSupport: false}}",
    "zero-does-not": "debug: false\nmachine: {token: \"\"}\n",
    "literal": "apiVersion: v1alpha1\nkind: ExtensionServiceConfig\nname: b\nconfigFiles:\n  - mountPath: /c\n    content: |\n      one\n      # two\n\n      three\n",
    "volume": "apiVersion: v1alpha1\nkind: VolumeConfig\nname: EPHEMERAL\nencryption: {provider: luks2, keys: [{slot: 0, tpm: {}}]}\n",
}
OLDER = {
    "subnets": "cluster: {network: {podSubnets: [\"2001:db8:10::/56\"], serviceSubnets: [\"2001:db8:20::/112\"]}}",
    "arguments": "cluster: {apiServer: {extraArgs: {a: b}}}\n---\ncluster: {apiServer: {extraArgs: {a: c, d: e}}}",
    "admission": "cluster: {apiServer: {admissionControl: [{name: PodSecurity, configuration: {kind: Other}}, {name: B, configuration: {a: b}}]}}",
    "audit": "cluster: {apiServer: {auditPolicy: {apiVersion: audit.k8s.io/v1, kind: Policy, rules: [{level: None}]}}}",
}
CASES = [(version, name) for version in VERSIONS for name in [*PATCHES, *(OLDER if not version.startswith("v1.14") else ())]]


@pytest.mark.parametrize("version, name", CASES, ids=[f"{version}-{name}" for version, name in CASES])
def test_a_patch_gives_what_talos_makes_of_it(build, talos, tmp_path, version, name):
    patches = []
    for number, part in enumerate({**PATCHES, **OLDER}[name].split("\n---\n")):
        patches.append(tmp_path / f"patch-{number}.yaml")
        patches[-1].write_text(part + "\n", encoding="utf-8")
    base = DATA / version / "controlplane.yaml"
    made = subprocess.run([build.program("talos-fabric-builder"), "patch", base, *patches], capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr
    result = tmp_path / "result.yaml"
    result.write_text(made.stdout, encoding="utf-8")
    done = talos(version, "same", base, result, *patches)
    assert done.returncode == 0, done.stderr


def test_the_speaker_is_bird_before_1_14_and_native_from_there(config, version):
    text = config("cp-1")
    native = version >= "v1.14"
    assert ("kind: BGPInstanceConfig" in text, "name: bird2" in text) == (native, not native)
    assert ("kind: SysctlConfig" in text) == native


def test_birds_configuration_is_one_that_bird_reads(config, version, tmp_path):
    text = config("cp-1", "")
    if version >= "v1.14":
        text = config("bird", "  - name: bird\n    role: worker\n    mac: 52:54:00:00:00:03\n    production: {static: \"2001:db8:f00::/64\"}\n"
                              "    boot: other\n    talos: {bgp: bird2}\n")
    lines = text[text.index("content: |\n") + len("content: |\n"):].split("      mountPath")[0].splitlines()
    (tmp_path / "bird.conf").write_text("\n".join(line.strip() for line in lines) + "\n", encoding="utf-8")
    subprocess.run(["/usr/sbin/bird", "-p", "-c", tmp_path / "bird.conf"], check=True)
    assert pathlib.Path(tmp_path / "bird.conf").read_text(encoding="utf-8").count("neighbor range fe80::/10 external") == 2
