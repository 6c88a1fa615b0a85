"""./dev bench query: 40 queries of dashboards, rules and people, asked of tocsin and of Debian's Prometheus in turn over the
same blocks: 20 instances of some 250 series each, 6 h at 15 s (--quick: 6 instances)."""
import os
import random
import shutil
import statistics
import subprocess
import time
import urllib.parse

from harness import Peer, scratch, show

END, HOURS, STEP = 1768478400, 6, 15
SECONDS = HOURS * 3600
CODES, HANDLERS, MODES = ("200", "404", "500", "503"), [f"/api/v1/h{i}" for i in range(16)], (
    "idle", "iowait", "irq", "nice", "softirq", "steal", "system", "user")
BOUNDS = ("0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1.0", "2.5", "5.0", "10.0", "+Inf")

RANGES = {"1h/15s": (3600, 15), "1h/60s": (3600, 60), "6h/60s": (SECONDS - 60, 60), "6h/5m": (SECONDS - 60, 300)}
REQUESTS, CPU, BUCKETS = "http_requests_total", "node_cpu_seconds_total", "rpc_latency_seconds_bucket"
# (range or None for an instant, query)
QUERIES = [
    (None, "up"),
    (None, f"sum(rate({REQUESTS}[5m]))"),
    (None, f"sum by (job, handler) (rate({REQUESTS}[5m]))"),
    (None, f"topk(10, sum by (instance, handler) (rate({REQUESTS}[5m])))"),
    (None, f"histogram_quantile(0.99, sum by (le, handler) (rate({BUCKETS}[5m])))"),
    (None, f'sum by (instance) (rate({CPU}{{mode!="idle"}}[5m])) / count by (instance) ({CPU}{{mode="idle"}})'),
    (None, "100 * (1 - node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes)"),
    (None, 'count({__name__=~".+"})'),
    (None, 'count by (__name__) ({__name__=~".+"})'),
    (None, f'{REQUESTS}{{handler=~"/api/v1/h(1|2|3)",code!~"2.."}}'),
    (None, REQUESTS),
    (None, f"max_over_time(sum(rate({REQUESTS}[5m]))[1h:1m])"),
    (None, "quantile_over_time(0.95, node_load1[1h])"),
    (None, f'increase({REQUESTS}{{code="500"}}[1h])'),
    (None, "predict_linear(node_memory_MemAvailable_bytes[1h], 14400) < 0"),
    (None, 'absent(up{job="nothing"})'),
    (None, f'{REQUESTS}{{instance="10.0.0.1:9100"}}[1h]'),
    (None, f"sort_desc(sum by (instance) (increase({REQUESTS}[6h])))"),
    (None, f"sum by (code) (avg_over_time({REQUESTS}[10m]))"),
    (None, f'label_replace(up, "host", "$1", "instance", "([^:]+):.*")'),
    ("1h/15s", f"sum(rate({REQUESTS}[5m]))"),
    ("1h/15s", f"sum by (handler) (rate({REQUESTS}[1m]))"),
    ("6h/60s", f'sum by (instance) (rate({CPU}{{mode!="idle"}}[5m]))'),
    ("6h/60s", f"histogram_quantile(0.9, sum by (le) (rate({BUCKETS}[5m])))"),
    ("6h/60s", "node_load1"),
    ("1h/15s", f'{REQUESTS}{{code="200"}}'),
    ("6h/5m", f"topk(5, sum by (instance) (rate({REQUESTS}[10m])))"),
    ("1h/60s", f'sum by (job) (rate({REQUESTS}{{code=~"5.."}}[5m])) / sum by (job) (rate({REQUESTS}[5m]))'),
    ("1h/60s", "avg_over_time(node_load1[10m])"),
    ("6h/60s", f"sum by (instance, code) (rate({REQUESTS}[5m])) * on (instance) group_left () up"),
    ("1h/60s", f'sum by (h) (label_replace(rate({REQUESTS}[5m]), "h", "$1", "handler", "/api/v1/(.*)"))'),
    ("6h/60s", f"sum(rate({REQUESTS}[1h]))"),
    ("6h/60s", "max_over_time(node_load1[1h])"),
    ("6h/60s", f'{CPU}{{mode="user"}}'),
    ("6h/5m", "node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes < 0.5"),
    ("6h/60s", f"quantile by (job) (0.9, rate({REQUESTS}[5m]))"),
    ("6h/60s", f"sum(irate({CPU}[2m])) by (mode)"),
    ("1h/60s", f"stddev by (handler) ({REQUESTS})"),
    ("6h/60s", f"sum({REQUESTS}) - sum({REQUESTS} offset 1h)"),
    ("6h/5m", f"max_over_time(avg by (job) (rate({REQUESTS}[5m]))[30m:1m])"),
]
assert len(QUERIES) == 40


def path_of(query):
    span, text = query
    if span is None:
        return "/api/v1/query?" + urllib.parse.urlencode({"query": text, "time": END - 60})
    length, step = RANGES[span]
    return "/api/v1/query_range?" + urllib.parse.urlencode({"query": text, "start": END - length, "end": END - 60, "step": step})


# ---- the data ----

def counter(r, start, rate):
    v = start
    while True:
        v = 0 if r.random() < 0.0001 else v + int(r.random() * rate * 2 * STEP)
        yield str(v)


