"""Profiles and auto-enrol rules with talos-fabric-builder, and what they do to machines that boot."""

import http.client
import json
import ssl

import pytest

from tests.lab.standalone import StandaloneAgent

STRANGER = "52-54-00-00-e0-01"


@pytest.fixture(scope="module")
def agent(build, tmp_path_factory):
    """An agent with a tenant and an artifact set."""
    agent = StandaloneAgent(build, tmp_path_factory.mktemp("profiles"))
    folder = agent.folder
    agent.builder("pki", "tenant", folder, "t")
    agent.write_config(agent.metadata_node())
    agent.start()
    try:
        (folder / "vmlinuz").write_bytes(b"k" * 64)
        (folder / "initramfs.xz").write_bytes(b"i" * 64)
        agent.builder("tenant", "add", "t", "--common-name", "t.boot.example")
        agent.builder("artifact", "import", "s", "--version", "v1", "--kernel", folder / "vmlinuz", "--initramfs", folder / "initramfs.xz",
                      "--command-line", "console=ttyS0")
        yield agent
    finally:
        agent.process.stop()


def shown(agent, *words):
    return json.loads(agent.builder("--json", *words))


def profile(agent, name):
    return next(one for one in shown(agent, "profile", "show")["profiles"] if one["name"] == name)


def boot(agent, machine):
    context = ssl.create_default_context(cafile=agent.folder / "root.pem")
    context.load_cert_chain(agent.folder / "t.pem", agent.folder / "t.key")
    connection = http.client.HTTPSConnection("::1", agent.port, timeout=15, context=context)
    try:
        connection.request("GET", f"/v1/boot/{machine}")
        reply = connection.getresponse()
        return reply.status, reply.read().decode()
    finally:
        connection.close()


def test_a_profile_is_added_changed_shown_and_removed(agent):
    template = agent.folder / "install.ipxe"
    template.write_text("#!ipxe\nkernel {{{artifacts}}}/{{{kernel}}} {{{arguments}}}\nboot\n", encoding="utf-8")
    agent.builder("profile", "add", "worker", "--artifact-set", "s", "--kernel-args", "role=worker", "--confirm", "fabric", "--boot-loop", "3/10",
                  "--template", f"install={template}", "--deadline", "maintenance=86400", "--delivery", "url")
    assert profile(agent, "worker") == {
        "tenant": "", "name": "worker", "artifact_set": "s", "rescue_set": "", "erase_set": "", "kernel_args": "role=worker",
        "prefix_pool": "", "revision": profile(agent, "worker")["revision"], "delivery": "url", "confirm": "fabric", "boot_loop": "3/10",
        "templates": {"install": template.read_text(encoding="utf-8")}, "deadlines": {"provisioning": 3600, "maintenance": 86400}}
    agent.builder("profile", "set", "worker", "--kernel-args", "role=w", "--boot-loop", "off", "--template", "install=", "--deadline",
                  "provisioning=0", "--delivery", "machine")
    changed = profile(agent, "worker")
    assert (changed["kernel_args"], changed["boot_loop"], changed["delivery"], changed["confirm"]) == ("role=w", "off", "machine", "fabric")
    assert (changed["templates"], changed["deadlines"]) == ({}, {"maintenance": 86400})
    assert [one["name"] for one in agent.show("show profiles")] == ["worker"]
    assert "  kernel_args: role=w\n" in agent.builder("profile", "show", "worker")
    agent.builder("profile", "remove", "worker")
    assert shown(agent, "profile", "show")["profiles"] == []


@pytest.mark.parametrize("words, says", [
    (("profile", "set", "nobody", "--kernel-args", "a"), "make it with \"profile add\""),
    (("profile", "add", "x", "--boot-loop", "five"), "expected BOOTS/MINUTES, such as 5/30, or off"),
    (("profile", "add", "x", "--deadline", "active=5"), "Active has no deadline"),
    (("profile", "add", "x", "--template", "install=/nowhere"), "/nowhere"),
    (("profile", "show", "x"), "\"profile show\" lists them"),
    (("tenant", "auto-enrol", "add", "nobody", "--port", "tor-a/*"), "no tenant \"nobody\""),
    (("tenant", "auto-enrol", "add", "t"), "it would accept every machine that asks"),
    (("tenant", "auto-enrol", "remove", "t", "9"), "none with number 9"),
])
def test_what_is_wrong_is_said_with_its_remedy(agent, words, says):
    with pytest.raises(AssertionError) as failure:
        agent.builder(*words)
    assert says in str(failure.value)


def test_an_auto_enrol_rule_registers_a_machine_at_its_boot(agent):
    agent.builder("profile", "add", "edge", "--tenant", "t", "--artifact-set", "s", "--confirm", "api")
    agent.builder("tenant", "auto-enrol", "add", "t", "--port", "tor-a/*", "--profile", "edge")
    agent.builder("tenant", "auto-enrol", "add", "t", "--mac-prefix", "5254.0000.e0", "--profile", "edge", "--name-pattern", "e-{mac}")
    agent.builder("tenant", "add", "t", "--common-name", "t.boot.example", "--machine-quota", "5")  # the rules stay
    assert agent.builder("tenant", "auto-enrol", "show", "t") == ("1: port tor-a/* profile edge name-pattern node-{mac}\n"
                                                                "2: mac-prefix 52:54:00:00:e0: profile edge name-pattern e-{mac}\n")
    agent.builder("tenant", "auto-enrol", "remove", "t", "1")
    assert [rule["name-pattern"] for rule in shown(agent, "tenant", "auto-enrol", "show", "t")["rules"]] == ["e-{mac}"]
    assert boot(agent, STRANGER)[0] == 404  # registered now, and nobody has given it a config
    machine = agent.show("show machine e-52540000e001")
    assert (machine["tenant"], machine["profile"], machine["state"]) == ("t", "edge", "new")
    (agent.folder / "config.yaml").write_text("version: v1alpha1\n", encoding="utf-8")
    agent.builder("machine", "add", "e-52540000e001", "--tenant", "t", "--mac", STRANGER, "--artifact-set", "s", "--config",
                  agent.folder / "config.yaml")
    status, script = boot(agent, STRANGER)
    assert status == 200 and script.startswith("#!ipxe\n")
