"""The storm: machines that boot all the time, an API that orders all the time, and one fault after another."""

import contextlib
import http.client
import random
import signal
import ssl
import threading
import time

from .. import api, fabric, frr, ha, wait
from ..boot_site import inside
from ..etcd import MEMBERS
from .checker import FABRIC
from .history import Recorder
from .trouble import FakeClock, SmallDisk

WIPE = b"talos.experimental.wipe"
ASK_SECONDS = 5     # longer than a failover, shorter than a freeze
ORDER_SECONDS = 12  # longer than a server tries (8 s)
PAUSE = 0.02        # between the requests of one client: the machine has to breathe
SET = "s"
POOL = "2001:db8:f00::/{}"


def uuid_of(number):
    return f"6e657474-0000-4000-8000-{0xC000 + number:012x}"


def name_of(number):
    return f"m{number}"


class Client(threading.Thread):
    """Machines that ask one server, or the fabric, over one connection after another."""

    def __init__(self, storm, server, namespace, address, port):
        super().__init__(daemon=True)
        self._storm, self._server, self._namespace, self._address, self._port = storm, server, namespace, address, port
        self._random = random.Random(f"{storm.seed} {server}")
        self._connection = None

    def run(self):
        with inside(self._namespace):
            while not self._storm.over.wait(PAUSE):
                self._boot(self._random.randrange(self._storm.machines))
        self._close()

    def ask_all(self):
        """One boot of each machine."""
        with inside(self._namespace):
            for number in range(self._storm.machines):
                self._boot(number)
        self._close()

    def _boot(self, number):
        history = self._storm.history
        asked = history.invoke("boot", server=self._server, machine=name_of(number))
        try:
            status, body = self._ask(f"/v1/boot/{uuid_of(number)}")
        except (OSError, http.client.HTTPException) as error:
            self._close()
            history.end(asked, "info", error=str(error))
            return
        if status == 200:
            history.end(asked, "ok", value="wipe" if WIPE in body else "install")
        else:
            history.end(asked, "ok", value={404: "disk", 503: "shed"}.get(status, f"status {status}"))

    def _ask(self, path):
        if self._connection is None:
            self._connection = http.client.HTTPSConnection(self._address, self._port, timeout=ASK_SECONDS, context=self._storm.tls)
        self._connection.request("GET", path)
        reply = self._connection.getresponse()
        body = reply.read()
        # Through the fabric each request is a machine of its own: another connection may reach another server.
        if reply.will_close or self._server == FABRIC:
            self._close()
        return reply.status, body

    def _close(self):
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class Writer(threading.Thread):
    """The API's user. It has machines of its own, and gives each one order after another, at any server."""

    _NEXT = {"new": "active", "active": "reprovision", "reprovision": "active"}

    def __init__(self, storm, number, count):
        super().__init__(daemon=True)
        self._storm = storm
        self._random = random.Random(f"{storm.seed} writer {number}")
        self._machines = list(range(number, storm.machines, count))
        self._state = {}

    def run(self):
        while not self._storm.over.wait(self._storm.order_pause):
            self._order(self._random.choice(self._machines))

    def _order(self, number):
        storm, name = self._storm, name_of(number)
        state = self._NEXT[self._state[number]] if number in self._state else "new"
        server = self._random.choice(ha.METAS)
        asked = storm.history.invoke("order", server=server, machine=name, state=state)
        try:
            if state == "new":
                storm.calls[server].register(name, uuid_of(number))
            else:
                storm.calls[server].set_state(name, state)
        except storm.rpc_error as error:
            kind = "fail" if error.code().name in ("ABORTED", "FAILED_PRECONDITION", "NOT_FOUND", "INVALID_ARGUMENT") else "info"
            storm.history.end(asked, kind, error=f"{error.code().name}: {error.details()}")
            return
        storm.history.end(asked, "ok")
        self._state[number] = state


