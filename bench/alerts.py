"""./dev bench alerts: tocsin and Debian's Alertmanager on the same alerts, in turn."""
import json
import os
import re
import selectors
import socket
import statistics
import threading
import time

from harness import Peer, alertmanager_config, scratch, show, timed

CONFIG = """
route:
  receiver: none
  group_by: [alertname, cluster]
  group_wait: 1h
  routes:
%s
receivers:
- name: none
"""
INHIBITION = """
inhibit_rules:
- {source_matchers: ['severity="critical"'], target_matchers: ['severity="warning"'], equal: [instance]}
"""
NOTIFY_CONFIG = """
route: {receiver: hook, group_by: [group], group_wait: 1s, group_interval: 1h, repeat_interval: 24h}
receivers:
- name: hook
  webhook_configs: [{url: "http://127.0.0.1:%d/", send_resolved: false}]
"""


def stamp(t):
    return time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(t))


def alert(i, ends):
    return {"labels": {"alertname": f"Alert{i % 100}", "cluster": f"c{i % 20}", "instance": f"node-{i}:9100", "job": "node",
                       "severity": "warning" if i % 3 else "critical", "team": f"t{i % 80}"},
            "annotations": {"summary": f"instance node-{i} is in trouble", "runbook": "https://runbooks.example/x"},
            "startsAt": stamp(time.time() - 60), "endsAt": stamp(ends), "generatorURL": "http://prometheus.example/graph?g0.expr=x"}


def batches(n, size, ends):
    return [json.dumps([alert(i, ends) for i in range(at, min(n, at + size))]) for at in range(0, n, size)]


def start(binary, kind, config, extra=()):
    folder = scratch()
    path = alertmanager_config(folder, config)
    return Peer(binary, kind, [f"--config.file={path}", "--storage.path={folder}/data", "--web.listen-address=127.0.0.1:{port}",
                               "--cluster.listen-address=", "--log.level=error", *extra])


def routes():
    return "\n".join(f"  - {{receiver: none, matchers: ['team=\"t{i}\"']}}" for i in range(80))


def idle(binary, kind):
    ready, resident, anonymous = [], [], []
    for _ in range(9):
        peer = start(binary, kind, CONFIG % routes())
        ready.append(peer.ready_ms)
        time.sleep(1)
        rss, anon, _ = peer.memory()
        resident.append(rss)
        anonymous.append(anon)
        peer.stop()
    return statistics.median(ready), statistics.median(resident), statistics.median(anonymous)


def ingest(binary, kind, seconds):
    peer = start(binary, kind, CONFIG % routes())
    ends = time.time() + 3600
    for body in batches(10000, 1000, ends):
        peer.call("POST", "/api/v2/alerts", body)
    bodies = batches(10000, 1000, ends + 60)
    cpu, sent, until = peer.cpu(), 0, time.monotonic() + seconds
    while time.monotonic() < until:
        for body in bodies:
            peer.call("POST", "/api/v2/alerts", body)
            sent += 1000
    rate = sent / (peer.cpu() - cpu)
    one = timed(lambda: peer.call("GET", "/api/v2/alerts?filter=instance%3D%22node-77%3A9100%22"), 20) * 1000
    everything = timed(lambda: peer.call("GET", "/api/v2/alerts"), 5) * 1000
    peer.stop()
    return rate, one, everything


def memory(binary, kind, n):
    """Resident with n alerts that have been sent three times, as a Prometheus does within minutes, and read once."""
    peer = start(binary, kind, CONFIG % routes())
    for again in range(3):
        for body in batches(n, 1000, time.time() + 36000 + 60 * again):
            peer.call("POST", "/api/v2/alerts", body)
    peer.call("GET", "/api/v2/alerts")
    time.sleep(2)
    rss = peer.memory()[0]
    peer.stop()
    return rss


def inhibited(binary, kind, n):
    """One match among n alerts when one inhibition rule is in force: a third of the alerts are sources, the rest targets."""
    peer = start(binary, kind, CONFIG % routes() + INHIBITION)
    for body in batches(n, 1000, time.time() + 36000):
        peer.call("POST", "/api/v2/alerts", body)
    took = timed(lambda: peer.call("GET", "/api/v2/alerts?filter=instance%3D%22node-77%3A9100%22"), 10) * 1000
    peer.stop()
    return took


def silence(i):
    return json.dumps({"matchers": [{"name": "instance", "value": f"node-{i}:9100", "isRegex": False, "isEqual": True},
                                    {"name": "job", "value": "node", "isRegex": False, "isEqual": True}],
                       "startsAt": stamp(time.time()), "endsAt": stamp(time.time() + 36000), "createdBy": "bench", "comment": "c"})


def silences(binary, kind, n):
    peer = start(binary, kind, CONFIG % routes())
    for body in batches(10000, 1000, time.time() + 36000):
        peer.call("POST", "/api/v2/alerts", body)
    for i in range(n):
        peer.call("POST", "/api/v2/silences", silence(i + 20000))
    peer.call("GET", "/api/v2/alerts")
    took = []
    for i in range(3):
        peer.call("POST", "/api/v2/silences", silence(i))
        started = time.perf_counter()
        peer.call("GET", "/api/v2/alerts?filter=instance%3D%22node-77%3A9100%22")
        took.append((time.perf_counter() - started) * 1000)
    peer.stop()
    return statistics.median(took)


