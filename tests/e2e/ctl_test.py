#!/usr/bin/env python3
"""tocsinctl beside Debian's amtool: the same command lines against servers in the same state give the same stdout and exit code; and
what tocsinctl can beyond it. What a silence's id or the present minute is differs from run to run and is replaced."""
import fcntl
import json
import os
import re
import resource
import shutil
import signal
import struct
import subprocess
import termios
import threading
import time

from harness import TOCSINCTL, Server, Sink, Skip, call, get_json, main, rfc3339, run, scratch, wait_for

CONFIG = """
global: {resolve_timeout: 5m}
route:
  receiver: everyone
  group_by: [alertname]
  group_wait: 1h
  routes:
  - receiver: database
    matchers: ['team="db"']
    continue: true
    routes:
    - {receiver: pager, matchers: ['severity=~"critical|fatal"']}
  - {receiver: web, matchers: ['team!~"db|ops"', 'zone="eu"']}
receivers:
- name: everyone
- name: database
- name: pager
- name: web
"""
FILES = {
    "good.yml": CONFIG,
    "bad.yml": "route: {receiver: nobody}\nreceivers: [{name: somebody}]\n",
    "torn.yml": "route: [\n",
    "extra.yml": "route: {receiver: a, bogus: 1}\nreceivers: [{name: a}]\n",
    "with-templates.yml": "route: {receiver: a}\nreceivers: [{name: a}]\ntemplates: ['*.tmpl']\n",
    "x.tmpl": '{{ define "greet" }}hello {{ .Status | toUpper }} {{ len .Alerts.Firing }}{{ end }}',
    "data.json": '{"status": "firing", "commonLabels": {"a": "<b> & \\"c\\""}, "alerts": [{"status": "firing", "labels": {"x": "y"}}]}',
    "import.json": json.dumps([{"matchers": [{"name": "imported", "value": "yes", "isRegex": False, "isEqual": True}], "id": "",
                                "startsAt": "2040-01-01T00:00:00.000Z", "endsAt": "2040-02-01T00:00:00.000Z",
                                "createdBy": "ann", "comment": "from a file"}]),
    "folder/file": "",
}
UNKNOWN = "11111111-2222-4333-8444-555555555555"
# Words are split at blanks, '' quotes; @1@ is the id of the first silence that was made, and so on.
AGAINST_A_SERVER = r"""
alert
alert query
alert query -o extended
-o extended alert query Disk
alert query alertname=Disk host=db1
alert query alertname=~'D.*' severity!=warning
alert query team!~'d.'
alert query nothing=here
alert query --silenced
alert query -ias
alert query --active --inhibited
alert query --receiver=database
alert query --receiver='da.*|pager'
alert query --receiver='['
alert query Disk Load
alert query Disk severity
--date.format=2006-01-02T15 alert query
--date.format='Mon, 02 Jan 06' alert query Disk
alert Disk
alert --active
alert -si
alert -r web -o extended
silence --expired
silence -q --created-by=ann Muted
alert add Fresh host=h9 --start=2023-05-06T07:08:09Z --end=2040-01-01T00:00:00Z --annotation=summary='new one'
alert add alertname=Other severity='very high' --end=2040-01-01T00:00:00Z --start=2023-01-01T00:00:00+01:00 --generator-url=http://gen/x
alert add
alert add Fresh bad!=label
alert add Fresh --annotation=novalue
alert add Fresh --start=today
alert query Fresh -o extended
alert query severity='very high'
silence
silence query
silence -o extended
silence query -q
silence query alertname=Disk
silence query Disk
silence query host=~'db.*'
silence query --created-by=ann
silence query --created-by=nobody
silence query --within=2h
silence query --within=30m
silence query --expired
silence query --expired --within=5m
silence add Disk host=db2 -c 'for a while' -a bob -d 3h
silence add host=~'web.+' -a bob -c 'long' --start=2039-01-01T00:00:00Z --end=2039-02-01T00:00:00Z
silence add -c nothing
silence add Disk
silence add Disk -c x -d 0h
silence add Disk -c x -d soon
silence add Disk -c x --start=2031-01-01T00:00:00Z --end=2030-01-01T00:00:00Z
silence add Disk -c x --end=later
silence query -o extended
silence update -c 'changed' -d 4h @3@
silence update -q --end=2039-03-01T00:00:00Z @4@
silence update
silence update -d 1h 11111111-2222-4333-8444-555555555555
silence update -d nonsense @3@
silence query
silence expire @3@
silence expire
silence expire 11111111-2222-4333-8444-555555555555
silence expire never-an-id
silence query --expired -q
silence import import.json
silence import missing.json
silence query imported=yes -o extended
config
config show
config routes test --config.file=good.yml team=db severity=critical
config routes test --config.file=good.yml --tree team=db severity=fatal
config routes test --config.file=good.yml zone=eu team=web
config routes test --config.file=good.yml --verify.receivers=everyone nothing=special
config routes test --config.file=good.yml --verify.receivers=pager nothing=special
config routes test --config.file=good.yml team
config routes test --config.file=good.yml
config routes --config.file=good.yml
config routes show --config.file=good.yml
config routes show --config.file=bad.yml
config routes show --config.file=missing.yml
cluster
cluster show
-o extended cluster show
--timeout=5s alert query Disk
--no-version-check alert query Disk
alert query -- Disk
alert query --nothing
alert query -z
-o yaml alert
"""
WITHOUT_A_SERVER = r"""
check-config good.yml
check-config bad.yml
check-config torn.yml
check-config extra.yml
check-config good.yml bad.yml good.yml
check-config with-templates.yml
check-config missing.yml
check-config folder
template render --template.glob=x.tmpl --template.text='{{ template "greet" . }}' --template.data=data.json
template render --template.glob=x.tmpl --template.text='{{ .Receiver }} {{ .GroupLabels.Names }} {{ range .Alerts }}{{ range .Labels.SortedPairs }}{{ .Name }}:{{ .Value }} {{ end }}{{ end }}'
template render --template.glob=x.tmpl --template.text='{{ .CommonLabels.a }}' --template.data=data.json
template render --template.glob=x.tmpl --template.text='{{ .CommonLabels.a }}' --template.data=data.json --template.type=html
template render --template.glob=x.tmpl --template.text='{{ .Missing }}'
template render --template.glob=x.tmpl --template.text='{{ end }}'
template render --template.glob=x.tmpl --template.text=x --template.type=rtf
template render --template.glob=x.tmpl
template render --template.text=x
template render --template.glob=x.tmpl --template.text=x --template.data=missing.json
template
unknown
--unknown
help unknown
--alertmanager.url=http://127.0.0.1:1 --timeout=2s alert
--http.config.file=missing.yml --alertmanager.url=http://127.0.0.1:1 alert
alert query --receiver
"""


