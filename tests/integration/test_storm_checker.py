"""The checker of storms on made-up histories: it is silent about a right one and names what is wrong in each wrong one."""

import pytest

from tests.lab.storm.checker import FABRIC, Bounds, check

BOUNDS = Bounds(lag=5, fabric_lag=8, late=10, recovery=5, gap=1)


class Story:
    """Writes a history, each operation a tenth of a second long."""

    def __init__(self):
        self.lines = []
        self._number = 0

    def add(self, op, begin, kind="ok", end=None, value=None, **fields):
        self._number += 1
        self.lines.append({"id": self._number, "type": "invoke", "time": begin, "op": op, **fields})
        self.lines.append({"id": self._number, "type": kind, "time": begin + 0.1 if end is None else end, "value": value})

    def order(self, begin, state, server="a", machine="m", kind="ok", end=None):
        self.add("order", begin, kind, end, machine=machine, server=server, state=state)

    def boot(self, begin, value, server="a", machine="m", kind="ok", end=None):
        self.add("boot", begin, kind, end, value, machine=machine, server=server)

    def fault(self, begin, end, *servers):
        self.add("fault", begin, "ok", end, servers=servers, what="cut")

    def announcers(self, time, announcing, healthy):
        self._number += 1
        self.lines.append({"id": self._number, "type": "ok", "time": time, "op": "announcers",
                           "value": {"announcing": announcing, "healthy": healthy}})

    def findings(self):
        return check(self.lines, BOUNDS)[0]

    def only_finding(self):
        findings = self.findings()
        assert len(findings) == 1, findings
        return findings[0]


@pytest.fixture
def story():
    """A machine that was registered, installed and set active at a, long ago."""
    made = Story()
    made.order(0, "new")
    made.boot(1, "install")
    made.order(2, "active")
    return made


def test_a_life_without_trouble_has_no_findings(story):
    story.boot(10, "disk", "b")
    story.order(20, "reprovision", "b")
    story.boot(21, "wipe", "b")
    story.boot(22, "install", "b")
    story.boot(28, "install")
    story.order(30, "active")
    story.boot(40, "disk", FABRIC)
    for server in "ab":
        story.add("allocations", 50, value={"m": "2001:db8::/64"}, server=server)
        story.add("machines", 51, value={"m": "active"}, server=server)
    story.announcers(52, ["a"], ["a", "b"])
    assert not story.findings()


def test_the_lag_that_was_needed_is_measured(story):
    story.order(20, "reprovision", "b")
    story.boot(23, "disk")
    findings, figures = check(story.lines, BOUNDS)
    assert not findings
    assert figures["largest_lag_ms"] == 2900 and figures["boots"] == 2 and figures["disk"] == 1


def test_a_doubled_wipe_is_found(story):
    story.order(20, "reprovision")
    story.boot(21, "wipe")
    story.boot(22, "wipe", "b")
    assert "second time" in story.only_finding()


def test_two_wipes_at_the_same_time_of_one_request_are_found(story):
    story.order(20, "reprovision")
    story.boot(21, "wipe", end=23)
    story.boot(21.5, "wipe", "b", end=22)
    assert "second time" in story.only_finding()


def test_requests_before_a_wipe_are_one_request(story):
    story.order(20, "reprovision")
    story.order(21, "provisioning")
    story.order(22, "reprovision")
    story.boot(23, "wipe")
    story.boot(24, "wipe")
    assert any("second time" in finding for finding in story.findings())


def test_two_requests_are_two_wipes(story):
    for begin in (20, 30):
        story.order(begin, "reprovision")
        story.boot(begin + 1, "wipe")
        story.order(begin + 2, "active")
    assert not story.findings()


def test_a_request_whose_answer_never_came_may_be_served_once(story):
    story.order(20, "reprovision", kind="info", end=28)
    story.boot(29, "wipe")
    assert not story.findings()
    story.boot(30, "wipe")
    assert any("second time" in finding for finding in story.findings())


def test_a_request_that_was_refused_is_not_served(story):
    story.order(20, "reprovision", kind="fail")
    story.boot(21, "wipe")
    assert any("nobody asked for" in finding for finding in story.findings())


def test_a_stale_answer_of_the_server_that_acknowledged_is_found(story):
    story.order(20, "reprovision", "b")
    story.boot(20.2, "disk", "b")
    assert "b answered disk" in story.only_finding()


