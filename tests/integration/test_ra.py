"""What machines on the ports hear, and that it stays so: on FRR with the gRPC module and on a stock FRR through vtysh."""

import signal
import struct
import time

import pytest

from tests.lab import netns, wait
from tests.lab.build import SOURCE
from tests.lab.switch import INTERVAL, Switch

GOODBYE = 3 * INTERVAL  # deprecation: three intervals


@pytest.fixture(scope="module", params=["grpc", "vtysh"])
def raised_switch(request, lab, build):
    made = Switch(lab, build, request.param)
    made.start()
    return made


@pytest.fixture
def switch(raised_switch):
    yield raised_switch
    raised_switch.restore()


def prefix(number):
    return f"2001:db8:b000:{number}::/64"


def alive(number):
    return lambda entry: entry["prefixes"].get(prefix(number)) == [600, 300] and entry["router_lifetime"] == 30


def deprecated(number):
    return lambda entry: entry["prefixes"].get(prefix(number), [0, 1])[1] == 0


def silent(host, since):
    """Waits until nothing was heard for two intervals; returns the last advertisement."""
    def heard_last():
        last = host.advertisements(since)[-1]
        return last if time.monotonic() - last["time"] > 2 * INTERVAL else None

    return wait.until(f"{host.node.name} hears nothing any more", heard_last, within=GOODBYE + 4 * INTERVAL)


# What needs BGP comes first: after links of a namespace were renamed or deleted, Linux 6.18 stops delivering to new TCP sessions there
# (seen without nett and FRR).
def test_a_port_of_the_fabric_is_refused_at_commit(switch):
    wait.until("BGP is up", lambda: switch.frr.established("fab1"), within=45)
    before = switch.agent.nettsh("show running-config").stdout
    refused = switch.commit("plugin ra", "ports fab1", check=False)
    assert "fab1 is a port of the fabric" in refused.stdout + refused.stderr
    assert switch.agent.nettsh("show running-config").stdout == before
    assert "fab1" not in [row["port"] for row in switch.agent.show("show ra")]


def test_a_port_is_told_from_the_fabric_by_the_peer_group_of_its_neighbour(switch):
    switch.add_port("swp9")
    router = ("configure terminal", "router bgp")
    try:
        switch.frr.vtysh(*router, "neighbor swp9 interface peer-group FABRIC")
        wait.until("the agent knows the neighbour", lambda: "neighbor swp9 prefix-list" in switch.agent.nettsh("show ra frr-config").stdout, within=45)
        refused = switch.commit("plugin ra", "ports swp9", check=False)
        said = refused.stdout + refused.stderr
        assert "swp9 is a port of the fabric" in said and "peer-group MACHINES" in said
        switch.frr.vtysh(*router, "no neighbor swp9 interface", "neighbor swp9 interface peer-group MACHINES")
        wait.until("the agent knows it as a machine's", lambda: "neighbor swp9 prefix-list" not in switch.agent.nettsh("show ra frr-config").stdout,
                   within=45)
        switch.commit("plugin ra", "ports swp9")
        assert "swp9" in [row["port"] for row in switch.agent.show("show ra")]
        assert switch.agent.health("ra", "fabric")["state"] == "ok"
        # Another name for the group, and it is the fabric's again: in force, so that it stays and is said.
        switch.commit("plugin ra", "machine-peer-group SERVERS")
        condition = switch.agent.wait_health("ra", "fabric", "degraded", within=5)
        assert "swp9 is a port of the fabric" in condition["message"]
    finally:
        switch.frr.vtysh(*router, "no neighbor swp9 interface")
        switch.remove_port("swp9")


def test_an_aggregate_that_another_switch_announces_is_refused_at_commit(switch):
    wait.until("BGP is up", lambda: switch.frr.established("fab1"), within=45)
    switch.peer_node.ip("route", "add", "blackhole", "2001:db8:b000:100::/56", "metric", "4242")
    try:
        wait.until("it is learned", lambda: switch.frr.vtysh_json("show bgp ipv6 unicast 2001:db8:b000:100::/56").get("paths"), within=45)
        refused = switch.commit("plugin ra", "aggregate 2001:db8:b000:100::/56", check=False)
        said = refused.stdout + refused.stderr
        assert "overlaps 2001:db8:b000:100::/56, which peer-" in said, said
        assert switch.agent.health("ra", "fabric")["state"] == "ok"
    finally:
        switch.peer_node.ip("route", "del", "blackhole", "2001:db8:b000:100::/56", "metric", "4242")