class Calls:
    """The management API of one server."""

    def __init__(self, agent, messages):
        self._api, self._messages = api.Api(agent.node, messages), messages
        self.error = self._api.error

    def close(self):
        self._api.close()

    def _mutate(self, method, request, within=ORDER_SECONDS):
        return self._api.call(f"Inventory/{method}", request, self._messages.MutationReply, within)

    def prepare(self, length):
        m = self._messages
        self._mutate("PutProfile", m.PutProfileRequest(reason="storm", profile=m.Profile(
            name="storm", artifact_set=SET, boot_loop=m.BootLoopLimit(boots=0, minutes=0))))
        self._mutate("PutPrefixPool", m.PutPrefixPoolRequest(reason="storm", pool=m.PrefixPool(
            name="p", prefix=POOL.format(length), length=64)))

    def register(self, name, uuid):
        m = self._messages
        machine = m.Machine(name=name, tenant=ha.TENANT, uuid=uuid, profile="storm",
                            production=m.Production(mode=m.PRODUCTION_MODE_POOL, pool="p"))
        self._mutate("PutMachine", m.PutMachineRequest(machine=machine, config=b"version: v1alpha1\n", reason="storm"))

    def set_state(self, name, state):
        m = self._messages
        self._mutate("SetMachineState", m.SetMachineStateRequest(name=name, state=getattr(m, f"MACHINE_STATE_{state.upper()}"), reason="storm"))

    def allocations(self):
        reply = self._api.call("Inventory/ListAllocations", self._messages.ListAllocationsRequest(), self._messages.ListAllocationsReply)
        return {one.machine: one.prefix for one in reply.allocations}

    def machines(self):
        reply = self._api.call("Inventory/ListMachines", self._messages.ListRequest(), self._messages.ListMachinesReply)
        name = self._messages.MachineState.Name
        return {one.name: name(one.state).removeprefix("MACHINE_STATE_").lower() for one in reply.machines}


class Fault:
    """One way to break something. `far`: who may be out of reach of etcd meanwhile; `down`: who may not be able to announce."""

    def __init__(self, name, make, far=(), down=()):
        self.name, self.make, self.far, self.down = name, make, list(far), list(down)


def faults_of(world, more=()):
    """Each fault, by name."""
    etcd = world.cluster
    out = list(more)
    for meta, one in world.agents.items():
        out += [Fault(f"kill {meta}", one.kill, [meta], [meta]),
                Fault(f"freeze {meta}", lambda a=one: a.signal(signal.SIGSTOP), [meta], [meta]),
                Fault(f"cut {meta} off etcd", one.cut, [meta])]
        out += [Fault(f"cut {meta} off {tor}", lambda t=tor, m=meta: world.unplug(t, m), [], [meta]) for tor in fabric.TORS]
    for number in MEMBERS:
        out += [Fault(f"kill etcd {number}", lambda n=number: etcd.kill(n), world.agents),
                Fault(f"freeze etcd {number}", lambda n=number: etcd.freeze(n), world.agents),
                Fault(f"cut etcd {number} off the others", lambda n=number: etcd.part(n), world.agents)]
    out.append(Fault("no quorum", lambda: etcd.kill(1, 2), world.agents))
    return {fault.name: fault for fault in out}


@contextlib.contextmanager
def storm_lab(prefix, build):
    """A raised ha.HaLab, and the faults of its hosts: meta-2 has a small disk, meta-3 a clock of its own."""
    world = ha.HaLab(fabric.Lab(prefix, build.environment()), build)
    disk = None
    try:
        disk = SmallDisk(world.agents["meta-2"])
        clock = FakeClock(world.agents["meta-3"])
        world.menders += [disk.make_room, lambda: clock.jump(0)]
        world.start_network()
        world.start_etcd()
        world.start_agents()
        world.wait_announced()
        yield world, [Fault("fill the disk of meta-2", lambda: disk.bite(world.agents["meta-1"], ha.TENANT, SET), ["meta-2"], ["meta-2"]),
                      Fault("meta-3's clock jumps an hour forward", lambda: clock.jump(3600)),
                      Fault("meta-3's clock jumps an hour back", lambda: clock.jump(-3600))]
    finally:
        world.down()
        if disk:
            disk.remove()


