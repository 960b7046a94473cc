"""`demo --ha`: three metadata hosts with one state. A machine begins to boot through one, which is killed in the middle; it goes on at
another, which knows everything."""

from . import agent, fabric, ha, machine, netns, wait
from .demo import BOOT_SECONDS, UUID, Demo
from .etcd import MEMBERS, member_address
from .story import HOME, MACHINE, TENANT, require


class HaDemo(Demo):
    def run(self):
        self._get_ready()
        self._raise_fabric()
        self._raise_etcd()
        self._start_agents()
        self._enrol()
        self._boot_through_a_kill()
        self._come_back()
        self._boot_from_disk()
        with self._steps.step(f'nettsh -c "show replication" and "show machines" on {self._survivor}') as step:
            for command in ("show replication", "show machines"):
                step.say(self._home.nettsh(command).stdout)

    @property
    def _home(self):
        return self._agents[self._survivor]

    def _raise_fabric(self):
        self._survivor = HOME
        with self._steps.step(f"Raising the fabric: tor-a, tor-b, {', '.join(ha.METAS)}, BGP unnumbered between them") as step:
            self._lab = fabric.Lab(self._options.prefix, self._build.environment())
            self._world = ha.HaLab(self._lab, self._build)
            self._fabric, self._pki = self._world.fabric, self._world.pki
            self._world.start_network()
            step.say("six sessions are up, IPv6 link-local only; the ToRs spread over all metadata hosts that announce")

    def _raise_etcd(self):
        with self._steps.step("Three members of etcd, with mutual TLS") as step:
            self._world.start_etcd()
            step.say(f"{', '.join(member_address(number) for number in MEMBERS)} are healthy")

    def _start_agents(self):
        with self._steps.step(f"Tenant {TENANT}'s iPXE image: a USB stick") as step:
            self._stick = self._pki.make_image(self._ipxe / "ipxe-amd64.efi")
            step.say(self._stick)
        with self._steps.step("A virtual machine, cabled to swp1 of both ToRs; an agent on every node") as step:
            self._machine = machine.Machine(self._lab, MACHINE, 1, UUID, self._stick, self._disk, self._accelerator)
            for name, aggregate in fabric.TORS.items():
                self._agents[name] = agent.Agent(self._lab.nodes[name], self._build, agent.tor_config(name, aggregate, self.PORTS))
                self._agents[name].start()
            self._agents |= self._world.agents
            self._world.start_agents()
            self._world.wait_announced()
            for tor, aggregate in fabric.TORS.items():
                for meta in ha.METAS:
                    wait.until(f"{meta} has a way back to {tor}", lambda m=meta, a=aggregate: self._lab.nodes[m].routes_to(a), 20)
                step.say(f"{tor} reaches the address through {', '.join(sorted(self._fabric.anycast_next_hops(tor)))}")

    def _serving(self):
        """The metadata host that has a connection with a machine behind a switch port."""
        for meta in ha.METAS:
            if not self._agents[meta].running():
                continue
            peers = netns.run("ip", "netns", "exec", self._lab.nodes[meta].namespace, "ss", "-Htn", "state", "established", "sport", "=", ":443")
            if "[2001:db8:b000:" in peers:
                return meta
        return None

    def _boot_through_a_kill(self):
        vm = self._machine
        with self._steps.step("Booting from the stick; the server that answers is killed while the kernel is on its way") as step:
            vm.start()
            step.tell("power on, UEFI firmware")
            vm.wait_console(r"/v1/boot/\S+\.* *ok", BOOT_SECONDS)
            served = wait.until("a metadata host serves the machine", self._serving, 20, every=0.01)
            self._agents[served].kill()
            position = vm.console_position()
            step.tell(f"{served} has answered with the script, and is killed")
            self._killed = served
            self._survivor = next(meta for meta in ha.METAS if meta != served)
            vm.wait_console(r"^NETT-LAB-CMDLINE: (.*)$", BOOT_SECONDS)
            again = "asked again through its other port" if "BOOT-ID" in vm.console(position) else "went on over a new connection"
            step.tell(f"the machine {again}, and the kernel runs")
            found = vm.wait_console(r"^NETT-LAB-CONFIG-SHA256: (\w+)$|^NETT-LAB-(CONFIG: none|ERROR.*)$", BOOT_SECONDS)
            require(found[1] == self._config_sha256, f"the machine says {found[0]}, and {self._config_sha256} was registered")
            step.tell("it has the config that was registered at the killed server's cluster, byte for byte")
            vm.wait_console(r"^NETT-LAB-DONE", BOOT_SECONDS)
            wait.until("the machine has switched itself off", vm.powered_off, within=30)

    def _come_back(self):
        with self._steps.step(f"{self._killed} is started again and follows") as step:
            self._agents[self._killed].start()
            self._agents[self._killed].wait_member()
            self._world.wait_announced()
            states = {meta: self._agents[meta].show(f"show machine {MACHINE}")["state"] for meta in ha.METAS}
            step.say(", ".join(f"{meta}: {state}" for meta, state in states.items()))
            require(set(states.values()) == {"provisioning"}, "the servers do not agree")

    def finish(self, failed):
        for member in self._world.cluster.members.values() if self._lab and not self._options.keep else ():
            member.kill()
        super().finish(failed)