def test_every_port_advertises_a_prefix_of_its_own_and_has_its_first_address(switch):
    for number, (port, host) in enumerate(switch.hosts.items(), start=1):
        host.wait_advertised(f"{prefix(number)}", alive(number), within=10)
        assert f"2001:db8:b000:{number}::1/64" in switch.node.ip("address", "show", "dev", port)
        assert set(host.advertisements()[-1]["prefixes"]) == {prefix(number)}
    assert "blackhole" in switch.node.ip("route", "show", "type", "blackhole")


def test_the_advertisement_is_what_was_configured_byte_for_byte(switch):
    changed = time.monotonic()
    switch.commit("plugin ra", "preference high", "rdnss 2001:db8::53", "mtu 1500", "valid-lifetime 900", "preferred-lifetime 450",
                  "router-lifetime 27", "other-config-flag")
    host = switch.hosts["swp2"]
    seen = host.wait_advertised("the new lifetimes", lambda entry: entry["router_lifetime"] == 27, within=10, since=changed)
    mac = bytes.fromhex(netns.run("ip", "netns", "exec", switch.node.namespace, "cat", "/sys/class/net/swp2/address").strip().replace(":", ""))
    options = {
        "prefix": struct.pack("!BBBBIII", 3, 4, 64, 0xC0, 900, 450, 0) + bytes.fromhex("20010db8b00000020000000000000000"),
        "link-layer address": struct.pack("!BB", 1, 1) + mac,
        "mtu": struct.pack("!BBHI", 5, 1, 0, 1500),
        "rdnss": struct.pack("!BBHI", 25, 3, 0, 900) + bytes.fromhex("20010db8000000000000000000000053"),
    }
    raw = bytes.fromhex(seen["raw"])
    # Hop limit 64, flags O and preference high (RFC 4191: 01), router lifetime; reachable time and retransmission timer unspecified.
    assert raw[:2] + raw[4:16] == bytes([134, 0, 64, 0x40 | 0x08]) + struct.pack("!HII", 27, 0, 0)
    rest = raw[16:]
    for name, option in options.items():
        assert rest.count(option) == 1, f"{name}: {option.hex()} in {rest.hex()}"
        rest = rest.replace(option, b"")
    # FRR adds its advertisement interval (RFC 6275 section 7.3) and nothing else.
    assert rest in (b"", struct.pack("!BBHI", 7, 1, 0, INTERVAL * 1000)), rest.hex()
    said = host.rdisc6()
    for line in ("Stateful other conf.      :          Yes", "Router preference         :         high", "Router lifetime           :           27",
                 "Prefix                   : 2001:db8:b000:2::/64", "Valid time              :          900", "Pref. time              :          450",
                 "Recursive DNS server     : 2001:db8::53", "MTU                      :         1500"):
        assert line in said, said


