"""Documents that are made from sources are the ones that these sources make, and links lead somewhere."""

import pathlib
import re
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "packaging").glob("*/README.md")])


def test_the_api_reference_is_that_of_the_protos():
    made = subprocess.run(["/usr/bin/python3", ROOT / "docs" / "api_reference.py"], capture_output=True, text=True, timeout=60, check=True)
    assert made.stdout == (ROOT / "docs" / "api-reference.md").read_text(encoding="utf-8"), \
        "run: docs/api_reference.py > docs/api-reference.md"


def anchor_of(heading):
    """As GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def anchors_of(page):
    return {anchor_of(match[1]) for match in re.finditer(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_between_pages_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path) if path else page
        assert file.exists(), f"{page.name}: {target}"
        if anchor and file.suffix == ".md":
            assert anchor in anchors_of(file), f"{page.name}: {target}"


def test_every_alert_names_a_runbook_that_is_there():
    rules = (ROOT / "packaging" / "observability" / "nett-rules.yaml").read_text(encoding="utf-8")
    named = re.findall(r"runbook: '([^#']+)#([^']+)'", rules)
    assert len(named) == rules.count("- alert:")
    for path, anchor in named:
        assert anchor in anchors_of(ROOT / path), anchor


def test_claims_of_the_threat_model_point_to_tests():
    text = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    claims = re.findall(r"`(tests/[\w/.-]+)(?:::(\w+(?:\.\w+)?))?`", text)
    assert len(claims) >= 20
    for path, name in claims:
        file = ROOT / path
        assert file.exists(), path
        if not name:
            continue
        content = file.read_text(encoding="utf-8")
        if file.suffix == ".cpp":
            suite, case = name.split(".")
            assert re.search(rf"TEST(?:_F|_P)?\({suite},\s*{case}\)", content), f"{path}::{name}"
        else:
            assert f"def {name}(" in content, f"{path}::{name}"