def test_a_stale_answer_of_another_server_is_found_after_the_bound(story):
    story.order(20, "reprovision", "b")
    story.boot(24, "disk", "a")
    assert not story.findings()
    story.boot(26, "disk", "a")
    assert "a answered disk" in story.only_finding()


def test_a_server_that_was_cut_off_may_be_behind_for_as_long_and_the_fabric_may_not(story):
    story.order(10, "reprovision", "a")
    story.boot(11, "wipe")
    story.fault(19, 40, "b")
    story.order(20, "active", "a")
    story.boot(39, "install", "b")
    assert not story.findings()
    story.boot(39, "install", FABRIC)
    story.boot(46, "install", "b")
    assert len(story.findings()) == 2, story.findings()


def test_an_install_without_the_wipe_is_found(story):
    story.order(20, "reprovision")
    story.boot(21, "install")
    assert "answered install" in story.only_finding()


def test_an_install_after_a_wipe_that_may_have_been_served_is_right(story):
    story.order(20, "reprovision")
    story.boot(21, "info", kind="info", end=26)
    story.boot(27, "install")
    assert not story.findings()


def test_an_install_after_a_boot_that_waited_for_etcd_in_vain_is_right_and_after_a_quick_one_is_not(story):
    story.order(20, "reprovision")
    story.fault(20.5, 40, "a", "b")
    story.boot(21, "disk")
    story.boot(30, "install")
    assert "answered install" in story.only_finding()
    story.boot(22, "disk", "b", end=27)
    findings, figures = check(story.lines, BOUNDS)
    assert not findings and figures["wipes_unserved"] == 1


def test_the_safe_default_is_right_in_trouble_only(story):
    story.order(20, "reprovision")
    story.fault(20.5, 25, "c")
    story.boot(21, "disk")
    assert not story.findings()
    story.boot(31, "disk")
    assert "answered disk" in story.only_finding()


def test_a_machine_that_nobody_registered_boots_its_disk():
    story = Story()
    story.boot(1, "disk", machine="stranger")
    assert not story.findings()
    story.boot(2, "install", machine="stranger")
    assert "answered install" in story.only_finding()


def test_a_lost_write_is_found(story):
    story.order(20, "reprovision")
    story.add("machines", 30, value={"m": "active"}, server="b")
    assert "lost" in story.only_finding()


def test_a_lost_machine_is_found(story):
    story.add("machines", 30, value={}, server="b")
    assert "absent" in story.only_finding()


def test_a_wipe_that_was_served_and_is_still_to_be_served_is_found(story):
    story.order(20, "reprovision")
    story.boot(21, "wipe")
    story.add("machines", 30, value={"m": "reprovision"}, server="a")
    assert "reprovision in the end" in story.only_finding()


def test_servers_that_differ_in_the_end_are_found(story):
    story.order(20, "reprovision", kind="info")
    story.add("machines", 30, value={"m": "active"}, server="a")
    story.add("machines", 30, value={"m": "reprovision"}, server="b")
    assert "differ" in story.only_finding()


def test_an_allocation_given_twice_is_found(story):
    story.add("allocations", 30, value={"m": "2001:db8::/64"}, server="a")
    story.add("allocations", 31, value={"n": "2001:db8::/64"}, server="b")
    assert "given to m and to n" in story.only_finding()


def test_an_allocation_that_changed_is_found(story):
    story.add("allocations", 30, value={"m": "2001:db8::/64"}, server="a")
    story.add("allocations", 31, value={"m": "2001:db8:0:1::/64"}, server="a")
    assert "had 2001:db8::/64 and now has" in story.only_finding()


def test_a_lost_allocation_is_found(story):
    story.add("allocations", 30, value={"m": "2001:db8::/64"}, server="a")
    story.add("allocations", 40, value={}, server="b")
    story.add("machines", 41, value={"m": "active"}, server="b")
    assert "lost the prefixes of m" in story.only_finding()


def test_no_announcer_is_found_when_it_lasts_and_somebody_was_healthy(story):
    story.announcers(10, [], [])
    story.announcers(12, [], ["b"])
    assert not story.findings()
    story.announcers(14, [], ["b"])
    story.announcers(16, [], ["b"])
    assert "nobody announced" in story.only_finding()
