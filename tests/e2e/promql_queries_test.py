"""Queries that mean harm, and the fate of queries: limits, the queue, the log of active ones, the query log, metadata."""
# build: release
import socket
import threading
import urllib.parse

from harness import *

BASE = 1700000000


def prometheus_config(more=""):
    return "global: {%s}\nscrape_configs: []\n" % more


def blocks(lines):
    """A data folder with blocks of these OpenMetrics lines, made by the peer's tool."""
    folder = scratch()
    text = os.path.join(folder, "in.om")
    with open(text, "w", encoding="ascii") as f:
        f.writelines(lines)
        f.write("# EOF\n")
    code, out, err = run(["promtool", "tsdb", "create-blocks-from", "openmetrics", text, os.path.join(folder, "data")], timeout=300)
    assert code == 0, err
    return os.path.join(folder, "data")


class Store(Process):
    def __init__(self, data=None, config=None, extra=(), wait=True):
        self.folder, self.port = scratch(), free_port()
        self.data = data or os.path.join(self.folder, "data")
        self.config = os.path.join(self.folder, "prometheus.yml")
        with open(self.config, "w", encoding="utf-8") as f:
            f.write(config or prometheus_config())
        super().__init__([TOCSIN, f"--config.file={self.config}", f"--storage.tsdb.path={self.data}",
                          "--storage.tsdb.retention.time=100y", f"--web.listen-address=127.0.0.1:{self.port}", *extra],
                         name="tocsin")
        if wait:
            wait_for("ready", lambda: call(self.port, "GET", "/-/ready", timeout=2)[0] == 200, 30)

    def ask(self, path, timeout=120, **params):
        status, _, body = call(self.port, "POST", "/api/v1/" + path, urllib.parse.urlencode(params),
                               {"Content-Type": "application/x-www-form-urlencoded"}, timeout=timeout)
        return status, json.loads(body)

    def memory_mib(self, key="VmRSS"):
        with open(f"/proc/{self.pid}/status", encoding="ascii") as f:
            return next(int(line.split()[1]) / 1024 for line in f if line.startswith(key))


# Each: what, path, parameters, the status that is due. Sizes are near the limits from both sides.
def hostile():
    deep = 900
    yield "parentheses", "query", {"query": "(" * deep + "1" + ")" * deep}, {200}
    yield "too many parentheses", "query", {"query": "(" * 500000 + "1" + ")" * 500000}, {400}
    yield "signs", "query", {"query": "-" * 100000 + "1"}, {200, 400}
    yield "a chain of operators", "query", {"query": "1" + "+1" * 100000}, {200, 400}
    yield "nested calls", "query", {"query": "abs(" * deep + "x" + ")" * deep}, {200, 503}
    yield "nested subqueries", "query", {"query": "max_over_time(" * 60 + "x" + "[1h:1s])" * 60}, {200, 400, 422, 503}
    yield "a huge number", "query", {"query": "9" * 900000}, {200, 400}
    yield "a huge string", "query", {"query": '"' + "a" * 900000 + '"'}, {200, 400}
    yield "a text over the limit", "query", {"query": "x" * 2000000}, {400, 413}
    yield "a long list of labels", "query", {"query": "sum by (" + ",".join(f"l{i}" for i in range(10000)) + ") (x)"}, {200, 400}
    yield "many matchers", "query", {"query": "x{" + ",".join(f'l{i}=~".*"' for i in range(2000)) + "}"}, {200, 400, 422}
    yield "a regex that explodes", "query", {"query": 'x{i=~"((((a{1,100}){1,100}){1,100}){1,100})"}'}, {400}
    yield "a regex that backtracks", "query", {"query": 'x{i=~"(a*)*(a*)*(a|aa)+b"}'}, {200}
    yield "a regex of many words", "query", {"query": 'x{i=~"' + "|".join(f"w{i}" for i in range(40000)) + '"}'}, {200, 400}
    yield "a cross product", "query", {"query": '{__name__=~".+"} * on() group_left() {__name__=~".+"}'}, {422}
    yield "a cross product of labels", "query", {"query": 'count by (i) (x) * on(i) group_right() x'}, {200}
    yield "many names for a value", "query", {"query": 'count_values("v", x)'}, {200, 422}
    yield "steps times series", "query_range", {"query": 'last_over_time(x[1d])', "start": BASE, "end": BASE + 10999, "step": 1}, {422}
    yield "steps times series, summed", "query_range", {"query": 'sum(last_over_time(x[1d]))', "start": BASE, "end": BASE + 10999, "step": 1}, {422}
    yield "sparse steps times series", "query_range", {"query": "x", "start": BASE, "end": BASE + 10999 * 60, "step": 60}, {200}
    yield "too many steps", "query_range", {"query": "x", "start": BASE, "end": BASE + 11001, "step": 1}, {400}
    yield "samples over the limit", "query", {"query": "sum_over_time((x)[10d:1s])", "time": BASE + 86400}, {422}
    yield "a range of all time", "query", {"query": "sum_over_time(x[290y])"}, {200, 400, 422}
    yield "an offset of all time", "query", {"query": "x offset 290y"}, {200, 400, 422}
    yield "a pad of labels", "query", {"query": 'label_replace(x, "y", "' + "$1" * 1000 + '", "i", "(.*)")'}, {200, 422}
    yield "a join of a join of labels", "query", {"query": 'count(label_join(x, "y", "' + "s" * 9000 + '", ' + ", ".join(['"i"'] * 200) + "))"}, {200, 422}


