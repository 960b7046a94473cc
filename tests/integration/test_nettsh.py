"""nettsh through a real terminal, in scripts, and over restarts of its agent."""

import json
import os
import pathlib
import re
import subprocess
import tarfile

import pexpect
import pytest

from tests.lab import wait
from tests.lab.build import SOURCE
from tests.lab.lone_agent import UUID, LoneAgent

ESCAPE = "\x1b"


@pytest.fixture(scope="module")
def agent(build, tmp_path_factory):
    made = LoneAgent(build, tmp_path_factory.mktemp("agent"), large=1 << 10)
    config = made.folder / "nett.conf"
    config.write_text("hostname tor-a\n" + config.read_text(encoding="utf-8"), encoding="utf-8")
    made.start()
    made.register()
    yield made
    made.process.stop()


@pytest.fixture(autouse=True)
def as_before(agent):
    """What a test configured is taken back."""
    saved = (agent.folder / "nett.conf").read_text(encoding="utf-8")
    yield
    if not agent.process.running():
        agent.start()
    (agent.folder / "nett.conf").write_text(saved, encoding="utf-8")
    nettsh(agent, "-c", "copy startup-config candidate-config", "-c", "commit")
    if agent.show("show version")["hostname"] != "tor-a":  # the prompt's, which is the start's
        restart(agent)


def program(agent):
    return agent.build.program("nettsh")


def nettsh(agent, *words, check=True, text=None):
    done = subprocess.run([program(agent), "--socket", agent.socket, *map(str, words)], capture_output=True, text=True, timeout=60,
                          check=False, input=text)
    assert not check or done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
    return done


class Terminal:
    """A person at nettsh."""

    def __init__(self, agent, home, term="xterm", pager="cat", rows=50):
        self.child = pexpect.spawn(program(agent), ["--socket", str(agent.socket)], encoding="utf-8", timeout=15, dimensions=(rows, 160),
                                   env={**os.environ, "HOME": str(home), "TERM": term, "PAGER": pager})
        self.child.expect("tor-a# ")

    def run(self, line, prompt="tor-a# "):
        """What the line prints."""
        self.child.sendline(line)
        self.child.expect(re.escape(prompt))
        return self.child.before.replace("\r\n", "\n").partition("\n")[2]

    def ask(self, line):
        """What `?` lists behind the line."""
        self.child.send(line + "?")
        self.child.expect(r"\?\r\n")
        self.child.expect("tor-a[^#]*# " + re.escape(line))
        self.child.send("\x15")
        return self.child.before

    def tab(self, line, prompt="tor-a# "):
        """What is wrong with the line once Tab has completed it and "zz" follows: the editor writes only what is new, the error all."""
        return self.run(line + "\tzz", prompt)

    def close(self):
        self.child.sendeof()
        self.child.expect(pexpect.EOF)


@pytest.fixture
def terminal(agent, tmp_path):
    made = Terminal(agent, tmp_path)
    yield made
    made.child.close(force=True)


def test_abbreviations_run_what_they_mean(terminal):
    assert "m " in terminal.run("sh mach")
    assert UUID in terminal.run("sh machine m")
    assert "hostname tor-a" in terminal.run("sh run")
    terminal.child.sendline("s")
    terminal.child.expect("% ")


def test_a_question_mark_lists_commands_arguments_and_live_names(terminal):
    listed = terminal.ask("show ")
    for word in ("version", "health", "plugins", "machines", "machine", "tenants", "artifacts", "jobs", "tls", "events", "log",
                 "tech-support", "running-config", "diff", "configuration"):
        assert re.search(rf"^  {word} ", listed, re.MULTILINE), f"{word}: {listed}"
    assert re.search(r"^  m +", terminal.ask("show machine "), re.MULTILINE)
    assert "<0-49>" in terminal.ask("rollback ")
    assert "<cr>" in terminal.ask("show machines ")
    assert re.search(r"^  agent\.started +", terminal.ask("terminal monitor "), re.MULTILINE)
    piped = terminal.ask("show machines | ")
    for word in ("begin", "count", "exclude", "include", "json", "section"):
        assert word in piped


