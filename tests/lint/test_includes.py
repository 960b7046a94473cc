"""The map of ARCHITECTURE.md, as the includes must respect it."""

import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
SOURCES = sorted(path.relative_to(ROOT) for folder in ("agent", "plugins", "builder", "bench", "proto")
                 for path in (ROOT / folder).rglob("*") if path.suffix in (".cpp", ".hpp", ".h", ".cc"))

# Room of the including file → rooms it may include from, besides itself.
ARROWS = {
    "agent/sdk": set(),
    "agent/core": {"agent/sdk"},
    "agent/frr": {"agent/sdk", "proto"},
    "agent/net": {"agent/sdk"},
    "agent/fabric": {"agent/sdk"},
    "agent/api": {"agent/sdk", "agent/core", "agent/fabric", "proto"},
    "agent/replication": {"agent/sdk", "agent/core", "proto"},
    "agent/cli": {"proto"},
    "proto": {"agent/sdk"},
    "agent/main": {"agent/sdk", "agent/core", "agent/replication", "agent/fabric", "agent/frr", "agent/net", "agent/api"},
    "builder": {"agent/sdk", "proto"},
    "plugins/*": {"agent/sdk"},
    "bench": {"agent/sdk", "agent/core", "agent/frr", "agent/net", "agent/api", "proto"},
}

INCLUDE = re.compile(r'^\s*#\s*include\s*"([^"]+)"', re.MULTILINE)


def room_of(path):
    """"agent/core/config/parser.cpp" → "agent/core"; a file directly in agent/ is the graph's own, "agent/main"."""
    parts = pathlib.PurePath(path).parts
    if path.endswith(".pb.h"):
        return "proto"
    if parts[0] in ("builder", "bench", "proto"):
        return parts[0]
    if len(parts) == 2 and parts[0] == "agent":
        return "agent/main"
    return "/".join(parts[:2])


def allowed(room):
    return ARROWS["plugins/*"] if room.startswith("plugins/") else ARROWS[room]


def forbidden_arrows(path, text):
    room = room_of(str(path))
    for included in INCLUDE.findall(text):
        if "/" not in included and not included.endswith(".pb.h"):
            continue  # generated beside the includer's objects
        target = room_of(included)
        if target != room and target not in allowed(room):
            yield f'{path} ({room}) includes "{included}" ({target})'


@pytest.mark.parametrize("room", sorted({room_of(str(path)) for path in SOURCES}))
def test_room_includes_only_what_the_map_allows(room):
    found = [arrow for path in SOURCES if room_of(str(path)) == room
             for arrow in forbidden_arrows(path, (ROOT / path).read_text(encoding="utf-8"))]
    assert not found, "\n".join(found)


def test_includes_are_relative_to_the_source_root():
    found = [f'{path} includes "{included}"' for path in SOURCES
             for included in INCLUDE.findall((ROOT / path).read_text(encoding="utf-8"))
             if included.startswith(".") or (ROOT / path.parent / included).exists()]
    assert not found, "\n".join(found)


@pytest.mark.parametrize("path, line, finding", [
    ("plugins/ra/ra.cpp", '#include "agent/sdk/net.hpp"', None),
    ("plugins/ra/ra.cpp", '#include "plugins/ra/ports.hpp"', None),
    ("plugins/ra/ra.cpp", '#include "agent/core/host/loader.hpp"', "agent/core"),
    ("plugins/ra/ra.cpp", '#include "plugins/metadata/http.hpp"', "plugins/metadata"),
    ("agent/core/store/store.cpp", '#include "nett.pb.h"', "proto"),
    ("agent/sdk/store.hpp", '#include "agent/core/store/store.hpp"', "agent/core"),
    ("agent/main.cpp", '#include "agent/frr/frr.hpp"', None),
])
def test_the_check_itself_finds_what_it_should(path, line, finding):
    found = list(forbidden_arrows(pathlib.Path(path), line + "\n"))
    assert bool(found) == bool(finding)
    assert not finding or finding in found[0]
