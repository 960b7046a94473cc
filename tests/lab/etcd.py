"""An etcd cluster of three members with mutual TLS, and agents that share their state through it. Each member and each agent has a
namespace with a link of its own to the hub between them, so that links can be cut and members frozen one by one."""

import contextlib
import json
import os
import shutil
import signal
import subprocess

from . import netns, wait
from .metadata import MetadataAgent
from .process import Process

MEMBERS = (1, 2, 3)
META = "2001:db8:53::1"  # every server's, as behind an anycast address
_STATE = "/nett"
# A folder with etcd and etcdctl in place of those that are installed: another release's, by tests/lab/setup/etcd.sh.
_PROGRAMS = os.environ.get("NETT_ETCD", "")
# For nftables: what goes to some addresses and comes from them is dropped, without a sign; and not any more.
CUT = ("table ip6 cut {\n set far {\n  type ipv6_addr\n  elements = { %s }\n }\n"
       " chain out {\n  type filter hook output priority 0;\n  ip6 daddr @far drop\n }\n"
       " chain in {\n  type filter hook input priority 0;\n  ip6 saddr @far drop\n }\n}\n")
MEND = "table ip6 cut {}\ndelete table ip6 cut\n"


def member_address(number):
    return f"2001:db8:e::{number}"


class EtcdCluster:
    """`namespace` is the hub; `folder` has the members' data, certificates and logs."""

    def __init__(self, prefix, folder, limits=("--max-txn-ops=8192", "--max-request-bytes=8388608")):
        self.namespace, self.folder, self.limits = f"{prefix}etcd", folder, limits
        self.members = {}
        self._make_certificates()
        key = self.folder / "secret.key"  # every server's: sealed values are sealed in etcd
        key.write_text(os.urandom(32).hex() + "\n", encoding="ascii")
        key.chmod(0o600)
        netns.create(self.namespace)
        netns.sysctl(self.namespace, "net/ipv6/conf/all/forwarding", 1)
        for number in MEMBERS:
            self._place(number)

    def _place(self, number):
        member = self.member_namespace(number)
        netns.create(member)
        prefix = f"2001:db8:e:10{number}::"
        self.join(member, "eth0", f"m{number}", prefix)
        netns.run("ip", "-n", member, "address", "add", f"{member_address(number)}/128", "dev", "lo", "nodad")
        # A member's certificate has this address, and the others look where it comes from.
        netns.run("ip", "-n", member, "-6", "route", "replace", "2001:db8:e::/48", "via", f"{prefix}1", "src", member_address(number))
        netns.run("ip", "-n", self.namespace, "-6", "route", "add", f"{member_address(number)}/128", "via", f"2001:db8:e:10{number}::2")

    def member_namespace(self, number):
        return f"{self.namespace}-m{number}"

    def join(self, namespace, link, hub_link, prefix):
        """Connects a namespace to the hub: it has PREFIX2, the hub PREFIX1, and what is beyond the hub is reached through it."""
        netns.connect(namespace, link, self.namespace, hub_link)
        for where, end, name in ((namespace, 2, link), (self.namespace, 1, hub_link)):
            netns.run("ip", "-n", where, "address", "add", f"{prefix}{end}/64", "dev", name, "nodad")
        netns.run("ip", "-n", namespace, "-6", "route", "add", "2001:db8:e::/48", "via", f"{prefix}1")

    def _make_certificates(self):
        def openssl(*words):
            netns.run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                      *map(str, words))

        root = ("-CA", self.folder / "etcd-ca.pem", "-CAkey", self.folder / "etcd-ca.key", "-addext", "basicConstraints=critical,CA:false")
        openssl("-subj", "/CN=etcd root", "-keyout", self.folder / "etcd-ca.key", "-out", self.folder / "etcd-ca.pem")
        addresses = ",".join(f"IP:{member_address(number)}" for number in MEMBERS)
        openssl("-subj", "/CN=member", "-keyout", self.folder / "member.key", "-out", self.folder / "member.pem", *root,
                "-addext", f"subjectAltName={addresses}", "-addext", "extendedKeyUsage=serverAuth,clientAuth")
        openssl("-subj", "/CN=nett", "-keyout", self.folder / "client.key", "-out", self.folder / "client.pem", *root,
                "-addext", "extendedKeyUsage=clientAuth")

    def start(self, number):
        me, tls = member_address(number), self.folder
        peers = ",".join(f"m{one}=https://[{member_address(one)}]:2380" for one in MEMBERS)
        self.members[number] = Process(
            f"etcd {number}",
            ["ip", "netns", "exec", self.member_namespace(number), os.path.join(_PROGRAMS, "etcd"), "--name", f"m{number}", "--data-dir", f"{tls}/data{number}",
             "--listen-client-urls", f"https://[{me}]:2379", "--advertise-client-urls", f"https://[{me}]:2379",
             "--listen-peer-urls", f"https://[{me}]:2380", "--initial-advertise-peer-urls", f"https://[{me}]:2380",
             "--initial-cluster", peers, "--initial-cluster-state", "new", "--client-cert-auth", "--peer-client-cert-auth",
             "--cert-file", f"{tls}/member.pem", "--key-file", f"{tls}/member.key", "--trusted-ca-file", f"{tls}/etcd-ca.pem",
             "--peer-cert-file", f"{tls}/member.pem", "--peer-key-file", f"{tls}/member.key",
             "--peer-trusted-ca-file", f"{tls}/etcd-ca.pem", "--heartbeat-interval", "200", "--election-timeout", "2000",
             "--logger", "zap", *self.limits], self.folder / f"etcd{number}.log")

    def raise_all(self):
        for number in MEMBERS:
            if number not in self.members or not self.members[number].running():
                self.start(number)
            self.members[number].signal(signal.SIGCONT)
        self.wait_healthy()

    def kill(self, *numbers):
        for number in numbers:
            self.members[number].kill()

    def freeze(self, *numbers):
        for number in numbers:
            self.members[number].signal(signal.SIGSTOP)

    def part(self, number):
        """Cuts the member's links to the other members; servers still reach it."""
        others = ", ".join(member_address(one) for one in MEMBERS if one != number)
        netns.nft(self.member_namespace(number), CUT % others)

    def mend(self):
        for number in MEMBERS:
            netns.nft(self.member_namespace(number), MEND)

    def client(self, *words, check=True):
        """etcdctl, against all members."""
        endpoints = ",".join(f"https://[{member_address(number)}]:2379" for number in MEMBERS)
        done = subprocess.run(["ip", "netns", "exec", self.namespace, os.path.join(_PROGRAMS, "etcdctl"), "--endpoints", endpoints,
                               "--cacert", self.folder / "etcd-ca.pem", "--cert", self.folder / "client.pem",
                               "--key", self.folder / "client.key", *map(str, words)], capture_output=True, text=True, timeout=60,
                              check=False, env={**os.environ, "ETCDCTL_API": "3"})
        assert not check or done.returncode == 0, f"etcdctl {words}: {done.stdout}{done.stderr}"
        return done.stdout

    def wait_healthy(self):
        wait.until("all members of etcd are healthy", lambda: self.client("endpoint", "health") is not None, 60, every=0.3)

    def keys(self, prefix=f"{_STATE}/state/record/"):
        return self.client("get", "--prefix", "--keys-only", prefix).split()

    def compact(self):
        """Forgets every revision but the newest."""
        head = json.loads(self.client("get", "--write-out", "json", f"{_STATE}/meta"))["header"]["revision"]
        self.client("compact", head)

    def down(self):
        for process in self.members.values():
            process.kill()
        for number in MEMBERS:
            netns.destroy(self.member_namespace(number))
        netns.destroy(self.namespace)


