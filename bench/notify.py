"""./dev bench notify: 10,000 groups due at once, sent to a sink on loopback by tocsin and by Debian's Alertmanager, in turn.

The sink is a process of its own with one thread that answers whatever is complete: it measures the sender, not itself."""
import json
import multiprocessing
import os
import resource
import select
import socket
import statistics
import subprocess
import tempfile
import time

from harness import Peer, alertmanager_config, scratch, show

CONFIG = """
route:
  receiver: hook
  group_by: [group]
  group_wait: 1s
  group_interval: 1h
  repeat_interval: 24h
  routes:
  - {receiver: slow, matchers: ['alertname="Slow"']}
receivers:
- name: hook
  webhook_configs: [{url: "http://127.0.0.1:%d/hook", send_resolved: false}]
- name: slow
  webhook_configs: [{url: "http://127.0.0.1:%d/hook", send_resolved: false}]
"""

DEFAULT_TEMPLATES = "/usr/share/prometheus/alertmanager/default.tmpl"
ROUNDS = 200 # squared: how often a text is rendered
LABELS = {"alertname": "HighCPU", "job": "node", "severity": "critical"}
RENDERED = {
    "receiver": "team-x", "status": "firing", "externalURL": "http://am.example:9093", "groupLabels": {"alertname": "HighCPU"},
    "commonLabels": LABELS, "commonAnnotations": {f"a{i}": "x" for i in range(ROUNDS)},
    "alerts": [{"status": "firing", "labels": {**LABELS, "instance": f"web-{i}:9100"}, "annotations": {"summary": "CPU is high"},
                "startsAt": "2024-01-02T03:04:05Z", "endsAt": "0001-01-01T00:00:00Z",
                "generatorURL": "http://prom.example/graph?g0.expr=up"} for i in range(2)],
}
SLACK = ("title", "titlelink", "pretext", "text", "fallback", "callbackid", "footer", "username", "iconemoji", "iconurl")
TEMPLATES = [
    ("slack.default.title", '{{ template "slack.default.title" $ }}'),
    ("all fields of Slack", "".join('{{ template "slack.default.%s" $ }}' % name for name in SLACK)),
    ("list of alerts", '{{ template "__text_alert_list" $.Alerts }}'),
]
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


def requests_in(data):
    """(number of complete requests, what is left)"""
    done = 0
    while True:
        head = data.find(b"\r\n\r\n")
        if head < 0:
            return done, data
        at = data.lower().find(b"content-length:", 0, head)
        size = int(data[at + 15:data.find(b"\r\n", at)]) if at >= 0 else 0
        if len(data) < head + 4 + size:
            return done, data
        done, data = done + 1, data[head + 4 + size:]


def sink(listener, delay, heard, opened, last):
    """Answers each request after `delay` seconds; counts requests and connections, and keeps when the last one came."""
    poll, open_sockets, rest, waiting = select.epoll(), {}, {}, []
    poll.register(listener, select.EPOLLIN)
    while True:
        timeout = max(0, waiting[0][0] - time.monotonic()) if waiting else -1
        for fd, _ in poll.poll(timeout):
            if fd == listener.fileno():
                s, _ = listener.accept()
                s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                open_sockets[s.fileno()], rest[s.fileno()] = s, b""
                poll.register(s, select.EPOLLIN)
                opened.value += 1
                continue
            try:
                data = open_sockets[fd].recv(65536)
            except OSError:
                data = b""
            if not data:
                poll.unregister(fd)
                open_sockets.pop(fd).close()
                continue
            done, rest[fd] = requests_in(rest[fd] + data)
            if done:
                last.value = time.time()
                heard.value += done
                if delay:
                    waiting.append((time.monotonic() + delay, fd, done))
                else:
                    open_sockets[fd].sendall(ANSWER * done)
        while waiting and waiting[0][0] <= time.monotonic():
            _, fd, done = waiting.pop(0)
            if fd in open_sockets:
                open_sockets[fd].sendall(ANSWER * done)


class Sink:
    def __init__(self, delay=0.0):
        listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
        self.port = listener.getsockname()[1]
        self.heard, self.opened, self.last = multiprocessing.Value("q", 0), multiprocessing.Value("q", 0), multiprocessing.Value("d", 0.0)
        self.p = multiprocessing.Process(target=sink, args=(listener, delay, self.heard, self.opened, self.last), daemon=True)
        self.p.start()
        listener.close()

    def wait(self, count, seconds=120):
        end = time.monotonic() + seconds
        while self.heard.value < count and time.monotonic() < end:
            time.sleep(0.0005)
        if self.heard.value != count:
            print(f"  {self.heard.value} notifications where {count} were expected")

    def stop(self):
        self.p.terminate()
        self.p.join()


