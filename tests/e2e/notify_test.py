"""Notifications to receivers that behave, that fail and that hang: who is told, how often, and what the metrics say."""
import re
import struct

from harness import *

HEAD = """
route:
  receiver: none
  group_by: [alertname]
  group_wait: 100ms
  group_interval: %(interval)s
  repeat_interval: 1h
  routes:
"""


def routed(receivers, interval="1s"):
    """A configuration with a receiver for each (name, webhook options as YAML flow); the alert's label `to` chooses."""
    text = HEAD % {"interval": interval}
    for name, _ in receivers:
        text += f"  - {{matchers: ['to=\"{name}\"'], receiver: {name}}}\n"
    text += "receivers:\n- name: none\n"
    for name, options in receivers:
        text += f"- name: {name}\n  webhook_configs: [{options}]\n"
    return text


def count(server, name, receiver, reason=None):
    extra = f',reason="{reason}"' if reason else ""
    return samples(server.port).get(f'alertmanager_{name}{{integration="webhook"{extra},receiver_name="{receiver}"}}')


NAMES = "--enable-feature=receiver-name-in-metrics"


# ---- one call for each thing that happened ----

def one_firing_and_one_resolved_call_with_complete_bodies():
    sink = Sink()
    server = Server(routed([("hook", '{url: "%s"}' % sink.url)]), extra=["--web.external-url=http://am.example/x", "--web.route-prefix=/"])
    starts = time.time() - 60
    labels = {"to": "hook", "severity": "page", "note": "é \"quoted\" <b>"}
    a = alert("Down", {**labels, "instance": "a"}, {"summary": "first\nline", "same": "x"}, starts=starts, ends=2_000_000_000)
    b = alert("Down", {**labels, "instance": "b"}, {"same": "x"}, starts=starts, ends=2_000_000_000)
    a["generatorURL"] = "http://prometheus.example/graph?g0.expr=up+%3D%3D+0"
    post_alerts(server.port, a, b)
    wait_for("the firing call", lambda: sink.calls)
    for x in (a, b):
        x["endsAt"] = rfc3339(time.time() - 1)
    post_alerts(server.port, a, b)
    wait_for("the resolved call", lambda: len(sink.calls) >= 2)
    # A second alert's call comes two intervals later: had anything more been said about the first, it would be here.
    post_alerts(server.port, alert("Marker", {"to": "hook"}))
    wait_for("the marker", lambda: any(x["groupLabels"]["alertname"] == "Marker" for x in sink.bodies()))
    time.sleep(1.5)
    told = [(x["status"], x["groupLabels"]["alertname"]) for x in sink.bodies()]
    assert told == [("firing", "Down"), ("resolved", "Down"), ("firing", "Marker")], told
    _, path, headers, _ = sink.calls[0]
    assert path == "/" and headers["Content-Type"] == "application/json" and headers["User-Agent"] == "Alertmanager/0.34.0", headers
    fired, resolved = sink.bodies()[:2]
    common = {"alertname": "Down", **labels}
    group_key = '{}/{to="hook"}:{alertname="Down"}'
    assert {k: v for k, v in fired.items() if k != "alerts"} == {
        "receiver": "hook", "status": "firing", "notification_reason": "first notification", "groupLabels": {"alertname": "Down"},
        "commonLabels": common, "commonAnnotations": {"same": "x"}, "routeLabels": {}, "externalURL": "http://am.example/x",
        "version": "4", "groupKey": group_key, "truncatedAlerts": 0}, fired
    assert [x["labels"]["instance"] for x in fired["alerts"]] == ["a", "b"]
    first = fired["alerts"][0]
    assert set(first) == {"status", "labels", "annotations", "startsAt", "endsAt", "generatorURL", "fingerprint"}, first
    assert first["status"] == "firing" and first["labels"] == a["labels"] and first["annotations"] == a["annotations"], first
    assert first["endsAt"] == "0001-01-01T00:00:00Z" and first["startsAt"].startswith(a["startsAt"][:19]), first
    assert first["generatorURL"] == a["generatorURL"] and re.fullmatch(r"[0-9a-f]{16}", first["fingerprint"]), first
    assert resolved["status"] == "resolved" and resolved["notification_reason"] == "all alerts resolved", resolved
    assert [x["status"] for x in resolved["alerts"]] == ["resolved"] * 2
    assert resolved["alerts"][0]["endsAt"].startswith(a["endsAt"][:19]) and resolved["groupKey"] == group_key
    assert [x["fingerprint"] for x in resolved["alerts"]] == [x["fingerprint"] for x in fired["alerts"]]


