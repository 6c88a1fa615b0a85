"""Debian's amtool, every command that it has: against tocsin it prints what it prints against Debian's Alertmanager in the same
state, but for ids, times and what names the program itself. And tocsinctl, called amtool, repeats the session that was recorded of
amtool 0.25 against an Alertmanager 0.25."""
import concurrent.futures
import difflib
import re
from datetime import datetime, timezone

from harness import *

CONFIG = """
global: {resolve_timeout: 5m, slack_api_url: "http://127.0.0.1:1/secret"}
route:
  receiver: default
  group_by: [alertname]
  group_wait: 1h
  routes:
  - {receiver: team-a, matchers: ['team="a"'], continue: true}
  - receiver: team-b
    matchers: ['team=~"b.*"', 'severity!="info"']
    routes:
    - {receiver: pager, matchers: ['severity="critical"'], continue: true}
    - {receiver: team-b-all}
  - {receiver: team-a, match: {env: prod}, match_re: {zone: 'eu|us'}}
inhibit_rules:
- {source_matchers: ['severity="critical"'], target_matchers: ['severity="warning"'], equal: [cluster]}
receivers:
- {name: default}
- {name: team-a}
- {name: team-b}
- {name: team-b-all}
- {name: pager}
"""
BASE = int(time.time())
UNKNOWN = "00000000-0000-4000-8000-000000000000"
IMPORTED = json.dumps([{"matchers": [{"name": "imp", "value": v, "isRegex": False, "isEqual": True}],
                        "startsAt": "2035-01-01T00:00:00.000Z", "endsAt": "2035-02-01T00:00:00.000Z", "createdBy": "i",
                        "comment": "imported"} for v in ("a", "b")])

# (arguments, standard input, name under which the id that is printed is kept); @name@ stands for a kept id.
COMMANDS = []


def do(*args, stdin=None, keep=None):
    COMMANDS.append((args, stdin, keep))


for output in ("simple", "extended", "json"):
    for verb in (("alert", "query"), ("silence", "query"), ("silence", "query", "--expired"), ("cluster", "show"), ("config", "show")):
        do("-o", output, *verb)
do("alert")
do("silence")
do("cluster")
do("config")
for filters in (("Disk",), ("alertname=Disk",), ("alertname=~D.*",), ("alertname!=Disk", "team=a"), ('team!~"b.*"',), ("nope",),
                ("-i",), ("-s",), ("-a",), ("-u",), ("-i", "-s", "-a"), ("-r", "team-a"), ("-r", "team-.*", "-o", "extended"),
                ("-r", "("), ('a=~"("',), ('x=y=z"',), ("Disk", "cluster=c1"), ("Disk", "Disk"), ("team=",), ('team!=""',),
                ("severity=critical", "-s"), ("--", "Disk"), ("žluť",), ('text="two\nlines"',)):
    do("alert", "query", *filters)
do("--date.format=2006-01-02", "alert", "query")
do("alert", "add", "Added", "node=n1", "--annotation=summary=hello world", "--start=2024-01-01T00:00:00Z",
   "--end=2036-01-01T00:00:00Z", "--generator-url=http://g/x?y=z")
do("alert", "add", 'alertname="Q uoted"', "severity=info", "--end=2036-01-01T00:00:00Z")
do("alert", "add", "NoTimes", "severity=info")
do("alert", "add", "Backwards", "--start=2036-01-02T00:00:00Z", "--end=2036-01-01T00:00:00Z")
do("alert", "add", "foo", "x!=y")
do("alert", "add", "foo", "--start=yesterday")
do("alert", "add")
do("alert", "add", "BadUrl", "--generator-url=::")
do("-o", "extended", "alert", "query", "Added")
do("alert", "query", "severity=info")
for filters in (("-q",), ("--expired", "-q"), ("--expired", "--within=1h"), ("--within=4h"), ("--within=1h",), ("--created-by=ann",),
                ("--created-by=nobody",), ("alertname=Disk",), ("Disk",), ('team=~"b.*"',), ("nope=1",), ("x",), ('a=~"("',)):
    do("silence", "query", *((filters,) if isinstance(filters, str) else filters))
