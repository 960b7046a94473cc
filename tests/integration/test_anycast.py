"""bgp-anycast in the fabric: every way in which a server leaves, and that none announces what it does not serve."""

import re
import signal
import time

from tests.lab import agent, frr, wait
from tests.lab.agent import LEASE_SECONDS
from tests.lab.anycast import HOME, OTHER, QUICK, UNKNOWN
from tests.lab.build import SOURCE


def script(anycast, text):
    """A program for exec checks, which run as nobody."""
    path = anycast.world.lab.folder / "check.sh"
    path.write_text(f"#!/bin/bash\n{text}\n", encoding="utf-8")
    path.chmod(0o755)
    return path


def test_a_killed_agent_takes_its_device_with_it(anycast):
    assert "nett-anycast" in anycast.node.ip("link", "show")
    anycast.agent.kill()
    anycast.wait_next_hop(OTHER, within=LEASE_SECONDS - 1)
    assert "nett-anycast" not in anycast.node.ip("link", "show")
    assert anycast.world.servers[1].fetch(UNKNOWN, anycast.world.tenant).status == 404


def test_an_agent_that_stood_still_checks_before_it_announces(anycast):
    healthy = anycast.flag()
    anycast.configure(f" check flag exec\n  command /usr/bin/test -e {healthy}\n{QUICK}")
    wait.until("the check is up", lambda: anycast.check("flag")["state"] == "up", within=10)
    anycast.agent.process.signal(signal.SIGSTOP)
    anycast.wait_next_hop(OTHER, within=LEASE_SECONDS + 1)
    healthy.unlink()
    with anycast.never_announced():
        anycast.agent.process.signal(signal.SIGCONT)
        shown = wait.until("the check is down", lambda: anycast.check("flag")["state"] == "down" and anycast.show(), within=10)
        assert shown["state"] == "withdrawn"
        assert any("stood still" in row["reason"] for row in anycast.agent.show("show anycast history"))
    healthy.touch()
    anycast.wait_next_hop(HOME, within=10)


def test_a_drain_moves_the_fabric_and_leaves_the_address_served(anycast):
    anycast.agent.nettsh("anycast drain new disk")
    anycast.wait_next_hop(OTHER)
    path = anycast.path_of_home()
    assert path["community"]["string"] == "gracefulShutdown" or "graceful" in path["community"]["string"].lower()
    assert path["locPrf"] == 0
    assert anycast.on_host()
    shown = anycast.show()
    assert shown["state"] == "de-preferred" and "new disk" in shown["reason"]
    anycast.agent.nettsh("anycast resume")
    anycast.wait_next_hop(HOME)


def test_drain_on_every_server_loses_no_path(anycast):
    other = anycast.world.agents["meta-2"]
    other.nettsh("anycast drain")
    anycast.agent.nettsh("anycast drain")
    try:
        wait.until("meta-1 is less preferred", lambda: (anycast.path_of_home() or {}).get("locPrf") == 0, within=5)
        assert anycast.world.servers[1].fetch(UNKNOWN, anycast.world.tenant).status == 404
    finally:
        other.nettsh("anycast resume")


def test_maintenance_withdraws_and_survives_a_restart(anycast):
    anycast.agent.nettsh("anycast maintenance new disk")
    anycast.wait_state("withdrawn")
    anycast.wait_next_hop(OTHER)
    wait.until("the address is off the host", lambda: not anycast.on_host(), within=2)
    with anycast.never_announced():
        anycast.agent.kill()
        anycast.agent.start()
        assert anycast.show()["reason"] == "maintenance: new disk"
        wait.until("it has looked at its health", lambda: anycast.show()["good_looks"] >= 2, within=10)
    assert anycast.agent.health("bgp-anycast", "mode")["state"] == "degraded"
    anycast.agent.nettsh("anycast resume")
    anycast.wait_next_hop(HOME)
    states = [row["state"] for row in anycast.agent.show("show anycast history")]
    assert states[-1] == "announced" and "mode maintenance" in states and "withdrawn" in states


SERVER = """
import http.server, socket, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if open(sys.argv[2]).read().strip() == "good" else 503); self.end_headers()
    def log_message(self, *_): pass
class Server(http.server.HTTPServer):
    address_family = socket.AF_INET6
Server(("::1", int(sys.argv[1])), Handler).serve_forever()
"""


