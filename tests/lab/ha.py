"""Three metadata hosts behind one address, with one state in three members of etcd.

    m1 m2 m3 ── hub ── meta-1 meta-2 meta-3 ── fabric ── tor-a tor-b

Each member and each metadata host has a link of its own to the hub between them. Each host serves on the anycast address and, so that a test
knows whom it asks, on the address of its management link.
"""

import signal

from . import agent, frr, netns, story, wait
from .etcd import EtcdCluster, Follower, state_config
from .fabric import TORS, Fabric

METAS = ("meta-1", "meta-2", "meta-3")
DIRECT_PORT = 8443
TENANT = story.TENANT
MAX_LAG = 5  # seconds


def direct_address(meta):
    """Of the host's management link, which cut() leaves alone for whoever sits with the members."""
    return f"2001:db8:e:{METAS.index(meta) + 1}::2"


class MetaAgent(Follower, agent.Agent):
    """nettd of a metadata host, as a part of the cluster."""

    def __init__(self, node, build, cluster):
        self.cluster = cluster
        shared = cluster.folder
        head = (f"hostname {node.name}\nsecret-key file {shared}/secret.key\nartifacts directory {shared}/artifacts\n"
                f"{state_config(shared, MAX_LAG)}")
        config = agent.meta_config(node.name).replace(f"hostname {node.name}\n", head)
        listen = f" listen [{frr.META}]:443\n"
        config = config.replace(" require metadata\n", " require metadata\n require replication\n")
        super().__init__(node, build, config.replace(listen, f"{listen} listen [{direct_address(node.name)}]:{DIRECT_PORT}\n"
                                                     " max-connections-per-source 20000\n"))

    def keep_state_in(self, folder):
        """Another place for the state file, before the first start."""
        text = self.node.path("/etc/nett/nett.conf").read_text(encoding="utf-8")
        self.configure(text.replace("secret-key file", f"state file {folder}/state.db\nsecret-key file", 1))

    @property
    def name(self):
        return self.node.name

    @property
    def namespace(self):
        return self.node.namespace

    def wait_member(self, within=60):
        def joined():
            now = self.replication()
            return now["role"] == "member" and now["doing"] == "following" and now["etcd_answers"]
        wait.until(f"{self.name} follows the cluster", joined, within, every=0.2)

    def signal(self, number):
        self.process.signal(number)


class HaLab:
    """`lab`: an empty one (fabric.Lab). raise_all() returns when every server announces."""

    def __init__(self, lab, build):
        self.lab = lab
        self.fabric = Fabric(lab, metas=METAS, spread=True)
        folder = lab.folder / "cluster"
        folder.mkdir()
        (folder / "artifacts").mkdir()
        self.cluster = EtcdCluster(lab.prefix, folder)
        for number, meta in enumerate(METAS, 1):
            self.cluster.join(lab.nodes[meta].namespace, "mgmt", f"gw{number}", f"2001:db8:e:{number}::")
        self.pki = story.Pki(lab, build)
        self.pki.create()
        self.menders = []  # called by mend_all()
        self.agents = {}
        for meta in METAS:
            self.pki.install_on(lab.nodes[meta])
            self.agents[meta] = MetaAgent(lab.nodes[meta], build, self.cluster)

    def start_network(self):
        self.fabric.start_frr()
        self.fabric.wait_established()

    def start_etcd(self):
        self.cluster.raise_all()

    def start_agents(self):
        for one in self.agents.values():
            one.start()
            one.wait_member()

    def wait_announced(self, *metas, within=30):
        """Until the ToRs' kernels spread over exactly these, or all."""
        wanted = set(metas or METAS)
        for tor in TORS:
            wait.until(f"{tor} spreads over {', '.join(sorted(wanted))}", lambda t=tor: self.fabric.anycast_next_hops(t) == wanted, within,
                       every=0.2)

    def announcing(self, tor="tor-a"):
        return self.fabric.anycast_next_hops(tor)

    def open_clients_way(self, tor="tor-a"):
        """Lets programs in the ToR's namespace ask the anycast address, without an agent on the ToR: an address of its aggregate, and the
        aggregate's blackhole, which it announces. Returns the namespace."""
        aggregate = TORS[tor]
        node = self.lab.nodes[tor]
        node.ip("route", "add", "blackhole", aggregate)
        node.ip("address", "add", aggregate.replace("::/56", ":f::1/128"), "dev", "lo")
        for meta in METAS:
            wait.until(f"{meta} has a way back to {tor}", lambda m=meta: self.lab.nodes[m].routes_to(aggregate), 30)
        return node.namespace

    def unplug(self, tor, meta):
        """Drops everything between the two, without a sign on either side."""
        hooks = "".join(f" chain {hook} {{\n  type filter hook {hook} priority 0;\n  {way} fab-{meta} drop\n }}\n"
                        for hook, way in (("input", "iifname"), ("output", "oifname"), ("forward", "oifname")))
        netns.nft(self.lab.nodes[tor].namespace, f"table ip6 unplug {{\n{hooks}}}\n")

    def mend_all(self):
        """Everything runs and reaches everything."""
        for mend in self.menders:
            mend()
        self.cluster.mend()
        for tor in TORS:
            netns.nft(self.lab.nodes[tor].namespace, "table ip6 unplug {}\ndelete table ip6 unplug\n")
        self.cluster.raise_all()
        for one in self.agents.values():
            one.mend()
            if one.running():
                one.signal(signal.SIGCONT)
            else:
                one.start()
        for one in self.agents.values():
            one.wait_member()
        for instance in self.fabric.frr.values():
            instance.start_dead_daemons()

    def down(self):
        for member in self.cluster.members.values():
            member.kill()
        return self.lab.down()


def raise_ha(lab, build):
    """A whole one."""
    made = HaLab(lab, build)
    made.start_network()
    made.start_etcd()
    made.start_agents()
    made.wait_announced()
    return made
