"""Network boot of a homelab: a machine boots by PXE through a real dnsmasq with the configuration that the builder writes, beside
a router that hands out the addresses, and is answered by nettd's homelab listener. A bridge in a namespace is the home's network."""

import contextlib
import dataclasses
import hashlib
import json
import os
import pathlib
import re
import shutil
import subprocess

import pytest

from tests.lab import machine, netns, wait
from tests.lab.build import SOURCE
from tests.lab.process import Process, ReadySocket
from tests.lab.steps import output_of

PREFIX = os.environ.get("NETT_LAB_PREFIX", "nettest-") + "home-"
ROUTER, GATEWAY, NETWORK = "192.168.0.1", "192.168.0.66", "192.168.0.0/24"
PORT = 8080
MAC, BIOS_MAC, STRANGER = "52:54:00:6e:10:01", "52:54:00:6e:10:02", "52:54:00:6e:10:03"
CONFIG = "version: v1alpha1\nmachine:\n  type: worker\n"
BOOT_SECONDS = 240  # under TCG on a busy machine; 40 are usual
ROUTER_CONF = f"port=0\ninterface=eth0\nbind-dynamic\ndhcp-range=192.168.0.100,192.168.0.200,255.255.255.0,1h\ndhcp-option=3,{ROUTER}\n"


