"""Debian's Prometheus scrapes its node exporter and writes to tocsin through kills and restarts of either: both stores have
the same samples. # peers"""
import time

from tsdb_lib import *

CONFIG = """
global: {scrape_interval: 500ms}
scrape_configs:
- job_name: node
  static_configs: [{targets: ["127.0.0.1:%(exporter)d"]}]
remote_write:
- url: "http://127.0.0.1:%(port)d/api/v1/write"
  queue_config: {batch_send_deadline: 200ms, min_backoff: 50ms, max_backoff: 500ms}
"""


def newest(store):
    found = store.get("/api/v1/query", query='max(timestamp(up{job="node"}))')["result"]
    return float(found[0]["value"][1]) if found else 0.0


def scrapes_go_on(prometheus, count=8):
    """So many from now on; a server that has just started begins after five seconds."""
    since = time.time()

    def scraped():
        times = [t for s in prometheus.samples('up{job="node"}', time.time(), 60).values() for t in s]
        return sum(t > since for t in times) >= count
    wait_for(f"{count} more scrapes", scraped, 40, every=0.1)


def both_stores_have_the_same_through_kills_and_restarts():
    exporter, port, theirs, ours = free_port(), free_port(), scratch() + "/data", scratch() + "/data"
    config = CONFIG % {"exporter": exporter, "port": port}
    Process(["prometheus-node-exporter", f"--web.listen-address=127.0.0.1:{exporter}", "--collector.disable-defaults",
             "--collector.cpu", "--collector.meminfo", "--collector.stat", "--collector.loadavg", "--collector.vmstat"],
            name="exporter")
    wait_for("the exporter", lambda: call(exporter, "GET", "/metrics")[0] == 200)
    tocsin = Store(TOCSIN, ours, port=port)
    prometheus = Store("prometheus", theirs, config)
    began = time.time()
    scrapes_go_on(prometheus)

    for stop in (Process.kill, Process.stop):  # the receiver: the sender tries again
        stop(tocsin)
        scrapes_go_on(prometheus, 4)
        tocsin = Store(TOCSIN, ours, port=port)
        scrapes_go_on(prometheus, 4)
        wait_for("the receiver to catch up", lambda: newest(tocsin) >= newest(prometheus) - 1.5, 60, every=0.2)

    blind = []
    for stop in (Process.kill, Process.stop):  # the sender: it does not send again what it had scraped before its start
        wait_for("most of what was scraped to be sent", lambda: newest(tocsin) >= newest(prometheus) - 0.6, 30, every=0.1)
        sent = newest(tocsin) - 0.1
        stop(prometheus)
        prometheus = Store("prometheus", theirs, config)
        blind.append((sent, time.time()))
        scrapes_go_on(prometheus)

    until = newest(prometheus) - 0.1
    wait_for("the receiver to have it all", lambda: newest(tocsin) > until, 60, every=0.1)
    compare(prometheus, tocsin, until, int(until - began) + 5, blind)


def compare(prometheus, tocsin, until, seconds, blind):
    """The same samples; in the blind times the sender may have some that it never sent."""
    want, got = (s.samples('{job="node"}', until, seconds) for s in (prometheus, tocsin))
    assert want and set(want) == set(got), (len(want), len(got), sorted(set(want) ^ set(got))[:3])
    total = 0
    for labels, theirs in want.items():
        ours = got[labels]
        theirs = {t: v for t, v in theirs.items() if t in ours or not any(a < t < b for a, b in blind)}
        assert theirs == ours, (labels, sorted(set(theirs.items()) ^ set(ours.items()))[:4], len(theirs), len(ours))
        total += len(theirs)
    assert total > 20 * len(want), (total, len(want))


if __name__ == "__main__":
    main([both_stores_have_the_same_through_kills_and_restarts])