def test_a_tcp_and_an_http_check_follow_what_they_ask(anycast):
    answer = anycast.world.lab.folder / "answer"
    answer.write_text("good", encoding="ascii")
    program = anycast.node.start("web", "/usr/bin/python3", "-c", SERVER, "8080", answer)
    try:
        anycast.configure(f" check port tcp\n  target [::1]:8080\n{QUICK}", f" check web http\n  target [::1]:8080\n{QUICK}")
        wait.until("both are up", lambda: {anycast.check(name)["state"] for name in ("port", "web")} == {"up"}, within=10)
        answer.write_text("bad", encoding="ascii")
        assert anycast.wait_state("withdrawn")["reason"] == "check web: status 503"
        anycast.wait_next_hop(OTHER)
        answer.write_text("good", encoding="ascii")
        anycast.wait_next_hop(HOME, within=10)
    finally:
        program.kill()
    # By whichever of the two comes first.
    assert "connect: Connection refused" in anycast.wait_state("withdrawn")["reason"]
    wait.until("both are down", lambda: {anycast.check(name)["state"] for name in ("port", "web")} == {"down"}, within=10)


def test_checks_of_the_address_ask_this_server_also_while_it_is_withdrawn(anycast):
    credentials = anycast.world.tenant
    tls = f"  ca {credentials.ca}\n  certificate {credentials.certificate}\n  private-key {credentials.key}\n"
    anycast.configure(f" check own https\n  target [{frr.META}]:443\n  path {UNKNOWN}\n  expect-status 404\n{tls}{QUICK}",
                      f" check handshake tls\n  target [{frr.META}]:443\n{tls}{QUICK}")
    wait.until("both are up", lambda: {anycast.check(name)["state"] for name in ("own", "handshake")} == {"up"}, within=10)
    anycast.agent.nettsh("anycast maintenance")
    anycast.wait_state("withdrawn")
    anycast.wait_next_hop(OTHER)
    runs = anycast.check("own")["runs"]
    wait.until("it has asked again", lambda: anycast.check("own")["runs"] > runs + 3, within=10)
    assert anycast.check("own")["message"] == "status 404" and anycast.check("own")["state"] == "up"
    # meta-2 goes on answering at that address; this server does not.
    text = agent.meta_config("meta-1").replace(f" listen [{frr.META}]:443\n", " listen [::1]:4443\n")
    anycast.agent.configure(re.sub(r"(plugin bgp-anycast\n(?: .*\n)*)", lambda found: found.group(1) +
                                   f" check own https\n  target [{frr.META}]:443\n  path {UNKNOWN}\n  expect-status 404\n{tls}{QUICK}", text))
    anycast.agent.reload()
    wait.until("the check notices", lambda: anycast.check("own")["state"] == "down", within=10)
    assert anycast.world.servers[1].fetch(UNKNOWN, anycast.world.tenant).status == 404


def test_the_metadata_service_asks_itself_also_while_it_is_withdrawn(anycast):
    answer = anycast.agent.wait_health("metadata", "answer", "ok", within=5)
    assert "answers its own request over mutual TLS" in answer["message"]
    anycast.agent.nettsh("anycast maintenance")
    anycast.wait_state("withdrawn")
    assert not anycast.on_host()
    time_before = time.monotonic()
    wait.until("it has asked since", lambda: time.monotonic() - time_before > 1.2, within=5)
    assert "answers its own request over mutual TLS" in anycast.agent.health("metadata", "answer")["message"]


def test_shared_trouble_makes_every_server_less_preferred_and_withdraws_none(anycast):
    other = anycast.world.agents["meta-2"]
    check = f" check upstream tcp\n  target [::1]:9\n  class shared\n{QUICK}"
    anycast.configure(check)
    text = re.sub(r"(plugin bgp-anycast\n(?: .*\n)*)", lambda found: found.group(1) + check, agent.meta_config("meta-2"))
    other.configure(text)
    other.reload()
    try:
        for one in (anycast.agent, other):
            wait.until("it is less preferred", lambda a=one: a.show("show anycast")["state"] == "de-preferred", within=10)
        wait.until("meta-1's path is less preferred", lambda: (anycast.path_of_home() or {}).get("locPrf") == 0, within=5)
        assert anycast.world.fabric.anycast_announcers("tor-a") == 2
        assert anycast.world.servers[1].fetch(UNKNOWN, anycast.world.tenant).status == 404
    finally:
        other.configure(agent.meta_config("meta-2"))
        other.reload()