def test_tab_completes_words_names_and_sections(terminal):
    assert 'word "zz" after "show"' in terminal.tab("sh")
    assert '"machinezz"' in terminal.tab("show mach")  # what machine and machines share
    assert '"zz" after "show machine m"' in terminal.tab("show machine m")
    assert '"zz" after "show running-config metadata"' in terminal.tab("show running-config meta")
    assert 'word "zz" after "configure"' in terminal.tab("conf")
    terminal.run("configure terminal", "tor-a(config)# ")
    assert '"zz" after "plugin metadata"' in terminal.tab("plugin meta", "tor-a(config)# ")


def test_modes_no_do_and_end(terminal):
    terminal.run("configure terminal", "tor-a(config)# ")
    terminal.run("plugin metadata", "tor-a(config-metadata)# ")
    terminal.run("max-connections 99", "tor-a(config-metadata)# ")
    assert "+  max-connections 99" in terminal.run("show diff", "tor-a(config-metadata)# ")
    terminal.run("no max-connections", "tor-a(config-metadata)# ")
    assert "is the running configuration" in terminal.run("show diff", "tor-a(config-metadata)# ")
    assert UUID in terminal.run("do show machine m", "tor-a(config-metadata)# ")
    terminal.run("exit", "tor-a(config)# ")
    terminal.run("end")
    terminal.close()


def test_pipes_filter(terminal):
    assert terminal.run("show running-config | include ^hostname|^api") .splitlines()[0] == "hostname tor-a"
    section = terminal.run("show running-config | section ^plugin")
    assert section.startswith("plugin metadata\n listen ") and "hostname" not in section
    assert terminal.run("show running-config | begin ^plugin").startswith("plugin metadata\n")
    assert terminal.run("show machines | exclude ^Name | count") == "1\n"
    assert json.loads(terminal.run("show machines | json"))[0]["name"] == "m"


def test_the_history_is_there_next_time_even_when_the_connection_breaks(agent, tmp_path):
    first = Terminal(agent, tmp_path)
    first.run("show version")
    first.child.close(force=True)  # SIGHUP, as of a lost connection
    history = tmp_path / ".nettsh_history"
    assert history.stat().st_mode & 0o777 == 0o600
    second = Terminal(agent, tmp_path)
    second.child.send("\x1b[A")
    second.child.expect_exact("show version")
    second.child.send("\x15")
    second.close()


def test_long_output_goes_through_the_pager_and_terminal_length_says_when(agent, tmp_path):
    person = Terminal(agent, tmp_path, pager="sed s/^/paged:/", rows=50)
    person.run("terminal length 3")
    assert person.run("show running-config").startswith("paged:hostname tor-a\n")
    person.run("terminal length 0")
    assert person.run("show running-config").startswith("hostname tor-a\n")
    person.close()


@pytest.fixture
def lock_events(agent):
    """Makes events while a terminal watches."""
    def make(step):
        nettsh(agent, "-c", f"machine m {step}")

    yield make
    if agent.process.running():
        nettsh(agent, "-c", "machine m unlock")


def wait_monitored(terminal, make):
    """The monitor's stream may begin after its command has answered: events until the first is seen, then an unlocked machine."""
    for step in range(100):
        make(("lock", "unlock")[step % 2])
        if terminal.child.expect([r"machine\.lock m: [^\r\n]*\r\n", pexpect.TIMEOUT], timeout=0.3) == 0:
            break
    else:
        pytest.fail("no event was printed")


def test_terminal_monitor_prints_above_the_prompt_while_the_operator_types(agent, terminal, lock_events):
    assert terminal.run("terminal monitor machine") == ""
    terminal.child.send("show vers")
    wait_monitored(terminal, lock_events)
    # Prompt and half-typed line are there again below the event, and the rest can be typed.
    terminal.child.expect("tor-a# show vers")
    terminal.child.send("ion\r")
    terminal.child.expect("build_id")
    terminal.child.expect("tor-a# ")
    wait_monitored(terminal, lock_events)
    terminal.run("no terminal monitor")
    lock_events("lock")
    lock_events("unlock")
    assert "machine.lock" not in terminal.run("show version")


