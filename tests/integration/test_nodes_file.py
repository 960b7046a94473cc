"""nodes.yaml: its schema by a validator that is not ours, and what is said of every field that is wrong."""

import json
import pathlib
import subprocess

import jsonschema
import pytest
import yaml

GOOD = """\
tenants:
  - name: tenant-a
    common-names: [tenant-a.boot.example]
    common-name-suffixes: a.example
    organizational-units: [Tenant A]
    machine-quota: 10
    image: {certificate: a.pem, key: a.key, root: root.pem, ipxe: ipxe.efi, usb: a.img, iso: a.iso}
    talos:
      version: v1.13.9
      controlplane: cp.yaml
      worker: w.yaml
      pod-subnets: ["fd00:10::/56"]
      service-subnets: ["fd00:20::/112"]
      links: [eth0, eth1]
      bgp: bird2
      encryption: tpm
      patches: [patch.yaml, {machine: {nodeLabels: {a: b}}}]
artifacts:
  - {name: talos, version: v1.13.9, architecture: amd64, schematic: abc, kernel: vmlinuz, initramfs: initramfs.xz, command-line: pti=on,
     extension-layers: layers.yaml}
profiles:
  - name: worker
    tenant: tenant-a
    artifact-set: talos
    rescue-set: talos
    erase-set: talos
    kernel-args: quiet
    prefix-pool: prod
    delivery: embedded
    confirm: fabric
    templates: {install: install.ipxe}
    deadlines: {provisioning: 3600, maintenance: 7200}
    boot-loop: {boots: 5, minutes: 30}
pools:
  - {name: prod, tenant: tenant-a, prefix: "2001:db8:f::/48", length: 64}
nodes:
  - name: node-1
    tenant: tenant-a
    uuid: 4c4c4544-0042-3510-8054-b7c04f4e3132
    mac: [52:54:00:aa:00:01, 5254.00aa.0002]
    serial: CZ1234
    port: [tor-a/swp1=2001:db8:b000::/64, tor-b/swp1=2001:db8:b001::/64]
    role: controlplane
    profile: worker
    artifact-set: talos
    kernel-args: console=ttyS0
    delivery: token
    production: {static: "2001:db8:c0de::1/128"}
    bmc: {endpoint: "https://[2001:db8:bc::1]", username: admin, password: {file: password}, system-path: /redfish/v1/Systems/1, ca-file: /ca.pem}
    boot: redfish
    talos: {asn: 4200000001, router-id: 10.0.0.1, install-disk: /dev/vda}
  - name: node-2
    role: worker
    mac: 52:54:00:aa:00:03
    production: {pool: prod}
  - name: node-3
    uuid: 4c4c4544-0042-3510-8054-b7c04f4e3133
    production: netbox
    config: node-3.yaml
    boot: other
"""

FILES = {"w.yaml": "machine: {type: worker}\n", "cp.yaml": "machine: {type: controlplane}\n", "patch.yaml": "machine: {type: worker}\n",
         "vmlinuz": "k", "initramfs.xz": "i", "layers.yaml": "layers: []\n", "install.ipxe": "#!ipxe\nboot\n", "password": "s3cret\n",
         "node-3.yaml": "machine: {}\n"}


@pytest.fixture
def folder(tmp_path):
    for name, text in FILES.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


@pytest.fixture(scope="session")
def schema(build):
    return json.loads(subprocess.run([build.program("talos-fabric-builder"), "schema"], capture_output=True, text=True, check=True).stdout)


def check(build, folder, text, *more):
    """`config` reads the whole file, and needs no agent."""
    (folder / "nodes.yaml").write_text(text, encoding="utf-8")
    return subprocess.run([build.program("talos-fabric-builder"), "config", "node-1", "--nodes", "nodes.yaml", *more], cwd=folder,
                          capture_output=True, text=True, check=False)


def test_the_example_is_what_schema_and_parser_take(build, folder, schema):
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.Draft202012Validator(schema).validate(yaml.safe_load(GOOD))
    done = check(build, folder, GOOD)
    assert done.returncode == 0, done.stderr


def test_the_example_has_every_key_of_the_schema(schema):
    """So that a key that only one of the two knows is seen."""
    def keys(value):
        if isinstance(value, dict):
            return set(value).union(*map(keys, value.values()))
        return set().union(*map(keys, value)) if isinstance(value, list) else set()

    known = set().union(*(set(one.get("properties", {})) for one in schema["$defs"].values()))
    elsewhere = {"env", "command", "pin", "wipe", "rescue", "erase", "new", "reprovision", "decommission"}
    assert known - elsewhere - keys(yaml.safe_load(GOOD)) == set()


