"""What was acknowledged is there after the process was killed; what was sent is not sent again; a full disk is survived.
# build: release
The random kills are seeded; --long makes 200 of them."""
import random
import re

from harness import *

GROUPED = """
route: {receiver: hook, group_by: ['...'], group_wait: 100ms, group_interval: 1s, repeat_interval: 1h}
receivers:
- name: hook
  webhook_configs: [{url: "%s", send_resolved: true}]
"""
QUIET = "route: {receiver: none, group_wait: 1h}\nreceivers: [{name: none}]\n"
FAR = 2_000_000_000


def active_names(port):
    return {a["labels"]["alertname"] for a in get_json(port, "/api/v2/alerts")}


# ---- kill -9 ----

class Ledger:
    """What the server has acknowledged. A write in flight at the kill may be there or not."""

    def __init__(self):
        self.lock = threading.Lock()
        self.silences = {}   # id -> (comment, end) or None once expired
        self.doubtful = {}   # id -> the other state that it may be in
        self.alerts = {}     # name -> annotation
        self.doubtful_alerts = {}
        self.number = 0

    def next(self):
        with self.lock:
            self.number += 1
            return self.number


def write_until_it_breaks(port, ledger, seed):
    rng = random.Random(seed)
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)

    def ask(method, path, body=None):
        connection.request(method, path, json.dumps(body) if body is not None else None,
                           {"Content-Type": "application/json"} if body is not None else {})
        answer = connection.getresponse()
        return answer.status, answer.read()

    def put_silence(mine):
        n = ledger.next()
        body = silence({"n": "x"}, comment=f"c{n}", starts=FAR - 86400, ends=FAR + n)
        if mine and rng.random() < 0.3:
            body["id"] = rng.choice(mine)
            with ledger.lock:
                ledger.doubtful[body["id"]] = (body["comment"], body["endsAt"])
        status, answer = ask("POST", "/api/v2/silences", body)
        if status == 200:
            name = json.loads(answer)["silenceID"]
            with ledger.lock:
                ledger.silences[name] = (body["comment"], body["endsAt"])
                ledger.doubtful.pop(body.get("id"), None)
            if name not in mine:
                mine.append(name)

    def expire_silence(mine):
        name = mine.pop(rng.randrange(len(mine)))
        with ledger.lock:
            ledger.doubtful[name] = None
        if ask("DELETE", "/api/v2/silence/" + name)[0] == 200:
            with ledger.lock:
                ledger.silences[name] = None
                ledger.doubtful.pop(name, None)

    def put_alerts():
        n = ledger.next()
        batch = [alert(f"a{n}-{i}" if rng.random() < 0.7 else f"shared{i}-{seed}", annotations={"n": f"{n}"}, ends=FAR)
                 for i in range(rng.randint(1, 5))]
        with ledger.lock:
            for a in batch:
                ledger.doubtful_alerts[a["labels"]["alertname"]] = a["annotations"]["n"]
        if ask("POST", "/api/v2/alerts", batch)[0] == 200:
            with ledger.lock:
                for a in batch:
                    ledger.alerts[a["labels"]["alertname"]] = a["annotations"]["n"]
                    ledger.doubtful_alerts.pop(a["labels"]["alertname"], None)

    mine = []
    try:
        while True:
            kind = rng.random()
            if kind < 0.4:
                put_alerts()
            elif kind < 0.5 and mine:
                expire_silence(mine)
            else:
                put_silence(mine)
    except (OSError, http.client.HTTPException, ValueError):
        connection.close()


def settle_silences(ledger, port):
    found = {s["id"]: s for s in get_json(port, "/api/v2/silences", timeout=60)}
    for name, state in ledger.silences.items():
        allowed = [state] + ([ledger.doubtful[name]] if name in ledger.doubtful else [])
        s = found.get(name)
        seen = None if s is not None and s["status"]["state"] == "expired" else s and (s["comment"], s["endsAt"])
        assert s is not None, f"silence {name} {state} is lost"
        assert seen in allowed, f"silence {name}: {seen}, acknowledged {allowed}"
        ledger.silences[name] = seen
    ledger.doubtful.clear()
    return len(found)


def settle_alerts(ledger, port):
    found = {a["labels"]["alertname"]: a["annotations"]["n"] for a in get_json(port, "/api/v2/alerts", timeout=60)}
    for name, n in ledger.alerts.items():
        allowed = [n] + ([ledger.doubtful_alerts[name]] if name in ledger.doubtful_alerts else [])
        assert found.get(name) in allowed, f"alert {name}: {found.get(name)}, acknowledged {allowed}"
    ledger.alerts = found
    ledger.doubtful_alerts.clear()
    return len(found)


