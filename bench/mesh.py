"""./dev bench mesh: clusters of Debian's Alertmanager and of tocsin on the same work, in turn."""
import ctypes
import http.server
import json
import os
import socket
import subprocess
import socketserver
import statistics
import threading
import time
import urllib.request
from collections import Counter

from harness import Peer, alertmanager_config, scratch, show

CONFIG = """
route: {receiver: hook, group_by: [alertname], group_wait: 1s, group_interval: 5m, repeat_interval: 4h}
receivers:
- name: hook
  webhook_configs: [{url: "http://127.0.0.1:%d/", send_resolved: false}]
"""


def stamp(t):
    return time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(t))


class Sink:
    """Counts notifications by group."""

    def __init__(self):
        self.seen, lock = Counter(), threading.Lock()
        sink = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)))
                with lock:
                    sink.seen[body["groupKey"]] += 1
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        class Listener(socketserver.ThreadingMixIn, http.server.HTTPServer):
            daemon_threads, request_queue_size = True, 1024

        server = Listener(("127.0.0.1", 0), Handler)
        self.port = server.server_address[1]
        threading.Thread(target=server.serve_forever, daemon=True).start()


def gossip_port():
    while True:
        with socket.socket() as tcp, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            tcp.bind(("127.0.0.1", 0))
            try:
                udp.bind(("127.0.0.1", tcp.getsockname()[1]))
            except OSError:
                continue
            return tcp.getsockname()[1]


class Cluster:
    def __init__(self, binary, kind, count, peer_timeout=15, sink=None):
        self.binary, self.kind, self.peer_timeout = binary, kind, peer_timeout
        folder = scratch()
        self.config = alertmanager_config(folder, CONFIG % (sink.port if sink else 1))
        self.ports = [gossip_port() for _ in range(count)]
        self.nodes = []
        for port in self.ports:
            self.nodes.append(self.start(port))
        self.agree()

    def start(self, gossip):
        peers = [f"--cluster.peer=127.0.0.1:{p}" for p in self.ports if p != gossip][:9]
        folder = scratch()
        return Peer(self.binary, self.kind,
                    [f"--config.file={self.config}", f"--storage.path={folder}", "--web.listen-address=127.0.0.1:{port}",
                     f"--cluster.listen-address=127.0.0.1:{gossip}", "--cluster.settle-timeout=5s", "--log.level=error",
                     f"--cluster.peer-timeout={self.peer_timeout}s", *peers], ready="/-/healthy")

    def join_one_more(self):
        self.ports.append(gossip_port())
        self.nodes.append(self.start(self.ports[-1]))
        return self.nodes[-1]

    def agree(self):
        for node in self.nodes:
            end = time.monotonic() + 60
            while True:
                c = json.loads(node.call("GET", "/api/v2/status"))["cluster"]
                if len(c["peers"]) == len(self.nodes) and c["status"] == "ready":
                    break
                if time.monotonic() > end:
                    raise SystemExit(f"{self.kind}: the cluster does not come together: {c}")
                time.sleep(0.1)

    def stop(self):
        for node in self.nodes:
            node.stop()


def silence(i):
    now = time.time()
    return json.dumps({"matchers": [{"name": "tag", "value": f"v{i}", "isRegex": False, "isEqual": True}], "startsAt": stamp(now),
                       "endsAt": stamp(now + 7200), "createdBy": "bench", "comment": f"bench {i}"})


def metric(node, name):
    text = b"\n" + node.call("GET", "/metrics")
    at = text.find(f"\n{name} ".encode())
    return float(text[at + len(name) + 2:text.index(b"\n", at + 1)]) if at >= 0 else 0.0


def silences(node):
    return metric(node, 'alertmanager_silences{state="active"}')


def until(condition, deadline, every=0.001):
    """Seconds until it holds; the deadline if it does not."""
    started = time.monotonic()
    while not condition() and time.monotonic() - started < deadline:
        time.sleep(every)
    return time.monotonic() - started


def has(node, sid):
    url = f"http://127.0.0.1:{node.port}/api/v2/silence/{sid}"
    try:
        return urllib.request.urlopen(url, timeout=5).status == 200
    except OSError:
        return False