do("silence", "add", "foo", "bar=baz", "-c", "c1", "-a", "me", "-d", "2h", keep="new")
do("silence", "add", 'alertname=~"b.*"', "severity!=info", 'z!~"q|r"', "-c", "two words", "-a", "bob",
   "--start=2030-01-01T00:00:00Z", "--end=2031-01-01T00:00:00Z", keep="later")
do("silence", "add", "w=1", "-c", "week", "-a", "me", "-d", "1w2d", keep="week")
for wrong in (("foo",), ("-c", "x"), ("foo", "-c", "x", "-d", "0s"), ("foo", "-c", "x", "-d", "abc"), ('a=~"("', "-c", "x"),
              ("foo", "-c", "x", "--start=2030-01-02T00:00:00Z", "--end=2030-01-01T00:00:00Z"),
              ("a=~.*", "-c", "x", "-a", "me"), ("foo", "-c", "x", "--end=2001-01-01T00:00:00Z"),
              ("foo", "-c", "x", "--start=2000-01-01T00:00:00Z", "--end=2001-01-01T00:00:00Z")):
    do("silence", "add", *wrong)
do("-o", "extended", "silence", "query")
do("silence", "update", "-d", "3h", "-c", "c2", "@new@")
do("silence", "update", "-o", "json", "--end=2032-01-01T00:00:00Z", "@later@")
do("silence", "update")
do("silence", "update", "-d", "1h", UNKNOWN)
do("silence", "query", "foo")
do("silence", "expire", "@new@")
do("silence", "expire")
do("silence", "expire", UNKNOWN)
do("silence", "expire", "not-an-id")
do("silence", "expire", "@week@", "@S3@")
do("silence", "query", "--expired")
do("silence", "import", "--worker=1", stdin=IMPORTED)
do("silence", "import", "--force", "--worker=1", stdin=IMPORTED.replace("2035-02", "2035-03"))
do("silence", "import", stdin="nope")
do("silence", "import", stdin="[]")
do("-o", "extended", "silence", "query", "imp=a")
do("config", "routes")
do("config", "routes", "show")
for labels in (("team=a",), ("team=b1", "severity=critical"), ("--tree", "team=b1", "severity=critical"), ("env=prod", "zone=eu"),
               ("--verify.receivers=default", "x=y"), ("--verify.receivers=team-a", "x=y"), ("team",), ()):
    do("config", "routes", "test", *labels)
do("check-config", stdin=CONFIG)
do("template", "render", "--template.text={{ .Status }}", "--template.glob=/nowhere/*.tmpl")


def rfc(offset):
    return rfc3339(BASE + offset)


def set_up(port):
    def one(labels, ago, annotations=None, generator=None):
        a = {"labels": labels, "annotations": annotations or {}, "startsAt": rfc(-ago), "endsAt": rfc(36000)}
        if generator:
            a["generatorURL"] = generator
        return a
    post_alerts(port,
                one({"alertname": "Disk", "cluster": "c1", "severity": "critical", "team": "a"}, 7200, {"summary": "disk full"},
                    "http://prom/x"),
                one({"alertname": "Disk", "cluster": "c1", "severity": "warning", "team": "b"}, 5400,
                    {"summary": "disk filling", "runbook": "http://r"}),
                one({"alertname": "Load", "cluster": "c2", "severity": "warning", "team": "b2"}, 3600),
                one({"alertname": "Quiet", "cluster": "c2", "severity": "critical", "env": "prod", "zone": "eu"}, 1800,
                    {"description": "line one\nline two"}),
                one({"alertname": "žluť", "cluster": "c3"}, 900),
                one({"alertname": "Several\nlines", "cluster": "c4"}, 800, {"summary": "a\ttab", "description": "one\n\ntwo\n"}),
                one({"alertname": "After it", "cluster": "c4"}, 700, {"summary": "\n"}))

    def put(matchers, starts, ends, by, comment):
        return post_silence(port, {"matchers": matchers, "startsAt": rfc(starts), "endsAt": rfc(ends), "createdBy": by,
                                   "comment": comment})

    def m(name, value, regex=False, equal=True):
        return {"name": name, "value": value, "isRegex": regex, "isEqual": equal}
    ids = {"S1": put([m("alertname", "Quiet")], -60, 10800, "ann", "known problem"),
           "S2": put([m("team", "b.*", True), m("severity", "info", False, False)], 86400, 172800, "bob", 'later "quoted"'),
           "S3": put([m("alertname", "Disk"), m("cluster", "c[89]", True, False)], 7200, 14400, "ann", "x")}
    wait_for("the alert is silenced", lambda: [a for a in get_json(port, "/api/v2/alerts")
                                               if a["labels"]["alertname"] == "Quiet" and a["status"]["silencedBy"]])
    return ids


