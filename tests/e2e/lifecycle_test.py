"""The life of the process as its operator sees it: start, flags, listeners, signals, reload, shutdown, metrics."""
import gzip
import struct

from harness import *

CONFIG = """
route: {receiver: hook, group_by: [alertname], group_wait: 0s, group_interval: 10m, repeat_interval: 1h}
receivers:
- name: hook
  webhook_configs: [{url: "%s"}]
"""
QUIET = "route: {receiver: none}\nreceivers: [{name: none}]\n"
OTHER = "route: {receiver: other}\nreceivers: [{name: other}]\n"
BAD = "route: {receiver: nobody}\nreceivers: [{name: none}]\n"


def write(path, text):
    with open(path + ".new", "w", encoding="utf-8") as f:
        f.write(text)
    os.rename(path + ".new", path)


def refused(port):
    try:
        socket.create_connection(("127.0.0.1", port), timeout=2).close()
    except ConnectionRefusedError:
        return True
    return False


def read_answer(connection):
    out = b""
    while True:
        piece = connection.recv(65536)
        if not piece:
            return out
        out += piece


# ---- shutdown ----

def sigterm_closes_listeners_answers_what_runs_writes_snapshots_and_exits_0():
    server = Server(QUIET)
    kept = post_silence(server.port, silence({"alertname": "Kept"}))
    body = json.dumps([alert("Late")]).encode()
    running = socket.create_connection(("127.0.0.1", server.port), timeout=20)
    running.sendall(b"POST /api/v2/alerts HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
                    + body[:5])
    idle = socket.create_connection(("127.0.0.1", server.port), timeout=20)
    idle.sendall(b"GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n")
    assert b"200 OK" in idle.recv(4096)  # the pool has turned since, so the other request is being read
    server.signal(signal.SIGTERM)
    wait_for("the listener closes", lambda: refused(server.port), 5)
    assert read_answer(idle) == b"", "an idle connection ends"
    running.sendall(body[5:])
    answer = read_answer(running)
    assert answer.startswith(b"HTTP/1.1 200 "), answer[:200]
    assert b"Connection: close" in answer, answer[:200]
    assert server.p.wait(20) == 0, server.output()[-800:]
    for line in ("Shutting down gracefully", "Received shutdown signal, exiting gracefully..."):
        assert line in server.output(), f"no line {line!r}"
    files = {f: os.path.getsize(os.path.join(server.storage, f)) for f in os.listdir(server.storage)}
    assert files.get("silences", 0) > 0 and "nflog" in files, files
    assert sum(n for f, n in files.items() if f.startswith("journal")) < 4096, f"the journal is not folded: {files}"
    assert not [f for f in files if "." in f and not f.startswith("journal.")], f"left-over temporary files: {files}"
    again = Server(QUIET, storage=server.folder)
    assert [s["id"] for s in get_json(again.port, "/api/v2/silences")] == [kept]
    assert [a["labels"]["alertname"] for a in get_json(again.port, "/api/v2/alerts")] == ["Late"]


def an_attempt_in_flight_at_sigterm_is_finished_and_remembered():
    sink = Sink(delay=1.5)
    server = Server(CONFIG % sink.url)
    post_alerts(server.port, alert("Slow"))
    wait_for("the attempt begins", lambda: sink.calls)
    assert server.stop() == 0, server.output()[-800:]
    again = Server(CONFIG % sink.url, storage=server.folder)
    post_alerts(again.port, alert("Slow"), alert("Marker"))
    wait_for("the marker", lambda: any(b["groupLabels"]["alertname"] == "Marker" for b in sink.bodies()))
    names = [b["groupLabels"]["alertname"] for b in sink.bodies()]
    assert names.count("Slow") == 1, names


def an_attempt_that_does_not_end_holds_the_exit_for_5_s_at_most():
    sink = Sink(delay=60)
    server = Server(CONFIG % sink.url)
    post_alerts(server.port, alert("Hangs"))
    wait_for("the attempt begins", lambda: sink.calls)
    began = time.monotonic()
    assert server.stop(15) == 0, server.output()[-800:]
    took = time.monotonic() - began
    assert 4 < took < 9, f"{took:.1f} s"


def a_second_sigterm_ends_it_at_once():
    sink = Sink(delay=60)
    server = Server(CONFIG % sink.url)
    post_alerts(server.port, alert("Hangs"))
    wait_for("the attempt begins", lambda: sink.calls)
    server.signal(signal.SIGTERM)
    wait_for("the listener closes", lambda: refused(server.port), 5)
    began = time.monotonic()
    server.signal(signal.SIGTERM)
    assert server.p.wait(3) == -signal.SIGTERM
    assert time.monotonic() - began < 2


