"""Bad configurations, bad requests and bad clients: a clear answer to each, and afterwards the server is as it was. Seeded."""
import random
import struct
import urllib.parse

from harness import *

QUIET = "route: {receiver: none, group_wait: 1h}\nreceivers: [{name: none}]\n"
RICH = """
global:
  resolve_timeout: 5m
  smtp_smarthost: 'localhost:25'
  smtp_from: 'tocsin@example.org'
  slack_api_url: 'https://hooks.example.org/x'
  http_config: {follow_redirects: true, tls_config: {insecure_skip_verify: true}}
route:
  receiver: 'default'
  group_by: ['alertname', cluster]
  group_wait: 30s
  group_interval: 5m
  repeat_interval: 12h
  routes:
  - matchers: [service=~"foo1|foo2|baz", 'severity!="info"']
    receiver: team-x
    continue: true
    mute_time_intervals: [offhours, holidays]
    routes:
    - {match: {severity: critical}, receiver: pager, group_by: ['...']}
  - match_re: {zone: "eu|us"}
    active_time_intervals: [offhours]
    repeat_interval: 1d
inhibit_rules:
- source_matchers: [severity="critical"]
  target_matchers: [severity=~"warning|info"]
  equal: [alertname, cluster]
time_intervals:
- name: offhours
  time_intervals:
  - times: [{start_time: '00:00', end_time: '06:30'}, {start_time: '21:00', end_time: '24:00'}]
    weekdays: ['monday:wednesday', saturday]
    days_of_month: ['1:5', '-3:-1']
    months: ['1:3', may]
    years: ['2020:2022', '2030']
    location: 'Europe/Prague'
- name: holidays
  time_intervals: [{months: [december], days_of_month: ['24:26']}]
receivers:
- name: default
- name: team-x
  email_configs: [{to: 'team-x@example.org', headers: {Subject: '{{ .GroupLabels.alertname }}'}, require_tls: false}]
  webhook_configs: [{url: 'http://127.0.0.1:1/', max_alerts: 10, http_config: {basic_auth: {username: u, password: p}}}]
  slack_configs:
  - channel: '#x'
    text: '{{ range .Alerts }}{{ .Annotations.summary }}{{ end }}'
    fields: [{title: a, value: b, short: true}]
    actions: [{type: button, text: t, url: 'http://x'}]
- name: pager
  pagerduty_configs: [{routing_key: k, details: {a: '{{ .Status }}'}}]
  opsgenie_configs: [{api_key: k, responders: [{name: n, type: team}]}]
  pushover_configs: [{token: t, user_key: u, retry: 1m, expire: 1h}]
  telegram_configs: [{bot_token: t, chat_id: -123, api_url: 'https://t.example.org'}]
  sns_configs: [{topic_arn: 'arn:aws:sns:us-east-2:1:My', sigv4: {region: us-east-2, access_key: a, secret_key: s}}]
  jira_configs: [{api_url: 'https://j.example.org', project: P, issue_type: Bug, http_config: {authorization: {credentials: c}}}]
templates: []
"""
PIECES = ["null", "~", "{}", "[]", "-1", "1e999", "99999999999999999999", "!!binary x", "&a", "*a", "<<: *a", "'", '"', "\t", "%", "|",
          ">", "? ", "- ", ": ", "{", "}", "[", "]", "5y", "0s", "1.5h", "\x00", "\u2028", "\xff", "{{ .Nope }}", "{{ if }}",
          "{{ range", "(", "a" * 5000, "yes", "0x10", "2020-01-01", "#", "---\n", "...\n", "!!map", "[[[[[[", "{a: {a: {a: "]


def mutated(text, rng):
    lines = text.splitlines()
    for _ in range(rng.randint(1, 4)):
        kind, i = rng.randrange(9), rng.randrange(len(lines))
        line = lines[i]
        if kind == 0:
            del lines[i]
        elif kind == 1:
            lines.insert(rng.randrange(len(lines) + 1), line)
        elif kind == 2:
            lines[i] = rng.choice([" ", "  ", "\t"]) + line
        elif kind == 3:
            lines[i] = line.lstrip(" ")
        elif kind == 4 and line:
            at = rng.randrange(len(line))
            lines[i] = line[:at] + chr(rng.randrange(1, 256)) + line[at + 1:]
        elif kind == 5:
            at = rng.randrange(len(line) + 1)
            lines[i] = line[:at] + rng.choice(PIECES) + line[at:]
        elif kind == 6 and ":" in line:
            lines[i] = line.partition(":")[0] + ": " + rng.choice(PIECES)
        elif kind == 7:
            lines = lines[:max(1, i)]
        else:
            j = rng.randrange(len(lines))
            lines[i], lines[j] = lines[j], lines[i]
        lines = lines or [""]
    return "\n".join(lines) + "\n"


