"""Fabric-native completion: a machine announces its production prefix over BGP, the switch sees it, and the metadata host knows it
through the API over mutual TLS."""

import json
import signal

import pytest

from tests.lab import netns, speaker, story, uplink, wait
from tests.lab.fabric import TORS
from tests.lab.uplink import API, STABLE

PREFIX = "2001:db8:c0de:f::1/128"
NAME = "joiner"
UUID = "aaaaaaaa-0000-4000-8000-00000000c0de"
PORT, OTHER_PORT = "tor-a/swp1", "tor-b/swp1"


@pytest.fixture(scope="module")
def joined(raised):
    """Both switches report to the metadata host, and the machine behind swp1 speaks BGP with tor-a."""
    with uplink.switches_report(raised, ("eyes", "ops", "compute-a", "compute-b", "stranger")):
        speaker.accept_machine(raised.fabric.frr["tor-a"], "swp1", PREFIX, 5)
        machine = speaker.MachineBgp(raised.servers[1], PREFIX)
        machine.start()
        yield machine
        machine.stop()
        speaker.forget_machine(raised.fabric.frr["tor-a"], "swp1")


@pytest.fixture
def fabric_world(world, joined):
    """Each test begins with the machine announcing, and the metadata host knowing it."""
    joined.announce(True)
    wait.until("the metadata host knows the machine's prefix", lambda: PREFIX in reported(world.home, "tor-a"), within=60)
    return world


def reported(agent, name):
    """The prefixes that a switch reports, as an agent knows them."""
    for entry in agent.show("show fabric")["switches"]:
        if entry["switch"] == name:
            return {prefix["prefix"]: prefix for prefix in entry["prefixes"]}
    return {}


def events(agent, kind, since=0):
    return [event for event in agent.show("show events") if event["type"] == kind and event["sequence"] > since]


def latest(agent):
    return max(event["sequence"] for event in agent.show("show events"))


def row_of(agent, port):
    return next((row for row in agent.show("show ports") if row["port"] == port), None)


def nettsh_over_tcp(world, node, who, *commands, check=True):
    """nettsh on another host, with a certificate of its own."""
    folder = world.pki.folder
    arguments = [word for command in commands for word in ("-c", command)]
    return world.lab.nodes[node].run(world.build.program("nettsh"), "--json", "--server", API, "--certificate", folder / f"{who}.pem",
                                     "--private-key", folder / f"{who}.key", "--ca", folder / "root.pem", *arguments, check=check)


def test_a_prefix_that_a_machine_announces_reaches_the_metadata_host(fabric_world):
    entry = reported(fabric_world.home, "tor-a")[PREFIX]
    assert entry["port"] == PORT
    assert entry["next_hop"] == speaker.link_local(fabric_world.servers[1].node, "eth0")
    seen = events(fabric_world.home, "fabric.prefix")
    assert [(event["fields"]["prefix"], event["fields"]["port"], event["fields"]["state"], event["fields"]["origin"])
            for event in seen][0] == (PREFIX, PORT, "up", "tor-a")


def test_show_ports_joins_what_the_switch_and_the_metadata_host_know(fabric_world):
    own = row_of(fabric_world.agents["tor-a"], PORT)
    assert own["link"] == "up" and own["announced"] == [PREFIX]
    assert own["prefix"].startswith("2001:db8:b000:") and own["prefix"].endswith("/64")
    mac = netns.run("ip", "netns", "exec", fabric_world.servers[1].node.namespace, "cat", "/sys/class/net/eth0/address").strip()
    assert mac in [neighbour["mac"] for neighbour in own["neighbours"]]
    there = row_of(fabric_world.home, PORT)
    assert there["announced"] == [PREFIX] and there["origin"] == "tor-a"
    text = fabric_world.agents["tor-a"].nettsh("show ports").stdout
    assert PORT in text and PREFIX in text


def register(world):
    """The machine, whose state the fabric confirms, bound to its two ports. Once is enough."""
    if NAME in [row["name"] for row in world.home.show("show machines")]:
        return
    nett, caller = world.messages, world.api()
    profile = nett.Profile(tenant=story.TENANT, name="joins", confirm=nett.CONFIRM_BY_FABRIC)
    bindings = [nett.PortBinding(port=port, prefix=row_of(world.agents[tor], port)["prefix"]) for tor, port in zip(TORS, (PORT, OTHER_PORT))]
    machine = nett.Machine(name=NAME, tenant=story.TENANT, uuid=UUID, artifact_set=story.ARTIFACT_SET, profile="joins",
                           production=nett.Production(mode=nett.PRODUCTION_MODE_STATIC, prefix=PREFIX),
                           ports=bindings)
    try:
        caller.call("Inventory/PutProfile", nett.PutProfileRequest(profile=profile), nett.MutationReply)
        caller.call("Inventory/PutMachine", nett.PutMachineRequest(machine=machine, config=story.machine_config(NAME).encode()),
                    nett.MutationReply)
    finally:
        caller.close()


