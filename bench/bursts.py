"""./dev bench bursts: thousands of groups fall due in one second on three tocsin nodes with upstream's peer timeout: with a receiver
that works, one that answers 500 for a minute, and with one replica whose way out is cut. What each cost, and how late it was."""
import http.server
import json
import os
import socketserver
import tempfile
import threading
import time
from collections import Counter

import mesh
from harness import Peer

CONFIG = """
route: {receiver: hook, group_by: [alertname], group_wait: 10s, group_interval: 15s, repeat_interval: 4h}
receivers:
- name: hook
  webhook_configs: [{url: "http://127.0.0.1:%d/", send_resolved: true}]
"""
PEER_TIMEOUT = 15


class Receiver:
    """When each group was accepted firing and resolved; what it refuses does not count."""

    def __init__(self):
        self.fired, self.resolved, self.last, self.fails_until, self.refused = Counter(), Counter(), 0.0, 0.0, 0
        receiver, lock = self, threading.Lock()

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                ok = time.monotonic() >= receiver.fails_until
                if ok:
                    body = json.loads(raw)
                    with lock:
                        (receiver.fired if body["status"] == "firing" else receiver.resolved)[body["groupKey"]] += 1
                        receiver.last = time.monotonic()
                else:
                    receiver.refused += 1
                self.send_response(200 if ok else 500)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        class Listener(socketserver.ThreadingMixIn, http.server.HTTPServer):
            daemon_threads, request_queue_size = True, 1024

            def handle_error(self, request, client_address):
                pass  # a client that goes away while it is answered

        server = Listener(("127.0.0.1", 0), Handler)
        self.port = server.server_address[1]
        threading.Thread(target=server.serve_forever, daemon=True).start()


class Cluster:
    """Three tocsin nodes named in the order of their turns; the first one may have no way to the receiver."""

    def __init__(self, binary, receiver, cut):
        ports, self.nodes = [mesh.gossip_port() for _ in range(3)], []
        for i, gossip in enumerate(ports):
            folder = tempfile.mkdtemp(prefix="tocsin-bench-")
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


def lag(node, part=0.99):
    """Upper bound of the bucket that holds this part of the loops' turns, the worst loop's, in ms."""
    loops = {}
    for line in node.call("GET", "/metrics").decode().splitlines():
        if line.startswith("tocsin_loop_lag_seconds_bucket"):
            loop, le = line.partition('loop="')[2].partition('"')[0], line.partition('le="')[2].partition('"')[0]
            loops.setdefault(loop, []).append((float(le), float(line.rpartition(" ")[2])))
    worst = 0.0
    for buckets in loops.values():
        total = buckets[-1][1]
        worst = max(worst, next((le for le, count in buckets if total and count >= total * part), 0.0))
    return worst * 1000


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


def burst(binary, groups, fails=0, cut=False):
    receiver = Receiver()
    cluster = Cluster(binary, receiver, cut)
    names = [f"g{i}" for i in range(groups)]
    if fails:
        receiver.fails_until = time.monotonic() + 10 + fails
    posted = time.monotonic()
    post(cluster, names, time.time() + 3600)
    due = max(posted + 10, receiver.fails_until)
    before = mesh.gossip_bytes(cluster)
    wait_for(receiver.fired, groups, 10 + fails + 150)
    late = receiver.last - due
    wire = (mesh.gossip_bytes(cluster) - before) / 3
    rate = wire / max(1.0, time.monotonic() - posted)
    post(cluster, names, time.time() - 1)
    wait_for(receiver.resolved, groups, 120)
    time.sleep(PEER_TIMEOUT * 2 + 5)
    unanswered = sum(mesh.metric(n, "tocsin_claims_unanswered_total") for n in cluster.nodes)
    figures = (groups - len(receiver.fired), sum(receiver.fired.values()) - len(receiver.fired), groups - len(receiver.resolved),
               sum(receiver.resolved.values()) - len(receiver.resolved), late, max(lag(n) for n in cluster.nodes),
               sum(suspicions(n) for n in cluster.nodes), rate / 1000, unanswered)
    cluster.stop()
    return figures


def run(opt):
    binary = os.path.join(opt.bin, "tocsin")
    print(f"{'':34}{'silent':>8}{'doubled':>8}{'silent':>9}{'doubled':>8}{'last after':>11}{'loop lag':>10}{'sus-':>6}{'claims':>9}{'un-':>9}")
    print(f"{'':34}{'firing':>8}{'firing':>8}{'resolved':>9}{'resolved':>8}{'due, s':>11}{'p99 <= ms':>10}{'pects':>6}{'KB/s':>9}{'answered':>9}")
    for groups in (2000,) if opt.quick else (2000, 20000):
        for what, more in (("", {}), (", 500 for a minute", {"fails": 60}), (", the first one cut off", {"cut": True})):
            f = burst(binary, groups, **more)
            print(f"{groups:,} groups{what}".ljust(34) + f"{f[0]:>8}{f[1]:>8}{f[2]:>9}{f[3]:>8}{f[4]:>11.1f}{f[5]:>10.1f}{f[6]:>6}{f[7]:>9.1f}{f[8]:>9.0f}",
                  flush=True)