# What is changed in the example (old, new), the line that is named, words of the message, whether the schema sees it too.
BAD = [
    ("name: tenant-a\n    common", "name: Tenant_A\n    common", 2, "is no name", True),
    ("    common-names: [tenant-a.boot.example]\n    common-name-suffixes: a.example\n    organizational-units: [Tenant A]\n", "", 2, "no certificate would ever match", True),
    ("machine-quota: 10", "machine-quota: many", 6, "whole number", True),
    ("certificate: a.pem, key", "key", 7, 'needs "certificate"', True),
    ("version: v1.13.9\n", "version: v1.11.2\n", 9, "1.12 and newer", False),
    ("version: v1.13.9\n", "version: newest\n", 9, "no version of Talos", True),
    ("fd00:10::/56", "10.244.0.0/16", 12, "10.244.0.0", True),
    ("fd00:20::/112", "fd00:20::1/112", 13, "fd00:20::", False),
    ("links: [eth0, eth1]", "links: [eth0, 'a b']", 14, "no name of a network interface", True),
    ("      links: [eth0, eth1]\n", "", 36, 'BGP needs "links"', False),
    ("bgp: bird2", "bgp: frr", 15, "one of native, bird2, none", True),
    ("encryption: tpm", "encryption: luks", 16, "one of none, tpm", True),
    ("patches: [patch.yaml,", "patches: [nothing.yaml,", 17, "nothing.yaml", False),
    ("patches: [patch.yaml,", "patches: [[x],", 17, "a patch is a file's name or a mapping", True),
    ("architecture: amd64", "architecture: riscv", 19, "one of amd64, arm64", True),
    ("kernel: vmlinuz", "kernel: nothing", 19, "nothing", False),
    ("initramfs: initramfs.xz", "initramfs: vmlinuz", 19, "same file name", False),
    ("kernel: vmlinuz, ", "", 19, 'needs "kernel"', True),
    ("extension-layers: layers.yaml", "extension-layers: w.yaml", 19, "layers", False),
    ("confirm: fabric", "confirm: perhaps", 30, "one of api, fabric, config-fetched", True),
    ("templates: {install: install.ipxe}", "templates: {setup: install.ipxe}", 31, 'no "setup"', True),
    ("deadlines: {provisioning: 3600", "deadlines: {provisioning: 0", 32, "whole number from 1", True),
    ("boot-loop: {boots: 5, minutes: 30}", "boot-loop: {boots: 5}", 33, 'needs "minutes"', True),
    ("length: 64", "length: 32", 35, "does not fit", False),
    ('prefix: "2001:db8:f::/48"', 'prefix: "2001:db8:f::1/48"', 35, "2001:db8:f::/48", False),
    ("    tenant: tenant-a\n    uuid", "    tenant: tenant-b\n    uuid", 38, 'no tenant "tenant-b"', False),
    ("uuid: 4c4c4544-0042-3510-8054-b7c04f4e3132", "uuid: 4c4c4544", 39, "UUID", True),
    ("uuid: 4c4c4544-0042-3510-8054-b7c04f4e3132", "uuid: 00000000-0000-0000-0000-000000000000", 39, "shared by many", False),
    ("uuid: 4c4c4544-0042-3510-8054-b7c04f4e3133", "uuid: 4c4c4544-0042-3510-8054-b7c04f4e3132", 57, "UUID 4c4c4544-0042-3510-8054-b7c04f4e3132 is node-1's already", False),
    ("mac: [52:54:00:aa:00:01", "mac: [52:54:00:aa:00", 40, "MAC", True),
    ("mac: 52:54:00:aa:00:03", "mac: 52-54-00-aa-00-01", 54, "MAC address 52:54:00:aa:00:01 is node-1's already, see line 40", False),
    ("    mac: 52:54:00:aa:00:03\n", "", 52, "how would the node be known", True),
    ("port: [tor-a/swp1=2001:db8:b000::/64", "port: [swp1", 42, "expected SWITCH/PORT or SWITCH/PORT=PREFIX", True),
    ("tor-b/swp1=2001:db8:b001::/64", "tor-b/swp1=2001:db8:b001::/60", 42, "/64", True),
    ("role: controlplane", "role: master", 43, "one of controlplane, worker", True),
    ("    role: worker\n", "", 52, 'needs "role"', False),
    ("delivery: token", "delivery: mail", 47, "one of embedded, token, url", True),
    ('production: {static: "2001:db8:c0de::1/128"}', "production: dhcp", 48, "netbox", True),
    ('production: {static: "2001:db8:c0de::1/128"}', "production: {}", 48, "give one of them", True),
    ("production: netbox", 'production: {static: "2001:db8:c0de::1/128"}', 58, "production prefix 2001:db8:c0de::1/128 is node-1's already", False),
    ("production: netbox", 'production: {static: "2001:db8:c0de::/64"}', 48, "overlaps", False),
    ("https://[2001:db8:bc::1]", "http://[2001:db8:bc::1]", 49, "https://[ADDRESS]", True),
    ("https://[2001:db8:bc::1]", "https://bmc.example", 49, "https://[ADDRESS]", True),
    ("username: admin, ", "", 49, 'needs "username"', True),
    ("password: {file: password}, ", "", 49, 'needs "password"', True),
    ("password: {file: password}", "password: {file: nothing}", 49, "nothing", False),
    ("password: {file: password}", "password: {env: NETT_TEST_UNSET}", 49, "NETT_TEST_UNSET is not set", False),
    ("password: {file: password}", "password: {command: [/bin/false]}", 49, "exit status 1", False),
    ("password: {file: password}", "password: {env: A, file: b}", 49, "one of env, file and command", True),
    ("ca-file: /ca.pem", "ca-file: /ca.pem, pin: abc", 49, "64 hex digits", True),
    ("boot: redfish", "boot: pxe", 50, "one of redfish, usb, other", True),
    ("boot: other", "boot: redfish", 60, 'needs a "bmc"', True),
    ("asn: 4200000001", "asn: 0", 51, "whole number from 1", True),
    ("router-id: 10.0.0.1", "router-id: one", 51, "32 bits", True),
    ("install-disk: /dev/vda", "install-disk: vda", 51, "is a device", True),
    ("config: node-3.yaml", "config: nothing.yaml", 56, "nothing.yaml", False),
    ("  - name: node-2", "  - name: node-1", 52, "is another node's already", False),
    ("    serial: CZ1234", "    serial: CZ1234\n    serial: CZ1", 42, "there twice", None),
    ("    serial: CZ1234", "    colour: red", 41, 'no "colour"', True),
    ("nodes:\n", "machines: []\nnodes:\n", 36, 'no "machines"', True),
    ("    serial: CZ1234", "    serial: [", 43, "", None),
]


