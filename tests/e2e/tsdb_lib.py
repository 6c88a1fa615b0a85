"""What the end-to-end tests of the store share: the peers, and what a store says of itself."""
import json
import os
import struct
import subprocess
import urllib.parse

from harness import *

FLAGS = ["--storage.tsdb.retention.time=100y", "--web.enable-remote-write-receiver", "--web.enable-admin-api",
         "--enable-feature=native-histograms", "--log.level=warn"]


class Store(Process):
    """tocsin or prometheus over a data directory."""

    def __init__(self, binary, data, config="global: {}\n", port=None, extra=(), prefix=(), deadline=60):
        self.data, self.port = data, port or free_port()
        path = os.path.join(scratch(), "prometheus.yml")
        with open(path, "w", encoding="utf-8") as f:
            f.write(config)
        super().__init__([*prefix, binary, f"--config.file={path}", f"--storage.tsdb.path={data}",
                          f"--web.listen-address=127.0.0.1:{self.port}", *FLAGS, *extra], name=os.path.basename(binary))
        wait_for(f"{self.name} to be ready", self.ready, deadline)

    def ready(self):
        assert self.alive(), self.output()[-2000:]
        return call(self.port, "GET", "/-/ready")[0] == 200

    def get(self, path, **params):
        return get_json(self.port, path + "?" + urllib.parse.urlencode(params, doseq=True), timeout=60)["data"]

    def samples(self, selector, at, seconds):
        """{labels: {time: value}} of floats in (at - seconds, at]."""
        found = self.get("/api/v1/query", query=f"{selector}[{seconds}s]", time=at)["result"]
        return {json.dumps(s["metric"], sort_keys=True): {t: v for t, v in s.get("values", [])} for s in found}

    def everything(self, selector='{__name__!=""}', at=4102444800, seconds=4000000000):
        """All floats and histograms of all time, one series at a time being enough for histograms."""
        found = self.get("/api/v1/query", query=f"{selector}[{seconds}s]", time=at)["result"]
        return {json.dumps(s["metric"], sort_keys=True): (s.get("values", []), s.get("histograms", [])) for s in found}


def promtool(*words):
    done = subprocess.run(["promtool", "tsdb", *words], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, (words, done.stderr[-2000:])
    return done.stdout


def dump(data):
    """The lines of promtool's dump, sorted: sources differ in the order of what they print."""
    os.makedirs(os.path.join(data, "wal"), exist_ok=True)
    return sorted(promtool("dump", data).splitlines())


def metric(port, name):
    for line in call(port, "GET", "/metrics")[2].decode().splitlines():
        if line.startswith(name + " ") or line.startswith(name + "{"):
            return float(line.rsplit(" ", 1)[1])
    raise KeyError(name)


# ---- remote write 1.0, as bytes ----

def _varint(v):
    out, v = bytearray(), v & (1 << 64) - 1
    while v >= 0x80:
        out.append(v & 0x7f | 0x80)
        v >>= 7
    return bytes(out) + bytes([v])


def _zigzag(v):
    return _varint(v << 1 ^ v >> 63)


def _field(number, body):
    return _varint(number << 3 | 2) + _varint(len(body)) + body


def _double(number, v):
    return _varint(number << 3 | 1) + struct.pack("<d", v)


def _number(number, encoded):
    return _varint(number << 3) + encoded


def _histogram(t, h):
    """h: (count, sum, [bucket counts from index 0]); a float count makes a float histogram."""
    count, total, buckets = h
    out = _double(2, count) if isinstance(count, float) else _number(1, _varint(count))
    out += _double(3, total) + _number(4, _zigzag(1)) + _double(5, 0.001)
    out += _double(7, 0.0) if isinstance(count, float) else _number(6, _varint(0))
    out += _field(11, _number(1, _zigzag(0)) + _number(2, _varint(len(buckets))))
    if isinstance(count, float):
        out += _field(13, b"".join(struct.pack("<d", b) for b in buckets))
    else:
        deltas = [b - a for a, b in zip([0] + buckets, buckets)]
        out += _field(12, b"".join(_zigzag(d) for d in deltas))
    return out + _number(15, _varint(t))


def write_request(series):
    """series: [(labels, [(t in ms, float or histogram)])]"""
    out = b""
    for labels, samples in series:
        one = b"".join(_field(1, _field(1, k.encode()) + _field(2, v.encode())) for k, v in sorted(labels.items()))
        for t, v in samples:
            one += _field(4, _histogram(t, v)) if isinstance(v, tuple) else _field(2, _double(1, v) + _number(2, _varint(t)))
        out += _field(1, one)
    packed = _varint(len(out))  # snappy: literals only
    for at in range(0, len(out), 65536):
        piece = out[at:at + 65536]
        packed += bytes([61 << 2]) + struct.pack("<H", len(piece) - 1) + piece
    return packed


def write(port, series):
    """The status of the answer."""
    status, _, body = call(port, "POST", "/api/v1/write", write_request(series), timeout=60,
                           headers={"Content-Type": "application/x-protobuf", "Content-Encoding": "snappy"})
    assert status in (204, 500), (status, body[:300])
    return status
