"""What the end-to-end tests share: processes that cannot outlive the test, free loopback ports, a webhook sink that keeps what it
hears, polling with deadlines, and the closing line. Python's standard library only."""
import argparse
import atexit
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
import traceback

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
_processes, _folders = [], []
_libc = ctypes.CDLL(None, use_errno=True)


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", default=os.path.join(ROOT, "build", "release"))
    parser.add_argument("--only", action="append", default=[])
    parser.add_argument("--long", action="store_true")
    opt, _ = parser.parse_known_args()
    return opt


OPT = arguments()
TOCSIN = os.path.join(OPT.bin, "tocsin")
TOCSINCTL = os.path.join(OPT.bin, "tocsinctl")


def scratch():
    folder = tempfile.mkdtemp(prefix="tocsin-e2e-")
    _folders.append(folder)
    return folder


def free_port():
    """A port nobody listens on, for TCP and UDP. The kernel hands out others until it comes round again."""
    while True:
        with socket.socket() as tcp, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            tcp.bind(("127.0.0.1", 0))
            port = tcp.getsockname()[1]
            try:
                udp.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


def _die_with_parent():
    _libc.prctl(1, signal.SIGKILL)


class Process:
    """A child with its output in a file. It is killed when the test ends, however it ends."""

    def __init__(self, argv, name="process", env=None, cwd=None, pass_fds=(), preexec=None):
        self.argv, self.name = [str(a) for a in argv], name
        self.log = os.path.join(scratch(), name + ".log")
        full = dict(os.environ)
        full.update(env or {})

        def before():
            _die_with_parent()
            if preexec:
                preexec()

        with open(self.log, "wb") as out:
            self.p = subprocess.Popen(self.argv, stdout=out, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, env=full,
                                      cwd=cwd, pass_fds=pass_fds, preexec_fn=before)
        self.pid = self.p.pid
        _processes.append(self)

    def alive(self):
        return self.p.poll() is None

    def output(self):
        with open(self.log, "rb") as f:
            return f.read().decode("utf-8", "replace")

    def signal(self, number):
        self.p.send_signal(number)

    def kill(self):
        if self.alive():
            self.p.kill()
        self.p.wait(20)

    def stop(self, timeout=20):
        """SIGTERM; the exit code, or None if it had to be killed."""
        if self.alive():
            self.p.terminate()
        try:
            return self.p.wait(timeout)
        except subprocess.TimeoutExpired:
            self.p.kill()
            self.p.wait(10)
            return None


def _clean():
    for process in _processes:
        if process.alive():
            process.p.kill()
            try:
                process.p.wait(5)
            except subprocess.TimeoutExpired:
                pass
    if not os.environ.get("TOCSIN_KEEP"):
        for folder in _folders:
            shutil.rmtree(folder, ignore_errors=True)


atexit.register(_clean)


def call(port, method, path, body=None, headers=None, timeout=20, host="127.0.0.1"):
    """(status, headers in lower case, body bytes)."""
    connection = http.client.HTTPConnection(host, port, timeout=timeout)
    try:
        sent = dict(headers or {})
        if isinstance(body, (dict, list)):
            body = json.dumps(body)
            sent.setdefault("Content-Type", "application/json")
        connection.request(method, path, body=body.encode() if isinstance(body, str) else body, headers=sent)
        answer = connection.getresponse()
        return answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()
    finally:
        connection.close()


def get_json(port, path, timeout=20):
    status, _, body = call(port, "GET", path, timeout=timeout)
    if status != 200:
        raise AssertionError(f"GET {path}: {status} {body[:200]!r}")
    return json.loads(body)


def wait_for(what, condition, deadline=15.0, every=0.02):
    """The first true value of condition(); fails by name when the deadline has passed."""
    end = time.monotonic() + deadline
    problem = None
    while time.monotonic() < end:
        try:
            value = condition()
            if value:
                return value
        except (OSError, http.client.HTTPException, AssertionError, ValueError, KeyError) as e:
            problem = e
        time.sleep(every)
    raise AssertionError(f"not within {deadline:g} s: {what}" + (f" ({problem})" if problem else ""))


