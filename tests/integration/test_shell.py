"""nettsh as a person and as a script use it."""

import json
import os

import pexpect
import pytest

from tests.lab.story import HOME, machine_config, register_machine

SHOWS = ("show version", "show health", "show plugins", "show events", "show tenants", "show machines", "show artifacts", "show jobs", "show bmc")


@pytest.mark.parametrize("command", SHOWS)
def test_every_show_has_text_and_json(world, command):
    text = world.home.nettsh(command)
    assert text.returncode == 0, text.stderr
    assert isinstance(world.home.show(command), (dict, list))


def test_the_json_carries_what_the_text_shows(world):
    names = [tenant["name"] for tenant in world.home.show("show tenants")]
    text = world.home.nettsh("show tenants").stdout
    assert "tenant-a" in names
    assert all(name in text for name in names)


def test_a_wrong_command_fails_and_says_where(world):
    done = world.home.nettsh("show nonsense", check=False)
    assert done.returncode != 0
    assert "% " in done.stderr + done.stdout


def test_nettsh_without_an_agent_says_what_to_do(world):
    node = world.lab.nodes["srv-1"]
    done = node.run(world.build.program("nettsh"), "-c", "show version", check=False)
    assert done.returncode != 0
    assert "/run/nett/nettd.sock" in done.stderr


@pytest.fixture
def terminal(world):
    node = world.lab.nodes[HOME]
    command = node.command(world.build.program("nettsh"))
    child = pexpect.spawn(command[0], command[1:], encoding="utf-8", timeout=10, dimensions=(50, 120),
                          env={**os.environ, **node.environment(), "TERM": "xterm"})
    child.expect("meta-1# ")
    yield child
    child.close(force=True)


def test_tab_completes_and_a_question_mark_explains(terminal):
    terminal.send("show mach\t")
    # What `machine` and `machines` have in common; the editor writes only what is new on the line.
    terminal.expect("ine")
    terminal.send("\x15")  # the line is taken back
    terminal.send("show ?")
    terminal.expect("health")
    terminal.expect("machines")
    terminal.send("\x15")
    terminal.sendline("show version")
    terminal.expect("(?i)version")


def test_the_prompt_follows_the_mode(terminal):
    terminal.sendline("configure terminal")
    terminal.expect(r"meta-1\(config\)# ")
    terminal.sendline("plugin bgp-anycast")
    terminal.expect(r"meta-1\(config-bgp-anycast\)# ")
    terminal.sendline("end")
    terminal.expect("meta-1# ")
    terminal.sendline("exit")
    terminal.expect(pexpect.EOF)


def test_json_is_one_document(world):
    done = world.lab.nodes[HOME].run(world.build.program("nettsh"), "--json", "-c", "show health")
    json.loads(done.stdout)


def test_the_terminal_monitor_prints_events_while_the_session_goes_on(world, terminal):
    terminal.sendline("terminal monitor machine")
    register_machine(world.home, "monitored", "5f0c1a2e-0000-4000-8000-00000000aaaa", ["52:54:00:aa:00:01"], machine_config("monitored"))
    # The first events may be over before the monitor listens.
    for step in range(100):
        world.home.nettsh(f"machine monitored {('lock', 'unlock')[step % 2]}")
        if terminal.expect([r"machine\.lock monitored: ", pexpect.TIMEOUT], timeout=0.2) == 0:
            break
    else:
        pytest.fail("no event was printed")
    terminal.sendline("show version")
    terminal.expect("build_id")
    terminal.sendline("no terminal monitor")
    terminal.expect("meta-1# ")