def what_was_acknowledged_survives_kill_9():
    rng, ledger, folder = random.Random(20), Ledger(), scratch()
    for kill in range(200 if OPT.long else 25):
        # A short maintenance interval makes some kills hit the folding of the journal.
        server = Server(QUIET, storage=folder, extra=[f"--data.maintenance-interval={rng.choice(['60ms', '1h'])}"])
        settle_silences(ledger, server.port)
        settle_alerts(ledger, server.port)
        writers = [threading.Thread(target=write_until_it_breaks, args=(server.port, ledger, f"{kill}-{i}"), daemon=True)
                   for i in range(4)]
        for w in writers:
            w.start()
        time.sleep(rng.uniform(0.02, 0.25))  # the random moment
        server.kill()
        for w in writers:
            w.join(20)
        problems = [l for l in server.output().splitlines() if "level=ERROR" in l or "corrupt" in l.lower()]
        assert not problems, problems[:3]
    server = Server(QUIET, storage=folder)
    silences, alerts = settle_silences(ledger, server.port), settle_alerts(ledger, server.port)
    assert silences > 100 and alerts > 100, f"the writers got nowhere: {silences} silences, {alerts} alerts"
    assert server.stop() == 0


# ---- alerts and notifications across a restart ----

def all_is_written(server):
    """What was sent is in the log: records are written in order, and a silence is acknowledged when its own is synced."""
    post_silence(server.port, silence({"n": "barrier"}, comment="barrier", ends=FAR))


def alerts_come_back_as_they_were():
    for end in (Process.stop, Process.kill):
        server = Server(QUIET)
        started = time.time() - 100
        post_alerts(server.port, alert("Kept", {"a": "é\n\""}, {"text": "x" * 5000}, starts=started, ends=FAR), alert("Open"))
        before = sorted(get_json(server.port, "/api/v2/alerts"), key=lambda a: a["fingerprint"])
        end(server)
        again = Server(QUIET, storage=server.folder)
        after = sorted(get_json(again.port, "/api/v2/alerts"), key=lambda a: a["fingerprint"])
        assert after == before, (before, after)
        again.kill()


def a_resolution_while_the_process_was_dead_is_still_told():
    for end in (Process.stop, Process.kill):
        sink = Sink()
        config = "global: {resolve_timeout: 2s}\n" + GROUPED % sink.url
        server = Server(config)
        soon = time.time() + 3
        post_alerts(server.port, alert("ByItself", ends=soon), alert("Returns", ends=soon), alert("BySender", ends=FAR))
        wait_for("three firing calls", lambda: len(sink.calls) == 3)
        wait_for("all are logged", lambda: samples(server.port)['alertmanager_notifications_total{integration="webhook"}'] == 3)
        all_is_written(server)
        end(server)
        time.sleep(max(0.0, soon - time.time()) + 0.2)  # two of them run out while nobody listens
        again = Server(config, storage=server.folder)
        # Their sender is given the resolve timeout to come back: one does, and nothing is said about it.
        post_alerts(again.port, alert("BySender", ends=time.time() - 1), alert("Returns", ends=FAR))
        wait_for("two resolved calls", lambda: len(sink.calls) >= 5)
        told = sorted((b["status"], b["groupLabels"]["alertname"]) for b in sink.bodies())
        assert told == [("firing", "ByItself"), ("firing", "BySender"), ("firing", "Returns"), ("resolved", "ByItself"),
                        ("resolved", "BySender")], told
        again.kill()


def a_thousand_firing_alerts_and_a_downtime_tell_only_what_changed():
    sink = Sink()
    server = Server(GROUPED % sink.url)
    batch = [alert(f"A{i}", {"instance": f"i{i}"}) for i in range(1000)]
    for i in range(0, 1000, 100):
        post_alerts(server.port, *batch[i:i + 100])
    wait_for("a thousand calls", lambda: len(sink.calls) == 1000, 60)
    wait_for("all are logged", lambda: samples(server.port)['alertmanager_notifications_total{integration="webhook"}'] == 1000)
    all_is_written(server)
    server.kill()
    time.sleep(1)
    again = Server(GROUPED % sink.url, storage=server.folder)
    resolved = {17, 500, 999}
    for i in range(0, 1000, 100):
        post_alerts(again.port, *[alert(f"A{n}", {"instance": f"i{n}"}, ends=time.time() - 1 if n in resolved else None)
                                  for n in range(i, i + 100)])
    post_alerts(again.port, alert("New", {"instance": "new"}))
    expected = sorted([("resolved", f"A{n}") for n in resolved] + [("firing", "New")])

    def told():
        return sorted((b["status"], b["groupLabels"]["alertname"]) for b in sink.bodies()[1000:])
    wait_for("what changed", lambda: len(told()) >= len(expected), 30)
    # Two more intervals of every group have to pass without a word: the marker's group is told in its third.
    post_alerts(again.port, alert("Marker", {"instance": "m"}))
    for change in ("first", "second"):
        post_alerts(again.port, alert("Marker", {"instance": "m"}, {"v": change}))
        time.sleep(1.2)
    assert told() == sorted(expected + [("firing", "Marker")]), told()


# ---- the peers' directories ----