class Server(Process):
    """tocsin, or Debian's prometheus-alertmanager when `binary` says so."""

    def __init__(self, config, storage=None, port=None, cluster="", extra=(), binary=None, name="tocsin", env=None,
                 wait=True, preexec=None, pass_fds=()):
        self.folder = storage or scratch()
        self.config_path = os.path.join(self.folder, "config.yml")
        with open(self.config_path, "w", encoding="utf-8") as f:
            f.write(config)
        self.port = port or free_port()
        self.storage = os.path.join(self.folder, "data")
        argv = [binary or TOCSIN, f"--config.file={self.config_path}", f"--storage.path={self.storage}",
                f"--web.listen-address=127.0.0.1:{self.port}", f"--cluster.listen-address={cluster}", *extra]
        super().__init__(argv, name=name, env=env, preexec=preexec, pass_fds=pass_fds)
        if wait:
            self.wait_ready()

    def wait_ready(self, deadline=20):
        def ready():
            if not self.alive():
                raise SystemExit(f"{self.name} ended: {self.output()[-2000:]}")
            return call(self.port, "GET", "/-/ready", timeout=2)[0] == 200
        wait_for(f"{self.name} ready", ready, deadline)


class Sink:
    """A webhook receiver. `answer(n, path, body)` gives the status of the n-th call (default 200)."""

    def __init__(self, answer=None, delay=0.0, host="127.0.0.1"):
        self.calls, self.lock = [], threading.Lock()
        sink = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                with sink.lock:
                    n = len(sink.calls)
                    sink.calls.append((time.time(), self.path, dict(self.headers), body))
                if delay:
                    time.sleep(delay)
                status = answer(n, self.path, body) if answer else 200
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        class Listener(http.server.ThreadingHTTPServer):
            request_queue_size = 1024
            daemon_threads = True

        self.server = Listener((host, 0), Handler)
        self.port = self.server.server_address[1]
        self.url = f"http://{host}:{self.port}/"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def bodies(self):
        with self.lock:
            return [json.loads(body) for _, _, _, body in self.calls]

    def close(self):
        self.server.shutdown()


class Skip(Exception):
    """What a test raises when the machine cannot do it; the text says what is missing."""


def samples(port):
    """/metrics as {'name{labels}': value}."""
    out = {}
    for line in call(port, "GET", "/metrics")[2].decode().splitlines():
        if line and not line.startswith("#"):
            name, _, value = line.rpartition(" ")
            out[name] = float(value)
    return out


def alert(name, labels=None, annotations=None, starts=None, ends=None):
    a = {"labels": {"alertname": name, **(labels or {})}, "annotations": annotations or {}}
    if starts is not None:
        a["startsAt"] = rfc3339(starts)
    if ends is not None:
        a["endsAt"] = rfc3339(ends)
    return a


def post_alerts(port, *alerts):
    status, _, body = call(port, "POST", "/api/v2/alerts", list(alerts))
    assert status == 200, (status, body[:300])


def silence(matchers, comment="c", starts=None, ends=None, author="e2e"):
    """The body of a silence; matchers: {name: value}, all by equality."""
    now = time.time()
    return {"matchers": [{"name": n, "value": v, "isRegex": False, "isEqual": True} for n, v in matchers.items()],
            "startsAt": rfc3339(now if starts is None else starts), "endsAt": rfc3339(now + 3600 if ends is None else ends),
            "createdBy": author, "comment": comment}


def post_silence(port, body):
    status, _, answer = call(port, "POST", "/api/v2/silences", body)
    assert status == 200, (status, answer[:300])
    return json.loads(answer)["silenceID"]


def rfc3339(t):
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(t)) + ".%03dZ" % int((t % 1) * 1000)


def run(argv, stdin=None, timeout=60, env=None, cwd=None):
    full = dict(os.environ)
    full.update(env or {})
    done = subprocess.run([str(a) for a in argv], input=stdin.encode() if isinstance(stdin, str) else stdin,
                          stdin=subprocess.DEVNULL if stdin is None else None, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, timeout=timeout, env=full, cwd=cwd)
    return done.returncode, done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace")


def main(tests):
    """Runs the functions given, prints a line each and the closing line, exits 1 if one failed."""
    passed = failed = skipped = 0
    for test in tests:
        if OPT.only and test.__name__ not in OPT.only:
            continue
        started = time.monotonic()
        try:
            test()
            passed += 1
            print(f"ok   {test.__name__}  {time.monotonic() - started:.1f}s", flush=True)
        except Skip as e:
            skipped += 1
            print(f"SKIP {test.__name__}: {e}", flush=True)
        except (Exception, SystemExit) as e:  # a test that fails must not hide the ones after it
            failed += 1
            print(f"FAIL {test.__name__}: {e}", flush=True)
            if not isinstance(e, (AssertionError, SystemExit)):
                traceback.print_exc()
            for process in _processes[-3:]:
                print(f"--- {process.name} {' '.join(process.argv[:1])}: last lines", flush=True)
                print(process.output()[-1500:], flush=True)
        finally:
            for process in _processes:
                if process.alive():
                    process.kill()
    print(f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""))
    sys.exit(1 if failed else 0)
