"""The mesh against Debian's Alertmanager 0.25: membership both ways, silences both ways, death and good-bye as it sees them and as we
do, large states, TLS; and tocsin nodes among themselves: labels, encryption, messages of their own."""
# peers
import base64
import subprocess
import threading

from harness import *
from protobuf_lib import field, varint

PEER = os.path.join(OPT.bin, "e2e", "e2e_gossip_peer")
AM_CONFIG = "route: {receiver: none}\nreceivers: [{name: none}]\n"


class Peer(Process):
    """A bare member: lines of what happened, commands."""

    def __init__(self, port, *args, host="127.0.0.1", name="peer"):
        self.port, self.lines = port, []
        self.argv, self.name = [PEER, "--listen", f"{host}:{port}", *args], name
        self.log = os.path.join(scratch(), name + ".log")
        self.p = subprocess.Popen(self.argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=open(self.log, "wb"),
                                  preexec_fn=lambda: __import__("harness")._die_with_parent())
        self.pid = self.p.pid
        __import__("harness")._processes.append(self)
        threading.Thread(target=self._read, daemon=True).start()
        self.node = wait_for("listening", lambda: self.find("listening"), 10).split()[1]

    def _read(self):
        for line in self.p.stdout:
            self.lines.append((time.monotonic(), line.decode().rstrip("\n")))

    def find(self, *words, since=0.0):
        """The first line that has all the words."""
        for t, line in list(self.lines):
            if t >= since and all(w in line for w in words):
                return line
        return None

    def when(self, *words):
        for t, line in list(self.lines):
            if all(w in line for w in words):
                return t
        return None

    def delivered(self, key, since=0.0):
        return [bytes.fromhex(line.split()[3]) for t, line in list(self.lines)
                if t >= since and line.startswith(f"deliver {key} ") and len(line.split()) > 3]

    def members(self):
        views = [line for _, line in list(self.lines) if line.startswith("view ")]
        return dict(w.split("=", 1) for w in views[-1].split()[3:]) if views else {}

    def tell(self, *words):
        self.p.stdin.write((" ".join(words) + "\n").encode())
        self.p.stdin.flush()


class Alertmanager(Server):
    def __init__(self, gossip_port, peers=(), extra=(), host="127.0.0.1", name="alertmanager"):
        self.gossip_port = gossip_port
        super().__init__(AM_CONFIG, cluster=f"{host}:{gossip_port}", binary="prometheus-alertmanager", name=name,
                         extra=[*(f"--cluster.peer=127.0.0.1:{p}" for p in peers), "--cluster.settle-timeout=1s", *extra])

    def status(self):
        return get_json(self.port, "/api/v2/status")["cluster"]

    def members(self):
        return {p["name"]: p["address"] for p in self.status()["peers"]}

    def silences(self):
        return {s["id"]: s for s in get_json(self.port, "/api/v2/silences")}

    def metric(self, name):
        text = call(self.port, "GET", "/metrics")[2].decode()
        return sum(float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line.startswith(name))

    def silence(self, comment="c", value="x"):
        now = time.time()
        body = {"matchers": [{"name": "a", "value": value, "isRegex": False, "isEqual": True}], "startsAt": rfc3339(now),
                "endsAt": rfc3339(now + 3600), "createdBy": "t", "comment": comment}
        status, _, answer = call(self.port, "POST", "/api/v2/silences", body)
        assert status == 200, answer
        return json.loads(answer)["silenceID"]


def stamp(t):
    return field(1, int(t)) + field(2, int(t % 1 * 1e9))


def silence_record(id, comment="c", value="x"):
    """A MeshSilence with its length before it."""
    now = time.time()
    matcher = field(2, "a") + field(3, value)
    silence = (field(1, id) + field(2, matcher) + field(3, stamp(now - 1)) + field(4, stamp(now + 3600)) + field(5, stamp(now)) +
               field(8, "t") + field(9, comment))
    mesh = field(1, silence) + field(2, stamp(now + 7200))
    return varint(len(mesh)) + mesh


def uuid(n):
    return f"00000000-0000-4000-8000-{n:012d}"


def agree(*nodes, count=None):
    def same():
        views = [n.members() for n in nodes]
        return all(v == views[0] for v in views) and len(views[0]) == (count or len(nodes))
    return same


def we_join_and_both_see_both():
    g = free_port()
    am = Alertmanager(g)
    peer = Peer(free_port(), "--peer", f"127.0.0.1:{g}")
    wait_for("agreement", agree(am, peer), 10)
    assert peer.find("started").strip() == "started"
    assert am.members()[peer.node] == f"127.0.0.1:{peer.port}"