def machine_of(agent):
    return agent.show(f"show machine {NAME}")


def fabric_of(agent):
    return machine_of(agent)["fabric"]["state"]


def test_a_machine_is_active_once_the_fabric_sees_its_production_prefix(fabric_world, joined):
    home = fabric_world.home
    joined.announce(False)
    wait.until("the metadata host knows that the prefix is gone", lambda: PREFIX not in reported(home, "tor-a"), within=60)
    register(fabric_world)

    def boot():
        return fabric_world.servers[1].fetch(f"/v1/boot/{UUID}", fabric_world.tenant).status

    assert boot() == 200
    assert machine_of(home)["state"] == "provisioning"
    joined.announce(True)
    wait.until("the machine is active", lambda: machine_of(home)["state"] == "active", within=60)
    assert boot() == 404
    assert fabric_of(home) == "present"
    confirmed = events(home, "machine.state")[-1]
    assert confirmed["fields"]["to"] == "active" and PREFIX in confirmed["fields"]["reason"]
    before = latest(home)
    joined.announce(False)
    wait.until("the machine is missing in the fabric", lambda: fabric_of(home) == "absent", within=60)
    assert [event["fields"]["state"] for event in events(home, "machine.fabric", before)] == ["absent"]
    assert machine_of(home)["state"] == "active"


def test_a_machine_behind_two_switches_is_there_while_one_link_carries_its_prefix(fabric_world, joined):
    home = fabric_world.home
    register(fabric_world)
    wait.until("the machine is there", lambda: fabric_of(home) == "present", within=60)
    speaker.accept_machine(fabric_world.fabric.frr["tor-b"], "swp1", PREFIX, 5)
    joined.join("eth1")
    try:
        wait.until("tor-b reports it too", lambda: PREFIX in reported(home, "tor-b"), within=60)
        assert row_of(home, PORT)["machine"] == row_of(home, OTHER_PORT)["machine"] == NAME
        assert row_of(fabric_world.agents["tor-b"], OTHER_PORT)["announced"] == [PREFIX]
        # Neighbours of the machines' peer-group: no ports of the fabric.
        for tor in TORS:
            assert fabric_world.agents[tor].health("ra", "fabric")["state"] == "ok"
        before = latest(home)
        joined.leave("eth0")
        wait.until("tor-a no longer reports it", lambda: PREFIX not in reported(home, "tor-a"), within=60)
        assert fabric_of(home) == "present" and not events(home, "machine.fabric", before)
        joined.leave("eth1")
        wait.until("the machine is missing", lambda: fabric_of(home) == "absent", within=60)
        joined.join("eth1")
        wait.until("one link is enough", lambda: fabric_of(home) == "present", within=60)
    finally:
        joined.leave("eth1")
        speaker.forget_machine(fabric_world.fabric.frr["tor-b"], "swp1")
        joined.join("eth0")
    wait.until("tor-a reports it again", lambda: PREFIX in reported(home, "tor-a") and PREFIX not in reported(home, "tor-b"), within=60)


def test_a_machine_bound_to_a_port_is_served_only_behind_it_as_the_switches_report(fabric_world):
    home, name, uuid = fabric_world.home, "bound", "aaaaaaaa-0000-4000-8000-00000000b0d1"
    own = {tor: row_of(fabric_world.agents[tor], f"{tor}/swp2")["prefix"] for tor in TORS}

    def known(tor):
        return (row_of(home, f"{tor}/swp2") or {}).get("prefix") == own[tor]

    def asked(server, nic):
        return [fabric_world.servers[server].fetch(f"/v1/{what}/{uuid}", fabric_world.tenant, nic=nic).status for what in ("boot", "config")]

    for tor in TORS:
        wait.until(f"the metadata host knows the ports of {tor}", lambda tor=tor: known(tor), within=60)
    story.register_machine(home, name, uuid, [], story.machine_config(name), "--port", "tor-a/swp2")
    assert asked(3, "eth0") == [404, 404], "the next port of the same switch"
    assert asked(2, "eth1") == [404, 404], "the same machine's other link, which it is not bound to"
    assert asked(2, "eth0") == [200, 200]
    home.kill()
    home.start()
    wait.until("it is served again", lambda: asked(2, "eth0") == [200, 200], within=30)
    assert asked(3, "eth0") == [404, 404]
    story.register_machine(home, name, uuid, [], story.machine_config(name), "--port", "tor-a/swp2", "--port", "tor-b/swp2")
    assert asked(2, "eth1") == [200, 200]


def test_a_short_flap_is_no_event_and_a_withdrawal_is_one(fabric_world, joined):
    before = latest(fabric_world.home)
    joined.announce(False)
    joined.announce(True)
    wait.stays("no event for a flap", lambda: not events(fabric_world.home, "fabric.prefix", before), during=STABLE + 1)
    joined.announce(False)
    down = wait.until("the withdrawal is an event", lambda: events(fabric_world.home, "fabric.prefix", before), within=30)
    assert [event["fields"]["state"] for event in down] == ["down"]
    assert row_of(fabric_world.agents["tor-a"], PORT)["announced"] == []