def a_directory_goes_between_tocsin_and_debians_alertmanager_and_back():
    sink = Sink()
    config = GROUPED % sink.url
    config = config.replace("group_by: ['...']", "group_by: [alertname]")
    peer = Server(config, binary="prometheus-alertmanager", name="alertmanager")
    ends = time.time() + 3600

    def silence_of(port, comment):
        return post_silence(port, silence({"zone": comment}, comment=comment, ends=ends))

    def told(*expected):
        wait_for(f"{len(expected)} calls", lambda: len(sink.calls) >= len(expected))
        names = [b["groupLabels"]["alertname"] for b in sink.bodies()]
        assert names == list(expected), names

    def comments(server):
        return sorted((s["id"], s["comment"], s["status"]["state"]) for s in get_json(server.port, "/api/v2/silences"))
    ids = {silence_of(peer.port, "by-the-peer"): "by-the-peer"}
    gone = silence_of(peer.port, "expired")
    assert call(peer.port, "DELETE", "/api/v2/silence/" + gone)[0] == 200
    post_alerts(peer.port, alert("First"))
    told("First")
    assert peer.stop() == 0
    ours = Server(config, storage=peer.folder)
    assert comments(ours) == sorted([(i, c, "active") for i, c in ids.items()] + [(gone, "expired", "expired")]), comments(ours)
    ids[silence_of(ours.port, "by-tocsin")] = "by-tocsin"
    post_alerts(ours.port, alert("First"), alert("Second"))
    told("First", "Second")  # the first one is in the log that the peer wrote
    wait_for("the second is logged", lambda: samples(ours.port)['alertmanager_notifications_total{integration="webhook"}'] == 1)
    assert ours.stop() == 0
    back = Server(config, storage=peer.folder, binary="prometheus-alertmanager", name="alertmanager")
    assert comments(back) == sorted([(i, c, "active") for i, c in ids.items()] + [(gone, "expired", "expired")]), comments(back)
    post_alerts(back.port, alert("First"), alert("Second"), alert("Third"))
    told("First", "Second", "Third")
    assert back.stop() == 0
    code, out, err = run(["grep", "-ci", "error", back.log])
    assert code == 1, back.output()


# ---- a full disk ----

class Tmpfs:
    def __init__(self, size):
        self.path = scratch()
        if os.geteuid() != 0:
            raise Skip("mounting a small file system needs root")
        code, _, err = run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", self.path])
        if code != 0:
            raise Skip("mounting is not allowed here: " + err.strip())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        run(["umount", "-l", self.path])

    def fill(self):
        with open(os.path.join(self.path, "ballast"), "wb", buffering=0) as f:
            try:
                while True:
                    f.write(b"x" * 4096)
            except OSError:
                pass

    def empty(self):
        os.unlink(os.path.join(self.path, "ballast"))


def a_full_disk_is_said_and_survived():
    with Tmpfs("2m") as disk:
        sink = Sink()
        server = Server(GROUPED % sink.url, storage=disk.path, extra=["--data.maintenance-interval=200ms"])
        kept = [post_silence(server.port, silence({"n": "kept"}, comment=f"kept{i}", ends=FAR)) for i in range(5)]
        disk.fill()

        def refusal():
            status, _, body = call(server.port, "POST", "/api/v2/silences",
                                   silence({"n": "lost"}, comment="c" * 2000, ends=FAR))
            if status == 200:
                kept.append(json.loads(body)["silenceID"])  # room was left in a block: it must hold
            return status >= 500 and body
        body = wait_for("a silence is refused", refusal)
        assert b"no space left on device" in body.lower(), body
        post_alerts(server.port, alert("TakenAnyway", annotations={"text": "y" * 5000}))
        wait_for("notifications go on", lambda: sink.calls)
        assert call(server.port, "GET", "/-/healthy")[0] == 200
        wait_for("the metric", lambda: samples(server.port)["tocsin_journal_failures_total"] > 0)
        assert re.search(r"level=(ERROR|WARN) .*no space left on device", server.output()), server.output()[-1500:]
        failed = samples(server.port)["alertmanager_silences_maintenance_errors_total"]
        wait_for("failed maintenance is counted",
                 lambda: samples(server.port)["alertmanager_silences_maintenance_errors_total"] > max(failed, 0))
        lines = len(server.output().splitlines())
        assert lines < 60, f"{lines} lines of log for a full disk"
        disk.empty()

        def accepted():
            status, _, body = call(server.port, "POST", "/api/v2/silences", silence({"n": "after"}, comment="after", ends=FAR))
            return status == 200 and json.loads(body)["silenceID"]
        kept.append(wait_for("a silence is accepted again", accepted))
        server.kill()
        again = Server(GROUPED % sink.url, storage=disk.path)
        found = {s["id"] for s in get_json(again.port, "/api/v2/silences")}
        assert found >= set(kept), set(kept) - found
        assert again.stop() == 0, again.output()[-1000:]


if __name__ == "__main__":
    main([what_was_acknowledged_survives_kill_9, alerts_come_back_as_they_were,
          a_resolution_while_the_process_was_dead_is_still_told,
          a_thousand_firing_alerts_and_a_downtime_tell_only_what_changed,
          a_directory_goes_between_tocsin_and_debians_alertmanager_and_back, a_full_disk_is_said_and_survived])