def it_joins_us_and_both_see_both():
    g = free_port()
    peer = Peer(free_port())
    am = Alertmanager(g, peers=[peer.port])
    wait_for("agreement", agree(am, peer), 10)
    wait_for("a member that is no tocsin", lambda: peer.find("member joined", "tocsin=0"), 5)


def silences_cross_in_both_directions():
    g = free_port()
    am = Alertmanager(g)
    peer = Peer(free_port(), "--peer", f"127.0.0.1:{g}")
    wait_for("agreement", agree(am, peer), 10)
    time.sleep(0.5)
    id = am.silence()
    wait_for("its silence here", lambda: any(id.encode() in d for d in peer.delivered("sil")), 3)
    started = time.monotonic()
    peer.tell("broadcast", "sil", silence_record(uuid(1)).hex())
    wait_for("our silence there", lambda: uuid(1) in am.silences(), 3)
    took = time.monotonic() - started
    assert took < 0.15, f"took {took:.3f} s: it waited for a tick"
    assert am.silences()[uuid(1)]["status"]["state"] == "active"


def what_is_too_long_for_a_packet_goes_by_tcp():
    g = free_port()
    am = Alertmanager(g)
    peer = Peer(free_port(), "--peer", f"127.0.0.1:{g}")
    wait_for("agreement", agree(am, peer), 10)
    id = am.silence(comment="y" * 5000)
    wait_for("its long silence here", lambda: any(id.encode() in d for d in peer.delivered("sil")), 3)
    peer.tell("broadcast", "sil", silence_record(uuid(2), comment="z" * 100000).hex())
    wait_for("our long silence there", lambda: uuid(2) in am.silences(), 3)


def a_burst_arrives_whole_and_soon():
    g = free_port()
    am = Alertmanager(g)
    peer = Peer(free_port(), "--peer", f"127.0.0.1:{g}")
    wait_for("agreement", agree(am, peer), 10)
    started = time.monotonic()
    for i in range(3000):
        peer.tell("broadcast", "sil", silence_record(uuid(1000 + i)).hex())
    wait_for("3000 silences", lambda: len(am.silences()) >= 3000, 10, every=0.1)
    assert time.monotonic() - started < 8


def states_reach_a_joiner_by_push_pull():
    g = free_port()
    am = Alertmanager(g)
    for i in range(300):
        am.silence(value=f"v{i}")
    peer = Peer(free_port(), "--peer", f"127.0.0.1:{g}")
    wait_for("its state", lambda: any(len(d) > 30000 for d in peer.delivered("sil")), 5)
    late = Alertmanager(free_port())
    holder = Peer(free_port())
    holder.tell("state", "sil", b"".join(silence_record(uuid(5000 + i)) for i in range(2000)).hex())
    late.stop()
    late = Alertmanager(free_port(), peers=[holder.port])
    wait_for("our state there", lambda: len(late.silences()) == 2000, 10)


def a_killed_alertmanager_is_found_out_in_upstreams_time():
    a, b = free_port(), free_port()
    am, other = Alertmanager(a), Alertmanager(b, peers=[a])
    peer = Peer(free_port(), "--peer", f"127.0.0.1:{a}")
    wait_for("agreement", agree(am, other, peer, count=3), 10)
    name = other.status()["name"]
    killed = time.monotonic()
    other.kill()
    wait_for("its death here", lambda: peer.find("member left", name), 12)
    took = peer.when("member left", name) - killed
    assert 4.0 <= took <= 9.0, took
    wait_for("its death there", lambda: name not in am.members(), 12)


def we_are_found_out_when_killed_and_let_go_when_leaving():
    g = free_port()
    am = Alertmanager(g)
    third = Alertmanager(free_port(), peers=[g])
    peer, leaver = Peer(free_port(), "--peer", f"127.0.0.1:{g}"), Peer(free_port(), "--peer", f"127.0.0.1:{g}")
    wait_for("agreement", agree(am, third, peer, leaver, count=4), 10)
    time.sleep(1)
    started = time.monotonic()
    leaver.tell("leave")
    wait_for("our good-bye there", lambda: leaver.node not in am.members() and leaver.node not in third.members(), 3)
    assert time.monotonic() - started < 2, "it took as long as a death"
    assert leaver.p.wait(10) == 0 and leaver.find("left")
    killed = time.monotonic()
    peer.kill()
    # Four names are listed for a while, the one that left among them: 24 s unless both survivors suspect (spec 9.3).
    wait_for("our death there", lambda: peer.node not in am.members() and peer.node not in third.members(), 30)
    assert 4.0 <= time.monotonic() - killed <= 28