def test_a_restart_of_the_switchs_agent_is_no_event(fabric_world):
    before = latest(fabric_world.home)
    fabric_world.agents["tor-a"].kill()
    fabric_world.agents["tor-a"].start()
    fabric_world.agents["tor-a"].wait_health("fabric", f"upstream {API}", "ok", within=30)
    assert reported(fabric_world.agents["tor-a"], "tor-a").keys() == {PREFIX}
    assert reported(fabric_world.home, "tor-a").keys() == {PREFIX}
    assert not events(fabric_world.home, "fabric.prefix", before)


def test_a_restart_of_the_metadata_hosts_agent_loses_nothing(fabric_world):
    fabric_world.home.kill()
    fabric_world.home.start()
    wait.until("tor-a has told everything again", lambda: PREFIX in reported(fabric_world.home, "tor-a"), within=60)


def test_what_happened_while_the_upstream_was_cut_off_arrives_when_it_heals(fabric_world, joined):
    home = fabric_world.lab.nodes[story.HOME]
    before = latest(fabric_world.home)
    rules = "table ip6 cut { chain in { type filter hook input priority 0; tcp dport 8443 drop; }; }"
    home.run("nft", rules)
    try:
        fabric_world.agents["tor-a"].wait_health("fabric", f"upstream {API}", "degraded", within=40)
        joined.announce(False)
        wait.until("tor-a has seen the withdrawal", lambda: not reported(fabric_world.agents["tor-a"], "tor-a"), within=30)
        assert not events(fabric_world.home, "fabric.prefix", before)
        assert PREFIX in reported(fabric_world.home, "tor-a"), "silence is not a withdrawal"
    finally:
        home.run("nft", "delete table ip6 cut")
    wait.until("the metadata host has learned it", lambda: not reported(fabric_world.home, "tor-a"), within=60)
    fabric_world.agents["tor-a"].wait_health("fabric", f"upstream {API}", "ok", within=10)


def test_a_hung_switch_agent_is_called_silent_and_keeps_its_word(fabric_world):
    tor = fabric_world.agents["tor-a"]
    tor.process.signal(signal.SIGSTOP)
    try:
        condition = fabric_world.home.wait_health("fabric", "tor-a", "degraded", within=60)
        assert "what it said last is kept" in condition["message"]
        assert PREFIX in reported(fabric_world.home, "tor-a")
    finally:
        tor.process.signal(signal.SIGCONT)
    fabric_world.home.wait_health("fabric", "tor-a", "ok", within=60)


def test_nettsh_and_the_builder_work_from_another_host_within_their_role(fabric_world):
    assert json.loads(nettsh_over_tcp(fabric_world, "tor-b", "eyes", "show tenants").stdout)
    refused = nettsh_over_tcp(fabric_world, "tor-b", "eyes", "configure terminal", check=False)
    assert refused.returncode == 1 and "needs the role admin" in refused.stderr
    for who, reason in (("stranger", 'the certificate\'s common name "stranger" has no role here'), ("tor-a", "needs the role viewer"),
                        ("compute-a", "needs the role viewer")):
        refused = nettsh_over_tcp(fabric_world, "tor-b", who, "show machines", check=False)
        assert refused.returncode != 0 and reason in refused.stderr
    folder = fabric_world.pki.folder
    status = fabric_world.lab.nodes["tor-b"].run(
        fabric_world.build.program("talos-fabric-builder"), "--json", "--server", API, "--certificate", folder / "ops.pem",
        "--private-key", folder / "ops.key", "--ca", folder / "root.pem", "status")
    assert json.loads(status.stdout)["servers"][0]["hostname"] == story.HOME


def test_a_foreign_client_is_judged_by_its_certificate(fabric_world):
    """openssl's own client, without a certificate and with one of a root that the agent does not know."""
    node = fabric_world.lab.nodes["tor-b"]
    folder = fabric_world.pki.folder
    node.run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=ops",
             "-keyout", "/etc/nett/self.key", "-out", "/etc/nett/self.crt", "-days", "1")

    # What follows the handshake is HTTP/2, which is no text.
    def connect(*more):
        words = ("-connect", API, "-alpn", "h2", "-CAfile", folder / "root.pem", "-verify_return_error", "-tls1_2", *more)
        return node.run("/bin/bash", "-o", "pipefail", "-c", 'openssl s_client "$@" </dev/null 2>&1 | tr -cd "[:print:]\\n"', "-", *words,
                        check=False)

    good = connect("-cert", folder / "ops.pem", "-key", folder / "ops.key")
    assert "Verify return code: 0" in good.stdout and "ALPN protocol: h2" in good.stdout
    assert connect().returncode != 0
    assert connect("-cert", "/etc/nett/self.crt", "-key", "/etc/nett/self.key").returncode != 0