def one_silence(cluster, rounds):
    took = []
    for i in range(rounds):
        source = cluster.nodes[i % len(cluster.nodes)]
        sid = json.loads(source.call("POST", "/api/v2/silences", silence(f"one{i}")))["silenceID"]
        started = time.monotonic()
        for node in cluster.nodes:
            until(lambda n=node: has(n, sid), 20, 0.0005)
        took.append(time.monotonic() - started)
    return statistics.median(took)


class Poster:
    """Connections that stay open, a request on each at a time. Written by hand: http.client costs more than the
    servers under measurement do."""

    def __init__(self, node, path):
        self.head = f"POST {path} HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\nContent-Length: "
        self.connections = [socket.create_connection(("127.0.0.1", node.port), timeout=60) for _ in range(32)]
        for c in self.connections:
            c.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def request(self, body):
        return f"{self.head}{len(body)}\r\n\r\n{body}".encode()

    @staticmethod
    def answer(connection):
        data = b""
        while True:
            data += connection.recv(65536)
            head, found, body = data.partition(b"\r\n\r\n")
            if not found:
                continue
            fields = head.lower()
            length = int(fields.partition(b"content-length:")[2].partition(b"\r")[0])
            if len(body) >= length:
                if b" 200 " not in head[:20]:
                    raise SystemExit(f"refused: {data[:300]!r}")
                return

    def post(self, requests):
        for at in range(0, len(requests), len(self.connections)):
            busy = list(zip(self.connections, requests[at:at + len(self.connections)]))
            for connection, request in busy:
                connection.sendall(request)
            for connection, _ in busy:
                self.answer(connection)

    def close(self):
        for c in self.connections:
            c.close()


def many_silences(cluster, n, deadline):
    before = silences(cluster.nodes[0])
    poster = Poster(cluster.nodes[0], "/api/v2/silences")
    requests = [poster.request(silence(f"{n}-{i}")) for i in range(n)]
    started = time.monotonic()
    poster.post(requests)
    posted = time.monotonic() - started
    for node in cluster.nodes:
        until(lambda at=node: silences(at) >= before + n, deadline, 0.001)
    took = time.monotonic() - started
    poster.close()
    return took, took - posted


def own_network():
    """A loopback of our own, so that its counters count nothing else; as root only."""
    if os.geteuid() == 0 and ctypes.CDLL(None, use_errno=True).unshare(0x40000000) == 0:
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        return True
    return False


def traffic():
    """Bytes that loopback carried; both directions are one there."""
    with open("/proc/self/net/dev", encoding="ascii") as f:
        return next(int(line.split()[9]) for line in f if line.lstrip().startswith("lo:"))


def gossip_bytes(cluster):
    """What the members have sent of user messages and states, by their own count."""
    return sum(sum(float(line.rpartition(" ")[2]) for line in node.call("GET", "/metrics").decode().splitlines()
                   if line.startswith("alertmanager_cluster_messages_sent_size_total")) for node in cluster.nodes)


FIRED = time.time() - 60


def post_alerts(node, names, minutes=10):
    now = time.time()
    for at in range(0, len(names), 200):
        node.call("POST", "/api/v2/alerts", json.dumps(
            [{"labels": {"alertname": n, "severity": "page"}, "annotations": {"summary": n}, "startsAt": stamp(FIRED),
              "endsAt": stamp(now + minutes * 60)} for n in names[at:at + 200]]))


def spread(binary, kind, opt):
    figures = {}
    cluster = Cluster(binary, kind, 3)
    cpu, wire, started = [n.cpu() for n in cluster.nodes], traffic(), time.monotonic()
    time.sleep(10 if opt.quick else 30)
    seconds = time.monotonic() - started
    figures["idle CPU"] = sum(n.cpu() - c for n, c in zip(cluster.nodes, cpu)) / 3 / seconds * 1000
    figures["idle bytes"] = (traffic() - wire) / 3 / seconds
    figures["1 silence"] = one_silence(cluster, 10) * 1000
    figures["100 silences"] = statistics.median(many_silences(cluster, 100, 60)[0] for _ in range(1 if kind == "am" else 5))
    n = 2000 if opt.quick else 10000
    figures["many silences"], figures["many after"] = many_silences(cluster, n, 180)
    joiner = cluster.join_one_more()
    until(lambda: silences(joiner) >= n, 60, 0.002)
    figures["joiner"] = (time.monotonic() - joiner.started) * 1000
    cluster.stop()
    return figures


