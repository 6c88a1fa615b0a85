"""./dev bench bursts: thousands of groups fall due in one second on three tocsin nodes with upstream's peer timeout: with a receiver
that works, one that answers 500 for a minute, and with one replica whose way out is cut. What each cost, and how late it was."""
import asyncio
import json
import os
import threading
import time
from collections import Counter

import mesh
from harness import Peer, scratch

CONFIG = """
route: {receiver: hook, group_by: [alertname], group_wait: 10s, group_interval: 100s, repeat_interval: 4h}
receivers:
- name: hook
  webhook_configs: [{url: "http://127.0.0.1:%d/", send_resolved: true}]
"""
PEER_TIMEOUT = 15


class Receiver:
    """When each group was accepted firing and resolved; what it refuses does not count. One thread and no HTTP library: a
    receiver that falls behind would be measured instead."""

    def __init__(self):
        self.fired, self.resolved, self.last, self.fails_until, self.refused = Counter(), Counter(), 0.0, 0.0, 0
        self.port, started = 0, threading.Event()
        receiver = self

        class Connection(asyncio.Protocol):
            def connection_made(self, transport):
                self.transport, self.data = transport, b""

            def data_received(self, data):
                self.data += data
                while True:
                    head, found, rest = self.data.partition(b"\r\n\r\n")
                    if not found:
                        return
                    length = int(head.lower().partition(b"content-length:")[2].partition(b"\r")[0])
                    if len(rest) < length:
                        return
                    self.data = rest[length:]
                    self.transport.write(receiver.hear(rest[:length]))

        async def serve():
            server = await asyncio.get_running_loop().create_server(Connection, "127.0.0.1", 0, backlog=1024)
            self.port = server.sockets[0].getsockname()[1]
            started.set()
            await server.serve_forever()

        threading.Thread(target=lambda: asyncio.run(serve()), daemon=True).start()
        started.wait()

    def hear(self, body):
        if time.monotonic() < self.fails_until:
            self.refused += 1
            return b"HTTP/1.1 500 Down\r\nContent-Length: 0\r\n\r\n"
        message = json.loads(body)
        (self.fired if message["status"] == "firing" else self.resolved)[message["groupKey"]] += 1
        self.last = time.monotonic()
        return b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


class Cluster:
    """Three tocsin nodes named in the order of their turns; the first one may have no way to the receiver."""

    def __init__(self, binary, receiver, cut):
        ports, self.nodes = [mesh.gossip_port() for _ in range(3)], []
        for i, gossip in enumerate(ports):
            folder = scratch()
            config = os.path.join(folder, "config.yml")
            with open(config, "w", encoding="utf-8") as f:
                f.write(CONFIG % (1 if cut and i == 0 else receiver.port))
            self.nodes.append(Peer(binary, "tocsin", [
                f"--config.file={config}", f"--storage.path={folder}", "--web.listen-address=127.0.0.1:{port}",
                f"--cluster.listen-address=127.0.0.1:{gossip}", f"--cluster.peer-name={'abc'[i]}", "--cluster.settle-timeout=5s",
                "--log.level=info", *[f"--cluster.peer=127.0.0.1:{p}" for p in ports if p != gossip]], ready="/-/healthy"))
        self.kind = "tocsin"
        mesh.Cluster.agree(self)

    def stop(self):
        for node in self.nodes:
            node.stop()


LOOPS = ("mesh", "alert", "send")


def turns(node):
    """Of each loop: how many of its turns took at most so long; the bounds are in seconds."""
    loops = {}
    for line in node.call("GET", "/metrics").decode().splitlines():
        if line.startswith("tocsin_loop_lag_seconds_bucket"):
            loop, le = line.partition('loop="')[2].partition('"')[0], line.partition('le="')[2].partition('"')[0]
            loops.setdefault(loop, {})[float(le)] = float(line.rpartition(" ")[2])
    return loops


