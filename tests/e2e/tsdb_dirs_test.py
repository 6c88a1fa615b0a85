"""Data directories go between tocsin and Debian's Prometheus and lose nothing; a full disk costs nothing but memory."""
import shutil
import subprocess
import time

from tsdb_lib import *

HOUR = 3600 * 1000
STEP = 60 * 1000
LATE = "storage: {tsdb: {out_of_order_time_window: 30m}}\n"
START = (int(time.time()) - 12 * 3600) // 7200 * 7200 * 1000  # what is older than an hour behind the newest is refused


def labels(i, name="requests_total"):
    return {"__name__": name, "instance": f"host-{i}:9100", "job": "e2e", "path": f"/p{i % 3}/ä"}


def value_at(i, t):
    step = (t - START) // STEP
    return float("nan") if (i + step) % 97 == 0 else step * (i + 1) + (step % 7) / 10


def histogram_at(i, t):
    step = (t - START) // STEP
    buckets = [step + k for k in range(3 + step // 200)]
    return (float(sum(buckets)), 0.5 * step, [float(b) for b in buckets]) if i % 2 else (sum(buckets), 0.5 * step, buckets)


def send_hours(store, first, last, skip=()):
    """Floats and histograms of [first, last) hours after START, an hour a request."""
    for hour in range(first, last):
        times = range(START + hour * HOUR, START + (hour + 1) * HOUR, STEP)
        series = [(labels(i), [(t, value_at(i, t)) for t in times if (t - START) // STEP not in skip]) for i in range(12)]
        series += [(labels(i, "latency"), [(t, histogram_at(i, t)) for t in times]) for i in range(4)]
        assert write(store.port, series) == 204


def blocks(data):
    return sorted(f for f in os.listdir(data) if os.path.exists(os.path.join(data, f, "meta.json")))


def contents(store):
    """All samples as texts; native histograms of several series in one answer are wrong in Debian's Prometheus."""
    found = store.everything('requests_total{job="e2e"}')
    for i in range(4):
        found.update(store.everything(f'latency{{instance="host-{i}:9100"}}'))
    return {k: (json.dumps(floats), sorted(json.dumps(h, sort_keys=True) for h in histograms))
            for k, (floats, histograms) in found.items()}


def same(want, got, what):
    assert set(want) == set(got), (what, sorted(set(want) ^ set(got))[:3])
    for k in want:
        assert want[k][0] == got[k][0], (what, k, want[k][0][:300], got[k][0][:300])
        assert want[k][1] == got[k][1], (what, k, [x for x in zip(want[k][1], got[k][1]) if x[0] != x[1]][:1])


def count(found):
    return sum(len(json.loads(floats)) + len(histograms) for floats, histograms in found.values())


def prometheus_reads_what_tocsin_wrote():
    """Ingest, late samples, a kill, a restart, deletion, compaction: after each the peer and promtool read the same."""
    data = scratch() + "/data"
    store = Store(TOCSIN, data, LATE)

    def compare(what):
        nonlocal store
        want = contents(store)
        store.kill()
        copy = shutil.copytree(data, scratch() + "/copy")
        lines = dump(copy)
        floats = sum(len(json.loads(f)) for f, _ in want.values())
        assert sum(x.startswith("{") for x in lines) >= floats, (what, len(lines), floats)
        if blocks(copy):
            assert len(promtool("list", copy).splitlines()) == 1 + len(blocks(copy)), what
            assert f"Block ID: {blocks(copy)[-1]}" in promtool("analyze", copy, blocks(copy)[-1]), what
        peer = Store("prometheus", copy, LATE)
        same(want, contents(peer), what)
        assert "err=" not in peer.output(), peer.output()[-1500:]
        peer.stop()
        store = Store(TOCSIN, data, LATE)
        same(want, contents(store), what + ", after the kill")
        return want

    send_hours(store, 0, 2, skip={100, 101, 102})
    first = count(compare("ingest"))
    assert first == 12 * (120 - 3) + 4 * 120, first
    assert write(store.port, [(labels(i), [(START + s * STEP, value_at(i, START + s * STEP)) for s in (101, 100, 102)])
                              for i in range(12)]) == 204
    assert count(compare("out of order")) == first + 12 * 3
    send_hours(store, 2, 9)
    wait_for("blocks of the head", lambda: len(blocks(data)) >= 3, 150, every=0.5)
    assert count(compare("compaction")) == 16 * 540
    gone = f'requests_total{{instance="host-3:9100"}}'
    for low, high in ((0.5, 1), (8, 8.5)):  # in a block, and in the head
        status = call(store.port, "POST", "/api/v1/admin/tsdb/delete_series?" + urllib.parse.urlencode(
            {"match[]": gone, "start": START / 1000 + low * 3600, "end": START / 1000 + high * 3600}))[0]
        assert status == 204, status
    left = count(compare("deletion"))
    assert left == 16 * 540 - 2 * 31, left
    assert call(store.port, "POST", "/api/v1/admin/tsdb/clean_tombstones", timeout=60)[0] == 204
    assert count(compare("cleaning")) == left
    name = json.loads(call(store.port, "POST", "/api/v1/admin/tsdb/snapshot", timeout=60)[2])["data"]["name"]
    want = contents(store)
    peer = Store("prometheus", os.path.join(data, "snapshots", name))
    same(want, contents(peer), "snapshot")
    assert store.stop() == 0
    peer = Store("prometheus", data, LATE)
    same(want, contents(peer), "clean stop")


def a_directory_goes_to_tocsin_and_back():
    data = scratch() + "/data"
    peer = Store("prometheus", data, LATE)
    send_hours(peer, 0, 3)
    want = contents(peer)
    peer.kill()  # everything is in its log
    store = Store(TOCSIN, data, LATE)
    same(want, contents(store), "taken over")
    send_hours(store, 3, 8)
    assert write(store.port, [(labels(i), [(START + 8 * HOUR - 90 * 1000, 4.5)]) for i in range(12)]) == 204
    wait_for("blocks of the head", lambda: len(blocks(data)) >= 2, 150, every=0.5)
    want = contents(store)
    assert count(want) == 16 * 480 + 12, count(want)
    store.kill()
    peer = Store("prometheus", data, LATE)
    same(want, contents(peer), "given back after a kill")
    send_hours(peer, 8, 10)
    want = contents(peer)
    peer.stop()
    store = Store(TOCSIN, data, LATE)
    same(want, contents(store), "taken over again")
    assert store.stop() == 0
    peer = Store("prometheus", data, LATE)
    same(want, contents(peer), "given back after a clean stop")


def ingestion_goes_on_while_the_disk_is_full():
    """In memory, said by log and metric; written when there is room again, and there after a kill."""
    if subprocess.run(["unshare", "-m", "true"], stderr=subprocess.DEVNULL, check=False).returncode != 0:
        raise Skip("no mounts of its own (not root, or / is no mount point)")
    data = scratch()
    disk = Process(["unshare", "-m", "sh", "-c", f"mount -t tmpfs -o size=4m none {data} && touch {data}/mounted && exec sleep 600"],
                   name="disk")
    inside = f"/proc/{disk.pid}/root{data}"
    wait_for("the small disk", lambda: os.path.exists(inside + "/mounted"))
    within = ["nsenter", "-t", str(disk.pid), "-m"]
    store = Store(TOCSIN, data + "/data", prefix=within)
    send_hours(store, 0, 1)
    with open(inside + "/ballast", "wb", buffering=0) as f:
        try:
            while True:
                f.write(bytes(4096))
        except OSError:
            pass
    for hour in range(1, 4):
        send_hours(store, hour, hour + 1)
    want = contents(store)
    assert count(want) == 16 * 240, count(want)
    assert metric(store.port, "tocsin_tsdb_stalled") == 1
    wait_for("the log line", lambda: "The disk takes nothing" in store.output(), 90, every=0.5)
    os.remove(inside + "/ballast")
    wait_for("recovery", lambda: metric(store.port, "tocsin_tsdb_stalled") == 0, 90, every=0.5)
    same(want, contents(store), "after the disk had room")
    store.kill()
    store = Store(TOCSIN, data + "/data", prefix=within)
    same(want, contents(store), "after a kill")


if __name__ == "__main__":
    main([prometheus_reads_what_tocsin_wrote, a_directory_goes_to_tocsin_and_back, ingestion_goes_on_while_the_disk_is_full])