def hostile_queries_end_inside_their_limits():
    series = 100000 if OPT.long else 20000
    data = blocks(["# TYPE x gauge\n"] + [f'x{{i="n{i}"}} {i} {BASE}\n' for i in range(series)])
    server = Store(data, extra=["--query.timeout=60s"])
    server.ask("query", query="count(x)", time=BASE)
    before = server.memory_mib()
    lag = []
    stop = threading.Event()

    def heartbeat():
        while not stop.is_set():
            started = time.monotonic()
            status = call(server.port, "GET", "/-/healthy", timeout=30)[0]
            lag.append((time.monotonic() - started, status))
            stop.wait(0.05)

    beat = threading.Thread(target=heartbeat)
    beat.start()
    try:
        for what, path, params, due in hostile():
            params.setdefault("time", BASE) if path == "query" else None
            started = time.monotonic()
            status, answer = server.ask(path, **params)
            took = time.monotonic() - started
            assert server.alive(), what
            assert status in due, (what, status, str(answer)[:300])
            assert status == 200 or answer["error"], (what, answer)
            assert took < 65, (what, took)
    finally:
        stop.set()
        beat.join()
    assert all(status == 200 for _, status in lag)
    assert max(t for t, _ in lag) < 5, max(t for t, _ in lag)
    peak = server.memory_mib("VmHWM")
    assert peak < 2048 + 1024, peak  # the bound of one query, and what is not in its arena
    wait_for("memory is given back", lambda: server.memory_mib() < before + 150, 10)


def a_slow_query(server, **params):
    """Sends it and leaves the connection open."""
    s = socket.create_connection(("127.0.0.1", server.port))
    body = urllib.parse.urlencode({"query": "max_over_time(stddev_over_time(vector(time())[1h:1s])[60d:10s])", "time": BASE, **params})
    s.sendall(b"POST /api/v1/query HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n"
              b"Content-Length: %d\r\n\r\n%s" % (len(body), body.encode()))
    return s


def answer_of(s, timeout=60):
    s.settimeout(timeout)
    got = b""
    while b"\r\n\r\n" not in got or not got.rstrip().endswith(b"}"):
        piece = s.recv(65536)
        if not piece:
            break
        got += piece
    return int(got.split(b" ", 2)[1]), json.loads(got.split(b"\r\n\r\n", 1)[1])


def few_series():
    return blocks(["# TYPE x gauge\n"] + [f'x{{i="n{i}"}} {k} {BASE + k * 60}\n' for i in range(200) for k in range(3)])


def busy(server):
    return samples(server.port)["prometheus_engine_queries"]


def the_bound_on_concurrent_queries_is_one_for_all():
    server = Store(few_series(), extra=["--query.max-concurrency=1", "--query.timeout=20s"])
    assert samples(server.port)["prometheus_engine_queries_concurrent_max"] == 1
    first = a_slow_query(server, timeout="3s")
    wait_for("it runs", lambda: busy(server) == 1)
    second, third = a_slow_query(server, timeout="1s"), a_slow_query(server)
    wait_for("all are there", lambda: busy(server) == 3)
    third.close()
    wait_for("who has gone leaves the queue", lambda: busy(server) == 2, 2)
    started = time.monotonic()
    for s in (first, second):
        status, answer = answer_of(s)
        assert status == 503 and answer["errorType"] == "timeout", answer
        assert answer["error"] == "query timed out in expression evaluation", answer
    assert time.monotonic() - started < 12
    assert server.ask("query", query="1")[0] == 200
    assert busy(server) == 0