# ---- reload ----

def config_in_force(server):
    return get_json(server.port, "/api/v2/status")["config"]["original"]


def sighup_reloads():
    server = Server(QUIET)
    before = samples(server.port)["alertmanager_config_hash"]
    write(server.config_path, OTHER)
    server.signal(signal.SIGHUP)
    wait_for("the new configuration", lambda: "receiver: other" in config_in_force(server))
    wait_for("the log line", lambda: "Completed loading of configuration file" in server.output())
    assert samples(server.port)["alertmanager_config_hash"] != before


def a_bad_reload_keeps_the_old_configuration_and_says_so():
    server = Server(QUIET)
    before = samples(server.port)
    assert before["alertmanager_config_last_reload_successful"] == 1
    write(server.config_path, BAD)
    status, headers, body = call(server.port, "POST", "/-/reload")
    assert status == 500, status
    assert body == b'failed to reload config: undefined receiver "nobody" used in route\n', body
    assert headers["content-type"] == "text/plain; charset=utf-8", headers
    after = samples(server.port)
    assert after["alertmanager_config_last_reload_successful"] == 0
    for name in ("alertmanager_config_hash", "alertmanager_config_last_reload_success_timestamp_seconds"):
        assert after[name] == before[name], name
    assert "receiver: none" in config_in_force(server)
    lines = [l for l in server.output().splitlines() if "Loading configuration file failed" in l]
    assert len(lines) == 1 and "level=ERROR" in lines[0] and "nobody" in lines[0], lines
    post_alerts(server.port, alert("StillTaken"))
    write(server.config_path, "route: {receiver: none\n")
    server.signal(signal.SIGHUP)
    wait_for("a second failure", lambda: server.output().count("Loading configuration file failed") == 2)
    os.unlink(server.config_path)
    status, _, body = call(server.port, "POST", "/-/reload")
    assert status == 500 and b"no such file or directory" in body, (status, body)
    write(server.config_path, OTHER)
    status, _, body = call(server.port, "POST", "/-/reload")
    assert (status, body) == (200, b""), (status, body)
    good = samples(server.port)
    assert good["alertmanager_config_last_reload_successful"] == 1
    assert good["alertmanager_config_hash"] != before["alertmanager_config_hash"]
    assert call(server.port, "GET", "/-/reload")[0] == 405


def a_storm_of_reloads_ends_in_the_last_file():
    server = Server(QUIET)
    for i in range(30):
        write(server.config_path, OTHER if i % 2 else QUIET)
        server.signal(signal.SIGHUP)
    write(server.config_path, OTHER.replace("other", "final"))
    server.signal(signal.SIGHUP)
    wait_for("the last file", lambda: "receiver: final" in config_in_force(server))
    assert server.stop() == 0


# ---- clients and listeners ----

def a_client_that_hangs_up_in_mid_answer_does_not_end_the_process():
    server = Server(QUIET)
    post_alerts(server.port, *[alert(f"A{i}", annotations={"text": "x" * 2000}) for i in range(500)])
    for i in range(40):
        c = socket.create_connection(("127.0.0.1", server.port), timeout=10)
        c.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        c.sendall(b"GET /api/v2/alerts HTTP/1.1\r\nHost: x\r\n\r\n")
        if i % 2:
            c.recv(100)
        c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        c.close()
    assert len(get_json(server.port, "/api/v2/alerts")) == 500
    assert server.stop() == 0


def the_service_manager_hears_ready_and_stopping():
    path = os.path.join(scratch(), "notify")
    manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    manager.bind(path)
    manager.settimeout(20)
    server = Server(QUIET, env={"NOTIFY_SOCKET": path})
    assert manager.recv(100) == b"READY=1"
    server.signal(signal.SIGTERM)
    assert manager.recv(100) == b"STOPPING=1"
    assert server.p.wait(20) == 0