def no_sanitizer_spoke(process):
    text = process.output()
    for sign in ("runtime error", "AddressSanitizer", "LeakSanitizer", "ASSERT", "assertion"):
        assert sign not in text, text[text.index(sign) - 200:][:3000]


class Canary:
    """Something to find unchanged afterwards."""

    def __init__(self, port):
        self.port = port
        post_alerts(port, alert("Canary", {"text": "a" * 3000 + "!"}, {"k": "v"}, ends=2_000_000_000))
        self.silence = post_silence(port, silence({"zz": "nothing"}, comment="canary", ends=2_000_000_000))

    def sings(self):
        assert call(self.port, "GET", "/-/healthy")[0] == 200
        found = get_json(self.port, "/api/v2/alerts?filter=alertname%3DCanary")
        assert len(found) == 1 and found[0]["annotations"] == {"k": "v"} and found[0]["labels"]["text"] == "a" * 3000 + "!", found
        assert found[0]["status"] == {"state": "active", "silencedBy": [], "inhibitedBy": [], "mutedBy": []}, found
        kept = get_json(self.port, "/api/v2/silence/" + self.silence)
        assert kept["comment"] == "canary" and kept["status"]["state"] == "active", kept
        post_alerts(self.port, alert("After"))
        wait_for("a normal alert", lambda: get_json(self.port, "/api/v2/alerts?filter=alertname%3DAfter"))


# ---- configurations ----

CONFIGS = 1000


def a_thousand_broken_configurations_are_judged_alike_by_check_config_and_reload():
    rng, folder = random.Random(1), scratch()
    texts = [mutated(RICH, rng) for _ in range(CONFIGS)]
    names = []
    for i, text in enumerate(texts):
        names.append(os.path.join(folder, f"c{i}.yml"))
        with open(names[-1], "w", encoding="utf-8", errors="surrogateescape") as f:
            f.write(text)
    verdicts = {}
    for i in range(0, CONFIGS, 100):
        code, out, err = run([TOCSINCTL, "check-config", *names[i:i + 100]], timeout=120)
        assert code in (0, 1) and "runtime error" not in err and "Sanitizer" not in err, (code, err[-2000:])
        for part in out.split("Checking '")[1:]:
            name, _, rest = part.partition("'")
            verdicts[name] = rest.lstrip()
    assert len(verdicts) == CONFIGS
    failed = [n for n in names if verdicts[n].startswith("FAILED: ")]
    assert all(len(verdicts[n].partition("FAILED: ")[2].strip()) > 5 for n in failed), "a failure without a text"
    assert 0.3 * CONFIGS < len(failed) < CONFIGS, len(failed)
    server = Server(QUIET)
    canary = Canary(server.port)
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    for name in names:
        shutil.copy(name, server.config_path + ".new")
        os.rename(server.config_path + ".new", server.config_path)
        connection.request("POST", "/-/reload")
        answer = connection.getresponse()
        body = answer.read().decode("utf-8", "replace")
        if "what runs is fixed at start" in body:
            continue
        good = verdicts[name].startswith("SUCCESS")
        assert answer.status == (200 if good else 500), (name, answer.status, body, verdicts[name])
        assert good or body.startswith("failed to reload config: "), body
    connection.close()
    with open(server.config_path, "w", encoding="utf-8") as f:
        f.write(QUIET)
    assert call(server.port, "POST", "/-/reload")[0] == 200
    canary.sings()
    assert server.stop() == 0
    no_sanitizer_spoke(server)


# ---- requests ----