@contextlib.contextmanager
def raised_cluster(prefix, folder, **more):
    """An EtcdCluster whose members are healthy; namespaces that a crashed run left under the prefix go first."""
    for name in netns.existing(prefix):
        netns.destroy(name)
    made = EtcdCluster(prefix, folder, **more)
    try:
        made.raise_all()
        yield made
    finally:
        made.down()


@contextlib.contextmanager
def raised_servers(make, numbers=(1, 2, 3)):
    """{number: server}, all followers of their cluster. make(number, first) makes one; `first` is None for the first of them."""
    made = {}
    try:
        for number in numbers:
            made[number] = make(number, made.get(numbers[0]))
            made[number].start()
            made[number].wait_member()
        yield made
    finally:
        for server in made.values():
            server.down()


def state_config(folder, max_lag):
    """The lines of nett.conf by which an agent shares the state of the cluster in `folder`."""
    members = " ".join(f"https://[{member_address(number)}]:2379" for number in MEMBERS)
    return (f"state etcd {members}\nstate certificate {folder}/client.pem\nstate private-key {folder}/client.key\n"
            f"state server-ca {folder}/etcd-ca.pem\nstate max-lag {max_lag}\n")


class Follower:
    """An agent with show() whose `namespace` has a link to the members."""

    def cut(self, *members):
        """Drops what goes to these members, or to all, and what comes from them."""
        where = ", ".join(member_address(number) for number in members or MEMBERS)
        netns.nft(self.namespace, CUT % where)

    def mend(self):
        netns.nft(self.namespace, MEND)

    def replication(self):
        return self.show("show replication")

    def lag(self):
        """(state, scope) of the condition of the copy's age."""
        return next((one["state"], one["scope"]) for one in self.show("show health")
                    if (one["component"], one["name"]) == ("replication", "lag"))


