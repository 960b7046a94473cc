"""Reads a history (history.py) and says what in it contradicts what the servers promise. Independent of them: it knows the lifecycle's
answers, times, and nothing of how the state is kept.

What it proves of a history without findings:

- no boot answer contradicts the states that were acknowledged before it. The server that acknowledged shows it at once, also after it
  was killed; another one within `lag`, or, when a fault kept it from etcd meanwhile, within `lag` after that; through the fabric within
  `fabric_lag`, whatever happens;
- a wipe is served at most once a request, and a request for one is not lost: the machine is not installed unwiped, unless a boot was
  under way that may have used it up (its answer was lost, or it waited for etcd in vain and was the disk: counted as
  `wipes_unserved`);
- no prefix is given to two machines, and none is taken away;
- at the end every server has every state that was acknowledged, or what certainly followed from it;
- the address never had no announcer while a server was healthy.
"""

import collections
import dataclasses
import math

FABRIC = "fabric"  # as `server`: asked through the anycast address
_INSTALLED = {"provisioning": "install", "new": "install", "active": "disk", "absent": "disk"}


@dataclasses.dataclass
class Bounds:
    """Seconds."""

    lag: float = 10.0         # a server without trouble shows what another one acknowledged
    fabric_lag: float = 20.0  # whoever the fabric leads to does
    late: float = 15.0        # an order that nobody answered takes effect, if it does
    recovery: float = 15.0    # after a fault a write that could not be done is tried again
    attempt: float = 1.0      # a boot that was answered the disk later than that had tried to store something
    gap: float = 0.0          # how long there may be no announcer: a sample is no proof that it lasted


@dataclasses.dataclass
class Operation:
    """One thing that was asked."""

    op: str
    begin: float
    end: float = math.inf
    outcome: str = "info"
    value: object = None
    server: str = ""
    machine: str = ""
    state: str = ""
    servers: tuple = ()


def operations(lines):
    """The operations of a history, in the order in which they began."""
    found = {}
    for line in lines:
        if line["id"] not in found:
            found[line["id"]] = Operation(line["op"], line["time"], server=line.get("server", ""), machine=line.get("machine", ""),
                                          state=line.get("state", ""), servers=tuple(line.get("servers", ())))
        if line["type"] != "invoke":
            one = found[line["id"]]
            one.end, one.outcome, one.value = line["time"], line["type"], line.get("value")
    return sorted(found.values(), key=lambda one: one.begin)