def test_one_port_says_what_its_node_says_and_the_others_do_not(switch):
    changed = time.monotonic()
    switch.commit("plugin ra", "rdnss 2001:db8::53", "interface swp2", "mtu 9000", "preference low", "valid-lifetime 900", "preferred-lifetime 800",
                  "rdnss 2001:db8::54")
    own = switch.hosts["swp2"].wait_advertised("its own lifetimes", lambda entry: entry["prefixes"].get(prefix(2)) == [900, 800], within=10,
                                               since=changed)
    raw = bytes.fromhex(own["raw"])
    assert raw[5] == 0x18  # preference low (RFC 4191: 11)
    assert struct.pack("!BBHI", 5, 1, 0, 9000) in raw
    dns = struct.pack("!BBHI", 25, 3, 0, 900) + bytes.fromhex("20010db8000000000000000000000054")
    assert raw.count(dns) == 1 and raw.count(bytes([25, 3])) == 1
    others = switch.hosts["swp1"].wait_advertised("what all say", lambda entry: "20010db8000000000000000000000053" in entry["raw"], within=10,
                                                  since=changed)
    assert alive(1)(others)
    raw = bytes.fromhex(others["raw"])
    assert raw[5] == 0 and struct.pack("!BBHI", 5, 1, 0, 9000) not in raw
    rows = {row["port"]: row for row in switch.agent.show("show ra")}
    assert (rows["swp1"]["valid_lifetime_s"], rows["swp2"]["valid_lifetime_s"]) == (600, 900)
    shown = switch.agent.show("show ra interface swp2")
    assert (shown["mtu"], shown["preference"], shown["dns_servers"]) == (9000, "low", ["2001:db8::54"])
    assert "interface swp2" in switch.agent.nettsh("show running-config").stdout
    again = time.monotonic()
    switch.commit("plugin ra", "no interface swp2")
    switch.hosts["swp2"].wait_advertised("what all say", alive(2), within=10, since=again)


def test_a_flood_of_solicitations_changes_nothing_and_is_counted(switch):
    host = switch.hosts["swp1"]
    before = switch.counters("swp1")
    flood = ("import socket,sys\n"
             "s=socket.socket(socket.AF_INET6,socket.SOCK_RAW,socket.IPPROTO_ICMPV6)\n"
             "s.setsockopt(socket.IPPROTO_IPV6,socket.IPV6_MULTICAST_HOPS,255)\n"
             "to=('ff02::2',0,0,socket.if_nametoindex('eth0'))\n"
             "for _ in range(2000): s.sendto(bytes([133,0,0,0,0,0,0,0]),to)\n")
    host.node.run("/usr/bin/python3", "-c", flood)
    after = time.monotonic()
    assert switch.counters("swp1")["solicitations_received"] >= before["solicitations_received"] + 1000
    host.wait_advertised("the same advertisement", alive(1), within=10, since=after)
    assert "Router lifetime           :           30" in host.rdisc6()
    assert switch.counters("swp1")["advertisements_sent"] > before["advertisements_sent"]
    switch.hosts["swp2"].wait_advertised("its own advertisement", alive(2), within=10, since=after)
    assert switch.drift() == []


def test_edits_in_vtysh_are_undone_within_five_seconds_and_shown(switch):
    host = switch.hosts["swp1"]
    switch.frr.vtysh("configure terminal", "interface swp1", "ipv6 nd ra-lifetime 1800", "ipv6 nd prefix 2001:db8:bad::/64 600 300")
    edited = time.monotonic()
    wait.until("the edit is undone", lambda: any(row["port"] == "swp1" and "router lifetime 1800 instead of 30" in row["difference"]
                                                 for row in switch.drift()), within=5)
    entry = host.wait_advertised("the foreign prefix deprecated and its own again",
                                 lambda seen: seen["prefixes"].get("2001:db8:bad::/64", [0, 1])[1] == 0 and alive(1)(seen), within=5, since=edited)
    assert entry["time"] - edited < 5
    gone = host.wait_advertised("the foreign prefix gone", lambda seen: set(seen["prefixes"]) == {prefix(1)}, within=GOODBYE + 8,
                                since=entry["time"])
    assert gone["router_lifetime"] == 30
    assert "ra.drift" in switch.agent.nettsh("show events").stdout
    # Over gRPC mgmtd knows nothing of the repair: its own configuration keeps the edit until the editor takes it back.
    switch.frr.vtysh("configure terminal", "interface swp1", "no ipv6 nd ra-lifetime 1800", "no ipv6 nd prefix 2001:db8:bad::/64")


def test_an_advertisement_switched_off_in_vtysh_is_back_within_five_seconds(switch):
    if switch.backend == "grpc":
        # mgmtd does not know of it, so that its "suppress" is no change; zebra's own northbound does.
        switch.frr.vtysh("configure terminal", "interface swp3", "no ipv6 nd suppress-ra")
    switch.frr.vtysh("configure terminal", "interface swp3", "ipv6 nd suppress-ra")
    edited = time.monotonic()
    switch.hosts["swp3"].wait_advertised("its advertisement", alive(3), within=5 + INTERVAL, since=edited + 0.5)
    wait.until("it is shown", lambda: any(row["port"] == "swp3" and row["difference"] == "no advertisements" for row in switch.drift()), within=5)


