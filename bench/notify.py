"""./dev bench notify: 10,000 groups due at once, sent to a sink on loopback by tocsin and by Debian's Alertmanager, in turn.

The sink is a process of its own with one thread that answers whatever is complete: it measures the sender, not itself."""
import json
import multiprocessing
import os
import select
import shutil
import socket
import statistics
import subprocess
import tempfile
import time

from harness import Peer, alertmanager_config, show

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
    folder = tempfile.mkdtemp(prefix="tocsin-bench-config-")
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


def rendering(opt):
    """Nanoseconds of CPU by name: Go's engine (None where there is no Go), and ours. The engines alone: nothing is parsed."""
    def lines(argv, **more):
        out = subprocess.run(argv, check=True, capture_output=True, text=True, **more).stdout
        return {name: float(ns) for name, _, ns in (line.rpartition(" ") for line in out.splitlines())}
    subprocess.run(["cmake", "--build", opt.bin, "--target", "bench_template_render"], check=True, stdout=subprocess.DEVNULL)
    own = {k.strip(): v for k, v in lines([os.path.join(opt.bin, "bench", "bench_template_render")]).items()}
    go = shutil.which("go", path=os.environ.get("PATH", "") + ":/usr/local/go/bin")
    if not go:
        return None, own
    folder = os.path.join(os.path.dirname(os.path.abspath(__file__)), "template_go")
    found = lines([go, "run", ".", "/usr/share/prometheus/alertmanager"], cwd=folder, env={**os.environ, "GOMAXPROCS": "1", "GOFLAGS": "-mod=mod"})
    return {k.strip(): v for k, v in found.items()}, own


def run(opt):
    groups = 2000 if opt.quick else 10000
    peer, own = (measure(b, k, groups) for b, k in ((opt.alertmanager, "am"), (os.path.join(opt.bin, "tocsin"), "tocsin")))
    show(f"notify: {groups} groups due at once; Debian's Alertmanager and tocsin", [
        ("CPU per notification, with its alert", peer["cpu"], own["cpu"], "ms", False, ">= 5x"),
        ("peak memory of the burst", peer["peak"], own["peak"], "MiB", False, ">= 10x"),
        ("connections opened for it", peer["opened"], own["opened"], "", False, "far fewer than groups"),
        ("webhook after its group is due", peer["late"], own["late"], "ms", False, "<= 1 ms"),
        (f"{groups // 5} groups to a sink that takes 0.5 s each", peer["slow"], own["slow"], "s", False, "<= group_wait + 2 s"),
    ])
    go, engine = rendering(opt)
    show("rendering of the default templates: Go's engine " + ("" if go else "(no `go` here) ") + "and tocsin's",
         [(name, go[name] / 1000 if go else float("nan"), ns / 1000, "us", False, ">= 10x") for name, ns in engine.items()])