def fractions(r, start, rate):
    v = start
    while True:
        v += r.random() * rate * 2 * STEP
        yield f"{v:.4f}"


def gauge(r, middle, swing):
    v = middle
    while True:
        v = max(0, v + int((r.random() - 0.5) * swing))
        yield str(v)


def steady(rate):
    v = 1000 * rate
    while True:
        v += rate * STEP
        yield str(int(v))


def series(r, instances):
    """(name, labels, values), the series of a name together."""
    def base(i, job):
        return f'cluster="c{i % 3}",instance="10.0.0.{i}:9100",job="{job}"'
    for i in range(instances):
        for k, h in enumerate(HANDLERS):
            for method in ("GET", "POST"):
                for code in CODES:
                    yield (REQUESTS, base(i, "api" if i % 2 else "web") + f',code="{code}",handler="{h}",method="{method}"',
                           counter(r, r.randrange(1000000), 20 / (1 + k) if code == "200" else 0.2))
    for i in range(instances):
        for h in range(4):
            for k, le in enumerate(BOUNDS):
                yield BUCKETS, base(i, "api") + f',handler="/rpc{h}",le="{le}"', steady(10 * (1 - 0.7 ** (k + 1)) * (h + 1))
    for i in range(instances):
        for cpu in range(8):
            for mode in MODES:
                yield CPU, base(i, "node") + f',cpu="{cpu}",mode="{mode}"', fractions(r, r.random() * 1e5, 0.7 if mode == "idle" else 0.04)
    for name, middle, swing in (("node_memory_MemTotal_bytes", 1 << 34, 0), ("node_memory_MemAvailable_bytes", 1 << 33, 1 << 24),
                                ("node_load1", 300, 40), ("up", 1, 0)):
        for i in range(instances):
            yield name, base(i, "node"), gauge(r, middle, swing)


def blocks(folder, instances, promtool):
    text, data = os.path.join(folder, "in.om"), os.path.join(folder, "data")
    stamps = [f" {t}\n" for t in range(END - SECONDS, END, STEP)]
    count, last = 0, None
    with open(text, "w", encoding="ascii") as f:
        for name, labels, values in series(random.Random(1), instances):
            if name != last:
                f.write(f"# TYPE {name} unknown\n")
                last = name
            head = f"{name}{{{labels}}} "
            f.write("".join([head + next(values) + stamp for stamp in stamps]))
            count += 1
        f.write("# EOF\n")
    subprocess.run([promtool, "tsdb", "create-blocks-from", "openmetrics", "-q", text, data], check=True, stdout=subprocess.DEVNULL)
    os.remove(text)
    return data, count


# ---- measuring ----

def start(binary, name, folder, data):
    own = os.path.join(folder, name)
    shutil.copytree(data, own)
    config = os.path.join(folder, "prometheus.yml")
    with open(config, "w", encoding="ascii") as f:
        f.write("scrape_configs: []\n")
    return Peer(binary, name, [f"--config.file={config}", f"--storage.tsdb.path={own}", "--storage.tsdb.retention.time=100y",
                               "--web.listen-address=127.0.0.1:{port}", "--log.level=error"])


def once(peer, path):
    cpu = peer.cpu()
    started = time.perf_counter()
    data = peer.call("GET", path)
    took = time.perf_counter() - started
    return took * 1000, (peer.cpu() - cpu) * 1000, len(data)


def measure(peers, rounds):
    """Per query and peer: (best ms, median CPU ms); the peers in turn, so that both see the same machine."""
    out = []
    for query in QUERIES:
        path = path_of(query)
        found = {p: [] for p in peers}
        for p in peers:
            once(p, path)
        for _ in range(rounds):
            for p in peers:
                n = 0
                until = time.monotonic() + 0.1
                wall, cpu = [], []
                while n < 3 or (n < 50 and time.monotonic() < until):
                    w, c, _ = once(p, path)
                    wall.append(w)
                    cpu.append(c)
                    n += 1
                found[p].append((min(wall), statistics.mean(cpu)))
        out.append([(min(w for w, _ in found[p]), statistics.median(c for _, c in found[p])) for p in peers])
    return out


def run(opt):
    folder = scratch()
    try:
        data, count = blocks(folder, 6 if opt.quick else 20, os.path.join(os.path.dirname(opt.prometheus), "promtool"))
        peers = [start(opt.prometheus, "prometheus", folder, data), start(os.path.join(opt.bin, "tocsin"), "tocsin", folder, data)]
        found = measure(peers, 3 if opt.quick else 5)
        rows = []
        for (span, text), ((peer_ms, _), (own_ms, _)) in zip(QUERIES, found):
            shown = f"{span or 'now'} {text}"
            rows.append((shown if len(shown) < 43 else shown[:40] + "...", peer_ms, own_ms, "ms", False, "1x"))
        for what, k in (("all of them", 0), ("CPU of all of them", 1)):
            rows.append((what, sum(p[k] for p, _ in found), sum(o[k] for _, o in found), "ms", False, "8x"))
        rows.append(("peak memory", peers[0].memory()[2], peers[1].memory()[2], "MiB", False, "4x"))
        show(f"{count} series, {HOURS} h at {STEP} s", rows)
        for p in peers:
            p.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