def test_write_in_vtysh_disturbs_nothing(switch):
    switch.frr.vtysh("write")
    written = time.monotonic()
    for number, host in enumerate(switch.hosts.values(), start=1):
        host.wait_advertised("its advertisement", alive(number), within=10, since=written)
    assert switch.drift() == []


@pytest.mark.parametrize("daemon", ["zebra", "mgmtd", "bgpd"])
def test_advertisements_are_back_within_five_seconds_of_a_daemons_restart(switch, daemon):
    switch.frr.kill(daemon)
    switch.frr.start_daemon(daemon)
    restarted = time.monotonic()
    for number, host in enumerate(switch.hosts.values(), start=1):
        host.wait_advertised("its advertisement", alive(number), within=5, since=restarted)
        assert set(host.advertisements()[-1]["prefixes"]) == {prefix(number)}
    switch.agent.wait_health("frr", "zebra", "ok", within=5)


def test_a_reload_of_frrs_configuration_is_repaired_within_five_seconds(switch):
    # frr-reload makes the running configuration that of the file, which has none of nett's lines.
    done = switch.node.run("/usr/lib/frr/frr-reload.py", "--reload", "/etc/frr/frr.conf", check=False)
    # It would also delete "interface swp1" where the running configuration shows one, which FRR refuses for a link that is there.
    assert done.returncode == 0 or "only inactive interfaces can be deleted" in done.stdout + done.stderr
    reloaded = time.monotonic()
    for number, host in enumerate(switch.hosts.values(), start=1):
        host.wait_advertised("its advertisement", alive(number), within=5 + INTERVAL, since=reloaded + 0.5)
    assert f"aggregate {prefix(1)}" not in switch.frr.vtysh("show running-config")
    wait.until("every port is as configured", lambda: all(row["state"] == "advertising" for row in switch.agent.show("show ra")), within=5)


def test_what_the_kernel_lost_is_put_back_within_five_seconds_and_shown(switch):
    netns.run("ip", "-n", switch.node.namespace, "address", "del", "2001:db8:b000:2::1/64", "dev", "swp2")
    netns.run("ip", "-n", switch.node.namespace, "-6", "route", "del", "blackhole", "2001:db8:b000::/56", "metric", "4242")
    wait.until("both are back", lambda: "2001:db8:b000:2::1/64" in switch.node.ip("address", "show", "dev", "swp2")
               and "2001:db8:b000::/56" in switch.node.ip("route", "show", "type", "blackhole"), within=5)
    assert {(row["port"], row["where"]) for row in switch.drift()} >= {("swp2", "kernel"), ("", "kernel")}


def replace_address(switch, number, *lifetimes):
    netns.run("ip", "-n", switch.node.namespace, "address", "replace", f"2001:db8:b000:{number}::1/64", "dev", f"swp{number}", *lifetimes)