class Storm:
    """One storm on a raised ha.HaLab. `messages`: of api.messages(). The names that run() takes are those of `faults`."""

    def __init__(self, world, folder, messages, machines=60, seed=1, order_pause=0.15, more_faults=()):
        self.world, self.machines, self.seed, self.order_pause = world, machines, seed, order_pause
        self.history = Recorder(folder / "history.jsonl")
        self.over = threading.Event()
        self.calls = {meta: Calls(one, messages) for meta, one in world.agents.items()}
        self.rpc_error = self.calls[ha.METAS[0]].error
        self._folder = folder
        self.tls = self._make_tls()
        self.faults = faults_of(world, more_faults)
        self._down = set()

    def _make_tls(self):
        mine = self.world.pki.credentials()
        context = ssl.create_default_context(cafile=mine.ca)
        context.check_hostname = False  # the certificate is the anycast address'
        context.load_cert_chain(mine.certificate, mine.key)
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        return context

    def prepare(self):
        """A tenant, a set, a profile, and a pool with two prefixes a machine, so that machines compete for them."""
        first = self.world.agents[ha.METAS[0]]
        for file in ("vmlinuz", "initramfs.xz"):
            (self._folder / file).write_bytes(file.encode())
        first.builder("tenant", "add", ha.TENANT, "--common-name", f"{ha.TENANT}.boot.example")
        first.builder("artifact", "import", SET, "--version", "v1", "--kernel", self._folder / "vmlinuz", "--initramfs",
                      self._folder / "initramfs.xz", "--command-line", "console=ttyS0")
        self.calls[ha.METAS[0]].prepare(64 - (2 * self.machines - 1).bit_length())

    def _clients(self):
        hub = self.world.cluster.namespace
        out = [Client(self, meta, hub, ha.direct_address(meta), ha.DIRECT_PORT) for meta in ha.METAS]
        return [*out, Client(self, FABRIC, self._way, frr.META, 443)]

    def run(self, names, hold):
        """Forces the faults of these names in turn, each for `hold` seconds; "" is no fault."""
        self._way = self.world.open_clients_way()
        threads = [*self._clients(), *(Writer(self, number, 3) for number in range(3)), threading.Thread(target=self._watch, daemon=True)]
        for thread in threads:
            thread.start()
        try:
            for name in names:
                self._one(name, hold)
        finally:
            self.over.set()
            for thread in threads:
                thread.join(ORDER_SECONDS + ASK_SECONDS)
        self._calm()

    def _one(self, name, hold):
        if not name:
            self._pass(hold)
            return
        fault = self.faults[name]
        print(f"{time.strftime('%H:%M:%S')}  {name}", flush=True)
        asked = self.history.invoke("fault", what=name, servers=fault.far)
        self._down = set(fault.down)
        try:
            fault.make()
            self._pass(hold)
        finally:
            self.world.mend_all()
            self.history.end(asked, "ok")
        self.world.wait_announced(within=60)
        self._down = set()

    def _pass(self, seconds):
        """Lets the storm blow: what is waited for is that nothing but requests happens for a time."""
        end = time.monotonic() + seconds
        wait.until("the storm has blown", lambda: time.monotonic() >= end, seconds + 5, every=0.1)

    def _watch(self):
        """Samples whom the fabric reaches, and reads allocations."""
        turn = 0
        while not self.over.wait(0.25):
            healthy = [meta for meta in ha.METAS if meta not in self._down]
            self.history.tell("announcers", {"announcing": sorted(self.world.announcing()), "healthy": healthy})
            turn += 1
            if turn % 4 == 0:
                self._read("allocations", random.choice(ha.METAS))

    def _read(self, what, server):
        asked = self.history.invoke(what, server=server)
        try:
            value = getattr(self.calls[server], what)()
        except self.rpc_error:
            self.history.end(asked, "info")
            return
        self.history.end(asked, "ok", value=value)

    def _calm(self):
        """All is mended: every server says what it has, answers every machine, and says again."""
        self.world.mend_all()
        heads = lambda: {one.replication()["revision"] for one in self.world.agents.values()}
        wait.until("all servers have the same revision", lambda: len(heads()) == 1, 60, every=0.5)
        time_of_calm = self.history.invoke("calm")
        for client in self._clients():
            client.ask_all()
        self.history.end(time_of_calm, "ok")
        wait.until("all servers have the same revision", lambda: len(heads()) == 1, 60, every=0.5)
        for server in ha.METAS:
            self._read("allocations", server)
            self._read("machines", server)
        self.history.close()
        for calls in self.calls.values():
            calls.close()