def words(line):
    return [w.replace("'", "") for w in re.findall(r"(?:[^\s']|'[^']*')+", line)]


def folder_with_files():
    folder = scratch()
    for name, text in FILES.items():
        os.makedirs(os.path.dirname(os.path.join(folder, name)) or ".", exist_ok=True)
        with open(os.path.join(folder, name), "w", encoding="utf-8") as f:
            f.write(text)
    return folder


def post(port, path, body):
    status, _, answer = call(port, "POST", path, body)
    assert status == 200, answer
    return answer


def matcher(name, value, regex=False, equal=True):
    return {"name": name, "value": value, "isRegex": regex, "isEqual": equal}


def fill(port, base):
    def alert(minutes, annotations=None, **labels):
        return {"labels": labels, "annotations": annotations or {}, "startsAt": rfc3339(base - 60 * minutes),
                "endsAt": rfc3339(base + 36000), "generatorURL": "http://gen/" + labels["alertname"]}
    post(port, "/api/v2/alerts", [alert(90, {"summary": "full"}, alertname="Disk", host="db1", severity="critical", team="db"),
                                  alert(60, {"summary": "filling"}, alertname="Disk", host="db2", severity="warning", team="db"),
                                  alert(30, {"two": "b", "one": "a"}, alertname="Load", host="web1", zone="eu"),
                                  alert(10, None, alertname="Muted", host="h3")])
    ids = []
    for end, who, comment, matchers in ((3600, "ann", "known", [matcher("alertname", "Muted")]),
                                        (7200, "cid", "for db", [matcher("alertname", "Disk"), matcher("host", "db[5-9]", True)])):
        body = {"matchers": matchers, "startsAt": rfc3339(base), "endsAt": rfc3339(base + end), "createdBy": who, "comment": comment}
        ids.append(json.loads(post(port, "/api/v2/silences", body))["silenceID"])
    return ids