REQUESTS = 10_000
CONNECTIONS = 4
SEEDS = [("POST", "/api/v2/alerts", [alert("H", {"n": "1"}, {"a": "b"}, starts=1_700_000_000, ends=2_000_000_000)] * 2),
         ("POST", "/api/v2/silences", silence({"zz": "v"}, starts=1_990_000_000, ends=2_000_000_000)),
         ("GET", '/api/v2/alerts?filter=alertname%3D~"H.*"&active=true&receiver=none', None),
         ("GET", '/api/v2/alerts/groups?filter=n!%3D"2"&muted=false', None), ("GET", "/api/v2/silences?filter=zz%3D%22v%22", None),
         ("GET", "/api/v2/silence/00000000-0000-4000-8000-000000000000", None),
         ("DELETE", "/api/v2/silence/00000000-0000-4000-8000-000000000000", None), ("GET", "/api/v2/status", None),
         ("GET", "/api/v2/receivers", None), ("GET", "/metrics", None), ("GET", "/", None), ("GET", "/api/v1/alerts", None)]
TOKENS = [b"{", b"}", b"[", b"]", b'"', b",", b":", b"null", b"1e999", b"-", b"\\u", b"\\ud800", b"\x00", b"tru", b"NaN", b"\xff", b"\xc0\x80",
          b"[" * 3000, b'{"a":' * 2000, b"9" * 400, b'"labels":{}', b'""']
VALUES = [None, 1, -1.5, True, [], {}, [[]], "x", "", {"a": None}, {"a": 1}, [None], 10 ** 400, [{"name": None}], "2024-02-30T00:00:00Z",
          "9999-12-31T23:59:59.999999999+14:00", "a" * 20000, "(a+)+$", "\u0000", "\ud800"]