def inherited_listeners_are_served():
    config = os.path.join(scratch(), "config.yml")
    write(config, QUIET)
    first, second = socket.create_server(("127.0.0.1", 0)), socket.create_server(("127.0.0.1", 0))
    # Popen gives the variables no chance to name the child's own pid: a small launcher does.
    launcher = ("import os, sys; a = int(sys.argv[1]); b = int(sys.argv[2]); os.dup2(a, 30); os.dup2(b, 31); os.dup2(30, 3);"
                " os.dup2(31, 4); os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS='2');"
                " os.execv(sys.argv[3], sys.argv[3:])")
    fds = (first.fileno(), second.fileno())
    process = Process([sys.executable, "-c", launcher, *fds, TOCSIN, f"--config.file={config}", f"--storage.path={scratch()}",
                       "--cluster.listen-address=", "--web.systemd-socket"], name="activated", pass_fds=fds)
    ports = [s.getsockname()[1] for s in (first, second)]
    first.close()
    second.close()
    for port in ports:
        wait_for("an answer", lambda: call(port, "GET", "/-/ready", timeout=5)[0] == 200)
        assert f"address=127.0.0.1:{port}" in process.output(), process.output()
    assert process.stop() == 0


def without_inherited_listeners_the_flag_is_an_error():
    config = os.path.join(scratch(), "config.yml")
    write(config, QUIET)
    code, _, err = run([TOCSIN, f"--config.file={config}", f"--storage.path={scratch()}", "--cluster.listen-address=",
                        "--web.systemd-socket"])
    assert code == 1 and "no socket activation file descriptors found" in err, (code, err)


def listening(addresses):
    """The started process and the ports that it logged for the addresses given."""
    config = os.path.join(scratch(), "config.yml")
    write(config, QUIET)
    process = Process([TOCSIN, f"--config.file={config}", f"--storage.path={scratch()}", "--cluster.listen-address=",
                       *[f"--web.listen-address={a}" for a in addresses]])

    def logged():
        if not process.alive():
            raise SystemExit("ended: " + process.output()[-1000:])
        lines = [l for l in process.output().splitlines() if 'msg="Listening on"' in l]
        return [l.split("address=")[1].strip() for l in lines] if len(lines) == len(addresses) else None
    return process, wait_for("the log says the addresses", logged)


def port_0_is_logged_as_the_real_address():
    process, (address,) = listening(["127.0.0.1:0"])
    host, _, port = address.rpartition(":")
    assert host == "127.0.0.1" and 0 < int(port) < 65536, address
    assert call(int(port), "GET", "/-/healthy")[2] == b"OK"
    assert 'msg="TLS is disabled."' in process.output()


def need_ipv6():
    try:
        with socket.socket(socket.AF_INET6) as s:
            s.bind(("::1", 0))
    except OSError as e:
        raise Skip(f"no IPv6 loopback ({e})") from e


def ipv6_and_both_families_are_served():
    need_ipv6()
    _, (six, both) = listening(["[::1]:0", ":0"])
    host, _, port = six.rpartition(":")
    assert host == "[::1]", six
    assert call(int(port), "GET", "/-/healthy", host="::1")[0] == 200
    # Somebody else may have that port on IPv4; not time and again.
    others = (int(listening(["[::1]:0"])[1][0].rpartition(":")[2]) for _ in range(3))
    assert refused(int(port)) or any(refused(p) for p in others), "the listener of ::1 answers on IPv4"
    host, _, port = both.rpartition(":")
    assert host == "[::]", both
    assert call(int(port), "GET", "/-/healthy", host="::1")[0] == 200
    assert call(int(port), "GET", "/-/healthy", host="127.0.0.1")[0] == 200


def json_log_lines_are_json():
    server = Server(QUIET, extra=["--log.format=json", "--log.level=debug"])
    assert server.stop() == 0
    lines = [json.loads(l) for l in server.output().splitlines()]
    assert lines and all({"time", "level", "msg"} <= set(l) for l in lines), lines[:3]
    assert any(l["msg"] == "Listening on" and l["address"] == f"127.0.0.1:{server.port}" for l in lines), lines


# ---- metrics ----