def test_a_program_runs_in_a_sandbox(anycast):
    path = script(anycast, 'echo "$(id -un) $(grep -h -E "NoNewPrivs|CapEff|CapAmb" /proc/self/status | tr -d "\\n\\t") '
                           'agents=$(find /proc/$$/fd -lname "*socket*" -o -lname "*inode*" -o -lname "/dev/n[!u]*" -o -lname "*state*" | wc -l) cpu=$(ulimit -t) core=$(ulimit -c) $NETT_CHECK $NETT_ADDRESS ${HOME-none}"')
    anycast.configure(f" check sandbox exec\n  command {path}\n{QUICK}")
    wait.until("the check is up", lambda: anycast.check("sandbox")["state"] == "up", within=10)
    message = anycast.check("sandbox")["message"]
    assert message == (f"nobody CapEff:0000000000000000CapAmb:0000000000000000NoNewPrivs:1 agents=0 cpu=2 core=0 sandbox {frr.META} none")


def test_a_program_that_hangs_is_killed_with_all_that_it_started(anycast):
    path = script(anycast, "sleep 98765 & sleep 98765")
    anycast.configure(f" check slow exec\n  command {path}\n  timeout 300\n  fall 1\n  interval 60000\n  fast-interval 60000\n")
    wait.until("the check is down", lambda: anycast.check("slow")["state"] == "down", within=10)
    assert anycast.check("slow")["message"] == "no result within 300 ms"
    left = anycast.node.run("/usr/bin/pgrep", "-f", "sleep 98765", check=False).stdout
    assert left == "", left
    anycast.wait_next_hop(OTHER)


def test_a_program_that_floods_its_output_is_read_and_cut(anycast):
    path = script(anycast, "yes nett | head -c 3000000; echo; exit 3")
    anycast.configure(f" check loud exec\n  command {path}\n{QUICK}")
    wait.until("the check is down", lambda: anycast.check("loud")["state"] == "down", within=10)
    assert anycast.check("loud")["message"] == "exit status 3: nett"


def test_check_now_runs_every_check(anycast):
    healthy = anycast.flag()
    anycast.configure(f" check flag exec\n  command /usr/bin/test -e {healthy}\n  interval 60000\n  rise 1\n  fall 1\n")
    wait.until("the check is up", lambda: anycast.check("flag")["state"] == "up", within=10)
    healthy.unlink()
    assert anycast.check("flag")["state"] == "up"
    assert anycast.agent.show("anycast check-now")["state"] == "withdrawn"
    healthy.touch()
    assert anycast.agent.show("anycast check-now")["state"] == "announced"


def test_a_dry_run_decides_and_announces_nothing(anycast):
    anycast.configure(" dry-run\n")
    anycast.wait_next_hop(OTHER)
    wait.until("it is a dry run that would announce", lambda: (now := anycast.show())["dry_run"] and now["state"] == "announced", within=5)
    wait.until("the address is off the host", lambda: not anycast.on_host(), within=2)
    assert "dry run" in anycast.agent.nettsh("show anycast").stdout


def test_what_frrs_configuration_lacks_is_named(anycast):
    shown = anycast.agent.show("show anycast frr-config")
    # The lab has no BFD: a daemon that waits for the processor would lose its sessions.
    assert [row["missing"] for row in shown["missing"]] == ["neighbor FABRIC bfd profile nett"]
    router = ["configure terminal", "router bgp 4200000003", "address-family ipv6 unicast"]
    anycast.frr.vtysh(*router, f"no neighbor FABRIC prefix-list {frr.GATE} out")
    try:
        named = anycast.agent.show("show anycast frr-config")["missing"]
        assert named[0]["missing"] == f"neighbor FABRIC prefix-list {frr.GATE} out" and named[0]["essential"] is True
    finally:
        anycast.frr.vtysh(*router, f"neighbor FABRIC prefix-list {frr.GATE} out")


