#!/usr/bin/env python3
"""./dev run: starts a three-replica cluster on loopback, fires alerts at every replica, and shows the one notification that
arrives for each group. --hold keeps the cluster running until Ctrl-C."""
import argparse
import ctypes
import http.client
import http.server
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

CONFIG = """# Written by ./dev run.
route:
  receiver: terminal
  group_by: [alertname, cluster]
  group_wait: 2s
  group_interval: 5s
  repeat_interval: 1h
receivers:
- name: terminal
  webhook_configs:
  - url: http://127.0.0.1:{port}/
"""
ALERTS = [
    {"alertname": "DiskFull", "cluster": "eu", "instance": "db1", "severity": "critical"},
    {"alertname": "DiskFull", "cluster": "eu", "instance": "db2", "severity": "critical"},
    {"alertname": "LatencyHigh", "cluster": "us", "instance": "web7", "severity": "warning"},
]
REPLICAS = 3


def say(text):
    print(f"[{time.monotonic() - STARTED:5.1f}s] {text}", flush=True)


def free_port():
    while True:
        with socket.socket() as tcp, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            tcp.bind(("127.0.0.1", 0))
            try:
                udp.bind(("127.0.0.1", tcp.getsockname()[1]))
            except OSError:
                continue
            return tcp.getsockname()[1]


def request(port, method, path, body=None):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request(method, path, body=json.dumps(body) if body is not None else None,
                           headers={"Content-Type": "application/json"})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def wait_for(what, condition, seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if condition():
                return
        except OSError:
            pass
        time.sleep(0.05)
    sys.exit(f"demo: not within {seconds} s: {what}")


class Sink(http.server.BaseHTTPRequestHandler):
    calls = []

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()
        Sink.calls.append(body)
        names = ", ".join(sorted(a["labels"]["instance"] for a in body["alerts"]))
        say(f"  NOTIFICATION  {body['status'].upper():8}  {body['groupLabels']['alertname']} in {body['groupLabels']['cluster']}"
            f"  ({names})  because: {body['notification_reason']}")

    def log_message(self, *_):
        pass


def start(binary, folder, index, ports, peers):
    web, mesh = ports
    own = os.path.join(folder, f"replica-{index}")
    os.makedirs(own)
    log = open(os.path.join(own, "log"), "wb")
    return subprocess.Popen(
        [binary, f"--config.file={folder}/tocsin.yml", f"--storage.path={own}/data", f"--web.listen-address=127.0.0.1:{web}",
         f"--cluster.listen-address=127.0.0.1:{mesh}", "--cluster.peer-timeout=2s", "--cluster.settle-timeout=5s",
         *[f"--cluster.peer=127.0.0.1:{p}" for p in peers]],
        stdout=log, stderr=log, stdin=subprocess.DEVNULL,
        preexec_fn=lambda: ctypes.CDLL(None).prctl(1, signal.SIGKILL))


def members(web):
    return len(json.loads(request(web, "GET", "/api/v2/status")[1])["cluster"]["peers"])


def show(binary, folder, hold):
    sink = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Sink)
    threading.Thread(target=sink.serve_forever, daemon=True).start()
    with open(os.path.join(folder, "tocsin.yml"), "w", encoding="utf-8") as f:
        f.write(CONFIG.format(port=sink.server_address[1]))
    ports = [(free_port(), free_port()) for _ in range(REPLICAS)]
    replicas = []
    for i, own in enumerate(ports):
        replicas.append(start(os.path.join(binary, "tocsin"), folder, i, own, [m for _, m in ports if m != own[1]]))
    try:
        for web, _ in ports:
            wait_for("every replica ready", lambda w=web: request(w, "GET", "/-/ready")[0] == 200, 20)
        wait_for("every replica sees the others", lambda: all(members(w) == REPLICAS for w, _ in ports), 30)
        say(f"{REPLICAS} replicas run and see each other: " + ", ".join(f"http://127.0.0.1:{w}" for w, _ in ports))
        now = time.time()
        stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now))
        body = [{"labels": labels, "annotations": {"summary": "from ./dev run"}, "startsAt": stamp} for labels in ALERTS]
        for web, _ in ports:
            request(web, "POST", "/api/v2/alerts", body)
        say(f"{len(ALERTS)} alerts in 2 groups fired at each of the {REPLICAS} replicas; each group is due in 2 s ...")
        wait_for("a notification for each group", lambda: len(Sink.calls) >= 2, 40)
        # In the very instant of the receiver's answer only the sender knows of it; a moment later every replica does.
        time.sleep(0.5)
        victim = 0
        replicas[victim].kill()
        replicas[victim].wait()
        say(f"kill -9 of replica {victim}; now DiskFull is resolved at the two that live ...")
        ended = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time()))
        for item in body[:2]:
            item["endsAt"] = ended
        for i, (web, _) in enumerate(ports):
            if i != victim:
                request(web, "POST", "/api/v2/alerts", body[:2])
        wait_for("the resolved notification", lambda: len(Sink.calls) >= 3, 40)
        time.sleep(3)  # a double would come within a peer timeout: give it the chance to be seen
        statuses = sorted((c["groupLabels"]["alertname"], c["status"]) for c in Sink.calls)
        expected = [("DiskFull", "firing"), ("DiskFull", "resolved"), ("LatencyHigh", "firing")]
        if statuses != expected:
            sys.exit(f"demo: expected {expected}, got {statuses}")
        say("three events, three notifications: none lost, none doubled.")
        if hold:
            say("the cluster goes on; Ctrl-C ends it.")
            signal.pause()
    finally:
        for replica in replicas:
            if replica.poll() is None:
                replica.terminate()
        for replica in replicas:
            try:
                replica.wait(15)
            except subprocess.TimeoutExpired:
                replica.kill()


def main():
    global STARTED
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", required=True)
    parser.add_argument("--hold", action="store_true")
    opt = parser.parse_args()
    STARTED = time.monotonic()
    folder = tempfile.mkdtemp(prefix="tocsin-demo-")
    try:
        show(opt.bin, folder, opt.hold)
    except KeyboardInterrupt:
        pass
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
