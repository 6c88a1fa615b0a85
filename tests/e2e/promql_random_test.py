"""Random queries, typed and from a seed, asked of tocsin and of Debian's prometheus over the same blocks.

The two versions differ in places that docs/compatibility.md names; the generator keeps out of those:
  - ranges and lookback are left-open here: samples lie 7 ms past a second, evaluations half a second past one, steps of
    subqueries on whole seconds, so that nothing is ever on an edge;
  - sums are compensated here: values are equal within 1e-9, and what decides by comparison (filters, topk, count_values)
    gets only expressions that both compute exactly;
  - a standard deviation of one NaN or infinity is NaN here and was 0; atan2 drops the metric's name here;
  - count_values of unsorted labels, and predict_linear of a range pinned by @, were wrong and are right here;
  - two partners for one element are an error here before a comparison drops one of them;
  - the date of a NaN is what the processor makes of it;
  - which limit of extrapolation counts first was changed: rate and increase are of counters that are far from zero where
    they begin and where they have gaps.

usage: promql_random_test.py [--bin DIR] [--count N] [--seed N] [--long]     (--long: 100,000 queries)
"""
# build: release
import math
import random
import re
import urllib.parse

from harness import *

END = 1700006400
HOURS = 3
SHORT, LONG = 2000, 100000


def option(name, fallback):
    return int(sys.argv[sys.argv.index(name) + 1]) if name in sys.argv else fallback


COUNT = option("--count", LONG if OPT.long else SHORT)
SEED = option("--seed", 20240517)

# ---- the data ----

FAMILIES = {  # name: (type, labels of each series); the values of a family differ between its series at any time
    "requests_total": [{"instance": f"i{i}", "job": f"j{i % 2}", "code": c} for i in range(4) for c in ("200", "404", "500")],
    "restarts_total": [{"instance": f"i{i}", "job": f"j{i % 2}"} for i in range(4)],
    "gaps_total": [{"instance": f"i{i}", "job": f"j{i % 2}"} for i in range(3)],
    "temperature": [{"instance": f"i{i}", "job": f"j{i % 2}", "room": f"r{i % 3}"} for i in range(6)],
    "steps": [{"instance": f"i{i}", "job": f"j{i % 2}"} for i in range(4)],
    "short_lived": [{"instance": f"i{i}"} for i in range(5)],
    "odd": [{"instance": f"i{i}"} for i in range(4)],
    "info": [{"instance": f"i{i}", "version": f"v{i % 2}"} for i in range(4)],
    "latency_bucket": [{"instance": f"i{i}", "le": le} for i in range(2) for le in ("0.1", "0.5", "1", "5", "+Inf")],
}


