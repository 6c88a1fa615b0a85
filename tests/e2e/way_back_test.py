#!/usr/bin/env python3
# build: release
"""The way back: three tocsin nodes become three of Debian's Alertmanagers, one at a time, on their directories and under a steady
stream of alerts. One silence comes from a snapshot of Alertmanager 0.33.0 and has matcher sets only: an older node that is given it
as it is would mute everything."""
import threading

from cluster_lib import *
from protobuf_lib import field, varint

ONLY_SETS = "00000000-0000-4000-8000-000000000001"


def stamp(t):
    return field(1, int(t)) + field(2, int(t % 1 * 1e9))


def snapshot_of_a_later_alertmanager():
    """MeshSilence {1 Silence {1 id, 3 starts, 4 ends, 5 updated, 8 by, 9 comment, 11 matcher_sets}, 2 expires}."""
    now = time.time()
    matchers = field(1, field(2, "alertname") + field(3, "quiet"))
    record = (field(1, ONLY_SETS) + field(3, stamp(now - 60)) + field(4, stamp(now + 3600)) + field(5, stamp(now - 60)) +
              field(8, "later") + field(9, "sets only") + field(11, matchers))
    mesh = field(1, record) + field(2, stamp(now + 7200))
    return varint(len(mesh)) + mesh


class Opened(Node):
    """A node whose directory is there before it begins."""

    def begin(self, wait=True, **kept):
        if "storage" not in kept:
            kept["storage"] = scratch()
            os.makedirs(os.path.join(kept["storage"], "data"))
            with open(os.path.join(kept["storage"], "data", "silences"), "wb") as f:
                f.write(snapshot_of_a_later_alertmanager())
        return super().begin(wait, **kept)


class Opening(Cluster):
    def __init__(self):
        self.sink, self.peer_timeout = Sink(), 5
        self.config = CONFIG.format(url=self.sink.url, wait="1s", interval="10s")
        self.nodes = []
        self.nodes += [Opened(self, 0), Node(self, 1), Node(self, 2)]
        for node in self.nodes:
            node.begin(wait=False)
        for node in self.nodes:
            node.wait_ready()
        self.wait_whole()


def back_to_alertmanager_nothing_is_lost_or_said_twice():
    c = Opening()
    ids = {post_silence(c.nodes[i % 3].port, silence({"tag": f"s{i}"})) for i in range(100)} | {ONLY_SETS}
    names = [f"steady{i}" for i in range(100)]
    c.fire(names)
    c.expect_once(names, quiet=1)
    stop = threading.Event()

    def feed():
        while not stop.wait(2):
            for node in c.nodes:
                try:
                    c.fire(names, to=[node])
                except OSError:
                    pass  # it is being replaced

    thread = threading.Thread(target=feed, daemon=True)
    thread.start()
    for node in c.nodes:
        assert node.stop() == 0
        node.kind = "am"
        node.restart()
        c.wait_whole()
        for other in c.nodes:
            wait_for(f"{other.name} has every silence", lambda n=other: ids <= n.silences(), 15)
    stop.set()
    thread.join()
    for node in c.nodes:
        kept = get_json(node.port, f"/api/v2/silence/{ONLY_SETS}")
        assert [(m["name"], m["value"]) for m in kept["matchers"]] == [("alertname", "quiet")], kept
    c.fire(["quiet", "loud"])
    wait_for("what is not silenced is heard", lambda: c.heard()["loud"] == 1, 30, 0.1)
    c.expect_once(names, quiet=12)
    assert c.heard()["quiet"] == 0


main([back_to_alertmanager_nothing_is_lost_or_said_twice])