def test_a_monitor_has_pipes_and_does_not_hold_up_leaving(agent, tmp_path, lock_events):
    terminal = Terminal(agent, tmp_path)
    terminal.run("terminal monitor | include nothing-has-this")
    terminal.run("term mon machine | include unlocked")  # another one in its place
    terminal.child.send("show ")
    wait_monitored(terminal, lock_events)
    assert "locked" in terminal.child.after and "unlocked" in terminal.child.after
    terminal.child.send("\x15")
    terminal.close()


def test_a_monitor_says_that_the_agent_went_away(agent, terminal, lock_events):
    terminal.run("terminal monitor")
    terminal.child.send("show ")
    wait_monitored(terminal, lock_events)
    agent.process.stop()
    terminal.child.expect("terminal monitor has ended: the agent at .* does not answer")
    terminal.child.expect("tor-a# show ")


def test_a_script_that_monitors_goes_on_until_it_is_interrupted(agent, lock_events):
    child = pexpect.spawn("/bin/sh", ["-c", f"{program(agent)} --socket {agent.socket} -c 'terminal monitor machine' | cat"], encoding="utf-8",
                          timeout=15)
    for step in range(100):
        lock_events(("lock", "unlock")[step % 2])
        if child.expect([r"machine\.lock m: ", pexpect.TIMEOUT], timeout=0.3) == 0:
            break
    assert child.isalive()
    child.sendintr()
    child.expect(pexpect.EOF)


@pytest.mark.parametrize("term", ["dumb", "", "vt100"])
def test_a_terminal_without_features_is_fine(agent, tmp_path, term):
    person = Terminal(agent, tmp_path, term=term)
    shown = person.run("show health")
    assert "Component" in shown and ESCAPE not in shown
    person.close()


def test_nothing_but_text_goes_where_no_terminal_is(agent):
    done = nettsh(agent, "-c", "show health", "-c", "show machines", "-c", "help")
    assert ESCAPE not in done.stdout + done.stderr


def test_commands_files_and_standard_input_run_until_the_first_failure(agent, tmp_path):
    done = nettsh(agent, "-c", "show version", "-c", "nonsense", "-c", "show tenants", check=False)
    assert done.returncode == 1 and "build_id" in done.stdout and "Suffixes" not in done.stdout
    script = tmp_path / "script"
    script.write_text("! a comment\n\nshow version\nnonsense\n", encoding="utf-8")
    done = nettsh(agent, "-f", script, check=False)
    assert done.returncode == 1 and f"{script}:4: unknown command" in done.stderr
    assert nettsh(agent, "-f", "-", text="show version\n").returncode == 0
    done = nettsh(agent, text="configure terminal\nhostname x\n", check=False)
    assert done.returncode == 1 and "uncommitted changes were dropped" in done.stderr
    absent = subprocess.run([program(agent), "--socket", tmp_path / "none", "-c", "show version"], capture_output=True, text=True, timeout=30,
                            check=False)
    assert absent.returncode == 2 and "no agent listens" in absent.stderr


def test_the_running_configuration_is_copied_to_a_file_of_the_caller(agent, tmp_path):
    target = tmp_path / "copy.conf"
    nettsh(agent, "-c", f"copy running-config {target}")
    assert target.stat().st_mode & 0o777 == 0o600
    checked = subprocess.run([agent.build.program("nettd"), "--config", target, "--plugin-dir", agent.folder / "plugins", "--check-config"],
                             capture_output=True, text=True, timeout=30, check=False)
    assert checked.returncode == 0, checked.stderr
    assert target.read_text(encoding="utf-8") == nettsh(agent, "-c", "show running-config").stdout


# ---- commits ----

def hostname(agent):
    shown = nettsh(agent, "-c", "show running-config | include ^hostname")
    return shown.stdout.split()[1]


def commit_hostname(agent, name, *how):
    nettsh(agent, "-c", "configure terminal", "-c", f"hostname {name}", "-c", " ".join(["commit", *how]))


def restart(agent):
    agent.process.kill()  # no chance to tidy up
    agent.start()