def test_frr_accepts_the_snippets(anycast):
    for name, text in (("shown", anycast.agent.show("show anycast frr-config")["config"]),
                       ("shipped", (SOURCE / "plugins/bgp-anycast/frr.conf.snippet").read_text(encoding="utf-8"))):
        anycast.node.write(f"/etc/nett/{name}.conf", text)
        done = anycast.node.run("/usr/bin/vtysh", "-C", "-f", f"/etc/nett/{name}.conf", check=False)
        assert done.returncode == 0 and "error" not in (done.stdout + done.stderr).lower(), done.stdout + done.stderr


def test_no_restart_of_anything_announces_without_health(anycast):
    healthy = anycast.flag()
    # bgpd's saved configuration has the gate open: the worst case for its restart.
    wait.until("bgpd has the gate", lambda: f"{frr.GATE} seq 5 permit" in anycast.frr.vtysh("show running-config"), within=5)
    saved = anycast.node.path("/etc/frr/frr.conf").read_text(encoding="utf-8")
    anycast.node.path("/etc/frr/frr.conf").write_text(saved + f"ipv6 prefix-list {frr.GATE} seq 5 permit {frr.META}/128\n", encoding="utf-8")
    try:
        anycast.configure(f" check flag exec\n  command /usr/bin/test -e {healthy}\n{QUICK}")
        wait.until("the check is up", lambda: anycast.check("flag")["state"] == "up", within=10)
        healthy.unlink()
        anycast.wait_state("withdrawn")
        anycast.wait_next_hop(OTHER)
        with anycast.never_announced():
            anycast.frr.kill("bgpd")
            anycast.frr.start_daemon("bgpd")
            anycast.world.fabric.wait_established()
            anycast.agent.wait_health("frr", "bgpd", "ok", within=10)
            anycast.agent.kill()
            anycast.frr.kill("bgpd")
            anycast.frr.start_daemon("bgpd")
            anycast.world.fabric.wait_established()
            anycast.agent.start()
            anycast.frr.start_daemon("zebra")
            anycast.world.fabric.wait_established()
            anycast.agent.wait_health("frr", "bgpd", "ok", within=15)
            wait.until("the gate is shut", lambda: f"{frr.GATE} seq 5 deny" in anycast.frr.vtysh("show running-config"), within=10)
        healthy.touch()
        anycast.wait_next_hop(HOME, within=20)
    finally:
        anycast.node.path("/etc/frr/frr.conf").write_text(saved, encoding="utf-8")


def test_nettd_withdraw_cleans_up_after_an_agent_that_is_gone(anycast):
    # Without a TUN device, and with a lease that ends too late.
    anycast.agent.stop()
    anycast.configure(" interface lo\n", " lease 60\n", without=(f" lease {LEASE_SECONDS}\n",))
    anycast.agent.start()
    anycast.wait_next_hop(HOME, within=15)
    anycast.agent.kill()
    assert anycast.on_host()
    done = anycast.node.run(*anycast.agent.arguments("--withdraw"))
    assert f"{frr.META}/128 on lo is gone" in done.stdout
    assert f"prefix-list {frr.GATE} seq 5 denies {frr.META}/128" in done.stdout
    assert not anycast.on_host()
    assert f"{frr.GATE} seq 5 deny" in anycast.frr.vtysh("show running-config")
    anycast.wait_next_hop(OTHER, within=2)


def test_nettd_withdraw_without_bgpd_takes_the_address_and_says_what_it_could_not_do(anycast):
    anycast.agent.stop()
    anycast.configure(" interface lo\n", " lease 60\n", without=(f" lease {LEASE_SECONDS}\n",))
    anycast.agent.start()
    anycast.wait_state("announced")
    anycast.agent.kill()
    anycast.frr.kill("bgpd")
    done = anycast.node.run(*anycast.agent.arguments("--withdraw"), check=False)
    assert done.returncode == 1 and "bgpd does not take it" in done.stderr
    assert not anycast.on_host()


def test_flapping_holds_down(anycast):
    healthy = anycast.flag()
    anycast.configure(f" check flag exec\n  command /usr/bin/test -e {healthy}\n{QUICK}")
    anycast.wait_state("announced")
    for _ in range(2):
        healthy.unlink()
        anycast.wait_state("withdrawn")
        healthy.touch()
        shown = wait.until("it is announced or held down",
                           lambda: (now := anycast.show())["state"] == "announced" or "held down" in now["reason"] and now, within=10)
    assert shown is not True and 0 < shown["hold_down_s"] <= 5
    anycast.wait_state("announced", within=10)