def limits_come_from_the_flags():
    server = Store(few_series(), extra=["--query.max-samples=100", "--query.lookback-delta=10s", "--query.timeout=1s"])
    status, answer = server.ask("query", query="x", time=BASE)
    assert status == 422 and "would load too many samples" in answer["error"], answer
    status, answer = server.ask("query", query='x{i="n1"}', time=BASE + 9)
    assert len(answer["data"]["result"]) == 1, answer
    assert server.ask("query", query='x{i="n1"}', time=BASE + 10)[1]["data"]["result"] == []


def a_query_that_the_process_died_of_is_told_at_the_next_start():
    server = Store(few_series())
    slow = a_slow_query(server)
    path = os.path.join(server.data, "queries.active")
    wait_for("it is in the file", lambda: b"max_over_time" in open(path, "rb").read())
    server.kill()
    slow.close()
    again = Store(server.data)
    line = next(l for l in again.output().splitlines() if "didn't finish" in l)
    assert "max_over_time" in line and "timestamp_sec" in line, line
    assert open(path, "rb").read(2) == b"[\0"
    assert len(open(path, "rb").read()) == 1 + 20 * 1000


def queries_are_logged_where_the_configuration_says():
    folder = scratch()
    log = os.path.join(folder, "q.log")
    server = Store(few_series(), config=prometheus_config(f"query_log_file: {log}"), extra=["--web.enable-lifecycle"])
    server.ask("query", query='sum(x{i="n1"})', time=BASE)
    server.ask("query_range", query="1", start=BASE, end=BASE + 60, step=15)
    server.ask("query", query="x * on() x", time=BASE)
    lines = wait_for("three lines", lambda: [json.loads(l) for l in open(log, encoding="utf-8")][2:] and
                     [json.loads(l) for l in open(log, encoding="utf-8")])
    assert lines[0]["params"] == {"query": 'sum(x{i="n1"})', "start": "2023-11-14T22:13:20.000Z",
                                  "end": "2023-11-14T22:13:20.000Z", "step": 0}, lines[0]
    assert lines[0]["httpRequest"] == {"clientIP": "127.0.0.1", "method": "POST", "path": "/api/v1/query"}, lines[0]
    assert lines[0]["stats"]["samples"]["totalQueryableSamples"] == 1, lines[0]
    assert lines[1]["params"]["step"] == 15 and lines[1]["params"]["end"] == "2023-11-14T22:14:20.000Z"
    assert "many-to-many" in lines[2]["error"], lines[2]
    with open(server.config, "w", encoding="utf-8") as f:
        f.write(prometheus_config())
    assert call(server.port, "POST", "/-/reload")[0] == 200
    server.ask("query", query="2")
    assert samples(server.port)["prometheus_engine_query_log_enabled"] == 0
    assert len(open(log, encoding="utf-8").readlines()) == 3


def samples_are_counted_as_upstream_does_and_by_step():
    server = Store(few_series(), extra=["--enable-feature=promql-per-step-stats"])
    for query, each in (('x', 200), ('count_over_time(x{i="n1"}[5m])', 3), ("x @ end()", 200), ("vector(1)", 0),
                        ('sum(x{i="n1"}) + sum_over_time(x{i=~"n[12]"}[2m:1m])', 1 + 2 * 2), ('scalar(x{i="n1"} @ end())', 1)):
        _, answer = server.ask("query_range", query=query, start=BASE + 130, end=BASE + 150, step=10, stats="all")
        got = answer["data"]["stats"]["samples"]
        assert got["totalQueryableSamplesPerStep"] == [[BASE + t, each] for t in (130, 140, 150)], (query, got)
        assert got["totalQueryableSamples"] == 3 * each, (query, got)
    _, answer = server.ask("query", query="x", time=BASE, stats="true")
    assert "totalQueryableSamplesPerStep" not in answer["data"]["stats"]["samples"]


if __name__ == "__main__":
    main([hostile_queries_end_inside_their_limits, the_bound_on_concurrent_queries_is_one_for_all, limits_come_from_the_flags,
          a_query_that_the_process_died_of_is_told_at_the_next_start, queries_are_logged_where_the_configuration_says,
          samples_are_counted_as_upstream_does_and_by_step])