class Session:
    """One program against one server of its own."""

    def __init__(self, program, base):
        self.program, self.base = program, base
        self.server = Server(CONFIG)
        self.folder = folder_with_files()
        self.ids = fill(self.server.port, base)
        self.seen = {}

    def normal(self, text, quiet_update=False):
        text = text.replace(f"127.0.0.1:{self.server.port}", "SERVER")
        text = re.sub(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}",
                      lambda m: m[0] if m[0] == UNKNOWN else "id %033d" % self.seen.setdefault(m[0], len(self.seen) + 1), text)

        def minute(m):
            at = time.mktime(time.strptime(m[0][:19].replace("T", " "), "%Y-%m-%d %H:%M:%S")) - time.timezone
            return m[0] if abs(at - self.base) > 10 * 86400 else "<%+07d minutes>  " % round((at - self.base) / 60)
        text = re.sub(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d UTC", minute, text)
        text = re.sub(r"(?m)^0x[0-9a-f]+$|^id \d+$", "an id", text) if quiet_update else text # amtool prints a pointer
        return re.sub(r"into config\.\w+", "into TYPE", text)

    def run(self, line, server):
        argv = words(line)
        for i, one in enumerate(self.ids):
            argv = [w.replace(f"@{i + 1}@", one) for w in argv]
        if server:
            argv = [f"--alertmanager.url=http://127.0.0.1:{self.server.port}"] + argv
        code, out, err = run([self.program] + argv, env={"HOME": self.folder, "TZ": "UTC", "USER": "tester"}, cwd=self.folder)
        if line.startswith("silence add") and code == 0:
            self.ids.append(out.strip())
        return code, self.normal(out, line.startswith("silence update -q")), err


def compare(lines, server):
    base = int(time.time())
    peer, ours = Session("amtool", base), Session(TOCSINCTL, base)
    count, wrong = 0, []
    for line in lines.strip().splitlines():
        theirs, mine = peer.run(line, server), ours.run(line, server)
        count += 1
        if theirs[:2] != mine[:2]:
            wrong.append(f"{line}\n  amtool    {theirs[0]} {theirs[1]!r} | {theirs[2]!r}\n  tocsinctl {mine[0]} {mine[1]!r} | {mine[2]!r}")
        elif theirs[0] != 0 and not mine[2]:
            wrong.append(f"{line}: a failure without a word")
    assert not wrong, f"{len(wrong)} of {count} differ:\n" + "\n".join(wrong)


def commands_against_a_server_are_amtools():
    compare(AGAINST_A_SERVER, True)


def commands_without_a_server_are_amtools():
    compare(WITHOUT_A_SERVER, False)


def json_output_is_what_the_api_says():
    s = Session(TOCSINCTL, int(time.time()))
    for line, path in (("-o json alert query", "/api/v2/alerts"), ("-o json silence query", "/api/v2/silences"),
                       ("-o json config show", "/api/v2/status")):
        code, out, _ = run([TOCSINCTL, f"--alertmanager.url=http://127.0.0.1:{s.server.port}"] + words(line))
        theirs = get_json(s.server.port, path)
        if path.endswith("alerts"):
            theirs = [a for a in theirs if a["status"]["state"] == "active"]
        mine = json.loads(out)
        for one in (theirs, mine):
            if path.endswith("silences"):
                one.sort(key=lambda x: x["id"])
        assert code == 0 and mine == theirs, f"{line}: {out}"


def ctl(s, *argv, **how):
    env = {"HOME": s.folder, "TZ": "UTC"}
    env.update(how.pop("env", {}))
    return run([TOCSINCTL, f"--alertmanager.url=http://127.0.0.1:{s.server.port}", *argv], env=env, cwd=s.folder, **how)


class SlowApi:
    """Keeps what is posted, and lets nobody go before `together` have waited at once (or 10 s have passed)."""

    def __init__(self, together):
        self.together, self.bodies, self.most = together, [], 0
        self.sink = Sink(answer=self.answer)
        self.changed, self.waiting = threading.Condition(), 0

    def answer(self, n, path, body):
        with self.changed:
            self.bodies.append(json.loads(body))
            self.waiting += 1
            self.most = max(self.most, self.waiting)
            self.changed.notify_all()
            self.changed.wait_for(lambda: self.most >= self.together, 10)
            self.waiting -= 1
        return 200


def an_import_sends_as_many_silences_at_a_time_as_it_has_workers():
    folder, api = scratch(), SlowApi(8)
    silences = [{"id": "", "comment": f"c{i}", "createdBy": "x", "matchers": [{"name": "a", "value": str(i), "isRegex": False}],
                 "startsAt": "2040-01-01T00:00:00Z", "endsAt": "2040-02-01T00:00:00Z"} for i in range(20)]
    path = os.path.join(folder, "many.json")
    with open(path, "w", encoding="utf-8") as f:
        json.dump(silences, f)
    done = run([TOCSINCTL, f"--alertmanager.url=http://127.0.0.1:{api.sink.port}", "silence", "import", "-w", "8", path])
    assert api.most == 8, (api.most, done)
    assert sorted(b["comment"] for b in api.bodies) == sorted(s["comment"] for s in silences)


def an_import_says_which_silences_were_not_taken_and_takes_the_rest():
    s, folder = Server(CONFIG), scratch()
    good = {"comment": "c", "createdBy": "x", "matchers": [{"name": "a", "value": "1", "isRegex": False, "isEqual": True}],
            "startsAt": "2040-01-01T00:00:00Z", "endsAt": "2040-02-01T00:00:00Z"}
    silences = [dict(good, id=UNKNOWN)] + [dict(good, id="") for _ in range(30)] + [dict(good, id="bad", matchers=[])]
    path = os.path.join(folder, "some.json")
    with open(path, "w", encoding="utf-8") as f:
        json.dump(silences, f)
    code, out, err = run([TOCSINCTL, f"--alertmanager.url=http://127.0.0.1:{s.port}", "silence", "import", path])
    held = {one["id"] for one in get_json(s.port, "/api/v2/silences")}
    assert code == 1 and "Error adding silence id='bad'" in err and "couldn't import 1 out of 32 silences" in err, (code, err)
    assert len(held) == 31 and set(out.split()) == held and UNKNOWN not in held, (out, held)


def a_preview_shows_what_a_silence_would_mute_and_adds_nothing():
    s = Session(TOCSINCTL, int(time.time()))
    before = get_json(s.server.port, "/api/v2/silences")
    code, out, _ = ctl(s, "silence", "add", "--preview", "Disk", "severity=~crit.*", "-o", "extended")
    assert code == 0 and 'host="db1"' in out and 'host="db2"' not in out and "Load" not in out, out
    code, out, _ = ctl(s, "silence", "add", "--preview", "Muted")
    assert code == 0 and "suppressed" in out, out
    assert ctl(s, "silence", "add", "--preview")[0] == 1
    assert get_json(s.server.port, "/api/v2/silences") == before


def a_watch_tells_of_new_changed_and_gone_alerts():
    s = Session(TOCSINCTL, int(time.time()))
    log = os.path.join(s.folder, "watched")
    with open(log, "wb") as out:
        watcher = subprocess.Popen([TOCSINCTL, f"--alertmanager.url=http://127.0.0.1:{s.server.port}", "alert", "watch", "--interval=20ms",
                                    "-o", "json"], stdout=out, stderr=subprocess.DEVNULL, env={"HOME": s.folder})

    def events():
        with open(log, encoding="utf-8") as f:
            return [(e["event"], e["alert"]["labels"]["alertname"], e["state"])
                    for e in (json.loads(line) for line in f if line.endswith("\n"))]
    try:
        wait_for("the four that are there", lambda: len(events()) == 4)
        assert ("new", "Muted", "suppressed") in events()
        post(s.server.port, "/api/v2/alerts", [{"labels": {"alertname": "Late"}}])
        wait_for("a new one", lambda: ("new", "Late", "active") in events())
        assert ctl(s, "silence", "add", "Late", "-c", "x")[0] == 0
        wait_for("another state", lambda: ("changed", "Late", "suppressed") in events())
        post(s.server.port, "/api/v2/alerts", [{"labels": {"alertname": "Late"}, "endsAt": rfc3339(time.time() - 1),
                                                "startsAt": rfc3339(time.time() - 60)}])
        wait_for("its end", lambda: ("gone", "Late", "suppressed") in events())
        assert len(events()) == 7
    finally:
        watcher.send_signal(signal.SIGTERM)
        watcher.wait(10)
    piped = subprocess.run(["bash", "-c", f"{TOCSINCTL} --alertmanager.url=http://127.0.0.1:{s.server.port} alert watch --interval=1h | head -n 1"],
                           capture_output=True, timeout=20, check=True)
    assert piped.stdout.count(b"\n") == 1, "it ends with its reader"
    code, out, _ = ctl(s, "alert", "watch", "--count=2", "--interval=1ms", "Disk")
    assert code == 0 and len(out.splitlines()) == 2 and "  +  active  " in out, out
    code, out, err = ctl(s, "alert", "watch", "--count=1", "Disk", "Load")
    assert code == 1 and err, "a watch that cannot begin ends"


def a_watch_fits_the_terminal():
    """A table that is longer than the terminal keeps its head and its end."""
    s = Session(TOCSINCTL, int(time.time()))
    post(s.server.port, "/api/v2/alerts", [{"labels": {"alertname": "N%02d" % i}, "startsAt": rfc3339(s.base - 300 + i)} for i in range(40)])
    master, slave = os.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 12, 80, 0, 0))
    with subprocess.Popen([TOCSINCTL, f"--alertmanager.url=http://127.0.0.1:{s.server.port}", "alert", "watch", "--count=1"], stdout=slave,
                          stderr=subprocess.DEVNULL, env={"HOME": s.folder}) as watcher:
        assert watcher.wait(20) == 0
    os.close(slave)
    drawn = os.read(master, 65536).decode().rpartition("\033[2J")[2].replace("\033[?7h", "").split("\r\n")
    os.close(master)
    assert len(drawn) == 12 and drawn[2].startswith("Alertname ") and drawn[3] == "... 37 more" and drawn[10].startswith("N39 "), drawn