def lag(before, after, loop, part=0.99):
    """Upper bound of the bucket that holds this part of the loop's turns between the two looks, in ms."""
    bounds = sorted(after[loop])
    counts = [after[loop][le] - before[loop][le] for le in bounds]
    if not counts[-1]:
        return 0.0
    return 1000 * next(le for le, count in zip(bounds, counts) if count >= counts[-1] * part)


def suspicions(node):
    with open(node.log.name, encoding="utf-8", errors="replace") as f:
        return sum("Suspect " in line for line in f)


def post(cluster, names, ends):
    stamp = mesh.stamp(time.time() - 5)
    body = [json.dumps([{"labels": {"alertname": n}, "startsAt": stamp, "endsAt": mesh.stamp(ends)} for n in names[at:at + 1000]])
            for at in range(0, len(names), 1000)]
    threads = [threading.Thread(target=lambda n=node: [n.call("POST", "/api/v2/alerts", b) for b in body]) for node in cluster.nodes]
    for t in threads:
        t.start()
    for t in threads:
        t.join()


def wait_for(seen, count, seconds):
    mesh.until(lambda: len(seen) >= count, seconds, 0.05)


def failures(cluster, reason):
    return sum(float(line.rpartition(" ")[2]) for n in cluster.nodes for line in n.call("GET", "/metrics").decode().splitlines()
               if line.startswith("alertmanager_notifications_failed_total") and reason in line)


def burst(binary, groups, fails=0, cut=False):
    receiver = Receiver()
    cluster = Cluster(binary, receiver, cut)
    names = [f"g{i}" for i in range(groups)]
    before, wire = [turns(n) for n in cluster.nodes], mesh.gossip_bytes(cluster)
    if fails:
        receiver.fails_until = time.monotonic() + 10 + fails
    posted = time.monotonic()
    post(cluster, names, time.time() + 3600)
    due = max(posted + 10, receiver.fails_until)
    wait_for(receiver.fired, groups, 10 + fails + 150)
    late, busy = receiver.last - due, time.monotonic() - posted
    wire = (mesh.gossip_bytes(cluster) - wire) / 3 / busy
    post(cluster, names, time.time() - 1)
    wait_for(receiver.resolved, groups, 120)
    after = [turns(n) for n in cluster.nodes]  # what follows is idle
    time.sleep(PEER_TIMEOUT * 2 + 5)
    figures = [groups - len(receiver.fired), sum(receiver.fired.values()) - len(receiver.fired),
               groups - len(receiver.resolved), sum(receiver.resolved.values()) - len(receiver.resolved), late,
               *(max(lag(a, b, loop) for a, b in zip(before, after)) for loop in LOOPS),
               sum(suspicions(n) for n in cluster.nodes), wire / 1000,
               sum(mesh.metric(n, "tocsin_claims_unanswered_total") for n in cluster.nodes),
               failures(cluster, "contextDeadlineExceeded")]
    cluster.stop()
    return figures


COLUMNS = (("silent", "firing", 7, 0), ("doubled", "firing", 8, 0), ("silent", "resolved", 9, 0), ("doubled", "resolved", 9, 0),
           ("last after", "due, s", 11, 1), *((loop + " p99", "<= ms", 10, 1) for loop in LOOPS), ("sus-", "pects", 6, 0),
           ("mesh", "KB/s", 7, 1), ("claims un-", "answered", 11, 0), ("timed", "out", 6, 0))
FORMS = (("", {}), (", 500 for a minute", {"fails": 60}), (", the first one cut off", {"cut": True}))


def run(opt):
    binary = os.path.join(opt.bin, "tocsin")
    for line in range(2):
        print(" " * 34 + "".join(f"{c[line]:>{c[2]}}" for c in COLUMNS))
    for groups in (2000,) if opt.quick else (2000, 20000):
        for what, more in FORMS:
            title = f"{groups:,} groups{what}"
            if opt.only in title:
                figures = burst(binary, groups, **more)
                print(title.ljust(34) + "".join(f"{f:>{c[2]}.{c[3]}f}" for f, c in zip(figures, COLUMNS)), flush=True)