class Server(Follower, MetadataAgent):
    """Agent `number` in a namespace of its own. Servers share the PKI and the secret key of `first`, as an operator would have them do,
    and, on this one machine, its folder of artifacts."""

    def __init__(self, build, folder, cluster, number, first=None):
        self.cluster, self.number, self.name = cluster, number, f"gw-{number}"
        self.namespace = cluster.namespace + f"-{number}"
        folder.mkdir(exist_ok=True)
        self._connect()
        super().__init__(build, folder, address=META, port=443, namespace=self.namespace)
        shutil.copy2(cluster.folder / "secret.key", folder / "secret.key")
        self.clients = (first or self).folder
        if first:
            for file in ("root.pem", "server.pem", "server.key"):
                shutil.copy2(first.folder / file, folder / file)
            (folder / "artifacts").symlink_to(first.folder / "artifacts")
        else:
            (folder / "artifacts").mkdir()
        self.configure()

    def _connect(self):
        netns.create(self.namespace)
        self.cluster.join(self.namespace, "eth0", f"gw{self.number}", f"2001:db8:e:{self.number}::")
        netns.run("ip", "-n", self.namespace, "address", "add", f"{META}/128", "dev", "lo")

    def configure(self, shared=True, max_lag=5):
        state = state_config(self.cluster.folder, max_lag) if shared else ""
        self.write_config(self.metadata_node(), head=f"hostname {self.name}\n{state}")

    def wait_member(self, within=40):
        wait.until(f"{self.name} follows the cluster", lambda: self.replication()["doing"] == "following"
                   and self.replication()["role"] == "member", within, every=0.2)

    def boot(self, uuid, tenant="t"):
        """(status, script) of a boot request that a machine sends to this server."""
        done = subprocess.run(["ip", "netns", "exec", self.namespace, "curl", "-sS", "-g", "--max-time", "20", "--cacert",
                               self.folder / "root.pem", "--cert", self.clients / f"{tenant}.pem", "--key",
                               self.clients / f"{tenant}.key", "-w", "\n%{http_code}", f"https://[{META}]/v1/boot/{uuid}"],
                              capture_output=True, text=True, timeout=40, check=False)
        assert done.returncode == 0, done.stderr
        body, _, status = done.stdout.rpartition("\n")
        return int(status), body

    def try_shell(self, command):
        """(exit status, output) of a shell command that may be refused."""
        done = subprocess.run([self.build.program("nettsh"), "--socket", self.socket, "-c", command], capture_output=True, text=True,
                              timeout=40, check=False)
        return done.returncode, done.stdout + done.stderr

    def down(self):
        if self.process and self.process.running():
            self.process.signal(signal.SIGCONT)
            self.process.kill()
        netns.destroy(self.namespace)