def a_cluster_watch_shows_the_members():
    s = Session(TOCSINCTL, int(time.time()))
    code, out, _ = ctl(s, "cluster", "watch", "--count=1", "-o", "json")
    status = get_json(s.server.port, "/api/v2/status")["cluster"]
    first = json.loads(out.splitlines()[0])
    assert code == 0 and first["event"] == "new" and first["state"] == status["status"], out
    assert len(out.splitlines()) == 1 + len(status["peers"])


def a_diff_names_the_alerts_that_would_go_elsewhere():
    s = Session(TOCSINCTL, int(time.time()))
    new = os.path.join(s.folder, "new.yml")

    def write(text):
        with open(new, "w", encoding="utf-8") as f:
            f.write(text)
    write(CONFIG)
    code, out, _ = ctl(s, "config", "diff", "new.yml")
    assert code == 0 and out == "0 of 4 alerts would be routed differently.\n", out
    write(CONFIG.replace("- {receiver: web,", "- {receiver: everyone,"))
    code, out, _ = ctl(s, "config", "diff", "new.yml")
    assert code == 1 and "1 of 4 alerts" in out, out
    assert re.search(r'alertname="Load".*\s\sweb\s+everyone', out), out
    code, out, _ = ctl(s, "-o", "json", "config", "diff", "new.yml")
    found = json.loads(out)
    assert code == 1 and len(found) == 1 and found[0]["now"] == ["web"] and found[0]["new"] == ["everyone"], out
    write(CONFIG.replace("group_wait: 1h", "group_wait: 2h"))
    code, out, _ = ctl(s, "config", "diff", "new.yml")
    assert code == 1 and "wait 1h" in out and "wait 2h" in out and "4 of 4" in out, out
    write("route: {receiver: nobody}\nreceivers: []\n")
    assert ctl(s, "config", "diff", "new.yml")[0] == 2
    assert ctl(s, "config", "diff", "missing.yml")[0] == 2
    assert ctl(s, "config", "diff")[0] == 1, "the file is required"