def its_good_bye_is_no_death():
    g = free_port()
    am = Alertmanager(g)
    peer = Peer(free_port(), "--peer", f"127.0.0.1:{g}")
    wait_for("agreement", agree(am, peer), 10)
    name = am.status()["name"]
    started = time.monotonic()
    am.stop()
    wait_for("its good-bye", lambda: peer.find("member left", name), 3)
    assert peer.when("member left", name) - started < 2.5


def a_returning_alertmanager_is_a_member_again():
    g = free_port()
    am = Alertmanager(g)
    peer = Peer(free_port(), "--peer", f"127.0.0.1:{g}")
    wait_for("agreement", agree(am, peer), 10)
    am.kill()
    wait_for("its death", lambda: len(peer.members()) == 1, 15)
    am = Alertmanager(g)
    wait_for("agreement again", agree(am, peer), 20)


def nothing_is_queued_or_failed_there():
    g = free_port()
    am = Alertmanager(g)
    peer = Peer(free_port(), "--peer", f"127.0.0.1:{g}")
    wait_for("agreement", agree(am, peer), 10)
    peer.tell("broadcast", "tocsin.claim", "00")
    peer.tell("broadcast", "sil", silence_record(uuid(9)).hex())
    time.sleep(3)
    assert am.metric("alertmanager_cluster_health_score") == 0
    assert am.metric("alertmanager_cluster_failed_peers") == 0
    log = am.output()
    assert "unknown" not in log.lower() and "level=error" not in log and "[ERR]" not in log, log[-2000:]
    assert peer.p.poll() is None


def certificates(folder):
    def openssl(*args):
        subprocess.run(["openssl", *args], check=True, capture_output=True, cwd=folder)
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "ca.key", "-out", "ca.crt",
            "-days", "2", "-subj", "/CN=test ca")
    with open(os.path.join(folder, "ext"), "w", encoding="utf-8") as f:
        f.write("subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth,clientAuth\n")
    openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "node.key", "-out", "node.csr", "-subj",
            "/CN=node")
    openssl("x509", "-req", "-in", "node.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-out", "node.crt", "-days", "2",
            "-extfile", "ext")


def over_tls_all_of_it_works_too():
    folder = scratch()
    certificates(folder)
    tls = os.path.join(folder, "tls.yml")
    with open(tls, "w", encoding="utf-8") as f:
        f.write("tls_server_config: {cert_file: node.crt, key_file: node.key, client_ca_file: ca.crt, "
                "client_auth_type: RequireAndVerifyClientCert}\n"
                "tls_client_config: {cert_file: node.crt, key_file: node.key, ca_file: ca.crt}\n")
    ours = ["--tls-cert", f"{folder}/node.crt", "--tls-key", f"{folder}/node.key", "--tls-ca", f"{folder}/ca.crt"]
    g = free_port()
    am = Alertmanager(g, extra=[f"--cluster.tls-config={tls}"])
    peer = Peer(free_port(), "--peer", f"127.0.0.1:{g}", *ours)
    friend = Peer(free_port(), "--peer", f"127.0.0.1:{peer.port}", *ours)
    wait_for("agreement", agree(am, peer, friend, count=3), 15)
    id = am.silence()
    wait_for("its silence here", lambda: any(id.encode() in d for d in peer.delivered("sil")), 5)
    peer.tell("broadcast", "sil", silence_record(uuid(1)).hex())
    peer.tell("broadcast", "sil", silence_record(uuid(2), comment="z" * 50000).hex())
    wait_for("our silences there", lambda: {uuid(1), uuid(2)} <= set(am.silences()), 5)
    time.sleep(8)
    assert am.metric("alertmanager_cluster_health_score") == 0
    assert agree(am, peer, friend, count=3)(), "probes fail over TLS"
    killed = time.monotonic()
    friend.kill()
    wait_for("its death", lambda: friend.node not in am.members() and friend.node not in peer.members(), 20)
    assert time.monotonic() - killed >= 4