NAMES = """
alerts alerts_received_total alerts_invalid_total alerts_per_alert_limit alerts_subscriber_channel_writes_total build_info
cluster_enabled config_hash config_last_reload_successful config_last_reload_success_timestamp_seconds
dispatcher_aggregation_groups dispatcher_alert_processing_duration_seconds_sum dispatcher_alert_processing_duration_seconds_count
dispatcher_aggregation_group_limit_reached_total dispatcher_aggregation_group_creation_retries_total
dispatcher_aggregation_group_creation_given_up_total http_request_duration_seconds_bucket http_request_duration_seconds_sum
http_request_duration_seconds_count http_response_size_bytes_bucket http_response_size_bytes_sum http_response_size_bytes_count
http_requests_in_flight http_concurrency_limit_exceeded_total inhibition_rules integrations receivers
nflog_gc_duration_seconds_sum nflog_gc_duration_seconds_count nflog_snapshot_duration_seconds_sum
nflog_snapshot_duration_seconds_count nflog_snapshot_size_bytes nflog_maintenance_total nflog_maintenance_errors_total
nflog_queries_total nflog_query_errors_total nflog_gossip_messages_propagated_total nflog_query_duration_seconds_bucket
notifications_total notification_requests_total notification_requests_failed_total notifications_failed_total
notifications_suppressed_total notification_latency_seconds_bucket notification_latency_seconds_sum
notification_latency_seconds_count silences silences_gc_duration_seconds_sum silences_gc_duration_seconds_count
silences_snapshot_duration_seconds_sum silences_snapshot_duration_seconds_count silences_snapshot_size_bytes silences_state_size
silences_matcher_index_size silences_version_index_size silences_gc_errors_total silences_maintenance_total
silences_maintenance_errors_total silences_queries_total silences_query_errors_total silences_query_silences_scanned_total
silences_query_silences_skipped_total silences_gossip_messages_propagated_total silences_matcher_compile_errors_total
silences_query_duration_seconds_bucket
""".split()
PROCESS = ("cpu_seconds_total", "open_fds", "max_fds", "resident_memory_bytes", "virtual_memory_bytes", "start_time_seconds")


def every_metric_of_upstream_is_there_and_the_process_ones_are_true():
    sink = Sink()
    server = Server(CONFIG % sink.url)
    post_alerts(server.port, alert("One"))
    wait_for("a notification", lambda: sink.calls)
    wait_for("its count", lambda: samples(server.port).get('alertmanager_notifications_total{integration="webhook"}') == 1)
    got = samples(server.port)
    families = {name.partition("{")[0] for name in got}
    missing = [n for n in NAMES if "alertmanager_" + n not in families]
    assert not missing, missing
    missing = [n for n in PROCESS if "process_" + n not in got]
    assert not missing, missing
    assert abs(got["process_start_time_seconds"] - time.time()) < 60, got["process_start_time_seconds"]
    fds = len(os.listdir(f"/proc/{server.pid}/fd"))
    assert abs(got["process_open_fds"] - fds) <= 3, (got["process_open_fds"], fds)
    assert got['alertmanager_alerts{state="active"}'] == 1, [n for n in got if n.startswith("alertmanager_alerts{")]
    assert got['alertmanager_alerts_received_total{status="firing",version="v2"}'] == 1
    assert got["alertmanager_cluster_enabled"] == 0
    # promtool is the judge of the text itself.
    text = call(server.port, "GET", "/metrics")[2]
    code, out, err = run(["promtool", "check", "metrics"], stdin=text)
    broken = [l for l in (out + err).splitlines() if "error while linting" in l or "text format parsing" in l]
    assert code in (0, 3) and not broken, (code, out, err)


# ---- prefixes, limits, flags ----

def prefixes_and_external_url_lead_to_each_other():
    def location(port, path):
        status, headers, _ = call(port, "GET", path)
        return status, headers.get("location")
    config = os.path.join(scratch(), "config.yml")
    write(config, QUIET)

    def start(*flags):
        port = free_port()
        process = Process([TOCSIN, f"--config.file={config}", f"--storage.path={scratch()}", "--cluster.listen-address=",
                           f"--web.listen-address=127.0.0.1:{port}", *flags])
        wait_for("the listener", lambda: process.alive() and not refused(port))
        return port
    port = start("--web.route-prefix=/alerts/")
    wait_for("ready", lambda: call(port, "GET", "/alerts/-/ready")[0] == 200)
    assert location(port, "/") == (302, "/alerts"), location(port, "/")
    assert location(port, "/alerts") == (301, "/alerts/")
    assert call(port, "GET", "/-/ready")[0] == 404
    assert call(port, "GET", "/alerts/api/v2/alerts")[0] == 200
    port = start("--web.external-url=http://am.example:9999/path/")
    wait_for("ready", lambda: call(port, "GET", "/path/-/ready")[0] == 200)
    assert location(port, "/") == (302, "/path")
    port = start("--web.external-url=http://am.example/path", "--web.route-prefix=/")
    wait_for("ready", lambda: call(port, "GET", "/-/ready")[0] == 200)