def relative_times_are_for_people():
    s = Session(TOCSINCTL, int(time.time()))
    _, out, _ = ctl(s, "--date.format=relative", "alert", "query", "Disk", "host=db1")
    assert re.search(r"\s1h30m ago\s", out), out
    _, out, _ = ctl(s, "--date.format=relative", "silence", "query", "Muted")
    assert re.search(r"\sin (59m|1h)", out), out


def times_keep_the_zone_that_they_were_written_in():
    sink = Sink()
    code, _, err = run([TOCSINCTL, "--alertmanager.url=" + sink.url, "alert", "add", "Far", "--start=2024-01-02T00:00:00+02:00",
                        "--end=2040-01-01T00:00:00-03:30"])
    sent = sink.bodies()[-1][0]
    assert code == 0 and (sent["startsAt"], sent["endsAt"]) == ("2024-01-02T00:00:00.000+02:00", "2040-01-01T00:00:00.000-03:30"), err
    if shutil.which("prometheus-alertmanager"):  # 0.25 shows the sender's zone
        old = Server(CONFIG, binary="prometheus-alertmanager")
        post(old.port, "/api/v2/alerts", [sent])
        _, out, _ = run([TOCSINCTL, f"--alertmanager.url=http://127.0.0.1:{old.port}", "alert"])
        assert "2024-01-02 00:00:00 +0200  " in out, out