def a_receiver_that_recovers_hears_of_a_group_once():
    sink = Sink(answer=lambda n, path, body: 500 if n < 3 else 200)
    server = Server(routed([("hook", '{url: "%s"}' % sink.url)]), extra=[NAMES])
    post_alerts(server.port, alert("A", {"to": "hook"}))
    wait_for("it is told", lambda: len(sink.calls) >= 4, 20)
    wait_for("and counted", lambda: count(server, "notification_requests_total", "hook") == 4)
    time.sleep(2.5)  # two more intervals
    assert len(sink.calls) == 4, len(sink.calls)
    assert len({body for _, _, _, body in sink.calls}) == 1, "every attempt says the same"
    assert count(server, "notifications_total", "hook") == 1
    assert count(server, "notification_requests_failed_total", "hook") == 3
    assert count(server, "notifications_failed_total", "hook", "serverError") == 0
    waits = [b[0] - a[0] for a, b in zip(sink.calls, sink.calls[1:])]
    assert all(0.2 < w < 3 for w in waits), waits
    assert "Notify success" in server.output() and server.output().count("Notify attempt failed, will retry later") == 1


def the_outage_of_a_receiver_is_followed_by_one_message_for_each_group():
    down = threading.Event()
    down.set()
    sink = Sink(answer=lambda n, path, body: 503 if down.is_set() else 200)
    server = Server(routed([("hook", '{url: "%s"}' % sink.url)]))
    post_alerts(server.port, *[alert(f"G{i}", {"to": "hook"}) for i in range(50)])
    wait_for("every group was tried", lambda: len({body for _, _, _, body in sink.calls}) >= 50, 20)
    post_alerts(server.port, *[alert(f"G{i}", {"to": "hook"}, ends=time.time() - 1) for i in range(10)])
    time.sleep(1)
    before = len(sink.calls)
    down.clear()

    def delivered():
        with sink.lock:
            names = [json.loads(c[3])["groupLabels"]["alertname"] for c in sink.calls[before:]]
        return {n for n in names} >= {f"G{i}" for i in range(10, 50)} and names
    wait_for("the groups that still fire", delivered, 60)
    time.sleep(2.5)
    with sink.lock:
        after = [json.loads(c[3]) for c in sink.calls[before:]]
    firing = [b["groupLabels"]["alertname"] for b in after if b["status"] == "firing" and b["groupLabels"]["alertname"] not in
              {f"G{i}" for i in range(10)}]
    assert sorted(firing) == sorted(f"G{i}" for i in range(10, 50)), sorted(firing)


# ---- how each failure counts ----