def tocsins_know_each_other_and_keep_their_own_keys_to_themselves():
    a = Peer(free_port())
    b = Peer(free_port(), "--peer", f"127.0.0.1:{a.port}")
    g = free_port()
    am = Alertmanager(g, peers=[a.port])
    wait_for("agreement", agree(am, a, b, count=3), 10)
    wait_for("kinds", lambda: a.find("member joined", b.node, "tocsin=1") and b.find("member joined", a.node, "tocsin=1"), 5)
    a.tell("broadcast", "tocsin.claim", "c0ffee")
    wait_for("the claim", lambda: b.delivered("tocsin.claim") == [bytes.fromhex("c0ffee")], 3)
    a.tell("send", b.node, "tocsin.alert", "00" * 30000)
    wait_for("the long one", lambda: any(len(d) == 30000 for d in b.delivered("tocsin.alert")), 3)
    for i in range(500):
        a.tell("broadcast", "tocsin.alert", f"{i:04x}" * 20)
    wait_for("the burst", lambda: len(b.delivered("tocsin.alert")) == 501, 5)


def labels_and_keys_keep_strangers_out():
    folder = scratch()
    keys = [base64.b64encode(bytes([n]) * 32).decode() for n in range(2)]
    for n, text in (("first", keys[0]), ("both", keys[1] + "\n" + keys[0]), ("other", keys[1])):
        with open(os.path.join(folder, n), "w", encoding="utf-8") as f:
            f.write(f"# {n}\n{text}\n")
    a = Peer(free_port(), "--label", "prod", "--key-file", f"{folder}/first")
    b = Peer(free_port(), "--label", "prod", "--key-file", f"{folder}/first", "--peer", f"127.0.0.1:{a.port}")
    wait_for("agreement", agree(a, b), 5)
    strangers = [Peer(free_port(), "--label", "prod", "--peer", f"127.0.0.1:{a.port}"),
                 Peer(free_port(), "--label", "test", "--key-file", f"{folder}/first", "--peer", f"127.0.0.1:{a.port}"),
                 Peer(free_port(), "--label", "prod", "--key-file", f"{folder}/other", "--peer", f"127.0.0.1:{a.port}")]
    rotating = Peer(free_port(), "--label", "prod", "--key-file", f"{folder}/both", "--peer", f"127.0.0.1:{a.port}")
    a.tell("broadcast", "sil", silence_record(uuid(1)).hex())
    wait_for("delivery", lambda: b.delivered("sil"), 3)
    time.sleep(2)
    assert set(a.members()) == {a.node, b.node}, a.members()
    assert all(len(s.members()) == 1 for s in strangers)
    assert rotating.p.poll() is None


def over_ipv6_and_by_name():
    if not socket.has_ipv6 or "0000000000000001" not in open("/proc/net/if_inet6", encoding="ascii").read():
        return
    g = free_port()
    am = Alertmanager(g, host="[::1]")
    peer = Peer(free_port(), "--peer", f"[::1]:{g}", host="[::1]")
    wait_for("agreement", agree(am, peer), 10)
    assert peer.members()[peer.node] == f"[::1]:{peer.port}"
    id = am.silence()
    wait_for("its silence here", lambda: any(id.encode() in d for d in peer.delivered("sil")), 3)
    named = Peer(free_port(), "--peer", f"localhost:{peer.port}")  # by name: nobody there over IPv4, and that is no harm
    assert wait_for("a start", lambda: named.find("started"), 10).strip() == "started"
    second = Peer(free_port(), "--peer", f"localhost:{named.port}")
    wait_for("agreement", agree(named, second), 10)


def a_port_that_is_taken_is_said_at_once():
    port = free_port()
    with socket.socket() as s:
        s.bind(("127.0.0.1", port))
        s.listen()
        code, _, err = run([PEER, "--listen", f"127.0.0.1:{port}"], timeout=10)
    assert code == 1 and "address already in use" in err, (code, err)
    code, _, err = run([PEER, "--listen", "localhost:1"], timeout=10)
    assert code == 1 and "not an IP address" in err, (code, err)


main([we_join_and_both_see_both, it_joins_us_and_both_see_both, silences_cross_in_both_directions,
      what_is_too_long_for_a_packet_goes_by_tcp, a_burst_arrives_whole_and_soon, states_reach_a_joiner_by_push_pull,
      a_killed_alertmanager_is_found_out_in_upstreams_time, we_are_found_out_when_killed_and_let_go_when_leaving,
      its_good_bye_is_no_death, a_returning_alertmanager_is_a_member_again, nothing_is_queued_or_failed_there,
      over_tls_all_of_it_works_too, tocsins_know_each_other_and_keep_their_own_keys_to_themselves, labels_and_keys_keep_strangers_out,
      over_ipv6_and_by_name, a_port_that_is_taken_is_said_at_once])
