"""What the benches share: the two servers on the same work in turn, CPU and memory read from /proc, medians, ratios."""
import atexit
import ctypes
import http.client
import json
import os
import shutil
import signal
import socket
import statistics
import struct
import subprocess
import tempfile
import time


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def scratch():
    """A folder that is gone when the bench is."""
    folder = tempfile.mkdtemp(prefix="tocsin-bench-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


class Peer:
    """One server under measurement. `kind` is am, prom or tocsin."""

    def __init__(self, binary, name, argv, ready="/-/ready", wait=60):
        self.name, self.folder = name, scratch()
        self.port = free_port()
        text = [a.format(folder=self.folder, port=self.port) for a in argv]
        self.log = open(os.path.join(self.folder, "log"), "wb")
        started, tell = os.pipe()

        def before_exec():
            ctypes.CDLL(None).prctl(1, signal.SIGKILL)
            os.write(tell, struct.pack("d", time.monotonic()))

        self.p = subprocess.Popen([binary, *text], stdout=self.log, stderr=self.log, stdin=subprocess.DEVNULL,
                                  preexec_fn=before_exec)
        self.started = struct.unpack("d", os.read(started, 8))[0]
        os.close(started)
        os.close(tell)
        self.ready_ms = None
        end = time.monotonic() + wait
        while time.monotonic() < end:
            try:
                with socket.create_connection(("127.0.0.1", self.port), timeout=1) as s:
                    s.sendall(f"GET {ready} HTTP/1.0\r\n\r\n".encode())
                    if b" 200 " in s.recv(64):
                        self.ready_ms = (time.monotonic() - self.started) * 1000
                        break
            except OSError:
                pass
            time.sleep(0.0005)
        if self.ready_ms is None:
            raise SystemExit(f"{name} does not become ready: {open(self.log.name, 'rb').read()[-600:]!r}")
        self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)

    def call(self, method, path, body=None):
        headers = {"Content-Type": "application/json"} if body is not None else {}
        self.connection.request(method, path, body=body, headers=headers)
        answer = self.connection.getresponse()
        data = answer.read()
        if answer.status >= 300:
            raise SystemExit(f"{self.name}: {method} {path}: {answer.status} {data[:200]!r}")
        return data

    def cpu(self):
        """Seconds of user and system time: to the nanosecond of the threads there are, to a tick with those that ended."""
        running = 0
        with open(f"/proc/{self.p.pid}/stat", encoding="ascii") as f:
            fields = f.read().rsplit(")", 1)[1].split()
        all_of_it = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        try:
            for task in os.listdir(f"/proc/{self.p.pid}/task"):
                with open(f"/proc/{self.p.pid}/task/{task}/schedstat", encoding="ascii") as f:
                    running += int(f.read().split()[0])
        except (OSError, ValueError):
            return all_of_it
        return max(running / 1e9, all_of_it)

    def memory(self):
        """(resident, anonymous resident, peak) in MiB."""
        found = {}
        with open(f"/proc/{self.p.pid}/status", encoding="ascii") as f:
            for line in f:
                key, _, value = line.partition(":")
                if key in ("VmRSS", "RssAnon", "VmHWM"):
                    found[key] = int(value.split()[0]) / 1024
        return found["VmRSS"], found["RssAnon"], found["VmHWM"]

    def stop(self):
        self.connection.close()
        self.p.terminate()
        try:
            self.p.wait(20)
        except subprocess.TimeoutExpired:
            self.p.kill()
            self.p.wait()
        self.log.close()
        shutil.rmtree(self.folder, ignore_errors=True)


def timed(f, rounds):
    """Median seconds of f(), after one call to warm up."""
    f()
    took = []
    for _ in range(rounds):
        started = time.perf_counter()
        f()
        took.append(time.perf_counter() - started)
    return statistics.median(took)


def alertmanager_config(folder, text):
    path = os.path.join(folder, "config.yml")
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)
    return path


def show(title, rows):
    """rows: (what, peer's figure, tocsin's, unit, True if more is better, target as a text)."""
    print(f"\n{title}")
    print(f"  {'':44}{'peer':>14}{'tocsin':>14}{'ratio':>9}  target")
    for what, peer, own, unit, more, target in rows:
        ratio = (own / peer if more else peer / own) if peer and own else float("nan")
        print(f"  {what:44}{peer:>11.3f} {unit:<3}{own:>10.3f} {unit:<3}{ratio:>8.1f}x  {target}")


def dump(path, rows):
    if path:
        with open(path, "a", encoding="utf-8") as f:
            f.write(json.dumps({"time": time.time(), "rows": rows}) + "\n")