@pytest.mark.parametrize("lifetimes", [(), ("valid_lft", "3000", "preferred_lft", "1000")], ids=["the same", "other lifetimes"])
def test_a_replaced_address_is_repaired_within_five_seconds_and_shown(switch, lifetimes):
    """The address is the same afterwards; zebra takes it for a second one, forgets that the prefix is configured, and shows nothing of it."""
    replaced = time.monotonic()
    replace_address(switch, 2, *lifetimes)

    def shown():
        return ("swp2", "address 2001:db8:b000:2::1/64 replaced") in [(row["port"], row["difference"]) for row in switch.drift()]

    def rights():
        last = next(reversed(switch.hosts["swp2"].advertisements(replaced)), {"prefixes": {}})
        address = switch.node.ip("address", "show", "dev", "swp2", "scope", "global")
        return alive(2)(last) and "2001:db8:b000:2::1/64" in address and address.count("valid_lft forever") == 1

    wait.until("it is shown as drift", shown, within=5)
    wait.until("the prefix is advertised as configured, and the address lasts", rights, within=5)
    switch.agent.wait_health("ra", "programming", "ok", within=5)
    repaired = time.monotonic()
    said = switch.hosts["swp2"].rdisc6()
    for line in ("Prefix                   : 2001:db8:b000:2::/64", "Valid time              :          600", "Pref. time              :          300"):
        assert line in said, said
    # zebra knows now that the prefix is configured and that the address has it too: taken away by others, it leaves the prefix.
    netns.run("ip", "-n", switch.node.namespace, "address", "del", "2001:db8:b000:2::1/64", "dev", "swp2")
    wait.until("the address is back", lambda: "2001:db8:b000:2::1/64" in switch.node.ip("address", "show", "dev", "swp2"), within=5)
    switch.hosts["swp2"].wait_advertised("its own lifetimes", alive(2), within=10, since=time.monotonic())
    assert not [entry for entry in switch.hosts["swp2"].advertisements(repaired) if not alive(2)(entry)]
    # Nobody else notices.
    assert not [entry for entry in switch.hosts["swp1"].advertisements(replaced) if not alive(1)(entry)]


def test_a_port_that_leaves_is_deprecated_on_the_wire_and_then_silent(switch):
    host = switch.hosts["swp3"]
    host.wait_advertised("its prefix", alive(3), within=10)
    changed = time.monotonic()
    switch.commit("plugin ra", "no ports swp1-3", "ports swp1-2")
    first = host.wait_advertised("its prefix deprecated", deprecated(3), within=5, since=changed)
    assert first["router_lifetime"] == 0
    # The way back stays for machines that still use the address.
    assert "2001:db8:b000:3::1/64" in switch.node.ip("address", "show", "dev", "swp3")
    wait.until("zebra has ended its farewell", lambda: switch.agent.node.ip("address", "show", "dev", "swp3").count("b000:3::1") == 0, within=GOODBYE + 5)
    times = [entry["time"] for entry in host.advertisements(since=changed) if deprecated(3)(entry)]
    assert len(times) >= 2
    last = silent(host, since=changed)
    assert last["router_lifetime"] == 0
    assert all(entry["prefixes"].get(prefix(3), [0, 0])[1] == 0 for entry in host.advertisements(since=first["time"]))
    assert all(found["preferred_life_time"] == 0 for found in host.addresses().values())
    switch.hosts["swp1"].wait_advertised("its own prefix, as ever", alive(1), within=5, since=last["time"])


def test_removing_the_plugin_withdraws_everything_properly(switch):
    removed = time.monotonic()
    switch.commit("no plugin ra")
    for number, host in enumerate(switch.hosts.values(), start=1):
        seen = host.wait_advertised("its prefix deprecated", deprecated(number), within=5, since=removed)
        assert seen["router_lifetime"] == 0
    assert "blackhole" not in switch.node.ip("route", "show", "type", "blackhole")
    wait.until("the addresses are gone", lambda: "2001:db8:b000:" not in switch.node.ip("address", "show"), within=GOODBYE + 5)


def test_a_stop_of_the_agent_disturbs_nothing(switch):
    switch.agent.stop()
    stopped = time.monotonic()
    host = switch.hosts["swp1"]
    host.wait_advertised("its advertisement", alive(1), within=10, since=stopped)
    switch.agent.start()
    switch.wait_ready()
    entries = host.advertisements(since=stopped)
    assert entries and all(alive(1)(entry) for entry in entries)
    assert switch.drift() == []


def test_withdraw_on_stop_says_farewell_before_the_agent_ends(switch):
    switch.commit("plugin ra", "withdraw-on-stop")
    stopped = time.monotonic()
    switch.agent.stop()
    host = switch.hosts["swp2"]
    seen = host.wait_advertised("its prefix deprecated", deprecated(2), within=5, since=stopped)
    assert seen["router_lifetime"] == 0
    wait.until("the address is gone by itself", lambda: "b000:2::1" not in switch.node.ip("address", "show", "dev", "swp2"), within=GOODBYE + 5)
    restarted = time.monotonic()
    switch.agent.start()
    host.wait_advertised("its prefix alive again", alive(2), within=10, since=restarted)


