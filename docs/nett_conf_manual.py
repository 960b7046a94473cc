"""Writes nett.conf(5), as scdoc source, from what `nettd --print-commands` says. Usage: nett_conf_manual.py NETTD PLUGIN.so..."""

import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

HEAD = """nett.conf(5) "nett" "nett manual"

# NAME

nett.conf - configuration of nettd and its plugins

# DESCRIPTION

*/etc/nett/nett.conf* holds the same commands that *nettsh*(1) takes in *configure terminal*: one a line, the lines of a node indented by a
blank behind the command that opens it. Empty lines and what follows *!* or *#* at the beginning of a line are comments. Keywords are written out
in the file; the shell takes abbreviations. *nettd --check-config* names every mistake with its line, *write memory* in the shell writes the file.

A command that says "several" may stand once for each value of the arguments named; any other stands once, and a later one replaces it.
*no* in front of a command removes it (in the shell). This page is made from the commands themselves.

"""

KINDS = {
    "word": "a word without blanks", "text": "the rest of the line", "prefix6": "an IPv6 prefix, 2001:db8:b000::/56",
    "address6": "an IPv6 address, 2001:db8::1", "ifaddress6": "an address with its prefix length, 2001:db8::1/64",
    "endpoint6": "[ADDRESS]:PORT", "path": "an absolute path", "interfaces": "interfaces: swp1-48,swp50 or Ethernet0-188 step 4",
}
ARGUMENT = re.compile(r"^\{([^:}]+):([^:}]+)(?::(.*))?\}$")


def escape(text):
    return re.sub(r"([\\*_<#\[])", r"\\\1", text)


def words_of(pattern):
    # An argument may hold blanks only in none of the types: words are separated by one blank.
    return pattern.split(" ")


def usage(pattern):
    """`port {range:interfaces}` as *port* _RANGE_."""
    out = []
    for word in words_of(pattern):
        match = ARGUMENT.match(word)
        if not match:
            out.append(f"*{escape(word)}*")
        elif match[2] == "choice":
            out.append(f"_{escape(match[3])}_")
        else:
            out.append(f"_{escape(match[1].upper())}_")
    return " ".join(out)


def argument_lines(command):
    help_of = {token["token"]: token["help"] for token in command["tokens"]}
    for word in words_of(command["pattern"]):
        match = ARGUMENT.match(word)
        if not match:
            continue
        name, kind, more = match.groups()
        text = help_of.get(name, "")
        if kind == "choice":
            yield f"_{escape(more)}_: {escape(text or command['help'])}."
            continue
        said = more.replace("..", " to ") if kind == "int" else KINDS[kind]
        # What the help says already is not said twice.
        needed = not text or (kind not in ("word", "text", "path") and said not in text)
        yield f"_{escape(name.upper())}_: " + "; ".join(part for part in (escape(text), escape(said) if needed else "") if part) + "."


def entry(command):
    lines = [usage(command["pattern"]), f"\t{escape(command['help'])}."]
    for line in argument_lines(command):
        lines.append(f"\t{line}")
    notes = []
    if command["keys"]:
        notes.append("Several, told apart by " + ", ".join(key.upper() for key in command["keys"]))
    if command["default"]:
        notes.append("Default: " + command["default"])
    if command["enters"]:
        notes.append("Opens a node")
    lines += [f"\t{escape(note)}." for note in notes]
    return "\n\n".join(lines[:1]) + "\n" + "\n\n".join(lines[1:]) + "\n\n"


def section(title, commands):
    return f"# {title}\n\n" + "".join(entry(command) for command in commands)


def manual(commands):
    out = [HEAD, section("THE AGENT", [one for one in commands if not one["plugin"]])]
    for plugin in dict.fromkeys(one["plugin"] for one in commands if one["plugin"]):
        out.append(section(f"PLUGIN {plugin.upper()}", [one for one in commands if one["plugin"] == plugin]))
    out.append("# FILES\n\n_/etc/nett/nett.conf_, and _nett.conf.sav_ beside it: the file before the last *write memory*.\n\n# SEE ALSO\n\n"
               "*nettd*(8), *nettsh*(1), *nett-ra*(7), *nett-metadata*(7), *nett-bgp-anycast*(7), *nett-redfish*(7)\n")
    return "".join(out)


def commands_of(nettd, modules):
    with tempfile.TemporaryDirectory() as folder:
        for module in modules:
            path = pathlib.Path(module)
            if path.suffix == ".so":
                os.symlink(path.resolve(), pathlib.Path(folder) / path.name)
        done = subprocess.run([nettd, "--plugin-dir", folder, "--print-commands"], stdout=subprocess.PIPE, check=True,
                              env={**os.environ, "ASAN_OPTIONS": "detect_leaks=0"})
    return json.loads(done.stdout)


if __name__ == "__main__":
    sys.stdout.write(manual(commands_of(sys.argv[1], sys.argv[2:])))