def the_external_url_reaches_the_notification():
    sink = Sink()
    server = Server(CONFIG % sink.url, extra=["--web.external-url=http://am.example:9999/x/", "--web.route-prefix=/"])
    post_alerts(server.port, alert("A"))
    wait_for("a call", lambda: sink.calls)
    assert sink.bodies()[0]["externalURL"] == "http://am.example:9999/x", sink.bodies()[0]["externalURL"]
    other = Server(CONFIG % sink.url)
    post_alerts(other.port, alert("B"))
    wait_for("a call", lambda: len(sink.calls) == 2)
    assert sink.bodies()[1]["externalURL"] == f"http://{socket.gethostname()}:{other.port}", sink.bodies()[1]["externalURL"]


def gets_beyond_the_limit_are_refused_in_upstreams_words():
    server = Server(QUIET, extra=["--web.get-concurrency=1"])
    post_alerts(server.port, *[alert(f"A{i}") for i in range(300)])
    refusals, stop = [], threading.Event()

    def ask():
        while not stop.is_set():
            status, _, body = call(server.port, "GET", "/api/v2/alerts")
            if status != 200:
                refusals.append((status, body))
                stop.set()
    threads = [threading.Thread(target=ask, daemon=True) for _ in range(8)]
    for t in threads:
        t.start()
    wait_for("a refusal", lambda: refusals, 30)
    stop.set()
    for t in threads:
        t.join(10)
    assert refusals[0] == (503, b"Limit of concurrent GET requests reached (1), try again later.\n\n"), refusals[0]
    assert samples(server.port)['alertmanager_http_concurrency_limit_exceeded_total{method="get"}'] >= 1
    assert call(server.port, "GET", "/-/healthy")[0] == 200


def a_burst_of_clients_that_half_close_is_answered_without_exception():
    server = Server(QUIET)
    body = json.dumps([alert("A")])
    requests = [f"GET /api/v2/alerts HTTP/1.1\r\nHost: x\r\n{close}\r\n" for close in ("", "Connection: close\r\n")]
    requests += [f"POST /api/v2/alerts HTTP/1.1\r\nHost: x\r\n{close}Content-Type: application/json\r\n"
                 f"Content-Length: {len(body)}\r\n\r\n{body}" for close in ("", "Connection: close\r\n")]
    answers = []

    def ask(text):
        with socket.create_connection(("127.0.0.1", server.port), timeout=20) as s:
            s.sendall(text.encode())
            s.shutdown(socket.SHUT_WR)
            got = b""
            while chunk := s.recv(65536):
                got += chunk
        answers.append(got[:15])

    def ask_many(text):
        for _ in range(25):
            ask(text)
    threads = [threading.Thread(target=ask_many, args=(requests[i % 4],), daemon=True) for i in range(16)]
    for t in threads:
        t.start()
    for t in threads:
        t.join(60)
    assert len(answers) == 400 and set(answers) == {b"HTTP/1.1 200 OK"}, {a: answers.count(a) for a in set(answers)}


def paths_are_cleaned_as_upstream_does():
    server = Server(QUIET)
    assert call(server.port, "GET", "/api/v2/alerts/")[0] == 200
    for dirty, clean in (("//metrics", "/metrics"), ("/api/v2/../v2/status?a=b", "/api/v2/status?a=b"), ("/./-//ready", "/-/ready"),
                         ("/../..//", "/")):
        status, headers, _ = call(server.port, "GET", dirty)
        assert (status, headers.get("location")) == (301, clean), (dirty, status, headers)


def metrics_are_compressed_for_who_asks():
    server = Server(QUIET)
    status, headers, body = call(server.port, "GET", "/metrics", headers={"Accept-Encoding": "gzip"})
    text = gzip.decompress(body)
    assert status == 200 and headers["content-encoding"] == "gzip" and b"alertmanager_build_info{" in text
    assert len(body) * 3 < len(text), (len(body), len(text))
    assert "content-encoding" not in call(server.port, "GET", "/metrics")[1]


def a_request_that_takes_too_long_is_answered_503():
    server = Server(QUIET, extra=["--web.timeout=300ms"])
    os.unlink(server.config_path)
    os.mkfifo(server.config_path)  # a reload now waits until somebody writes
    began = time.monotonic()
    status, _, body = call(server.port, "POST", "/-/reload")
    took = time.monotonic() - began
    assert (status, body) == (503, b"Exceeded configured timeout of 300ms.\n"), (status, body)
    assert 0.25 < took < 5, took
    assert call(server.port, "GET", "/-/healthy")[0] == 200
    with open(server.config_path, "w", encoding="utf-8") as fifo:
        fifo.write(OTHER)
    wait_for("the reload ends", lambda: "receiver: other" in config_in_force(server))