def test_ranges_with_steps_lists_and_exclusions(switch):
    for number in (0, 4, 8):
        netns.connect(switch.node.namespace, f"Ethernet{number}", switch.peer_node.namespace, f"e{number}")
    try:
        switch.commit("plugin ra", "no ports swp1-3", "ports swp1-3,!swp2", "ports Ethernet0-188 step 4", "no ports Ethernet0-188 step 4",
                      "ports Ethernet0-188 step 4,!Ethernet8")
        names = [row["port"] for row in switch.agent.show("show ra")]
        assert names == ["Ethernet0", "Ethernet4", "swp1", "swp3"]
        switch.wait_ready()
    finally:
        for number in (0, 4, 8):
            netns.run("ip", "-n", switch.node.namespace, "link", "del", f"Ethernet{number}")


def test_mode_bridge_has_one_prefix_for_all_machines_behind_it(switch):
    space = switch.node.namespace
    netns.run("ip", "-n", space, "link", "add", "br0", "type", "bridge")
    netns.run("ip", "-n", space, "link", "set", "br0", "up")
    try:
        switch.commit("no plugin ra")
        wait.until("the ports are free", lambda: "2001:db8:b000:" not in switch.node.ip("address", "show"), within=GOODBYE + 5)
        for port in ("swp1", "swp2"):
            netns.run("ip", "-n", space, "link", "set", port, "master", "br0")
        joined = time.monotonic()
        switch.commit("plugin ra", "mode bridge", "aggregate 2001:db8:b000:200::/64", "ports br0", f"interval {INTERVAL}")
        for port in ("swp1", "swp2"):
            switch.hosts[port].wait_advertised("the bridge's prefix", lambda entry: "2001:db8:b000:200::/64" in entry["prefixes"], within=10, since=joined)
        answering = switch.node.start("answer", "/usr/bin/python3", "-m", "http.server", "--bind", "2001:db8:b000:200::1", "8080")
        for port in ("swp1", "swp2"):
            wait.until(f"the machine behind {port} is answered over TCP", lambda p=port: switch.hosts[p].node.run(
                "/usr/bin/python3", "-c", "import socket; socket.create_connection(('2001:db8:b000:200::1', 8080), 3)", check=False).returncode == 0,
                       within=15)
        answering.kill()
        # The bridge takes what arrives on its ports: an L3 port there would be none.
        refused = switch.commit("plugin ra", "mode l3-port", "aggregate 2001:db8:b000::/56", "no ports br0", "ports swp1-3", check=False)
        assert "swp1 is a port of br0" in refused.stdout + refused.stderr and '"ports br0"' in refused.stdout + refused.stderr
        refused = switch.commit("plugin ra", "ports swp1-3", check=False)
        assert "mode bridge advertises on one interface" in refused.stdout + refused.stderr
    finally:
        netns.run("ip", "-n", space, "link", "del", "br0")


def test_the_snippet_for_frr_names_the_aggregate_and_the_fabrics_interfaces(switch):
    text = switch.agent.nettsh("show ra frr-config").stdout
    assert "ipv6 prefix-list NETT-AGGREGATE seq 5 permit 2001:db8:b000::/56" in text
    assert "neighbor fab1 prefix-list NETT-AGGREGATE out" in text
    assert "neighbor swp1 interface peer-group MACHINES" in text
    shipped = (SOURCE / "plugins/ra/frr.conf.snippet").read_text(encoding="utf-8")
    for name, config in (("shown", text.replace("ASN", "4200000001")), ("shipped", shipped)):
        switch.node.write(f"/etc/nett/{name}.conf", config)
        done = switch.node.run("/usr/bin/vtysh", "-C", "-f", f"/etc/nett/{name}.conf", check=False)
        assert done.returncode == 0 and "error" not in (done.stdout + done.stderr).lower(), done.stdout + done.stderr


