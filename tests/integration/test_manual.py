"""nett.conf(5) has every command of the tree."""

import json
import re
import subprocess

from tests.lab.build import SOURCE


def commands_of(build, folder):
    done = subprocess.run([build.program("nettd"), "--plugin-dir", build.plugin_folder(folder), "--print-commands"], capture_output=True, text=True,
                          timeout=60, check=True)
    return json.loads(done.stdout)


def plain(text):
    """The words of a manual page without roff's requests and escapes, in one line."""
    text = re.sub(r"^[.'].*$", " ", text, flags=re.MULTILINE)
    text = re.sub(r"\\f[BIRP]|\\&|\\c", "", text).replace("\\-", "-").replace("\\(aq", "'").replace("\\(ti", "~").replace("\\e", "\\")
    return re.sub(r"\s+", " ", text)


def shown(pattern):
    """A pattern as the page has it: arguments in capitals, choices as they are."""
    words = []
    for word in pattern.split(" "):
        match = re.match(r"^\{([^:}]+):([^:}]+)(?::(.*))?\}$", word)
        words.append(word if not match else match[3] if match[2] == "choice" else match[1].upper())
    return " ".join(words)


def test_every_command_is_in_nett_conf_5(build, tmp_path):
    commands = commands_of(build, tmp_path)
    assert {one["plugin"] for one in commands} == {"", "ra", "metadata", "bgp-anycast", "redfish"}
    assert len(commands) > 80
    page = plain((build.folder / "docs" / "nett.conf.5").read_text(encoding="utf-8"))
    for command in commands:
        assert shown(command["pattern"]) in page, command["pattern"]
        assert command["help"].split(";")[0] in page, command["help"]
    assert "metrics listen ENDPOINT plain" in page


def test_the_builds_own_pages_name_no_command_that_is_gone(build, tmp_path):
    """What nettd(8) says of the agent's own commands is what there is."""
    known = {one["pattern"].split(" ")[0] for one in commands_of(build, tmp_path) if not one["plugin"]}
    text = (SOURCE / "agent" / "nettd.8.scd").read_text(encoding="utf-8").split("# CONFIGURATION")[1].split("\n# ")[0]
    for line in re.findall(r"^\*[a-z].*$", text, re.MULTILINE):
        for command in re.findall(r"(?:^|, )\*([a-z-]+)", line):
            assert command in known, line
