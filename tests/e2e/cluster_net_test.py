"""The invariants of the simulator in real processes: three tocsin nodes, each in a network namespace, whose network is cut, loses in
one direction or in all, heals, and whose names move. Needs root, ip and nft."""
# build: release
# long
import shutil

from cluster_lib import *
from net_lib import Network, Resolver, bind, enter, own_mounts

NET, PORT, WEB = "10.213.7", 9094, 9093


def into(space, resolv=None):
    """What a child does before it becomes the node: into the namespace, and with a resolv.conf of its own."""
    def before():
        enter(space)
        if resolv:
            own_mounts()
            bind(resolv, "/etc/resolv.conf")
    return before


class NetNode(Node):
    def __init__(self, cluster, index, peers=None, resolv=None):
        super().__init__(cluster, index, host=f"{NET}.{10 + index}", gossip=PORT)
        self.peers, self.resolv = peers, resolv

    def begin(self, wait=True, **kept):
        peers = self.peers or [f"{n.host}:{PORT}" for n in self.cluster.nodes if n is not self]
        flags = ["--cluster.settle-timeout=10s", f"--cluster.peer-timeout={self.cluster.peer_timeout}s",
                 f"--web.listen-address={self.host}:{WEB}", *[f"--cluster.peer={p}" for p in peers]]
        kept.setdefault("port", WEB)
        Server.__init__(self, self.cluster.config, cluster=f"{self.host}:{PORT}", extra=flags, wait=False, name=f"node{self.index}",
                        preexec=into(self.cluster.net.spaces[self.index], self.resolv), **kept)

    def ask(self, method, path, body=None):
        status, _, answer = call(WEB, method, path, body, timeout=3, host=self.host)
        assert status == 200, (self.name, path, status, answer[:200])
        return json.loads(answer) if answer else None

    def status(self):
        return self.ask("GET", "/api/v2/status")["cluster"]

    def silences(self, state="active"):
        return {s["id"] for s in self.ask("GET", "/api/v2/silences") if s["status"]["state"] == state}

    def make_silence(self, tag):
        return self.ask("POST", "/api/v2/silences", silence({"tag": tag}))["silenceID"]


class NetCluster(Cluster):
    def __init__(self, count, start=True):
        if not shutil.which("nft"):
            raise Skip("no nft")
        self.net, self.peer_timeout = Network(NET, count), 5
        self.sink = Sink(host=f"{NET}.1")
        self.config = CONFIG.format(url=self.sink.url, wait="1s", interval="10s")
        self.nodes = [NetNode(self, i) for i in range(count)]
        if not start:
            return
        for node in self.nodes:
            node.begin()
        for node in self.nodes:
            wait_for(f"{node.name} answers", node.status, 15, 0.1)
        self.wait_whole()

    def fire(self, names, to=None, ends=None):
        for node in to or self.nodes:
            node.ask("POST", "/api/v2/alerts", [alert(n, starts=time.time() - 1, ends=ends) for n in names])

    def end(self):
        for node in self.nodes:
            if hasattr(node, "p"):
                node.kill()
        self.net.close()


def a_partition_notifies_on_both_sides_and_heals():
    c = NetCluster(3)
    try:
        c.net.rules(0, f"ip saddr {{ {NET}.11, {NET}.12 }}")
        for i in (1, 2):
            c.net.rules(i, f"ip saddr {NET}.10")
        for node, count in zip(c.nodes, (1, 2, 2)):
            wait_for("the split is found out", lambda n=node, k=count: n.members() == k, 60, 0.2)
        alone, pair = c.nodes[0].make_silence("alone"), c.nodes[1].make_silence("pair")
        names = [f"apart{i}" for i in range(20)]
        c.fire(names)
        wait_for("each is said", lambda: set(names) <= set(c.heard()), 40, 0.1)
        c.net.heal()
        c.wait_whole(deadline=60)
        for node in c.nodes:
            wait_for("both sides' silences are everywhere", lambda n=node: {alone, pair} <= n.silences(), 15)
        names = [f"together{i}" for i in range(20)]
        c.fire(names)
        c.expect_once(names)
    finally:
        c.end()


def loss_in_one_direction_doubles_nothing():
    c = NetCluster(3)
    try:
        c.net.rules(2, f"ip saddr {NET}.10 udp dport {PORT}")
        names = [f"oneway{i}" for i in range(40)]
        c.fire(names)
        c.expect_once(names)
        sid = c.nodes[0].make_silence("x")
        wait_for("by a detour", lambda: sid in c.nodes[2].silences(), 10)
        for node in c.nodes:
            assert node.members() == 3, node.name
    finally:
        c.end()


def thirty_percent_loss_doubles_nothing():
    c = NetCluster(3)
    try:
        for i in range(3):
            c.net.rules(i, f"udp dport {PORT} numgen random mod 100 < 30")
        for round in range(4):
            names = [f"lossy{round}.{i}" for i in range(15)]
            c.fire(names)
            c.expect_once(names)
            sid = c.nodes[round % 3].make_silence(f"r{round}")
            for node in c.nodes:
                wait_for("the silence", lambda n=node: sid in n.silences(), 10)
        for node in c.nodes:
            assert node.members() == 3, node.name
    finally:
        c.end()


def a_name_that_moves_is_followed():
    c = NetCluster(3, start=False)
    try:
        addresses = [f"{NET}.99"]  # nobody lives there
        resolver = Resolver(f"{NET}.1", lambda name: addresses)
        resolv = os.path.join(scratch(), "resolv.conf")
        with open(resolv, "w", encoding="ascii") as f:
            f.write(f"nameserver {NET}.1\noptions timeout:1 attempts:1\n")
        for node in c.nodes:
            node.peers, node.resolv = [f"mesh.test:{PORT}"], resolv
            node.begin()
        for node in c.nodes:
            wait_for(f"{node.name} answers", lambda n=node: n.members() == 1, 40, 0.1)
        addresses[:] = [n.host for n in c.nodes]
        c.wait_whole(deadline=60)
        resolver.close()
    finally:
        c.end()


main([a_partition_notifies_on_both_sides_and_heals, loss_in_one_direction_doubles_nothing, thirty_percent_loss_doubles_nothing,
      a_name_that_moves_is_followed])