def test_a_switch_that_does_not_forward_says_so_with_the_remedy(switch):
    netns.sysctl(switch.node.namespace, "net/ipv6/conf/all/forwarding", 0)
    try:
        switch.agent.stop()
        switch.agent.start()
        condition = switch.agent.wait_health("ra", "forwarding", "failed", within=5)
        assert "sysctl -w net.ipv6.conf.all.forwarding=1" in condition["remedy"]
    finally:
        netns.sysctl(switch.node.namespace, "net/ipv6/conf/all/forwarding", 1)


def test_a_zebra_that_hangs_is_seen_within_six_seconds(switch):
    switch.frr.signal("zebra", signal.SIGSTOP)
    try:
        switch.agent.wait_health("frr", "zebra", "failed", within=6)
        assert "plugin ra" in switch.agent.nettsh("show running-config").stdout
    finally:
        switch.frr.signal("zebra", signal.SIGCONT)
    switch.agent.wait_health("frr", "zebra", "ok", within=15)


def test_show_tells_which_machine_is_behind_a_port(switch):
    host = switch.hosts["swp1"]
    address = wait.until("SLAAC", lambda: next((found for found in host.addresses() if found.startswith("2001:db8:b000:1:")), None), within=15)
    switch.node.run("ping", "-6", "-c", "1", "-W", "2", address)
    shown = switch.agent.show("show ra interface swp1")
    assert shown["prefix"] == prefix(1) and shown["state"] == "advertising" and shown["backend"] == switch.backend
    assert shown["module"] == ("hardened" if switch.backend == "grpc" else "")
    assert host.mac() in [entry["mac"] for entry in shown["neighbours"]]
    assert shown["counters"]["advertisements_sent"] > 0


def test_a_port_that_is_renamed_deleted_and_made_again_has_its_prefix_each_time(switch):
    space = switch.node.namespace
    switch.commit("plugin ra", "no ports swp1-3", "ports swp1-9")
    try:
        netns.run("ip", "-n", space, "link", "set", "swp3", "down")
        netns.run("ip", "-n", space, "link", "set", "swp3", "name", "swp8")
        netns.run("ip", "-n", space, "link", "set", "swp8", "up")
        wait.until("swp8 is a port", lambda: "swp8" in [row["port"] for row in switch.agent.show("show ra")], within=10)
        own = switch.agent.show("show ra interface swp8")["prefix"]
        assert own != prefix(3)
        wait.until("swp8 has its address", lambda: own.replace("::/64", "::1/64") in switch.node.ip("address", "show", "dev", "swp8"), within=10)
        assert "b000:3::1" not in switch.node.ip("address", "show", "dev", "swp8")
        renamed = time.monotonic()
        switch.hosts["swp3"].wait_advertised("the prefix of swp8", lambda entry: entry["prefixes"].get(own) == [600, 300], within=10, since=renamed)
    finally:
        netns.run("ip", "-n", space, "link", "set", "swp8", "down")
        netns.run("ip", "-n", space, "link", "set", "swp8", "name", "swp3")
        netns.run("ip", "-n", space, "link", "set", "swp3", "up")
    back = time.monotonic()
    switch.hosts["swp3"].wait_advertised("its first prefix again", alive(3), within=10, since=back)
    # Made anew: another link of the same name.
    netns.connect(space, "swp7", switch.peer_node.namespace, "loose")
    wait.until("swp7 has its address", lambda: "::1/64" in switch.node.ip("address", "show", "dev", "swp7", "scope", "global"), within=10)
    first = switch.agent.show("show ra interface swp7")["prefix"]
    netns.run("ip", "-n", space, "link", "del", "swp7")
    wait.until("swp7 is absent", lambda: switch.agent.show("show ra interface swp7")["link"] == "absent", within=5)
    netns.connect(space, "swp7", switch.peer_node.namespace, "loose")
    try:
        wait.until("it has the same address", lambda: first.replace("::/64", "::1/64") in switch.node.ip("address", "show", "dev", "swp7"), within=10)
    finally:
        netns.run("ip", "-n", space, "link", "del", "swp7")
    assert all(row["where"] != "kernel" for row in switch.drift())