def let_it_be_due(agent, seconds):
    """The pending commit is due `seconds` from now, while the agent is down."""
    path = agent.folder / "commits" / "unconfirmed"
    pending = json.loads(path.read_text(encoding="utf-8"))
    due = subprocess.run(["date", "-u", "-d", f"{seconds} seconds", "+%Y-%m-%dT%H:%M:%S.000Z"], capture_output=True, text=True, check=True)
    path.write_text(json.dumps({**pending, "deadline": due.stdout.strip()}), encoding="utf-8")


def test_an_unconfirmed_commit_survives_a_restart_and_is_taken_back_in_time(agent):
    commit_hostname(agent, "tor-x", "confirmed", "5")
    assert nettsh(agent, "-c", "write memory", check=False).returncode == 1
    agent.process.kill()
    let_it_be_due(agent, 8)
    agent.start()
    assert hostname(agent) == "tor-x"
    pending = agent.show("show configuration commit")[0]
    assert pending["state"].startswith("taken back at ")
    wait.until("the commit is taken back", lambda: hostname(agent) == "tor-a", 30, every=0.3)
    events = [event["type"] for event in agent.show("show events")]
    assert "config.taken-back" in events
    assert agent.show("show configuration commit")[0]["actor"] == "system: unix:root did not confirm"


def test_an_unconfirmed_commit_whose_time_passed_while_the_agent_was_down_is_not_in_force(agent):
    commit_hostname(agent, "tor-x", "confirmed", "5")
    agent.process.kill()
    let_it_be_due(agent, -1)
    agent.start()
    assert hostname(agent) == "tor-a"
    assert agent.show("show configuration commit")[0]["state"] == "confirmed"


def test_a_confirmed_commit_stays_over_a_restart_only_if_it_is_saved(agent):
    commit_hostname(agent, "tor-x", "confirmed", "5")
    restart(agent)
    assert "is confirmed" in nettsh(agent, "-c", "commit").stdout
    nettsh(agent, "-c", "write memory")
    restart(agent)
    assert hostname(agent) == "tor-x"
    commit_hostname(agent, "tor-a")
    restart(agent)
    assert hostname(agent) == "tor-x"


def test_rollback_reaches_commits_from_before_a_restart(agent):
    commit_hostname(agent, "tor-x")
    commit_hostname(agent, "tor-y")
    restart(agent)
    history = agent.show("show configuration commit")
    assert [row["rollback"] for row in history] == list(range(len(history)))
    steps = next(row["rollback"] for row in history if row["actor"] == "unix:root")
    done = nettsh(agent, "-c", f"show diff {steps}", "-c", f"rollback {steps}", "-c", "commit")
    assert "- hostname tor-y" in done.stdout and "Committed as revision" in done.stdout
    assert hostname(agent) == "tor-y"


# ---- what is shown ----

def test_show_log_has_the_agents_lines_and_as_many_as_asked_for(agent):
    lines = agent.show("show log")
    assert any("agent: ready" in line["line"] for line in lines)
    assert agent.show("show log 1") == agent.show("show log")[-1:]


def test_why_a_machine_does_not_boot(agent):
    assert nettsh(agent, "-c", "show machine issues").stdout == "No machine has an issue.\n"
    agent.builder("machine", "add", "bare", "--tenant", "t", "--mac", "52:54:00:00:00:99", "--artifact-set", "s")
    issues = agent.show("show machine bare issues")
    assert [row["issue"] for row in issues] == ["no-config"]
    nettsh(agent, "-c", "machine bare lock")
    assert [row["issue"] for row in agent.show("show machine issues")] == ["locked"] or \
        {row["issue"] for row in agent.show("show machine issues")} == {"locked", "no-config"}
    text = nettsh(agent, "-c", "show machine issues").stdout
    assert 'remedy: "machine bare unlock"' in text
    nettsh(agent, "-c", "machine bare delete")


