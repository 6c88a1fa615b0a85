#!/usr/bin/env python3
"""Range queries: tocsin beside Debian's prometheus on the same blocks, one server after the other.

usage: query.py [--tocsin PATH] [--prometheus PATH] [--series N] [--hours N] [--rounds N] [--json FILE]
"""
import argparse
import os
import shutil
import subprocess
import tempfile
import urllib.parse

from harness import Peer, dump, show, timed

START = 1700000000
QUERIES = [
    "x_total",
    "sum(x_total)",
    "rate(x_total[5m])",
    "sum by (job) (rate(x_total[5m]))",
    "rate(x_total[1h])",
    "avg_over_time(x_total[5m])",
    "max_over_time(x_total[1h])",
    "rate(x_total[5m]) / on(instance) rate(x_total[5m])",
    "topk(5, rate(x_total[5m]))",
    "quantile(0.9, x_total)",
]


def blocks(folder, series, hours, promtool):
    text = os.path.join(folder, "in.om")
    with open(text, "w", encoding="ascii") as f:
        f.write("# TYPE x counter\n")
        for s in range(series):
            for i in range(hours * 240):
                f.write(f'x_total{{instance="i{s}",job="j{s % 5}"}} {i * (3 + s % 7)} {START + i * 15}\n')
        f.write("# EOF\n")
    data = os.path.join(folder, "data")
    subprocess.run([promtool, "tsdb", "create-blocks-from", "openmetrics", text, data], check=True, stdout=subprocess.DEVNULL)
    os.remove(text)
    return data


def measure(binary, name, data, a):
    own = shutil.copytree(data, tempfile.mkdtemp(prefix="tocsin-bench-data-"), dirs_exist_ok=True)
    config = os.path.join(own, "prometheus.yml")
    with open(config, "w", encoding="ascii") as f:
        f.write("global: {}\n")
    peer = Peer(binary, name, [f"--config.file={config}", f"--storage.tsdb.path={own}", "--storage.tsdb.retention.time=100y",
                               "--web.listen-address=127.0.0.1:{port}", "--log.level=error"])
    took = []
    for q in QUERIES:
        path = "/api/v1/query_range?" + urllib.parse.urlencode(
            {"query": q, "start": START, "end": START + a.hours * 3600 - 15, "step": 60})
        took.append(timed(lambda: peer.call("GET", path), a.rounds) * 1000)
    peer.stop()
    shutil.rmtree(own, ignore_errors=True)
    return took


def main():
    p = argparse.ArgumentParser(formatter_class=argparse.RawDescriptionHelpFormatter, description=__doc__)
    p.add_argument("--tocsin", default="build/release/tocsin")
    p.add_argument("--prometheus", default="prometheus")
    p.add_argument("--promtool", default="promtool")
    p.add_argument("--series", type=int, default=500)
    p.add_argument("--hours", type=int, default=6)
    p.add_argument("--rounds", type=int, default=5)
    p.add_argument("--json")
    a = p.parse_args()
    folder = tempfile.mkdtemp(prefix="tocsin-bench-")
    data = blocks(folder, a.series, a.hours, a.promtool)
    theirs, ours = measure(a.prometheus, "prometheus", data, a), measure(a.tocsin, "tocsin", data, a)
    rows = [(q, t, o, "ms", False, "8x") for q, t, o in zip(QUERIES, theirs, ours)]
    rows.append(("all of them", sum(theirs), sum(ours), "ms", False, "8x"))
    show(f"Range queries, {a.series} series, {a.hours} h at 15 s, step 60 s", rows)
    dump(a.json, rows)
    shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