def many_alerts_are_sorted_at_once():
    """By start, and those of one start as the API gave them."""
    server = Server(CONFIG)
    now = time.time()
    post(server.port, "/api/v2/alerts", [{"labels": {"alertname": "N%05d" % i}, "startsAt": rfc3339(now - i % 7 * 60)} for i in range(20000)])
    order = [a["labels"]["alertname"] for a in get_json(server.port, "/api/v2/alerts")]
    started = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    _, out, _ = run([TOCSINCTL, f"--alertmanager.url=http://127.0.0.1:{server.port}", "alert"])
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - started < 5
    names = [line.split()[0] for line in out.splitlines()[1:]]
    assert len(names) == 20000 and names == sorted(order, key=lambda name: -(int(name[1:]) % 7))


def defaults_come_from_amtools_files_and_the_command_line_wins():
    s = Session(TOCSINCTL, int(time.time()))
    home = scratch()
    os.makedirs(os.path.join(home, ".config", "amtool"))
    with open(os.path.join(home, ".config", "amtool", "config.yml"), "w", encoding="utf-8") as f:
        f.write(f"alertmanager.url: http://127.0.0.1:{s.server.port}\nauthor: filed\ncomment_required: false\noutput: extended\nunknown: 1\n")
    env = {"HOME": home, "TZ": "UTC"}
    code, out, err = run([TOCSINCTL, "silence", "add", "Q"], env=env)
    assert code == 0, err
    _, out, _ = run([TOCSINCTL, "silence", "query", "Q"], env=env)
    assert "Updated At" in out and "filed" in out, out
    _, out, _ = run([TOCSINCTL, "-o", "simple", "silence", "query", "Q"], env=env)
    assert "Updated At" not in out, out
    with open(os.path.join(home, ".config", "amtool", "config.yml"), "w", encoding="utf-8") as f:
        f.write("a: [")
    code, _, err = run([TOCSINCTL, "alert"], env=env)
    assert code == 1 and "could not load config file" in err, err
    code, _, err = run([TOCSINCTL, "alert"], env={"HOME": scratch()})
    assert code == 1 and "required flag --alertmanager.url not provided" in err, err


