"""Thousands of receivers that do not answer: nobody else waits for them, and they hold no more sockets than their share.
# build: release"""
import resource

from harness import *

# The url is a template, so that groups of the slow receiver can have a host each in 127.0.0.0/8.
CONFIG = """
route:
  receiver: slow
  group_by: ['...']
  group_wait: 100ms
  group_interval: 2m
  routes: [{receiver: live, matchers: [to="live"]}]
receivers:
- name: slow
  webhook_configs: [{url: 'http://127.{{ .GroupLabels.a }}.{{ .GroupLabels.b }}.1:%d/'}]
- name: live
  webhook_configs: [{url: '%s'}]
"""
SLOW = 5000


class Silent:
    """Takes every connection at every address of this machine and never says a word."""

    def __init__(self):
        self.taken = []
        self.socket = socket.create_server(("0.0.0.0", 0), backlog=4096)
        self.port = self.socket.getsockname()[1]
        threading.Thread(target=self.take, daemon=True).start()

    def take(self):
        while True:
            self.taken.append(self.socket.accept()[0])


def raise_own_limit(files):
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < files:
        raise Skip(f"needs {files} open files, {hard} are allowed")
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, hard))


def post_slow(server, host_of):
    for i in range(0, SLOW, 500):
        labels = [(n, host_of(n)) for n in range(i, i + 500)]
        post_alerts(server.port, *[alert(f"S{n}", {"a": str(a), "b": str(b)}) for n, (a, b) in labels])


def live_groups_are_told_at_once(server, sink):
    took = []
    for turn in range(5):
        began, before = time.time(), len(sink.calls)
        post_alerts(server.port, *[alert(f"L{turn}-{i}", {"to": "live"}) for i in range(20)])
        wait_for("the live ones", lambda: len(sink.calls) == before + 20, 20)
        took.append(max(c[0] for c in sink.calls[before:]) - began - 0.1)
    assert min(took) < 0.5 and max(took) < 3, took


def nothing_failed(server):
    failed = {k: v for k, v in samples(server.port).items() if k.startswith("alertmanager_notifications_failed_total") and v}
    assert not failed, f"who waits has not failed: {failed}"
    assert not [l for l in server.output().splitlines() if "too many open files" in l.lower()]


def five_thousand_slow_receivers_delay_nobody_else():
    raise_own_limit(3 * SLOW)
    sink, silent = Sink(), Silent()
    server = Server(CONFIG % (silent.port, sink.url))
    post_slow(server, lambda n: (1 + n // 250, n % 250))
    wait_for("every slow one is being called", lambda: samples(server.port)["tocsin_send_connections"] == SLOW, 60)
    assert samples(server.port)["tocsin_send_waiting"] == 0
    live_groups_are_told_at_once(server, sink)
    nothing_failed(server)
    server.kill()


def one_dead_host_leaves_half_of_few_sockets_to_the_others():
    files = 1024
    sink, silent = Sink(), Silent()
    server = Server(CONFIG % (silent.port, sink.url),
                    preexec=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (256, files)))
    with open(f"/proc/{server.pid}/limits", encoding="ascii") as f:
        limit = next(line.split()[3:5] for line in f if line.startswith("Max open files"))
    assert limit == [str(files), str(files)], f"the soft limit is not raised to the hard one: {limit}"
    post_slow(server, lambda n: (0, 0))
    wait_for("what has no socket is counted",
             lambda: sum(samples(server.port)[f"tocsin_send_{k}"] for k in ("waiting", "connections")) == SLOW, 30)
    live_groups_are_told_at_once(server, sink)
    now = samples(server.port)
    assert now["tocsin_send_connections"] <= files / 2 and now["tocsin_send_waiting"] >= SLOW - files / 2, now
    assert len(os.listdir(f"/proc/{server.pid}/fd")) < files / 2 + 100
    nothing_failed(server)
    began = time.monotonic()
    assert server.stop() == 0 and time.monotonic() - began < 9


def thousands_of_dead_hosts_leave_a_quarter_of_few_sockets_to_who_has_answered():
    sink, silent = Sink(), Silent()
    server = Server(CONFIG % (silent.port, sink.url),
                    preexec=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (256, 1024)))
    post_alerts(server.port, alert("First", {"to": "live"}))
    wait_for("the live one is known", lambda: len(sink.calls) == 1)
    post_slow(server, lambda n: (1 + n // 250, n % 250))
    wait_for("what has no socket is counted",
             lambda: sum(samples(server.port)[f"tocsin_send_{k}"] for k in ("waiting", "connections")) == SLOW, 30)
    live_groups_are_told_at_once(server, sink)
    nothing_failed(server)
    server.kill()


if __name__ == "__main__":
    main([thousands_of_dead_hosts_leave_a_quarter_of_few_sockets_to_who_has_answered,
          five_thousand_slow_receivers_delay_nobody_else, one_dead_host_leaves_half_of_few_sockets_to_the_others])
