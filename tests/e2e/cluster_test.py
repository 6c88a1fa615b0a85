"""Three replicas, one notification: bursts, a killed node, a load balancer in front, restarts, TLS, encryption, and a cluster mixed with
Debian's Alertmanager."""
# build: release
# peers
from cluster_lib import *


def five_hundred_groups_are_notified_once_each():
    c = Cluster("tocsin", "tocsin", "tocsin")
    names = [f"burst{i}" for i in range(500)]
    c.fire(names)
    c.expect_once(names)
    c.fire(names, ends=time.time() - 0.1)
    c.expect_once(names, "resolved", quiet=2)
    assert sum(c.heard().values()) == 500 and sum(c.heard("resolved").values()) == 500


def a_killed_node_loses_nothing_and_comes_back_with_all():
    c = Cluster("tocsin", "tocsin", "tocsin")
    ids = {post_silence(c.nodes[i % 3].port, silence({"tag": f"s{i}"})) for i in range(30)}
    names = [f"before{i}" for i in range(50)]
    c.fire(names)
    c.expect_once(names, quiet=1)
    c.nodes[0].kill()
    later = [f"after{i}" for i in range(50)]
    c.fire(later)
    c.expect_once(later)
    for node in c.nodes[1:]:
        wait_for("the death is found out", lambda n=node: n.members() == 2, 40, 0.1)
    c.nodes[0].restart()
    c.wait_whole()
    wait_for("it has every silence", lambda: ids <= c.nodes[0].silences(), 10)
    last = [f"last{i}" for i in range(20)]
    c.fire(last)
    c.expect_once(last)
    c.expect_once(names + later, quiet=0)


def a_load_balancer_may_tell_each_alert_to_one_node_only():
    c = Cluster("tocsin", "tocsin", "tocsin")
    names = [f"spread{i}" for i in range(120)]
    chance = random.Random(7)
    for _ in range(3):
        for name in names:
            c.fire([name], to=[chance.choice(c.nodes)])
    c.expect_once(names)
    for node in c.nodes:
        seen = {a["labels"]["alertname"] for a in get_json(node.port, "/api/v2/alerts")}
        assert set(names) <= seen, (node.name, len(seen))
    for name in names:
        c.fire([name], to=[chance.choice(c.nodes)], ends=time.time() - 0.1)
    c.expect_once(names, "resolved")
    assert sum(c.heard().values()) == len(names)


def restarts_one_after_another_repeat_nothing():
    c = Cluster("tocsin", "tocsin", "tocsin")
    ids = {post_silence(c.nodes[0].port, silence({"tag": f"s{i}"})) for i in range(5)}
    names = [f"steady{i}" for i in range(40)]
    c.fire(names)
    c.expect_once(names, quiet=1)
    for node in c.nodes:
        assert node.stop() == 0
        node.restart()
        c.wait_whole()
        c.fire(names)
        assert ids <= node.silences()
    c.expect_once(names)


def a_receiver_that_recovers_hears_each_group_once():
    broken = threading.Event()
    broken.set()
    sink = Sink(answer=lambda n, path, body: 500 if broken.is_set() else 200)
    c = Cluster("tocsin", "tocsin", "tocsin", sink=sink)
    names = [f"late{i}" for i in range(100)]
    c.fire(names)
    time.sleep(8)
    with sink.lock:
        sink.calls.clear()
    broken.clear()
    c.expect_once(names)


def silences_and_notifications_cross_a_mixed_cluster():
    c = Cluster("am", "am", "tocsin")
    ids = [post_silence(n.port, silence({"tag": n.name})) for n in c.nodes]
    for node in c.nodes:
        wait_for(f"{node.name} has all", lambda n=node: set(ids) <= n.silences(), 10)
    assert call(c.nodes[2].port, "DELETE", f"/api/v2/silence/{ids[0]}")[0] == 200
    assert call(c.nodes[0].port, "DELETE", f"/api/v2/silence/{ids[2]}")[0] == 200
    for node in c.nodes:
        wait_for(f"{node.name} hears of both ends", lambda n=node: {ids[0], ids[2]} <= n.silences("expired"), 10)
    names = [f"mixed{i}" for i in range(60)]
    c.fire(names)
    c.expect_once(names)


def debians_alertmanagers_and_we_agree_over_mutual_tls():
    folder = scratch()
    c = Cluster("am", "am", "tocsin", extra=[f"--cluster.tls-config={certificates(folder)}"])
    ids = [post_silence(n.port, silence({"tag": n.name})) for n in c.nodes]
    for node in c.nodes:
        wait_for(f"{node.name} has all", lambda n=node: set(ids) <= n.silences(), 10)
    c.fire(["secret"])
    c.expect_once(["secret"])


def a_shared_key_encrypts_and_a_wrong_one_is_refused():
    folder = scratch()
    right, other = os.urandom(32), os.urandom(16)
    c = Cluster("tocsin", "tocsin", extra=[f"--cluster.secret-key-file={key_file(folder, right)}"])
    sid = post_silence(c.nodes[0].port, silence({"tag": "x"}))
    wait_for("the other has it", lambda: sid in c.nodes[1].silences(), 10)
    stranger = Node(c, 2, extra=[f"--cluster.secret-key-file={key_file(folder, other)}"])
    plain = Node(c, 3)
    for node in (stranger, plain):
        node.begin()
    time.sleep(4)
    assert c.nodes[0].members() == 2 and c.nodes[1].members() == 2
    assert stranger.members() == 1 and plain.members() == 1
    assert sid not in stranger.silences() | plain.silences()
    refused = {k: v for k, v in samples(c.nodes[0].port).items() if "crypt" in k}
    assert sum(refused.values()) > 0, refused


main([five_hundred_groups_are_notified_once_each, a_killed_node_loses_nothing_and_comes_back_with_all,
      a_load_balancer_may_tell_each_alert_to_one_node_only, restarts_one_after_another_repeat_nothing,
      a_receiver_that_recovers_hears_each_group_once, silences_and_notifications_cross_a_mixed_cluster,
      debians_alertmanagers_and_we_agree_over_mutual_tls, a_shared_key_encrypts_and_a_wrong_one_is_refused])