def called_amtool_it_is_amtool():
    folder = scratch()
    link = os.path.join(folder, "amtool")
    os.symlink(os.path.abspath(TOCSINCTL), link)
    code, out, _ = run([link, "--version"])
    assert code == 0 and out.startswith("amtool, version "), out
    code, _, err = run([link, "nothing"])
    assert code == 1 and err.startswith("amtool: error: "), err
    code, out, _ = run([link])
    assert code == 0 and out.startswith("usage: amtool "), out


def help_is_given_for_every_command_in_every_way():
    def commands(path):
        code, text, err = run([TOCSINCTL, *path, "--help"])
        assert code == 0, err
        head = " ".join(["usage: tocsinctl", *path])
        assert text.startswith(head), text[:200]
        assert run([TOCSINCTL, "help", *path])[1] == text, path
        body = text.split("\nCommands:\n")
        if len(body) == 1:
            return 1
        depth = 2 if not path else 2 * (len(path) + 1)
        names = re.findall(r"^ {%d}([a-z-]+)" % depth, body[1], re.M)
        assert names, text
        return sum(commands([*path, name]) for name in names if name != "help")
    assert commands([]) >= 16
    assert run([TOCSINCTL, "help", "alert"])[1] != run([TOCSINCTL, "help"])[1]


def shells_complete_commands_flags_and_choices():
    def offered(*argv):
        return run([TOCSINCTL, "--completion-bash", *argv])[1].split()
    assert {"help", "alert", "silence", "config"} <= set(offered(""))
    assert offered("silence", "") == ["add", "expire", "import", "query", "update"]
    assert "--preview" in offered("silence", "add", "--") and "--alertmanager.url" in offered("silence", "add", "--")
    assert offered("alert", "query", "-o", "") == ["simple", "extended", "json"]
    for shell in ("bash", "zsh"):
        code, script, _ = run([TOCSINCTL, f"--completion-script-{shell}"])
        assert code == 0 and "tocsinctl" in script and "%" not in script
    script = run([TOCSINCTL, "--completion-script-bash"])[1]
    ask = script + "\nCOMP_WORDS=('%s' config ro); COMP_CWORD=2; _tocsinctl_bash_autocomplete; echo \"${COMPREPLY[@]}\"\n" % TOCSINCTL
    code, out, err = run(["bash", "-c", ask])
    assert code == 0 and out.strip() == "routes", out + err


# A zsh behind a terminal of its own, as one that a person types into.
TYPED_INTO_ZSH = """
zmodload zsh/zpty
zpty z zsh -f -i
zpty -w z 'PS1=; unsetopt zle_bracketed_paste; %s; bindkey "^I" complete-word; echo ready-$((40 + 2))'
until [[ $said == *ready-42* ]]; do zpty -r z piece && said+=$piece; done
zpty -w -n z $'tocsinctl config ro\tx\001echo \n'
until [[ $said == *$'config routes'*x* ]]; do zpty -r z piece && said+=$piece; done
echo completed
"""


def zsh_completes_sourced_and_from_a_folder():
    if not shutil.which("zsh"):
        raise Skip("no zsh")
    folder = scratch()
    _, script, _ = run([TOCSINCTL, "--completion-script-zsh"])
    with open(os.path.join(folder, "_tocsinctl"), "w", encoding="utf-8") as f:
        f.write(script)
    path = {"PATH": os.path.abspath(os.path.dirname(TOCSINCTL)) + ":" + os.environ["PATH"], "HOME": folder, "TERM": "xterm"}
    for begin in (f"source {folder}/_tocsinctl", f"fpath=({folder} $fpath); autoload -U compinit && compinit -u"):
        code, out, err = run(["zsh", "-f", "-c", TYPED_INTO_ZSH % begin], env=path, timeout=20)
        assert code == 0 and out.strip() == "completed", out + err