class Sink:
    """Answers every POST with 200 and keeps when each was read: one thread, so that it takes little of the machine."""

    def __init__(self):
        self.times, self.parts, self.waiting = [], {}, selectors.DefaultSelector()
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.listener.setblocking(False)
        self.port = self.listener.getsockname()[1]
        self.waiting.register(self.listener, selectors.EVENT_READ)
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            for key, _ in self.waiting.select():
                if key.fileobj is self.listener:
                    connection, _ = self.listener.accept()
                    self.waiting.register(connection, selectors.EVENT_READ)
                    self.parts[connection] = b""
                else:
                    self.read(key.fileobj, time.time())

    def read(self, connection, now):
        try:
            data = connection.recv(1 << 20)
        except OSError:
            data = b""
        if not data:
            self.waiting.unregister(connection)
            del self.parts[connection]
            connection.close()
            return
        whole = self.parts[connection] + data
        head, _, body = whole.partition(b"\r\n\r\n")
        length = re.search(rb"(?i)content-length: *(\d+)", head)
        if not length or len(body) < int(length[1]):
            self.parts[connection] = whole
            return
        self.parts[connection] = b""
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        self.times.append(now)


def lateness(binary, kind):
    """Median milliseconds from the moment when a group was due to its webhook."""
    sink = Sink()
    peer = start(binary, kind, NOTIFY_CONFIG % sink.port)
    late = []
    for i in range(20):
        sink.times.clear()
        posted = time.time()
        peer.call("POST", "/api/v2/alerts", json.dumps([{"labels": {"alertname": "L", "group": f"late{i}"}}]))
        while not sink.times:
            time.sleep(0.02)
        late.append((sink.times[0] - posted - 1) * 1000)
    peer.stop()
    return statistics.median(late)


def burst(binary, kind, groups):
    """(CPU milliseconds per notification, peak MiB) of a fresh server with so many groups due within a fraction of a second."""
    sink = Sink()
    peer = start(binary, kind, NOTIFY_CONFIG % sink.port)
    body = [{"labels": {"alertname": "A", "group": f"g{i}", "instance": f"i{i}"}, "annotations": {"s": "x"}} for i in range(groups)]
    cpu = peer.cpu()
    for at in range(0, groups, 1000):
        peer.call("POST", "/api/v2/alerts", json.dumps(body[at:at + 1000]))
    end = time.monotonic() + 120
    while len(sink.times) < groups and time.monotonic() < end:
        time.sleep(0.02)
    time.sleep(0.2)
    if len(sink.times) != groups:
        print(f"  {kind}: {len(sink.times)} notifications for {groups} groups")
    per = (peer.cpu() - cpu) / groups * 1000
    peak = peer.memory()[2]
    peer.stop()
    return per, peak


def bursts(servers, groups, rounds):
    """Means over rounds in turn: what one burst costs swings, the peer's by a factor of two."""
    found = [[burst(b, k, groups) for b, k in servers] for _ in range(rounds)]
    return [[statistics.mean(r[i][j] for r in found) for j in range(2)] for i in range(len(servers))]


def run(opt):
    servers = [(opt.alertmanager, "am"), (os.path.join(opt.bin, "tocsin"), "tocsin")]
    quick = opt.quick
    i, g, m, h, s, late = ([f(*x) for x in servers] for f in (
        idle, lambda b, k: ingest(b, k, 3 if quick else 10), lambda b, k: memory(b, k, 100000),
        lambda b, k: inhibited(b, k, 10000),
        lambda b, k: silences(b, k, 1000 if quick else 10000), lateness))
    n = bursts(servers, 1000 if quick else 10000, 2 if quick else 5)
    show("alerts: Debian's Alertmanager and tocsin", [
        ("re-sent alerts per CPU-second (thousands)", g[0][0] / 1e3, g[1][0] / 1e3, "k", True, ">= 15x"),
        ("resident with 100,000 active alerts", m[0], m[1], "MiB", False, ">= 10x"),
        ("GET one match among 10,000", g[0][1], g[1][1], "ms", False, "<= 1 ms"),
        ("the same, with one inhibition rule", h[0], h[1], "ms", False, "<= 1 ms"),
        ("GET all 10,000", g[0][2], g[1][2], "ms", False, "<= 20 ms"),
        ("first GET after a new silence", s[0], s[1], "ms", False, "<= 20 ms"),
        ("webhook after its group is due", late[0], late[1], "ms", False, "<= 1 ms"),
        ("CPU per notification", n[0][0], n[1][0], "ms", False, ">= 5x"),
        ("peak memory of the burst", n[0][1], n[1][1], "MiB", False, ">= 10x"),
        ("ready after exec", i[0][0], i[1][0], "ms", False, "<= 15 ms"),
        ("idle, resident", i[0][1], i[1][1], "MiB", False, "<= 14 MiB"),
        ("idle, anonymous", i[0][2], i[1][2], "MiB", False, "<= 4 MiB"),
    ])