def test_the_support_archive_has_what_every_show_says_and_no_secret(agent, tmp_path):
    secrets = [(agent.folder / "secret.key").read_text(encoding="utf-8").strip(), "hunter2-in-an-argument", "calvin-of-the-bmc",
               "config-secret-of-the-machine", "BEGIN PRIVATE KEY", "BEGIN EC PRIVATE KEY"]
    config = tmp_path / "config.yaml"
    config.write_text("version: v1alpha1\ncluster: {token: config-secret-of-the-machine}\n", encoding="utf-8")
    password = tmp_path / "password"
    password.write_text("calvin-of-the-bmc\n", encoding="utf-8")
    agent.builder("bmc", "add", "b", "--endpoint", "https://[2001:db8::1]", "--username", "admin", "--password-file", password)
    agent.builder("machine", "add", "talker", "--tenant", "t", "--mac", "52:54:00:00:00:98", "--artifact-set", "s", "--config", config,
                  "--kernel-args", "join-token=hunter2-in-an-argument")
    archive = tmp_path / "support.tgz"
    nettsh(agent, "-c", f"tech-support {archive}")
    assert archive.stat().st_mode & 0o777 == 0o600
    with tarfile.open(archive, "r:gz") as tar:
        texts = {name: tar.extractfile(name).read().decode() for name in tar.getnames()}
    for command in ("version", "health", "plugins", "machines", "tenants", "artifacts", "jobs", "running-config", "events", "log", "tls",
                    "configuration-commit", "machine-issues"):
        assert f"tech-support/show-{command}.txt" in texts, sorted(texts)
        json.loads(texts[f"tech-support/show-{command}.json"])
    assert "join-token=[redacted]" in "".join(texts.values())
    whole = "".join(texts.values()) + nettsh(agent, "-c", "show tech-support").stdout
    for secret in secrets:
        assert secret not in whole
    nettsh(agent, "-c", "machine talker delete")


# ---- outside ----

def complete_in_bash(agent, line):
    """What bash offers for the last word of the line."""
    script = SOURCE / "agent" / "cli" / "completion" / pathlib.Path(line.split()[0]).name
    run = f"""
source {script}
COMP_LINE={line!r}; COMP_POINT=${{#COMP_LINE}}
eval "COMP_WORDS=(${{COMP_LINE% *}})"; COMP_WORDS+=("${{COMP_LINE##* }}")
COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
$(complete -p {line.split()[0]} | sed -E 's/.*-F ([^ ]+) .*/\\1/')
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
    folders = ":".join(str((agent.build.folder / path)) for path in ("agent", "agent/cli", "builder"))
    done = subprocess.run(["bash", "-c", run], capture_output=True, text=True, timeout=30, check=False,
                          env={**os.environ, "PATH": f"{folders}:{os.environ['PATH']}"})
    return done.stdout.split("\n")


def test_bash_completes_options_and_subcommands(agent):
    assert "--command" in complete_in_bash(agent, "nettsh --c")
    assert "--check-config" in complete_in_bash(agent, "nettd --ch")
    assert "--dry-run" in complete_in_bash(agent, "nett-restore --d")
    assert "machine" in complete_in_bash(agent, "talos-fabric-builder ma")
    assert "add" in complete_in_bash(agent, "talos-fabric-builder machine a")


def test_a_completion_script_can_ask_for_the_agents_words(agent):
    assert nettsh(agent, "--complete", "show ver").stdout == "version\n"
    assert "m\n" in nettsh(agent, "--complete", "show machine ").stdout


def test_findings_of_a_check_are_in_the_order_of_the_file(agent, tmp_path):
    path = tmp_path / "bad.conf"
    path.write_text(f"plugin metadata\n listen [::1]:1\n certificate {tmp_path}/none.pem\n!\nnonsense\n", encoding="utf-8")
    done = subprocess.run([agent.build.program("nettd"), "--config", path, "--plugin-dir", agent.folder / "plugins", "--check-config"],
                          capture_output=True, text=True, timeout=30, check=False)
    lines = [int(number) for number in re.findall(rf"^{re.escape(str(path))}:(\d+): ", done.stderr, re.MULTILINE)]
    assert done.returncode == 1 and lines == sorted(lines) and len(set(lines)) > 1, done.stderr