def wrong_flags_exit_1_in_kingpins_words():
    config = os.path.join(scratch(), "config.yml")
    write(config, QUIET)
    for flags, text in (
            (["--nope"], "tocsin: error: unknown long flag '--nope', try --help\n"),
            (["x"], "tocsin: error: unexpected x, try --help\n"),
            (["--config.file"], "tocsin: error: expected argument for flag '--config.file', try --help\n"),
            (["--log.level=loud"], None),
            (["--web.timeout=5d"], 'tocsin: error: time: unknown unit "d" in duration "5d", try --help\n'),
            (["--web.get-concurrency=many"], None),
            (["--config.file=a", "--config.file=b"], "tocsin: error: flag 'config.file' cannot be repeated, try --help\n")):
        code, out, err = run([TOCSIN, *flags])
        assert code == 1 and out == "" and (err == text if text else err.startswith("tocsin: error: ")), (flags, code, out, err)
    base = [TOCSIN, f"--storage.path={scratch()}", "--web.listen-address=127.0.0.1:0", "--cluster.listen-address="]
    for flags, text in (
            ([f"--config.file={config}", "--data.retention=0s"], "data retention must be greater than 0"),
            ([f"--config.file={config}", "--enable-feature=zz"], "unknown option 'zz' for --enable-feature"),
            ([f"--config.file={config}", "--enable-feature=classic-mode,utf8-strict-mode"],
             "cannot have both classic and UTF-8 modes enabled"),
            ([f"--config.file={config}", "--web.external-url=ftp://x"],
             "invalid \\\"ftp\\\" scheme, only 'http' and 'https' are supported"),
            (["--config.file=/nowhere.yml"], "no such file or directory")):
        code, _, err = run([*base, *flags])
        assert code == 1 and text in err and "level=ERROR" in err, (flags, code, err)


def config_check_says_what_would_run():
    folder = scratch()
    good, bad = os.path.join(folder, "good.yml"), os.path.join(folder, "bad.yml")
    write(good, QUIET)
    write(bad, BAD)
    code, out, err = run([TOCSIN, "--config.check", f"--config.file={good}", f"--storage.path={folder}/data"])
    assert code == 0 and "alert half: yes" in out and "Prometheus half: no" in out, (code, out, err)
    assert not os.path.exists(f"{folder}/data"), "a check leaves nothing behind"
    code, _, err = run([TOCSIN, "--config.check", f"--config.file={bad}", f"--storage.path={folder}/data"])
    assert code == 1 and 'undefined receiver \\"nobody\\" used in route' in err, (code, err)
    for flag in ("--web.config.file", "--cluster.tls-config", "--cluster.secret-key-file"):
        for path in (bad, "/nowhere"):
            code, _, err = run([TOCSIN, "--dry-run", f"--config.file={good}", f"{flag}={path}"])
            assert code == 1 and "level=ERROR" in err, (flag, path, err)


def a_taken_port_is_an_error_at_start():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        server = Server(QUIET, port=port, wait=False)
        assert server.p.wait(20) == 1
        assert f"listen tcp 127.0.0.1:{port}: bind: address already in use" in server.output(), server.output()


if __name__ == "__main__":
    main([sigterm_closes_listeners_answers_what_runs_writes_snapshots_and_exits_0,
          an_attempt_in_flight_at_sigterm_is_finished_and_remembered,
          an_attempt_that_does_not_end_holds_the_exit_for_5_s_at_most, a_second_sigterm_ends_it_at_once, sighup_reloads,
          a_bad_reload_keeps_the_old_configuration_and_says_so, a_storm_of_reloads_ends_in_the_last_file,
          a_client_that_hangs_up_in_mid_answer_does_not_end_the_process, the_service_manager_hears_ready_and_stopping,
          inherited_listeners_are_served, without_inherited_listeners_the_flag_is_an_error,
          port_0_is_logged_as_the_real_address, ipv6_and_both_families_are_served, json_log_lines_are_json,
          every_metric_of_upstream_is_there_and_the_process_ones_are_true, prefixes_and_external_url_lead_to_each_other,
          the_external_url_reaches_the_notification, gets_beyond_the_limit_are_refused_in_upstreams_words,
          a_burst_of_clients_that_half_close_is_answered_without_exception, paths_are_cleaned_as_upstream_does,
          metrics_are_compressed_for_who_asks, a_request_that_takes_too_long_is_answered_503, wrong_flags_exit_1_in_kingpins_words,
          config_check_says_what_would_run, a_taken_port_is_an_error_at_start])