def ten(binary, kind):
    cluster = Cluster(binary, kind, 10)
    took = one_silence(cluster, 10) * 1000
    cluster.stop()
    return took


def rolling_groups(binary, kind, seconds):
    sink = Sink()
    cluster = Cluster(binary, kind, 3, peer_timeout=5, sink=sink)
    begun = time.monotonic()
    for second in range(seconds):
        names = [f"r{second}-{i}" for i in range(200)]
        for node in cluster.nodes:
            post_alerts(node, names)
        time.sleep(max(0.0, begun + second + 1 - time.monotonic()))
    time.sleep(14)
    total = 200 * seconds
    doubled = sum(c - 1 for c in sink.seen.values())
    missing = total - len(sink.seen)
    cluster.stop()
    return 100 * doubled / total, missing


def resends(binary, kind, seconds):
    """10,000 alerts a minute re-sent to all three; bytes of mesh messages a second and node."""
    sink = Sink()  # groups that cannot be notified are retried, and that is said to the mesh
    cluster = Cluster(binary, kind, 3, sink=sink)
    names = [f"again{i}" for i in range(10000)]
    for node in cluster.nodes:
        post_alerts(node, names)
    until(lambda: len(sink.seen) == len(names), 90, 0.1)
    time.sleep(5)
    before, started = gossip_bytes(cluster), time.monotonic()
    while time.monotonic() - started < seconds:
        round_started = time.monotonic()
        for at in range(0, len(names), 500):
            for node in cluster.nodes:
                post_alerts(node, names[at:at + 500])
            time.sleep(max(0.0, round_started + (at + 500) / len(names) * 60 - time.monotonic()))
            if time.monotonic() - started >= seconds:
                break
    rate = (gossip_bytes(cluster) - before) / (time.monotonic() - started) / 3
    cluster.stop()
    return rate


def run(opt):
    if not own_network():
        print("no network namespace of its own: bytes on the wire include what others send over loopback")
    both = [(opt.alertmanager, "am"), (os.path.join(opt.bin, "tocsin"), "tocsin")]
    a, b = (spread(binary, kind, opt) for binary, kind in both)
    n = 2000 if opt.quick else 10000
    show("three nodes", [
        ("idle, empty: CPU a second", a["idle CPU"], b["idle CPU"], "ms", False, "<= 0.5 ms"),
        ("idle, empty: bytes a second and node", a["idle bytes"], b["idle bytes"], "B", False, "<= 300"),
        ("1 silence on all", a["1 silence"], b["1 silence"], "ms", False, "<= 10 ms"),
        ("100 silences on all", a["100 silences"] * 1000, b["100 silences"] * 1000, "ms", False, "<= 50 ms"),
        (f"{n:,} silences on all, with their posting", a["many silences"], b["many silences"], "s", False, "<= 2 s"),
        ("  of it after the last answer", a["many after"], b["many after"], "s", False, ""),
        (f"a fourth node has {n:,}, from its start", a["joiner"], b["joiner"], "ms", False, "<= 500 ms"),
    ])
    x, y = (ten(binary, kind) for binary, kind in both)
    show("ten nodes", [("1 silence on all", x, y, "ms", False, "<= 30 ms")])
    seconds = 15 if opt.quick else 60
    (x, lost_x), (y, lost_y) = (rolling_groups(binary, kind, seconds) for binary, kind in both)
    show(f"200 new groups a second, {seconds} s, peer timeout 5 s", [
        ("doubled, of 100", x, y, "", False, "0"), ("not notified", lost_x, lost_y, "", False, "0")])
    x, y = (resends(binary, kind, 60 if opt.quick else 180) for binary, kind in both)
    show("10,000 alerts re-sent each minute to all three", [
        ("mesh messages: bytes a second and node", x, y, "B", False, "<= 20,000")])
