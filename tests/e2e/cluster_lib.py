"""Clusters of real processes: nodes that know each other, alerts for many groups, what a receiver must have heard."""
import base64
import os
import random
import signal
import subprocess
from collections import Counter

from harness import *

AM = "/usr/bin/prometheus-alertmanager"
CONFIG = """
route: {{receiver: hook, group_by: [alertname], group_wait: {wait}, group_interval: {interval}, repeat_interval: 4h}}
receivers:
- name: hook
  webhook_configs: [{{url: "{url}", send_resolved: true}}]
"""


class Node(Server):
    """A member on loopback (or at `host`, in a network namespace); restart() keeps its directory and ports."""

    def __init__(self, cluster, index, kind="tocsin", host="127.0.0.1", gossip=None, extra=()):
        self.cluster, self.index, self.kind, self.host = cluster, index, kind, host
        self.gossip = gossip or free_port()
        self.more = list(extra)

    def begin(self, wait=True, **kept):
        peers = [f"--cluster.peer={n.host}:{n.gossip}" for n in self.cluster.nodes if n is not self]
        flags = ["--cluster.settle-timeout=3s", f"--cluster.peer-timeout={self.cluster.peer_timeout}s", *peers, *self.more]
        super().__init__(self.cluster.config, cluster=f"{self.host}:{self.gossip}", extra=flags, wait=False,
                         binary=AM if self.kind == "am" else TOCSIN, name=f"{self.kind}{self.index}", **kept)
        if wait:
            self.wait_ready()
        return self

    def restart(self, **more):
        self.begin(storage=self.folder, port=self.port, **more)

    def status(self):
        return get_json(self.port, "/api/v2/status", timeout=3)["cluster"]

    def members(self):
        return len(self.status()["peers"])

    def silences(self, state="active"):
        return {s["id"] for s in get_json(self.port, "/api/v2/silences") if s["status"]["state"] == state}


class Cluster:
    def __init__(self, *kinds, sink=None, peer_timeout=3, wait="1s", interval="10s", extra=()):
        self.sink, self.peer_timeout = sink or Sink(), peer_timeout
        self.config = CONFIG.format(url=self.sink.url, wait=wait, interval=interval)
        self.nodes = []
        for i, kind in enumerate(kinds):
            self.nodes.append(Node(self, i, kind, extra=extra))
        for node in self.nodes:
            node.begin(wait=False)
        for node in self.nodes:
            node.wait_ready()
        self.wait_whole()

    def wait_whole(self, count=None, deadline=40):
        count = count or len(self.nodes)
        for node in self.nodes:
            if node.alive():
                wait_for(f"{node.name} sees {count} members", lambda n=node: n.members() == count, deadline, 0.1)
                wait_for(f"{node.name} has settled", lambda n=node: n.status()["status"] == "ready", deadline, 0.1)

    def fire(self, names, to=None, ends=None):
        batch = [alert(n, starts=time.time() - 1, ends=ends) for n in names]
        for node in to or [n for n in self.nodes if n.alive()]:
            for at in range(0, len(batch), 100):
                post_alerts(node.port, *batch[at:at + 100])

    def heard(self, status="firing"):
        return Counter(b["groupLabels"]["alertname"] for b in self.sink.bodies() if b["status"] == status)

    def expect_once(self, names, status="firing", deadline=30, quiet=None):
        """Each is heard, and after every member's wait is over none was heard twice."""
        wanted = set(names)
        wait_for(f"all of {len(wanted)} are {status}", lambda: wanted <= set(self.heard(status)), deadline, 0.1)
        time.sleep(self.peer_timeout * (len(self.nodes) - 1) + 1 if quiet is None else quiet)
        twice = {n: c for n, c in self.heard(status).items() if n in wanted and c > 1}
        assert not twice, f"{sum(twice.values()) - len(twice)} extra of {len(wanted)}: {list(twice)[:5]}"


def certificates(folder):
    def openssl(*args):
        subprocess.run(["openssl", *args], check=True, capture_output=True, cwd=folder)
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "ca.key", "-out", "ca.crt",
            "-days", "2", "-subj", "/CN=cluster test")
    with open(os.path.join(folder, "ext"), "w", encoding="ascii") as f:
        f.write("subjectAltName=IP:127.0.0.1,DNS:localhost\nextendedKeyUsage=serverAuth,clientAuth\n")
    openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "node.key", "-out", "node.csr",
            "-subj", "/CN=node")
    openssl("x509", "-req", "-in", "node.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-out", "node.crt", "-days",
            "2", "-extfile", "ext")
    path = os.path.join(folder, "tls.yml")
    with open(path, "w", encoding="ascii") as f:
        f.write("tls_server_config: {cert_file: node.crt, key_file: node.key, client_ca_file: ca.crt, "
                "client_auth_type: RequireAndVerifyClientCert}\n"
                "tls_client_config: {cert_file: node.crt, key_file: node.key, ca_file: ca.crt}\n")
    return path


def key_file(folder, *keys):
    path = os.path.join(folder, f"keys{random.random()}")
    with open(path, "wb") as f:
        f.write(b"".join(base64.b64encode(k) + b"\n" for k in keys))
    os.chmod(path, 0o600)
    return path