METHODS = ["GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "X" * 50]
HEADERS = ["Accept: text/html", "Accept: " + "a/b," * 500, "X: " + "y" * 3000, "Origin: http://x", "Expect: 100-continue",
           "Content-Encoding: gzip", "Authorization: Basic !!!", "Accept-Encoding: gzip;q=0.1", "Connection: upgrade",
           "Range: bytes=0-99999999999999999999", "X-Http-Method-Override: DELETE", "Cookie: " + "a=b;" * 300]


def mutated_body(body, rng):
    if body is None:
        return rng.randbytes(rng.randrange(100)) if rng.random() < 0.1 else None
    if rng.random() < 0.4:
        body = json.loads(json.dumps(body))
        target = body[0] if isinstance(body, list) else body
        target[rng.choice(list(target))] = rng.choice(VALUES)
        return json.dumps(body).encode()
    raw = bytearray(json.dumps(body).encode())
    for _ in range(rng.randint(1, 4)):
        at, kind = rng.randrange(len(raw)), rng.randrange(3)
        if kind == 0:
            raw = raw[:at] or raw
        elif kind == 1:
            raw[at] = rng.randrange(256)
        else:
            raw[at:at] = rng.choice(TOKENS)
    return bytes(raw)


def mutated_path(path, rng):
    if rng.random() < 0.5:
        return path
    at, kind = rng.randrange(1, len(path) + 1), rng.randrange(4)
    if kind == 0:
        return path[:at]
    if kind == 1:
        return path[:at] + rng.choice(["%zz", "%", "%00", "%ff", "&", "?", "=", "//", "/../", "..%2f", ";", "x" * 3000, "&active=maybe"]) + path[at:]
    if kind == 2:
        return path + ("&" if "?" in path else "?") + "filter=" + urllib.parse.quote(rng.choice(
            ['a=~"("', 'a=~"(a+)+$"', '{', '"' * 50, 'a="' + "\\" * 99 + '"', ",".join('a="b"' for _ in range(200)), "", "=", "a=", "é=~é",
             'a=~"' + "(" * 900 + ")" * 900 + '"']), safe="")
    return path[:at] + chr(rng.randrange(33, 127)) + path[at:]


def request_text(rng):
    method, path, body = rng.choice(SEEDS)
    if rng.random() < 0.2:
        method = rng.choice(METHODS)
    body = mutated_body(body, rng)
    lines = [f"{method} {mutated_path(path, rng)} HTTP/1.1", "Host: x"]
    if rng.random() < 0.3:
        lines.append(rng.choice(HEADERS))
    if body is not None:
        lines.append("Content-Type: " + rng.choice(["application/json"] * 8 + ["text/plain", "application/json; charset=" + "x" * 200, ""]))
        lines.append(f"Content-Length: {len(body)}")
    return method, "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + (body or b"")


class Talker:
    """One keep-alive connection, opened again when the server closes it."""

    def __init__(self, port):
        self.port, self.socket, self.opened = port, None, 0

    def close(self):
        if self.socket:
            self.socket.close()
        self.socket = None

    def ask(self, method, raw):
        """(status, body); None if the connection was closed without an answer."""
        if not self.socket:
            self.socket = socket.create_connection(("127.0.0.1", self.port), timeout=20)
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.opened += 1
        answer = http.client.HTTPResponse(self.socket, method=method)
        try:
            self.socket.sendall(raw)
        except (BrokenPipeError, ConnectionResetError):
            pass  # refused in the middle: the answer may be there all the same
        try:
            answer.begin()
            body = answer.read()
        except (http.client.HTTPException, ConnectionResetError):
            self.close()
            return None
        if answer.will_close:
            self.close()
        return answer.status, body


def talk(port, seed, count, problems, figures):
    rng, talker = random.Random(seed), Talker(port)
    fresh = True
    for i in range(count):
        method, raw = request_text(rng)
        try:
            answer = talker.ask(method, raw)
        except OSError as e:
            problems.append(f"{e}: {raw[:200]!r}")
            return
        if answer is None:
            # A kept-alive connection may be closed under us once; a fresh one must be answered.
            if fresh:
                problems.append(f"no answer to {raw[:200]!r}")
            fresh = True
            continue
        fresh = talker.socket is None
        status, body = answer
        figures[status // 100] = figures.get(status // 100, 0) + 1
        silent = method == "HEAD" or (status == 404 and b"/api/v2/silence/" in raw[:40]) or status in (204, 405, 301, 302)
        if status >= 500 and status != 501:
            problems.append(f"{status} {body[:100]!r} to {raw[:200]!r}")
        if status >= 400 and not body and not silent:
            problems.append(f"{status} without a word to {raw[:200]!r}")
        if len(problems) > 20:
            return
    figures["opened"] = figures.get("opened", 0) + talker.opened
    talker.close()


def ten_thousand_mutated_requests_are_answered_and_change_nothing():
    server = Server(QUIET, extra=["--web.get-concurrency=100"])
    canary = Canary(server.port)
    problems, figures = [], {}
    threads = [threading.Thread(target=talk, args=(server.port, seed, REQUESTS // CONNECTIONS, problems, figures), daemon=True)
               for seed in range(CONNECTIONS)]
    for t in threads:
        t.start()
    for t in threads:
        t.join(300)
        assert not t.is_alive(), "a request got no answer"
    assert server.alive(), server.output()[-3000:]
    assert not problems, f"{len(problems)}:\n" + "\n".join(problems[:20])
    assert figures.get(2, 0) > 500 and figures.get(4, 0) > 2000, figures
    canary.sings()
    assert server.stop() == 0, server.output()[-3000:]
    no_sanitizer_spoke(server)


# ---- clients ----

POST = b"POST /api/v2/alerts HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
STALLED = {
    "nothing at all": b"", "half a request line": b"GET /api", "half the headers": b"GET / HTTP/1.1\r\nHost: x\r\nX-",
    "no body": POST + b"Content-Length: 10\r\n\r\n", "half a body": POST + b"Content-Length: 10\r\n\r\n[{",
    "no chunk": CHUNKED, "half a chunk": CHUNKED + b"100\r\n[{", "half a chunk size": CHUNKED + b"1", "no last chunk": CHUNKED + b"2\r\n[]\r\n",
    "no end of the trailers": CHUNKED + b"2\r\n[]\r\n0\r\nA: b\r\n",
    "half a refused body": b"POST /nowhere HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n" + b"x" * 500,
    "a TLS hello": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
}
BROKEN = {
    "a bad chunk size": CHUNKED + b"zz\r\n[]\r\n", "a huge chunk size": CHUNKED + b"ffffffffffffffff\r\nx\r\n",
    "a giant header": b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"x" * (1 << 20) + b"\r\n\r\n",
    "very many headers": b"GET / HTTP/1.1\r\nHost: x\r\n" + b"".join(b"X%d: y\r\n" % i for i in range(20000)) + b"\r\n",
    "a giant request line": b"GET /" + b"x" * (1 << 20) + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    "a body too large": POST + b"Content-Length: 99999999\r\n\r\n" + b" " * 100000,
    "a length too large": POST + b"Content-Length: 99999999999999999999999\r\n\r\n[]", "a negative length": POST + b"Content-Length: -1\r\n\r\n[]",
    "noise": b"\x00\x01\x02\xff" * 5000,
}
SECONDS = 20


def dial(port, window=None):
    s = socket.socket()
    if window:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, window)
    s.settimeout(SECONDS + 5)
    s.connect(("127.0.0.1", port))
    return s


def seconds_until_end(s, began):
    try:
        while s.recv(65536):
            pass
    except ConnectionResetError:
        pass
    return time.monotonic() - began


def every_bad_client_is_ended_within_20_s():
    server = Server(QUIET, env={"ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":quarantine_size_mb=8"})
    canary = Canary(server.port)
    post_alerts(server.port, *[alert(f"Big{i}", annotations={"t": "x" * 20000}) for i in range(400)])

    def descriptors():
        return len(os.listdir(f"/proc/{server.pid}/fd"))

    def resident_mb():
        with open(f"/proc/{server.pid}/status", encoding="ascii") as f:
            return next(int(l.split()[1]) // 1024 for l in f if l.startswith("VmRSS"))
    get_json(server.port, "/api/v2/alerts")
    base, base_mb = descriptors(), resident_mb()
    took, lock = {}, threading.Lock()

    def watch(name, raw, closes=False, trickle=None):
        began = time.monotonic()
        s = dial(server.port)
        try:
            s.sendall(raw)
            if closes:
                s.shutdown(socket.SHUT_WR)
            while trickle and time.monotonic() - began < SECONDS:
                s.sendall(trickle)
                time.sleep(0.5)
        except OSError:
            pass  # it was ended while we were sending
        try:
            seconds = seconds_until_end(s, began)
        except socket.timeout:
            seconds = 999
        with lock:
            took[name] = seconds
        s.close()
    jobs = [(name, raw) for name, raw in {**STALLED, **BROKEN}.items()]
    jobs += [(name + ", then closes its side", raw, True) for name, raw in {**STALLED, **BROKEN}.items()]
    jobs += [("headers by the byte", b"GET / HTTP/1.1\r\nHost: x\r\nX: ", False, b"y"),
             ("an answered request, then closes its side", b"GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n", True)]
    threads = [threading.Thread(target=watch, args=job, daemon=True) for job in jobs]
    deaf = [dial(server.port, 2048) for _ in range(10)]
    for s in deaf:
        s.sendall(b"GET /api/v2/alerts HTTP/1.1\r\nHost: x\r\n\r\n" * 5)
    for t in threads:
        t.start()
    began = time.monotonic()
    slowest = 0.0
    while any(t.is_alive() for t in threads):
        asked = time.monotonic()
        assert call(server.port, "GET", "/-/healthy", timeout=10)[0] == 200
        slowest = max(slowest, time.monotonic() - asked)
        time.sleep(0.2)
        assert time.monotonic() - began < SECONDS + 15
    late = {name: round(s, 1) for name, s in took.items() if s > SECONDS}
    assert not late and len(took) == len(jobs), late
    quick = {name: round(s, 1) for name, s in took.items() if "closes its side" in name and s > 5}
    assert not quick, f"a client that has closed its side is not waited for: {quick}"
    assert slowest < 1.5, f"/-/healthy took {slowest:.1f} s meanwhile"
    # Those that do not read see no end: the server's descriptors tell. Their time began when their answers had filled the sockets.
    wait_for("no descriptor is left over", lambda: descriptors() <= base + 4, SECONDS + 10 - (time.monotonic() - began))
    for s in deaf:
        s.close()
    assert resident_mb() - base_mb < 300, (base_mb, resident_mb())
    canary.sings()
    assert server.stop() == 0
    no_sanitizer_spoke(server)


def clients_that_reset_leave_nothing_behind():
    server = Server(QUIET)
    canary = Canary(server.port)
    base = len(os.listdir(f"/proc/{server.pid}/fd"))
    rng = random.Random(5)
    whole = POST + b"Content-Length: 2\r\n\r\n[]"
    for _ in range(500):
        s = dial(server.port)
        s.sendall(whole[:rng.randrange(len(whole) + 1)])
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        s.close()
    wait_for("no descriptor is left over", lambda: len(os.listdir(f"/proc/{server.pid}/fd")) <= base + 2, 20)
    canary.sings()
    assert server.stop() == 0
    no_sanitizer_spoke(server)


if __name__ == "__main__":
    main([a_thousand_broken_configurations_are_judged_alike_by_check_config_and_reload,
          ten_thousand_mutated_requests_are_answered_and_change_nothing, every_bad_client_is_ended_within_20_s,
          clients_that_reset_leave_nothing_behind])