def alerts(name, numbers):
    return json.dumps([{"labels": {"alertname": name, "group": f"{name}{i}", "instance": f"node-{i}:9100", "job": "node", "severity": "critical"},
                        "annotations": {"summary": f"instance node-{i} is in trouble", "runbook": "https://runbooks.example/x"}} for i in numbers])


def measure(binary, kind, groups):
    fast, slow = Sink(), Sink(delay=0.5)
    folder = scratch()
    path = alertmanager_config(folder, CONFIG % (fast.port, slow.port))
    peer = Peer(binary, kind, [f"--config.file={path}", "--storage.path={folder}/data", "--web.listen-address=127.0.0.1:{port}",
                               "--cluster.listen-address=", "--log.level=error"])
    late = []
    for i in range(10):
        posted = time.time()
        peer.call("POST", "/api/v2/alerts", alerts("Late", [i]))
        fast.wait(i + 1)
        late.append((fast.last.value - posted - 1) * 1000)
    bodies = [alerts("Burst", range(at, min(groups, at + 1000))) for at in range(0, groups, 1000)]
    before, opened = peer.cpu(), fast.opened.value
    for body in bodies:
        peer.call("POST", "/api/v2/alerts", body)
    fast.wait(10 + groups)
    took = fast.last.value - posted
    time.sleep(0.5)
    cpu, peak, opened = (peer.cpu() - before) / groups * 1000, peer.memory()[2], fast.opened.value - opened
    slow_groups = groups // 5
    for at in range(0, slow_groups, 1000):
        peer.call("POST", "/api/v2/alerts", alerts("Slow", range(at, min(slow_groups, at + 1000))))
    started = time.time()
    slow.wait(slow_groups)
    slow_took = slow.last.value - started
    peer.stop()
    fast.stop()
    slow.stop()
    return {"late": statistics.median(late), "cpu": cpu, "peak": peak, "opened": opened, "slow": slow_took, "took": took}


def rendering(argv, folder, body):
    """CPU of one rendering of `body` by a command line, in microseconds: of ROUNDS of them in one run, without what the run costs."""
    data = os.path.join(folder, "data.json")
    with open(data, "w", encoding="utf-8") as f:
        json.dump(RENDERED, f)

    def cpu(text):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(argv + ["template", "render", "--template.glob=" + DEFAULT_TEMPLATES, "--template.data=" + data,
                               "--template.text=" + text], check=True, stdout=subprocess.DEVNULL)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    loop = "{{ range $.CommonAnnotations }}{{ range $.CommonAnnotations }}%s{{ end }}{{ end }}"
    full, empty = (min(cpu(loop % inner) for _ in range(3)) for inner in (body, ""))
    return (full - empty) / ROUNDS ** 2 * 1e6


def run(opt):
    groups, rounds = (2000, 1) if opt.quick else (10000, 3)
    servers = ((opt.alertmanager, "am"), (os.path.join(opt.bin, "tocsin"), "tocsin"))
    found = [[measure(b, k, groups) for b, k in servers] for _ in range(rounds)]  # in turn: what a burst costs swings
    peer, own = ({what: statistics.mean(r[i][what] for r in found) for what in found[0][i]} for i in range(len(servers)))
    show(f"notify: {groups} groups due at once; Debian's Alertmanager and tocsin", [
        ("CPU per notification, with its alert", peer["cpu"], own["cpu"], "ms", False, ">= 5x"),
        ("peak memory of the burst", peer["peak"], own["peak"], "MiB", False, ">= 10x"),
        ("connections opened for it", peer["opened"], own["opened"], "", False, "far fewer than groups"),
        ("webhook after its group is due", peer["late"], own["late"], "ms", False, "<= 1 ms"),
        (f"{groups // 5} groups to a sink that takes 0.5 s each", peer["slow"], own["slow"], "s", False, "<= group_wait + 2 s"),
    ])
    with tempfile.TemporaryDirectory() as folder:
        show("one rendering of Debian's default templates, by amtool and by tocsinctl", [
            (name, *(rendering([program], folder, body) for program in ("amtool", os.path.join(opt.bin, "tocsinctl"))), "us", False, ">= 10x")
            for name, body in TEMPLATES])