def series_values(r, name, k, labels):
    """(time in ms, value) of one series, each 15 s with a few ms of jitter."""
    start = (END - HOURS * 3600) * 1000
    v = 1000000 + 1000 * k
    skip_until = 0
    for n in range(HOURS * 240):
        t = start + n * 15000 + 7 + (0 if name == "temperature" else 1000 * (k % 5)) + r.randrange(3) * 10
        if name == "requests_total":
            v += r.randrange(20)
        elif name == "restarts_total":
            v = r.randrange(10) if r.random() < 0.01 else v + r.randrange(50)
        elif name == "gaps_total":
            v += r.randrange(50)
            if r.random() < 0.01:
                skip_until = n + r.randrange(5, 60)
            if n < skip_until:
                continue
        elif name == "temperature":
            v = 7 * (k - 3 + 6 * r.randrange(-200, 200))
        elif name == "steps":
            v = k + 10 * (n // (20 + 10 * k) % 5)
        elif name == "short_lived":
            v = k * 3 + n % 3
            if not k * 100 <= n < k * 100 + 250:
                continue
        elif name == "odd":
            v = r.choice([float("nan"), float("inf"), float("-inf"), 0, -0.0, k + 1, 0.5 + k])
        elif name == "info":
            v = 1
        elif name == "latency_bucket":
            v = n * {"0.1": 1, "0.5": 4, "1": 6, "5": 9, "+Inf": 10}[labels["le"]] * (k // 5 + 1)
        yield t, v


def write_data(path):
    r = random.Random(1)
    with open(path, "w", encoding="ascii") as f:
        for name, all_labels in FAMILIES.items():
            f.write(f"# TYPE {name} unknown\n")
            for k, labels in enumerate(all_labels):
                text = ",".join(f'{n}="{v}"' for n, v in labels.items())
                for t, v in series_values(r, name, k, labels):
                    shown = "NaN" if v != v else "+Inf" if v == math.inf else "-Inf" if v == -math.inf else repr(v)
                    f.write(f"{name}{{{text}}} {shown} {t // 1000}.{t % 1000:03d}\n")
        f.write("# EOF\n")


# ---- the generator ----

PLAIN = ["requests_total", "restarts_total", "gaps_total", "temperature", "steps", "short_lived", "info", "latency_bucket"]
EXACT_OVER_TIME = ["min_over_time", "max_over_time", "sum_over_time", "count_over_time", "last_over_time",
                   "present_over_time", "changes", "resets"]
ROUGH_OVER_TIME = ["avg_over_time", "stddev_over_time", "stdvar_over_time", "delta", "irate", "idelta", "deriv"]
COUNTERS = ["requests_total", "restarts_total", "gaps_total", "latency_bucket"]
EXACT_MATH = ["abs", "ceil", "floor", "sgn", "-"]
ROUGH_MATH = ["exp", "ln", "log2", "log10", "sqrt", "sin", "cos", "tan", "atan", "sinh", "asinh", "deg", "rad", "round"]
DATES = ["minute", "hour", "day_of_month", "day_of_week", "day_of_year", "days_in_month", "month", "year"]
LABELS = ["instance", "job", "code", "room", "version", "le"]


class Generator:
    """Expressions by type. `exact` asks for one that both servers compute to the last bit; `inside` says that it is
    evaluated at the whole seconds of a subquery, where ranges must avoid edges by a millisecond."""

    def __init__(self, seed):
        self.r = random.Random(seed)

    def pick(self, *options):
        return self.r.choice(options)

    def duration(self, inside, low=20, high=3600):
        n = int(math.exp(self.r.uniform(math.log(low), math.log(high))))
        text = self.pick(f"{n}s", f"{n}s", f"{max(1, n // 60)}m", f"{n // 60}m{n % 60}s" if n >= 60 and n % 60 else f"{n}s")
        return text + ("1ms" if inside else "")

    def matchers(self, family):
        labels = self.r.choice(FAMILIES[family])
        out = []
        for name in self.r.sample(sorted(labels), self.r.randrange(0, min(3, len(labels)) + 1)):
            value = labels[name]
            if name == "le":
                continue
            out.append(self.pick(f'{name}="{value}"', f'{name}!="{value}"', f'{name}=~"{value[0]}.*"', f'{name}=~"{value}|zz"',
                                 f'{name}!~"{value}.?"', f'{name}=~".+"', f'{name}!=""'))
        return out

    def modifier(self, pinned=True):
        out = ""
        if self.r.random() < 0.12:
            out += f" offset {self.pick('', '', '-')}{self.r.randrange(1, 1800)}s"
        if pinned and self.r.random() < 0.08:
            out += self.pick(f" @ {END - self.r.randrange(0, HOURS * 3600)}.5", " @ start()", " @ end()")
        return out

    def selector(self, inside, families=PLAIN, suffix="", pinned=True):
        if families is PLAIN and self.r.random() < 0.04 and not suffix:
            return '{__name__=~"steps|info"}' + self.modifier(pinned)
        family = self.r.choice(families)
        found = self.matchers(family)
        return family + ("{" + ",".join(found) + "}" if found else "") + suffix + self.modifier(pinned)

    def matrix(self, depth, exact, inside):
        if depth > 0 and self.r.random() < 0.2:
            step = self.pick("", "10s", "30s", "1m", "77s")
            return (f"({self.vector(depth - 1, exact, True)})[{self.duration(inside, 60, 2400)}:{step}]" + self.modifier())
        return self.selector(inside, suffix=f"[{self.duration(inside)}]")

    def grouping(self):
        if self.r.random() < 0.3:
            return ""
        names = self.r.sample(LABELS, self.r.randrange(0, 4))
        return f" {self.pick('by', 'by', 'without')} ({', '.join(names)}) "

    def aggregate(self, depth, exact, inside):
        op = self.r.choice(["sum", "min", "max", "count", "group"] if exact else ["sum", "avg", "min", "max", "count", "stddev", "stdvar", "group"])
        grouping = self.grouping()
        return f"{op}{grouping}({self.vector(depth - 1, exact, inside)})"

    def chosen(self, depth, inside):
        """topk and the like: what they choose among differs in value."""
        kind = self.r.randrange(4)
        if kind == 0:
            return f"{self.pick('topk', 'bottomk')}{self.grouping()}({self.r.randrange(0, 5)}, {self.selector(inside, ['temperature', 'requests_total'])})"
        if kind == 1:
            return f"quantile{self.grouping()}({self.pick('0', '0.5', '0.9', '1', '-1', '2')}, {self.vector(depth - 1, True, inside)})"
        if kind == 2:
            return f'count_values{self.pick("", " by (job) ", " by (code, instance) ", " without (room) ")}("v", {self.vector(min(depth - 1, 1), True, inside)})'
        return f"quantile_over_time({self.pick('0.1', '0.5', '1')}, {self.matrix(depth - 1, True, inside)})"

    def labelled(self, depth, exact, inside):
        inner = self.vector(depth - 1, exact, inside)
        return self.pick(
            f'label_replace({inner}, "{self.pick("new", "job", "instance")}", "x-$1", "instance", "i([0-2])")',
            f'label_replace({inner}, "room", "", "room", ".*")',
            f'label_join({inner}, "joined", "{self.pick("-", "", ",")}", "job", "instance")')

    def matching(self):
        return self.pick("", "", " on (instance) ", " on (instance, job) ", " ignoring (code) ", " ignoring (room, code, version, le) ", " on () ")

    def binary(self, depth, exact, inside):
        kind = self.r.randrange(4)
        if kind == 0:
            op = self.r.choice(["and", "or", "unless"])
            on = self.matching()
            return f"({self.vector(depth - 1, exact, inside)} {op}{on} {self.vector(depth - 1, exact, inside)})"
        if kind == 1:
            op = self.r.choice(["==", "!=", ">", "<", ">=", "<="]) + self.pick("", " bool")
            right = self.scalar(depth - 1, True, inside) if self.r.random() < 0.6 else None
            left = self.vector(depth - 1, True, inside)
            if right:
                return f"({left} {op} {right})" if self.r.random() < 0.7 else f"({right} {op} {left})"
            return f"({left} {op}{self.matching()} {self.vector(depth - 1, True, inside)})"
        op = self.r.choice(["+", "-", "*"] if exact else ["+", "-", "*", "/", "%", "^"])
        if op in ("%", "^", "*"):
            exact = True  # an error of the last digit is no longer one afterwards
        left, right = self.vector(depth - 1, exact, inside), self.vector(depth - 1, exact, inside)
        if kind == 2:
            right = self.scalar(depth - 1, exact, inside)
            return f"({left} {op} {right})"
        on = self.pick(self.matching(), self.matching(), " on (instance) group_left () ", " on (instance) group_right (version) ",
                       " ignoring (code, room, version) group_left (job) ")
        return f"({left} {op}{on} {right})"

    def scalar(self, depth, exact, inside):
        kind = self.r.randrange(8)
        if kind < 4 or depth <= 0:
            return self.pick("0", "1", "2", "-1", "10", "1000100", "0.5", "1e3", "0x1F") if exact else self.pick("0.1", "3", "7e-3", "pi()", "1e6")
        if kind == 4:
            return f"scalar({self.vector(depth - 1, exact, inside)})"
        if kind == 5:
            return self.pick("time()", "(time() - 1700000000)", "-(2)")
        return f"({self.scalar(depth - 1, exact, inside)} {self.pick('+', '-', '*')} {self.scalar(depth - 1, exact, inside)})"

    def over_time(self, depth, exact, inside):
        if not exact and self.r.random() < 0.3:
            return f"{self.pick('rate', 'increase')}({self.selector(inside, COUNTERS, f'[{self.duration(inside)}]')})"
        name = self.r.choice(EXACT_OVER_TIME if exact or self.r.random() < 0.5 else ROUGH_OVER_TIME)
        # a difference of rates of rates is all error
        return f"{name}({self.matrix(depth - 1, True, inside)})"

    def function(self, depth, exact, inside):
        kind = self.r.randrange(9)
        if kind == 0:
            inner = self.vector(depth - 1, exact, inside)
            low, high = self.pick("0", "-3", "5"), self.pick("100", "1000050", "2")
            return self.pick(f"clamp({inner}, {low}, {high})", f"clamp_min({inner}, {low})", f"clamp_max({inner}, {high})")
        if kind == 1:
            inner = self.vector(depth - 1, True, inside)
            return self.pick(f"absent({inner})", f"absent_over_time({self.matrix(depth - 1, True, inside)})")
        if kind == 2:
            return f"(timestamp({self.selector(inside, pinned=False)}) - 1700000000)"
        if kind == 3:
            return f"vector({self.scalar(depth - 1, exact, inside)})"
        if kind == 4:
            return f"{self.r.choice(DATES)}({self.pick('', self.selector(inside), f'timestamp({self.selector(inside, pinned=False)})')})"
        if kind == 5:
            return f"{self.pick('sort', 'sort_desc')}({self.vector(depth - 1, exact, inside)})"
        if kind == 6 and not exact:
            return f"histogram_quantile({self.pick('0.1', '0.5', '0.95', '1')}, {self.pick('latency_bucket', f'sum by (le) (rate(latency_bucket[{self.duration(inside, 60)}]))')})"
        if kind == 7 and not exact:
            return f"predict_linear({self.selector(inside, ['requests_total', 'steps', 'temperature'], f'[{self.duration(inside, 60)}]', False)}, {self.pick('60', '3600')})"
        name = self.r.choice(EXACT_MATH if exact or self.r.random() < 0.3 else ROUGH_MATH)
        inner = self.vector(depth - 1, True, inside)
        return f"-({inner})" if name == "-" else f"{name}({inner})"

    def vector(self, depth, exact, inside):
        if depth <= 0:
            return self.selector(inside)
        if self.r.random() < 0.03:
            return self.selector(inside, ["odd"]) if not exact else self.selector(inside)
        kind = self.r.random()
        if kind < 0.18:
            return self.selector(inside)
        if kind < 0.38:
            return self.over_time(depth, exact, inside)
        if kind < 0.58:
            return self.aggregate(depth, exact, inside)
        if kind < 0.75:
            return self.binary(depth, exact, inside)
        if kind < 0.82:
            return self.labelled(depth, exact, inside)
        if kind < 0.88:
            return self.chosen(depth, inside)
        return self.function(depth, exact, inside)

    def query(self):
        """(path, parameters)"""
        text = self.vector(self.r.randrange(1, 5), False, False)
        if self.r.random() < 0.05:
            text = self.scalar(3, False, False)
        end = END - 0.5 - self.r.randrange(0, 5400)
        if self.r.random() < 0.5:
            if self.r.random() < 0.08:
                text = self.matrix(2, True, False)
            return "query", {"query": text, "time": f"{end:.1f}"}
        step = self.pick(1, 7, 15, 30, 60, 60, 300)
        return "query_range", {"query": text, "start": f"{end - step * self.r.randrange(1, 60):.1f}", "end": f"{end:.1f}", "step": step}


# ---- asking and comparing ----

COMPARISON = re.compile("[<>]|[!=]=(?!~)")

def ask(connection, path, params):
    connection.request("POST", "/api/v1/" + path, urllib.parse.urlencode(params),
                       {"Content-Type": "application/x-www-form-urlencoded"})
    return json.loads(connection.getresponse().read())


def points(element):
    return element.get("values") or ([element["value"]] if "value" in element else [])


def rows(data):
    if data["resultType"] in ("scalar", "string"):
        return {"": [data["result"]]}
    return {json.dumps(e["metric"], sort_keys=True): points(e) for e in data["result"]}


def close(a, b, scale):
    x, y = float(a), float(b)
    return a == b or (x != x and y != y) or abs(x - y) <= 1e-9 * max(abs(x), abs(y), scale)


def difference(query, want, got):
    """None, or what differs."""
    if want["status"] != got["status"]:
        if "multiple matches for labels" in got.get("error", "") and COMPARISON.search(query):
            return None
        return f"{want['status']} {want.get('error', '')[:200]!r} but {got['status']} {got.get('error', '')[:200]!r}"
    if want["status"] != "success":
        return None if want["errorType"] == got["errorType"] else f"{want['errorType']} but {got['errorType']}"
    if want["data"]["resultType"] != got["data"]["resultType"]:
        return "types"
    a, b = rows(want["data"]), rows(got["data"])
    if set(a) != set(b):
        return f"series: missing {sorted(set(a) - set(b))[:3]}, too many {sorted(set(b) - set(a))[:3]}"
    for key, want_points in a.items():
        got_points = b[key]
        if [t for t, _ in want_points] != [t for t, _ in got_points]:
            return f"times of {key}: {want_points[:3]} but {got_points[:3]}"
        # what is left of large values that cancel is as inexact as they are
        for (t, x), (_, y) in zip(want_points, got_points):
            if not close(x, y, 1) and not (y == "NaN" and "std" in query):
                return f"{key} at {t}: {x} but {y}"
    return None


def random_queries_give_what_prometheus_gives():
    folder = scratch()
    write_data(os.path.join(folder, "in.om"))
    code, _, err = run(["promtool", "tsdb", "create-blocks-from", "openmetrics", os.path.join(folder, "in.om"), os.path.join(folder, "data")],
                       timeout=120)
    assert code == 0, err
    config = os.path.join(folder, "prometheus.yml")
    with open(config, "w", encoding="utf-8") as f:
        f.write("scrape_configs: []\n")
    connections = []
    for name, binary in (("prometheus", "prometheus"), ("tocsin", TOCSIN)):
        own, port = os.path.join(folder, name), free_port()
        shutil.copytree(os.path.join(folder, "data"), own)
        Process([binary, f"--config.file={config}", f"--storage.tsdb.path={own}", "--storage.tsdb.retention.time=100y",
                 f"--web.listen-address=127.0.0.1:{port}"], name=name)
        wait_for(f"{name} ready", lambda: call(port, "GET", "/-/ready", timeout=2)[0] == 200, 60)
        connections.append(http.client.HTTPConnection("127.0.0.1", port, timeout=60))
    differ = errors = empty = 0
    for n in range(COUNT):
        path, params = Generator(SEED + n).query()
        want, got = (ask(c, path, params) for c in connections)
        problem = difference(params["query"], want, got)
        errors += want["status"] != "success"
        empty += want["status"] == "success" and not want["data"]["result"]
        if problem:
            differ += 1
            if differ <= 20:
                print(f"seed {SEED + n}: {path} {json.dumps(params)}\n    {problem}", flush=True)
    print(f"{COUNT} queries from seed {SEED}: {differ} differ; {errors} are errors, {empty} give nothing", flush=True)
    assert differ == 0, differ
    assert errors + empty < COUNT / 2, "most queries should say something"


if __name__ == "__main__":
    main([random_queries_give_what_prometheus_gives])