class Checker:
    """One check of one history."""

    def __init__(self, lines, bounds=None):
        self._bounds = bounds or Bounds()
        self._by_op = collections.defaultdict(list)
        for one in operations(lines):
            self._by_op[one.op].append(one)
        self._orders = self._by_machine("order")
        self._boots = self._by_machine("boot")
        self.findings = []
        self.largest_lag = 0.0
        self.wipes_unserved = 0  # installs that only a boot sent to the disk explains

    def run(self):
        """The findings, as sentences; none: all is well."""
        for machine, boots in sorted(self._boots.items()):
            for boot in boots:
                self._check_answer(machine, boot)
            self._check_wipes(machine)
        self._check_allocations()
        self._check_end()
        self._check_announcers()
        return self.findings

    def figures(self):
        """What was seen, for a report."""
        answers = collections.Counter(boot.value for boots in self._boots.values() for boot in boots if boot.outcome == "ok")
        return {"boots": sum(answers.values()), **{name: answers[name] for name in ("install", "wipe", "disk", "shed")},
                "boots_unanswered": sum(boot.outcome != "ok" for boots in self._boots.values() for boot in boots),
                "orders": sum(order.outcome == "ok" for orders in self._orders.values() for order in orders),
                "orders_doubtful": sum(order.outcome == "info" for orders in self._orders.values() for order in orders),
                "wipes_unserved": self.wipes_unserved, "faults": len(self._by_op["fault"]),
                "largest_lag_ms": round(self.largest_lag * 1000)}

    def _by_machine(self, op):
        out = collections.defaultdict(list)
        for one in self._by_op[op]:
            out[one.machine].append(one)
        return out

    def _find(self, text):
        self.findings.append(text)

    # -- boot answers ---------------------------------------------------------------------------------------------------------------

    def _latest(self, order):
        """When it has taken effect, if it ever does."""
        return order.end + (self._bounds.late if order.outcome == "info" else 0)

    def _visible(self, order, server):
        """When the server shows the acknowledged order, at the latest."""
        if server == order.server:
            return order.end
        if server == FABRIC:
            return order.end + self._bounds.fabric_lag
        visible = order.end + self._bounds.lag
        for fault in self._by_op["fault"]:  # in the order in which they began
            if server in fault.servers and fault.begin < visible and fault.end > order.end:
                visible = max(visible, fault.end + self._bounds.lag)
        return visible

    def _troubled(self, boot):
        """Whether a write may have been impossible."""
        return any(fault.begin < boot.end and fault.end + self._bounds.recovery > boot.begin for fault in self._by_op["fault"])

    def _candidates(self, machine, boot):
        """[(order, lag)]: what may have been the machine's state for this boot, and how far behind the server is if it was."""
        orders = [Operation("order", -math.inf, -math.inf, "ok", state="absent", machine=machine)]
        orders += [order for order in self._orders[machine] if order.outcome != "fail" and order.begin <= boot.end]
        out = []
        for order in orders:
            followed = [later for later in orders if later is not order and later.outcome == "ok" and later.begin >= self._latest(order)]
            if any(self._visible(later, boot.server) <= boot.begin for later in followed):
                continue
            out.append((order, max((boot.begin - later.end for later in followed), default=0.0)))
        return out

    def _fits(self, order, machine, boot, may_use_up):
        """Whether a machine in this order's state may be answered that. `may_use_up`: which boots may have taken a wipe."""
        if order.state == "reprovision":
            if boot.value == "wipe":
                return True
            if boot.value == "disk":
                return self._troubled(boot)
            return any(other is not boot and other.end >= order.begin and other.begin <= boot.end and may_use_up(other)
                       for other in self._boots[machine])
        if order.state == "new" and boot.value == "disk":
            return self._troubled(boot)
        return _INSTALLED[order.state] == boot.value

    @staticmethod
    def _may_have_taken(boot):
        """Whether a boot that was to be wiped was given the wipe, or may have been."""
        return boot.outcome != "ok" or boot.value == "wipe"

    def _may_use_up(self, boot):
        """The same, or used it up unserved."""
        return self._may_have_taken(boot) or boot.value == "disk" and boot.end - boot.begin >= self._bounds.attempt and self._troubled(boot)

    def _check_answer(self, machine, boot):
        if boot.outcome != "ok" or boot.value == "shed":
            return
        lags = []
        candidates = self._candidates(machine, boot)
        for order, lag in candidates:
            if self._fits(order, machine, boot, self._may_use_up):
                lags.append(lag)
        if lags:
            if not any(self._fits(order, machine, boot, self._may_have_taken) for order, _ in candidates):
                self.wipes_unserved += 1
            self.largest_lag = max(self.largest_lag, min(lags))
            return
        states = ", ".join(sorted({order.state for order, _ in candidates}))
        self._find(f"{machine}: {boot.server} answered {boot.value} at {boot.begin:.3f}, though it can only have been: {states}")

    # -- wipes -----------------------------------------------------------------------------------------------------------------------

    def _check_wipes(self, machine):
        """Each wipe needs a request of its own: one that began before the wipe's end, and that no wipe before has used up."""
        requests = sorted((order for order in self._orders[machine] if order.state == "reprovision" and order.outcome != "fail"),
                          key=self._latest)
        wipes = sorted((boot for boot in self._boots[machine] if boot.outcome == "ok" and boot.value == "wipe"), key=lambda boot: boot.end)
        for wipe in wipes:
            request = next((order for order in requests if order.begin <= wipe.end), None)
            if request is None:
                self._find(f"{machine}: {wipe.server} served a wipe at {wipe.begin:.3f} that nobody asked for, or a second time")
                continue
            # What was acknowledged before this wipe was asked for is the same request to the machine.
            requests = [order for order in requests if order is not request and self._latest(order) > wipe.begin]

    # -- allocations -----------------------------------------------------------------------------------------------------------------

    def _check_allocations(self):
        owner, prefix_of = {}, {}
        for read in self._by_op["allocations"]:
            if read.outcome != "ok":
                continue
            for machine, prefix in read.value.items():
                other = owner.setdefault(prefix, machine)
                if other != machine:
                    self._find(f"{prefix} was given to {other} and to {machine} (seen at {read.server})")
                before = prefix_of.setdefault(machine, prefix)
                if before != prefix:
                    self._find(f"{machine} had {before} and now has {prefix} (seen at {read.server})")

    # -- the end -----------------------------------------------------------------------------------------------------------------

    def _possible_ends(self, machine):
        """States that the machine may have in the end."""
        orders = [order for order in self._orders[machine] if order.outcome != "fail"]
        states = set()
        if not any(order.outcome == "ok" for order in orders):
            states.add("absent")
        for order in orders:
            if any(later.outcome == "ok" and later.begin >= self._latest(order) for later in orders if later is not order):
                continue
            states.add(order.state)
            if order.state in ("new", "reprovision") and any(
                    boot.end >= order.begin and (boot.value == "install" or self._may_use_up(boot)) for boot in self._boots[machine]):
                states.add("provisioning")
                if self._served_since(machine, order):
                    states.discard(order.state)
        return states

    def _served_since(self, machine, order):
        """Whether a boot that certainly came after it was given what takes the machine out of the order's state."""
        return order.outcome == "ok" and any(
            boot.outcome == "ok" and boot.begin >= order.end
            and boot.value in (("wipe",) if order.state == "reprovision" else ("install", "wipe")) for boot in self._boots[machine])

    def _check_end(self):
        prefixes = {}
        for read in self._by_op["allocations"]:
            if read.outcome == "ok":
                prefixes.update(read.value)
        finals = {}
        for read in self._by_op["machines"]:
            if read.outcome == "ok":
                finals[read.server] = read.value
        for server, there in sorted(finals.items()):
            for machine in sorted(self._orders):
                possible = self._possible_ends(machine)
                state = there.get(machine, "absent")
                if state not in possible:
                    self._find(f"{machine}: {server} has it as {state} in the end, which is lost or made up: {', '.join(sorted(possible))}")
        if len({tuple(sorted(there.items())) for there in finals.values()}) > 1:
            self._find(f"the servers differ in the end: {', '.join(sorted(finals))}")
        last = {read.server: read.value for read in self._by_op["allocations"] if read.outcome == "ok"}
        for server in finals:
            lost = sorted(set(prefixes) - set(last.get(server, prefixes)))
            if lost:
                self._find(f"{server} has lost the prefixes of {', '.join(lost)}")

    # -- announcers --------------------------------------------------------------------------------------------------------------

    def _check_announcers(self):
        since = None
        for sample in self._by_op["announcers"]:
            if sample.value["announcing"] or not sample.value["healthy"]:
                since = None
                continue
            since = sample.begin if since is None else since
            if sample.begin - since >= self._bounds.gap:
                self._find(f"nobody announced at {sample.begin:.3f} for {sample.begin - since:.1f} s, though "
                           f"{', '.join(sample.value['healthy'])} had no trouble")
                since = math.inf  # said once


def check(lines, bounds=None):
    """(findings, figures)."""
    checker = Checker(lines, bounds)
    return checker.run(), checker.figures()