class Eraser:
    """Takes out what must differ: ids in order of appearance, times as minutes from the start of the session."""

    def __init__(self, port):
        self.ids, self.port = {}, port

    def number(self, found):
        name = found[0]
        return name if name == UNKNOWN else "<id%02d-%s>" % (self.ids.setdefault(name, len(self.ids) + 1), "-" * 29)

    @staticmethod
    def minutes(found):
        offset = datetime.strptime(found[1] + " " + found[2], "%Y-%m-%d %H:%M:%S").replace(tzinfo=timezone.utc).timestamp() - BASE
        return found[0] if abs(offset) > 20 * 86400 else "<%+07d min>" % round(offset / 60)

    def __call__(self, text):
        # It compares its own version with the server's, which are 0.25 and 0.34.
        text = re.sub(r"^Warning: \w+ version .* are different\.\n", "", text, flags=re.M)
        text = text.replace(f"127.0.0.1:{self.port}", "SERVER")
        text = re.sub(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", self.number, text)
        return re.sub(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(?:\.\d+)?(?:Z| UTC)", self.minutes, text)


# What 0.34 words or does differently from 0.25: (exit code, the text of the error).
NEWER = {
    ("silence", "add", "a=~.*", "-c", "x", "-a", "me"):
        (1, "[400] postSilencesBadRequest  invalid silence: matcher set 0: at least one matcher must not match the empty string"),
    ("silence", "expire", UNKNOWN): (1, "(status 404)"),
}
READS_THE_DUMP = ("config", "routes")  # 0.25 refuses the keys that 0.34 dumps (receivers' labels): tocsinctl reads them instead


def what_was_written(dump):
    """The part of a dumped configuration below its global section: a newer server dumps more defaults there. So are the labels of
    receivers left out."""
    whole = dump[dump.index("\nroute:"):].rstrip() + "\n"
    return re.sub(r"(?m)^  labels:\n    name: .*\n", "", whole)


def comparable(args, out):
    if "--expired" in args:
        return sorted(out.splitlines(True))  # several end in the same millisecond
    if args[-2:] != ("config", "show") and args != ("config",):
        return out.splitlines(True)
    if "json" in args:
        status = json.loads(out)
        out = status["config"]["original"]
        return [json.dumps(status["cluster"]), str(sorted(status))] + what_was_written(out).splitlines(True)
    return what_was_written(out.partition("\nbuildUser")[0]).splitlines(True)


def session(binary, name):
    server = Server(CONFIG, binary=binary, name=name)
    ids, erase, home, results = set_up(server.port), Eraser(server.port), scratch(), []
    for args, stdin, keep in COMMANDS:
        real = [re.sub(r"@(\w+)@", lambda m: ids[m[1]], a) for a in args]
        amtool = TOCSINCTL if binary is None and args[:2] == READS_THE_DUMP else "amtool"
        code, out, err = run([amtool, f"--alertmanager.url=http://127.0.0.1:{server.port}", *real], stdin=stdin, env={"HOME": home, "TZ": "UTC"})
        if keep:
            found = re.search(r"[0-9a-f]{8}-[0-9a-f-]{27}", out)
            assert found, (args, code, out, err)
            ids[keep] = found[0]
        results.append((code, erase(out), erase(err).replace("tocsinctl: error: ", "amtool: error: ")))
    assert server.alive()
    return results


def tables_of_many_lines_are_amtools():
    """What breaks lines and columns in a table breaks them in the same places."""
    server = Server(CONFIG)
    set_up(server.port)
    post_silence(server.port, {"matchers": [{"name": "a", "value": "b\nc", "isRegex": False, "isEqual": True}], "startsAt": rfc(100),
                               "endsAt": rfc(5000), "createdBy": "ann\tbob", "comment": "two\nlines\n"})
    for line in (("alert",), ("-o", "extended", "alert"), ("silence",), ("-o", "extended", "silence")):
        told = [run([program, "--no-version-check", f"--alertmanager.url=http://127.0.0.1:{server.port}", *line], env={"HOME": server.folder})
                for program in ("amtool", TOCSINCTL)]
        assert told[0][0] == 0 and told[0] == told[1], f"{line}\n{told[0][1]}\n{told[1][1]}"


def every_command_prints_the_same_against_both():
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        peers, ours = pool.map(session, ("prometheus-alertmanager", None), ("alertmanager", "tocsin"))
    different = []
    for (args, _, _), (code, out, err), (code2, out2, err2) in zip(COMMANDS, peers, ours):
        if re.match(r"0x[0-9a-f]+\n", out) and re.match(r"0x[0-9a-f]+\n", out2):
            continue  # this amtool prints pointers here
        if args in NEWER:
            assert NEWER[args][0] == code2 and NEWER[args][1] in err2, (args, code2, err2)
            continue
        a, b = comparable(args, out) + [err], comparable(args, out2) + [err2]
        if (code, a) != (code2, b):
            lines = [f"exit {code} / {code2}"] if code != code2 else []
            lines += difflib.unified_diff(a, b, "alertmanager", "tocsin", n=0)
            different.append("amtool " + " ".join(args) + "\n  " + "\n  ".join(l.rstrip("\n") for l in lines))
    assert not different, f"{len(different)} of {len(COMMANDS)}:\n" + "\n".join(different)


# ---- the recorded session ----

SHARED = os.path.abspath(os.environ.get("TOCSIN_SHARED", os.path.join(ROOT, "..", "shared")))
RECORDED = os.path.join(SHARED, "conformance", "alertmanager", "amtool.jsonl")
A_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
A_TIME = re.compile(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(?:\.\d+)?(?:Z| UTC)")
# The files that the session names, as far as their content can be seen in what was recorded.
SESSION_FILES = {"bad.yml": "nope", "tc.yml": "route: {receiver: a}\nreceivers: [{name: a}]\ntemplates: ['t.tmpl']\n",
                 "t.tmpl": '{{ define "x" }}a{{ end }}'}
# Lines that only newer versions write: the parser's fallback, and a version that is not the server's.
NEWER_LINES = re.compile(r'^(Warning: \w+ version .* are different\.|level=WARN msg="Alertmanager is moving to a new parser .*)\n', re.M)
NEWER_FIELDS = ("mutedBy", "uptime", "versionInfo")


def recorded():
    if not os.path.exists(RECORDED):
        raise Skip("../shared not there")
    with open(RECORDED, encoding="utf-8") as f:
        return [json.loads(line) for line in f if line.strip()]


def seconds(found):
    return datetime.strptime(found[1] + " " + found[2], "%Y-%m-%d %H:%M:%S").replace(tzinfo=timezone.utc).timestamp()


def by_minutes(text, base):
    """Times near the session as minutes from its start, in a width that tables keep."""
    def one(found):
        offset = seconds(found) - base
        return found[0] if abs(offset) > 20 * 86400 else "<%+07d minutes>  " % round(offset / 60)
    return A_TIME.sub(one, text)


def in_utc(table):
    """0.34's API gives every time in UTC, which moves the columns: the cells of each line."""
    def one(found):
        at = datetime.strptime(found[0], "%Y-%m-%d %H:%M:%S %z").astimezone(timezone.utc)
        return at.strftime("%Y-%m-%d %H:%M:%S UTC")
    text = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d [+-]\d{4}", one, table)
    return [re.split(r" {2,}", line) for line in text.splitlines()]


def without_newer(value):
    if isinstance(value, dict):
        return {k: without_newer(v) for k, v in value.items() if k not in NEWER_FIELDS}
    return [without_newer(v) for v in value] if isinstance(value, list) else value


def what_was_wrong(err):
    """The text of an error, without the words of a JSON parser."""
    return re.sub(r"(?<=is it JSON\?: ).*", "", err)


class Recording:
    """The rows in their order against a server of our own: {{name}} stands for an id that the recording saw first there."""

    def __init__(self, rows):
        self.rows, self.known = rows, {"AM": None, "DOWN": str(free_port())}
        self.theirs = min(seconds(m) for row in rows for m in A_TIME.finditer("".join(re.findall(r'"updatedAt":"[^"]*"', row["stdout"]))))
        self.folder = scratch()
        self.program = os.path.join(self.folder, "amtool")
        os.symlink(os.path.abspath(TOCSINCTL), self.program)
        config = next(row["stdin"] for row in rows if row["args"] == ["check-config"])
        for name, text in {**SESSION_FILES, "good.yml": config}.items():
            with open(os.path.join(self.folder, name), "w", encoding="utf-8") as f:
                f.write(text)
        self.server = Server(config)
        self.ours = time.time()

    def filled(self, text):
        text = text.replace("http://AM", f"http://127.0.0.1:{self.server.port}").replace(":DOWN", ":" + self.known["DOWN"])
        for name, value in self.known.items():
            text = text.replace("{{%s}}" % name, value or "")
        return text

    def learn(self, expected, out):
        """Names of ids that are new in what is expected."""
        for name in re.findall(r"\{\{(sid\d+)\}\}", expected):
            found = A_UUID.search(out)
            if name not in self.known and found:
                self.known[name] = found[0]

    def same_output(self, row, expected, out):
        if "--version" in row["args"]:
            return re.match(r"amtool, version \d+\.\d+\.\d+ \(branch: ", out)
        if row["args"][-1] in ("config", "show") and "config" in row["args"]:  # what is dumped is the version's own
            original = get_json(self.server.port, "/api/v2/status")["config"]["original"]
            return json.loads(out)["config"]["original"] == original if "json" in row["args"] else out == original + "\n"
        expected, out = by_minutes(expected, self.theirs), by_minutes(out, self.ours)
        if "json" in row["args"]:
            return without_newer(json.loads(expected)) == without_newer(json.loads(out))
        if A_UUID.fullmatch(expected.strip()) and A_UUID.fullmatch(out.strip()):
            return True  # an id that nothing refers to later
        if re.search(r":\d\d [+-]\d{4} ", expected):
            return in_utc(expected) == in_utc(out)
        return re.sub(r"into config\.\w+", "into TYPE", expected) == re.sub(r"into config\.\w+", "into TYPE", out)

    def repeat(self, row):
        """What is wrong with this row; nothing if it is as recorded."""
        argv, stdin = [self.filled(a) for a in row["args"]], row["stdin"] and self.filled(row["stdin"])
        code, out, err = run([self.program, *argv], stdin=stdin, env={"HOME": self.folder, "TZ": "UTC"}, cwd=self.folder)
        err = NEWER_LINES.sub("", err)
        self.learn(row["stdout"], out)
        expected = self.filled(row["stdout"])
        if "0.26" in (row["note"] or "") and row["exit"] != code:  # a flag that is newer than the recording
            return None if code == 0 and self.known["sid1"] in out else f"{code} {out!r} {err!r}"
        if code != row["exit"] or bool(err) != bool(row["stderr"]) or not self.same_output(row, expected, out):
            return f"{row['id']}: {row['args']}\n  recorded {row['exit']} {expected!r} {row['stderr']!r}\n  tocsinctl {code} {out!r} {err!r}"
        if what_was_wrong(err) != what_was_wrong(self.filled(row["stderr"])) and not row["note"]:
            return f"{row['id']}: the error was {row['stderr']!r}, is {err!r}"
        return None


def the_recorded_session_is_repeated():
    session = Recording(recorded())
    wrong = [problem for problem in map(session.repeat, session.rows) if problem]
    print(f"     {len(session.rows) - len(wrong)} of {len(session.rows)} recorded commands are repeated")
    assert not wrong, "\n".join(wrong)


if __name__ == "__main__":
    main([every_command_prints_the_same_against_both, tables_of_many_lines_are_amtools, the_recorded_session_is_repeated])