@dataclasses.dataclass
class Home:
    """The network, the agent on the gateway, and machines on the bridge."""

    build: object
    folder: pathlib.Path
    accelerator: str
    agent: Process = None
    dnsmasq: Process = None

    def inside(self, namespace, *argv):
        return ["ip", "netns", "exec", PREFIX + namespace, *map(str, argv)]

    def shell(self, *commands, check=True):
        words = [word for command in commands for word in ("-c", command)]
        return subprocess.run([self.build.program("nettsh"), "--socket", self.folder / "s", "--json", *words], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True, timeout=30, check=check)

    def show(self, command):
        return json.loads(self.shell(command).stdout)

    def builder(self, *words):
        done = subprocess.run([self.build.program("talos-fabric-builder"), "--server", f"unix:{self.folder / 's'}", *map(str, words)],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stdout
        return done.stdout

    def curl(self, path, *more):
        """Status and body of a request from the router, as any machine of the network could make it."""
        done = subprocess.run(self.inside("router", "curl", "-sS", "-m", "10", "-w", "\n%{http_code}", *more, f"http://{GATEWAY}:{PORT}{path}"),
                              stdout=subprocess.PIPE, timeout=30, check=True)
        body, _, status = done.stdout.rpartition(b"\n")
        return int(status), body

    @contextlib.contextmanager
    def machine(self, name, *arguments):
        """Runs a QEMU machine on the bridge; gives a function that returns what its console shows."""
        console = self.folder / f"{name}.log"
        console.write_bytes(b"")
        tap = netns.open_tap(PREFIX + "switch", "vm0")
        qemu = subprocess.Popen(["qemu-system-x86_64", "-machine", f"q35,accel={self.accelerator}", "-cpu",
                                 "host" if self.accelerator == "kvm" else "max", "-m", "512", "-display", "none", "-nodefaults", "-no-reboot",
                                 "-chardev", f"file,id=console,path={console}", "-serial", "chardev:console",
                                 "-netdev", f"tap,id=n0,fd={tap}", *arguments], stdin=subprocess.DEVNULL, pass_fds=[tap])
        os.close(tap)

        def shown():
            # Powering off ends QEMU, which is what the booted kernel does in the end.
            assert qemu.poll() in (None, 0), f"QEMU ended with {qemu.returncode}"
            return re.sub(rb"\x1b\[[0-9;?=]*[A-Za-z]", b"", console.read_bytes()).decode(errors="replace").replace("\r", "")

        try:
            yield shown
        finally:
            qemu.kill()
            qemu.wait()

    def uefi(self, mac):
        variables = self.folder / "variables.fd"
        shutil.copyfile("/usr/share/OVMF/OVMF_VARS_4M.fd", variables)
        return ("-drive", "if=pflash,unit=0,format=raw,readonly=on,file=/usr/share/OVMF/OVMF_CODE_4M.fd",
                "-drive", f"if=pflash,unit=1,format=raw,file={variables}", "-device", "virtio-rng-pci",
                "-device", f"virtio-net-pci,netdev=n0,mac={mac},romfile=,bootindex=1")


def _network():
    for name in ("switch", "router", "gateway"):
        netns.create(PREFIX + name)
    switch = PREFIX + "switch"
    netns.run("ip", "-n", switch, "link", "add", "br0", "type", "bridge", "forward_delay", "0")
    netns.run("ip", "-n", switch, "link", "set", "br0", "up")
    for name, address in (("router", ROUTER), ("gateway", GATEWAY)):
        netns.connect(switch, name, PREFIX + name, "eth0")
        netns.run("ip", "-n", switch, "link", "set", name, "master", "br0")
        netns.run("ip", "-n", PREFIX + name, "address", "add", f"{address}/24", "dev", "eth0")
    netns.add_tap(switch, "vm0")
    netns.run("ip", "-n", switch, "link", "set", "vm0", "master", "br0")


def _start_agent(home):
    folder, ready = home.folder, ReadySocket(str(home.folder / "n"))
    subprocess.run([home.build.program("talos-fabric-builder"), "pki", "init", folder, "--server-address", "::1"], check=True,
                   stdout=subprocess.DEVNULL)
    (folder / "nett.conf").write_text(f"""state file {folder}/state.db
secret-key file {folder}/secret.key
artifacts directory {folder}/artifacts
api socket {folder}/s
!
plugin metadata
 listen [::1]:443
 certificate {folder}/server.pem
 private-key {folder}/server.key
 client-ca {folder}/root.pem
 homelab listen {GATEWAY}:{PORT}
 homelab tenant home
!
""", encoding="utf-8")
    try:
        home.agent = Process("nettd", home.inside("gateway", home.build.program("nettd"), "--config", folder / "nett.conf", "--plugin-dir",
                                                  home.build.plugin_folder(folder)), folder / "nettd.log",
                             {"NOTIFY_SOCKET": str(folder / "n")})
        ready.wait_ready(home.agent, 20)
    finally:
        ready.close()


def _register(home):
    setup = SOURCE / "tests" / "lab" / "setup"
    (home.folder / "config.yaml").write_text(CONFIG, encoding="utf-8")
    home.builder("tenant", "add", "home", "--common-name", "home.boot.example")
    home.builder("artifact", "import", "talos", "--version", "v1", "--kernel", output_of([setup / "kernel.sh"]), "--initramfs",
                 output_of([setup / "initramfs.sh"]), "--command-line", "console=ttyS0")
    for name, mac in (("node-1", MAC), ("node-2", BIOS_MAC)):
        home.builder("machine", "add", name, "--tenant", "home", "--mac", mac, "--artifact-set", "talos", "--config",
                     home.folder / "config.yaml")


@pytest.fixture(scope="module")
def home(build, tmp_path_factory):
    folder = tmp_path_factory.mktemp("home")
    made = Home(build, folder, machine.accelerator(folder))
    processes = []
    try:
        _network()
        _start_agent(made)
        _register(made)
        ipxe = output_of([SOURCE / "tests" / "lab" / "setup" / "ipxe.sh"])
        made.builder("homelab", "--output", folder / "boot", "--interface", "eth0", "--network", NETWORK, "--server", f"{GATEWAY}:{PORT}",
                     "--tenant", "home", "--ipxe", ipxe)
        (folder / "router.conf").write_text(ROUTER_CONF, encoding="ascii")
        for name, conf in (("router", folder / "router.conf"), ("gateway", folder / "boot" / "dnsmasq.conf")):
            processes.append(Process(f"dnsmasq on {name}", made.inside(name, "/usr/sbin/dnsmasq", "--keep-in-foreground", f"--conf-file={conf}",
                                                                       f"--dhcp-leasefile={folder}/{name}.leases", "--pid-file", "--user=root",
                                                                       "--log-facility=-"), folder / f"dnsmasq-{name}.log"))
            wait.until(f"dnsmasq on {name} serves", lambda: "started" in processes[-1].log(), within=10)
        made.dnsmasq = processes[-1]
        yield made
    finally:
        for process in (*processes, *([made.agent] if made.agent else [])):
            process.stop()
        for name in netns.existing(PREFIX):
            netns.destroy(name)


def test_a_uefi_machine_comes_by_tftp_and_http_to_its_config(home):
    with home.machine("uefi", *home.uefi(MAC)) as shown:
        wait.until("the kernel has the config", lambda: "NETT-LAB-DONE" in shown(), within=BOOT_SECONDS, every=0.3)
        console = shown()
    assert f"talos.config=http://{GATEWAY}:{PORT}/talos/machine-config/{MAC.replace(':', '-')}" in console
    assert f"NETT-LAB-CONFIG-SHA256: {hashlib.sha256(CONFIG.encode()).hexdigest()}" in console
    assert re.search(r"sent .*/tftp/talos/ipxe.efi to 192\.168\.0\.", home.dnsmasq.log())
    assert home.show("show machine node-1")["state"] == "provisioning"


def test_a_bios_machine_whose_network_card_has_ipxe_boots_without_tftp(home):
    with home.machine("bios", "-device", f"e1000,netdev=n0,mac={BIOS_MAC},bootindex=1") as shown:
        wait.until("the kernel is up", lambda: "NETT-LAB-LAYERS" in shown(), within=BOOT_SECONDS, every=0.3)
        console = shown()
    assert f"machine-config/{BIOS_MAC.replace(':', '-')}" in console
    assert "undionly.kpxe to" not in home.dnsmasq.log()


def test_a_machine_that_nobody_registered_boots_its_disk_and_is_listed(home):
    with home.machine("stranger", *home.uefi(STRANGER)) as shown:
        wait.until("iPXE goes on to the disk", lambda: "LOCALBOOT" in shown(), within=BOOT_SECONDS, every=0.3)
    listed = lambda: [row for row in home.show("show unknown") if row["id"] == STRANGER]
    assert wait.until("it is listed", listed, within=10)[0]["tenant"] == "home"


def test_an_installed_machine_is_sent_to_its_disk_and_its_config_is_gone(home):
    path = f"/talos/machine-config/{MAC.replace(':', '-')}"
    assert home.curl(path) == (200, CONFIG.encode())
    home.builder("machine", "state", "node-1", "active")
    missing = home.curl("/talos/nothing")
    assert missing[0] == 404
    assert home.curl(path) == missing
    assert home.curl(f"/talos/boot/{MAC.replace(':', '-')}") == missing


def test_files_come_whole_and_in_ranges(home):
    kernel = pathlib.Path(output_of([SOURCE / "tests" / "lab" / "setup" / "kernel.sh"])).read_bytes()
    assert home.curl("/talos/vmlinuz-amd64") == (200, kernel)
    assert home.curl("/talos/vmlinuz-amd64?set=talos", "-r", "10-19") == (206, kernel[10:20])
    assert home.curl("/talos/vmlinuz-arm64")[0] == 404
    assert home.curl("/v1/config/" + MAC.replace(":", "-"))[0] == 404


def test_a_global_address_is_refused_at_commit_without_its_word(home):
    refused = home.shell("configure terminal", "plugin metadata", "homelab listen [2001:db8::66]:8081", "commit", check=False)
    assert "homelab listen-global [2001:db8::66]:8081" in refused.stdout + refused.stderr
    assert home.curl("/talos/talos.ipxe")[0] == 200

    def well():
        condition = next(row for row in home.show("show health") if (row["component"], row["name"]) == ("metadata", "homelab"))
        return (condition["state"], condition["scope"]) == ("ok", "info")

    wait.until("metadata/homelab is ok", well, within=15, every=0.3)
    assert home.show("show homelab")["scripts"] == [f"http://{GATEWAY}:{PORT}/talos/talos.ipxe"]