@pytest.mark.parametrize("old, new, line, words, seen_by_schema", BAD, ids=[f"{i}-{new.strip().split(':')[0][:20]}" for i, (_, new, *_r) in enumerate(BAD)])
def test_a_wrong_field_is_told_with_its_line_and_remedy(build, folder, schema, old, new, line, words, seen_by_schema):
    assert GOOD.count(old) == 1
    text = GOOD.replace(old, new)
    done = check(build, folder, text)
    assert done.returncode == 1
    assert done.stdout == ""
    told = [one for one in done.stderr.splitlines() if f"nodes.yaml:{line}: " in one and words in one]
    assert told, done.stderr
    if seen_by_schema is not None:
        errors = list(jsonschema.Draft202012Validator(schema).iter_errors(yaml.safe_load(text)))
        assert bool(errors) == seen_by_schema, errors


def test_all_problems_are_told_at_once(build, folder):
    done = check(build, folder, GOOD.replace("confirm: fabric", "confirm: x").replace("delivery: token", "delivery: x").replace("asn: 4200000001", "asn: x"))
    assert [one.split(":")[2].strip() for one in done.stderr.splitlines()] == ["30", "47", "51"], done.stderr


def test_an_inline_password_is_taken_with_a_warning(build, folder):
    done = check(build, folder, GOOD.replace("password: {file: password}", "password: secret5"))
    assert done.returncode == 0
    assert "nodes.yaml:49: a password stands in this file" in done.stderr
    assert "secret5" not in done.stderr


def test_a_password_comes_from_a_command(build, folder):
    done = check(build, folder, GOOD.replace("password: {file: password}", "password: {command: [echo, secret5]}"))
    assert done.returncode == 0, done.stderr


def test_the_schema_is_installed_with_the_package():
    here = pathlib.Path(__file__).resolve().parents[2]
    assert "nodes.schema.json" in (here / "builder" / "meson.build").read_text(encoding="utf-8")
    assert "nodes.schema.json" in (here / "packaging" / "deb" / "debian" / "talos-fabric-builder.install").read_text(encoding="utf-8")