def features_choose_the_parser_of_matchers():
    folder = folder_with_files()
    with open(os.path.join(folder, "quoted.yml"), "w", encoding="utf-8") as f:
        f.write("route: {receiver: a, routes: [{receiver: a, matchers: ['\"a b\"=c']}]}\nreceivers: [{name: a}]\n")

    def show(*flags):
        return run([TOCSINCTL, *flags, "config", "routes", "show", "--config.file=quoted.yml"], cwd=folder)
    assert show()[0] == 0 and show("--enable-feature=utf8-strict-mode")[0] == 0
    assert show("--enable-feature=classic-mode")[0] == 1
    for wrong, why in (("nope", "unknown option 'nope'"), ("classic-mode,utf8-strict-mode", "cannot have both")):
        code, _, err = show("--enable-feature=" + wrong)
        assert code == 1 and why in err, err


def a_version_that_differs_is_said_once_and_never_fails_a_command():
    s = Session(TOCSINCTL, int(time.time()))
    code, _, err = ctl(s, "alert")
    assert code == 0 and err.count("Warning: ") == 1 and "0.34.0" in err, err
    code, _, err = ctl(s, "--no-version-check", "alert")
    assert code == 0 and err == "", err


def a_password_goes_by_file_or_by_url_but_not_by_both():
    folder = scratch()
    made = subprocess.run(["python3", "-c", "import crypt; print(crypt.crypt('secret', '$2b$04$' + 'abcdefghijklmnopqrstuu'))"],
                          capture_output=True, text=True, check=False)
    if made.returncode != 0 or not made.stdout.startswith("$2b$"):
        raise Skip("no bcrypt in crypt()")
    with open(os.path.join(folder, "web.yml"), "w", encoding="utf-8") as f:
        f.write(f"basic_auth_users:\n  ann: {made.stdout.strip()}\n")
    with open(os.path.join(folder, "http.yml"), "w", encoding="utf-8") as f:
        f.write("basic_auth: {username: ann, password: secret}\n")
    server = Server(CONFIG, extra=[f"--web.config.file={folder}/web.yml"], wait=False)
    url = f"127.0.0.1:{server.port}"
    wait_for("the server asks for a password", lambda: call(server.port, "GET", "/-/ready")[0] == 401)
    file_flag = f"--http.config.file={folder}/http.yml"
    assert run([TOCSINCTL, f"--alertmanager.url=http://{url}", "alert"])[0] == 1
    assert run([TOCSINCTL, f"--alertmanager.url=http://{url}", file_flag, "alert"])[0] == 0
    assert run([TOCSINCTL, f"--alertmanager.url=http://ann:secret@{url}", "alert"])[0] == 0
    code, _, err = run([TOCSINCTL, f"--alertmanager.url=http://ann:secret@{url}", file_flag, "alert"])
    assert code == 1 and "mutually exclusive" in err, err


if __name__ == "__main__":
    main([commands_against_a_server_are_amtools, commands_without_a_server_are_amtools, json_output_is_what_the_api_says,
          an_import_sends_as_many_silences_at_a_time_as_it_has_workers,
          an_import_says_which_silences_were_not_taken_and_takes_the_rest,
          a_preview_shows_what_a_silence_would_mute_and_adds_nothing, a_watch_tells_of_new_changed_and_gone_alerts,
          a_watch_fits_the_terminal, a_cluster_watch_shows_the_members, times_keep_the_zone_that_they_were_written_in, many_alerts_are_sorted_at_once,
          a_diff_names_the_alerts_that_would_go_elsewhere, relative_times_are_for_people,
          defaults_come_from_amtools_files_and_the_command_line_wins, called_amtool_it_is_amtool,
          help_is_given_for_every_command_in_every_way, shells_complete_commands_flags_and_choices, zsh_completes_sourced_and_from_a_folder,
          features_choose_the_parser_of_matchers, a_version_that_differs_is_said_once_and_never_fails_a_command,
          a_password_goes_by_file_or_by_url_but_not_by_both])