class Scripted:
    """A receiver that does to each path what its script says; keeps when it was called."""

    def __init__(self):
        self.calls, self.lock = {}, threading.Lock()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                with outer.lock:
                    seen = outer.calls.setdefault(self.path, [])
                    seen.append((time.monotonic(), self.command, body))
                getattr(self, "_" + self.path[1:].split("/")[0], self._status)()

            do_GET = do_POST

            def reply(self, status, body=b"", **headers):
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                for name, value in headers.items():
                    self.send_header(name.replace("_", "-"), value)
                self.end_headers()
                self.wfile.write(body)

            def _status(self):
                status = int(self.path.rsplit("/", 1)[1])
                self.reply(status, b"" if status == 204 else b"because")

            def _redirect(self):
                self.reply(int(self.path.rsplit("/", 1)[1]), Location=f"/landed/{self.path.rsplit('/', 1)[1]}")

            def _landed(self):
                self.reply(200)

            def _loop(self):
                self.reply(307, Location=self.path)

            def _reset(self):
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.connection.close()
                self.close_connection = True

            def _hang(self):
                time.sleep(30)

            def _noise(self):
                self.wfile.write(b"\x00\x01 what is this\r\n\r\n")
                self.close_connection = True

            def _half(self):
                self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
                self.close_connection = True

            def _huge(self):
                self.send_response(int(self.path.rsplit("/", 1)[1]))
                self.send_header("Content-Length", str(100 << 20))
                self.end_headers()
                try:
                    for _ in range(100):
                        self.wfile.write(b"x" * (1 << 20))
                except OSError:
                    pass
                self.close_connection = True

            def _endless(self):
                self.wfile.write(b"HTTP/1.1 200 OK\r\nX: " + b"y" * (1 << 20))
                try:
                    while True:
                        self.wfile.write(b"y" * (1 << 20))
                except OSError:
                    pass
                self.close_connection = True

            def finish(self):
                try:
                    super().finish()
                except (OSError, ValueError):
                    pass

            def log_message(self, *_):
                pass

        class Listener(http.server.ThreadingHTTPServer):
            request_queue_size, daemon_threads = 1024, True

            def handle_error(self, *_):
                pass
        server = Listener(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{server.server_address[1]}"
        threading.Thread(target=server.serve_forever, daemon=True).start()

    def count(self, path, until):
        with self.lock:
            return len([c for c in self.calls.get(path, []) if c[0] < until])


# path, more options, is it tried again, reason of the failure (None: it counts as delivered)
OUTCOMES = [
    ("status/200", "", False, None), ("status/204", "", False, None), ("status/299", "", False, None),
    ("status/400", "", False, "clientError"), ("status/401", "", False, "authError"), ("status/403", "", False, "authError"),
    ("status/404", "", False, "clientError"), ("status/429", "", False, "rateLimited"),
    ("status/500", "", True, "serverError"), ("status/503", "", True, "serverError"),
    ("redirect/307", "", False, None), ("redirect/308", "", False, None), ("redirect/302", "", False, None),
    ("redirect/301/302", ", http_config: {follow_redirects: false}", False, "other"),
    ("loop", "", True, "other"), ("reset", "", True, "other"), ("noise", "", True, "other"),
    ("hang", ", timeout: 500ms", True, "other"), ("huge/200", "", False, None), ("huge/500", "", True, "serverError"),
    ("endless", "", True, "other"),
]


def receiver_of(path):
    return path.replace("/", "-")


def resident_mb(server):
    with open(f"/proc/{server.pid}/status", encoding="ascii") as f:
        return next(int(l.split()[1]) // 1024 for l in f if l.startswith("VmRSS"))


def every_kind_of_answer_is_retried_and_counted_as_it_should():
    sink = Scripted()
    receivers = [(receiver_of(p), '{url: "%s/%s"%s}' % (sink.url, p, more)) for p, more, _, _ in OUTCOMES]
    # The interval bounds a flush (10 s at least): by its end what was tried again has failed.
    server = Server(routed(receivers, interval="10s"), extra=[NAMES],
                    env={"ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":quarantine_size_mb=8"})
    base = resident_mb(server)
    post_alerts(server.port, *[alert(f"To-{name}", {"to": name}) for name, _ in receivers])
    most, flushed = base, time.monotonic() + 9.5  # the next flush, which tries everything again, is later
    end = flushed + 2
    while time.monotonic() < end:
        most = max(most, resident_mb(server))
        time.sleep(0.05)
    got, problems = samples(server.port), []
    for path, _, retried, reason in OUTCOMES:
        name, calls = receiver_of(path), sink.count("/" + path, flushed)
        if (calls > 1) != retried or calls == 0:
            problems.append(f"{path}: {calls} calls, expected {'several' if retried else 'one'}")
        failed = {r: got.get(f'alertmanager_notifications_failed_total{{integration="webhook",reason="{r}",receiver_name="{name}"}}')
                  for r in ("other", "clientError", "serverError", "contextCanceled", "contextDeadlineExceeded", "authError", "rateLimited")}
        counted = [r for r, n in failed.items() if n]
        if counted != ([reason] if reason else []):
            problems.append(f"{path}: failed {failed}, expected {reason}")
        sent = got.get(f'alertmanager_notifications_total{{integration="webhook",receiver_name="{name}"}}')
        if sent is None or sent < 1:
            problems.append(f"{path}: notifications_total {sent}")
    for code in ("307", "308"):
        landed = sink.calls.get(f"/landed/{code}", [])
        if [c[1] for c in landed] != ["POST"] or not landed[0][2]:
            problems.append(f"redirect/{code}: landed as {[(c[1], len(c[2])) for c in landed]}")
    assert not problems, "\n".join(problems)
    assert most - base < 100, f"resident memory went from {base} to {most} MB"
    lines = server.output().splitlines()
    assert any("<redacted>" in l for l in lines) and not any(sink.url in l for l in lines), "the URL is a secret"
    assert max(len(l) for l in lines) < 10_000, "a line of the log holds somebody's answer"
    assert server.stop() == 0


# ---- nobody starves ----

class Blackhole:
    """Takes connections as far as the kernel does, and never says a word."""

    def __init__(self, backlog):
        self.socket = socket.socket()
        self.socket.bind(("127.0.0.1", 0))
        self.socket.listen(backlog)
        self.url = f"http://127.0.0.1:{self.socket.getsockname()[1]}/"


def dead_hosts_among_many_receivers_starve_nobody():
    sink, holes = Sink(), [Blackhole(1024), Blackhole(0), Blackhole(1024)]
    # Two of them swallow 300 groups, one refuses to connect at all once its queue is full.
    receivers = [(f"dead{i}", '{url: "%s"}' % hole.url) for i, hole in enumerate(holes)]
    receivers += [(f"live{i}", '{url: "%s%d"}' % (sink.url, i)) for i in range(50)]
    server = Server(routed(receivers))
    post_alerts(server.port, *[alert(f"D{i}", {"to": f"dead{i % 3}"}) for i in range(300)])
    time.sleep(0.5)
    began = time.time()
    post_alerts(server.port, *[alert(f"L{i}-{j}", {"to": f"live{i}"}) for i in range(50) for j in range(4)])
    wait_for("every living receiver", lambda: len(sink.calls) >= 200, 30)
    took = max(c[0] for c in sink.calls) - began
    assert len(sink.calls) == 200 and took < 5, (len(sink.calls), took)
    post_alerts(server.port, *[alert(f"L{i}-0", {"to": f"live{i}"}, ends=time.time() - 1) for i in range(50)])
    wait_for("every resolution", lambda: len(sink.calls) >= 250, 30)
    began = time.monotonic()
    assert call(server.port, "GET", "/api/v2/alerts/groups")[0] == 200 and time.monotonic() - began < 2
    began = time.monotonic()
    assert server.stop() == 0 and time.monotonic() - began < 9


def a_group_that_fails_does_not_delay_others_of_its_receiver():
    sink = Sink(answer=lambda n, path, body: 500 if b'"alertname":"Bad"' in body else 200)
    server = Server(routed([("hook", '{url: "%s"}' % sink.url)]))
    post_alerts(server.port, alert("Bad", {"to": "hook"}))
    wait_for("it is tried twice", lambda: len(sink.calls) >= 2)
    began = time.time()
    post_alerts(server.port, *[alert(f"Good{i}", {"to": "hook"}) for i in range(20)])

    def good():
        with sink.lock:
            return sorted(json.loads(c[3])["groupLabels"]["alertname"] for c in sink.calls if b"Good" in c[3])
    wait_for("the good ones", lambda: len(good()) >= 20)
    assert time.time() - began < 3
    assert good() == sorted(f"Good{i}" for i in range(20)), good()


def what_failed_once_is_sent_by_the_next_flush():
    """Not retried within a flush is not forgotten: the next interval tries again."""
    sink = Sink(answer=lambda n, path, body: 404 if n == 0 else 200)
    server = Server(routed([("hook", '{url: "%s"}' % sink.url)]), extra=[NAMES])
    post_alerts(server.port, alert("A", {"to": "hook"}))
    wait_for("the second try", lambda: len(sink.calls) >= 2)
    wait_for("the count", lambda: count(server, "notifications_total", "hook") == 2)
    assert count(server, "notifications_failed_total", "hook", "clientError") == 1
    assert 0.8 < sink.calls[1][0] - sink.calls[0][0] < 5
    line = next(l for l in server.output().splitlines() if "Notify for alerts failed" in l)
    assert "level=ERROR" in line and "unrecoverable error after 1 attempts: unexpected status code 404" in line, line


if __name__ == "__main__":
    main([one_firing_and_one_resolved_call_with_complete_bodies, a_receiver_that_recovers_hears_of_a_group_once,
          the_outage_of_a_receiver_is_followed_by_one_message_for_each_group,
          every_kind_of_answer_is_retried_and_counted_as_it_should, dead_hosts_among_many_receivers_starve_nobody,
          a_group_that_fails_does_not_delay_others_of_its_receiver, what_failed_once_is_sent_by_the_next_flush])
