#!/usr/bin/env python3
# build: release
"""The three replicas of deploy/kubernetes without a Kubernetes: each pod is a network namespace with an address of its own, the tree
of the image as its read-only root, the ConfigMap and its volume mounted, user 65534, and exactly the arguments that kustomize
renders. A name server gives the names of the headless service, as CoreDNS would, and a pod that starts again has a new address."""
import os
import threading
from collections import Counter

from deploy_test import container_of, image_tree, only, rendered, sanitized
from harness import *
from net_lib import Network, Resolver, bind, enter, need_own_mounts, own_mounts

NET = "10.213.9"
DOMAIN = "default.svc.cluster.local"
CONFIG = """
route: {{receiver: hook, group_by: [alertname], group_wait: 1s, group_interval: 10s, repeat_interval: 4h}}
receivers:
- name: hook
  webhook_configs: [{{url: "{url}", send_resolved: true}}]
"""
NOBODY = 65534


def image():
    """What deploy/Dockerfile copies into an empty image, with the mount points that a container engine makes."""
    root = image_tree()
    for folder in ("proc", "dev"):
        os.makedirs(os.path.join(root, folder), exist_ok=True)
    with open(os.path.join(root, "etc", "resolv.conf"), "w", encoding="ascii"):
        pass
    return root


class Pod:
    """What the StatefulSet's controller and the kubelet know of one replica."""

    def __init__(self, kube, ordinal):
        self.kube, self.name, self.space = kube, f"{kube.set_name}-{ordinal}", kube.net.spaces[ordinal]
        self.ordinal, self.address, self.process, self.volume = ordinal, None, None, scratch()
        os.chmod(self.volume, 0o770)  # fsGroup
        os.chown(self.volume, 0, NOBODY)

    def start(self):
        self.kube.addresses += 1
        self.address = f"{NET}.{20 + self.kube.addresses}"
        self.kube.net.give(self.ordinal, self.address)
        self.kube.records[f"{self.name}.{self.kube.service}.{DOMAIN}"] = [self.address]
        root, dns, container = self.kube.image, self.kube.resolv_conf, self.kube.container
        mounts = {m["name"]: m["mountPath"] for m in container["volumeMounts"]}
        place = os.path.join(scratch(), "root")
        os.mkdir(place)

        def inside():
            enter(self.space)
            own_mounts()
            bind(root, place, read_only=True)
            bind("/dev", place + "/dev")
            bind("/proc", place + "/proc")
            bind(dns, place + "/etc/resolv.conf", read_only=True)
            bind(self.kube.config_map, place + mounts["config"], read_only=True)
            bind(self.volume, place + mounts["data"])
            os.chroot(place)
            os.chdir("/data")
            os.setgroups([NOBODY])
            os.setgid(NOBODY)
            os.setuid(NOBODY)
        arguments = [a.replace("$(POD_IP)", self.address) for a in container["args"]]
        self.process = Process(["/usr/bin/tocsin", *arguments], name=self.name, preexec=inside,
                               env={"POD_IP": self.address, "HOSTNAME": self.name})

    def ready(self):
        probe = self.kube.container["readinessProbe"]["httpGet"]
        assert self.process.alive(), self.process.output()[-2000:]
        return call(self.kube.ports[probe["port"]], "GET", probe["path"], host=self.address, timeout=2)[0] == 200

    def stop(self):
        assert self.process.stop(self.kube.pod_spec["terminationGracePeriodSeconds"]) == 0, self.process.output()[-2000:]
        del self.kube.records[f"{self.name}.{self.kube.service}.{DOMAIN}"]

    def ask(self, method, path, body=None):
        status, _, answer = call(self.kube.ports["web"], method, path, body, host=self.address, timeout=3)
        assert status == 200, (self.name, path, status, answer[:200])
        return json.loads(answer) if answer else None


class Kube:
    def __init__(self):
        documents = rendered("base")
        if documents is None:
            raise Skip("no kubectl (Debian: kubernetes-client)")
        if sanitized():
            raise Skip("the image holds a release build")
        need_own_mounts()
        stateful = only(documents, "StatefulSet")
        self.set_name, self.service = stateful["metadata"]["name"], stateful["spec"]["serviceName"]
        self.pod_spec, self.container = stateful["spec"]["template"]["spec"], container_of(documents)
        self.ports = {p["name"]: p["containerPort"] for p in self.container["ports"]}
        self.net, self.addresses, self.records = Network(NET, stateful["spec"]["replicas"]), 0, {}
        self.resolver = Resolver(f"{NET}.1", self.find)
        self.sink = Sink(host=f"{NET}.1")
        self.config_map, self.image = scratch(), image()
        os.chmod(self.config_map, 0o755)
        for name in only(documents, "ConfigMap")["data"]:
            with open(os.path.join(self.config_map, name), "w", encoding="utf-8") as f:
                f.write(CONFIG.format(url=self.sink.url))
        self.resolv_conf = os.path.join(scratch(), "resolv.conf")
        with open(self.resolv_conf, "w", encoding="ascii") as f:  # as the kubelet writes it
            f.write(f"search {DOMAIN} svc.cluster.local cluster.local\nnameserver {NET}.1\noptions ndots:5\n")
        self.pods = [Pod(self, i) for i in range(len(self.net.spaces))]
        for pod in self.pods:  # podManagementPolicy: Parallel
            pod.start()
        for pod in self.pods:
            wait_for(f"{pod.name} is ready", pod.ready, 30)

    def find(self, name):
        return self.records.get(name)

    def whole(self):
        for pod in self.pods:
            def sees_all(pod=pod):
                status = pod.ask("GET", "/api/v2/status")["cluster"]
                return status["status"] == "ready" and {p["address"] for p in status["peers"]} == \
                    {f"{p.address}:{self.ports['mesh-tcp']}" for p in self.pods}
            wait_for(f"{pod.name} sees every pod at its address", sees_all, 60, 0.1)

    def heard(self):
        return Counter(b["groupLabels"]["alertname"] for b in self.sink.bodies() if b["status"] == "firing")

    def end(self):
        for pod in self.pods:
            if pod.process:
                pod.process.kill()
        self.resolver.close()
        self.net.close()


class Flow:
    """A Prometheus: a new alert every half second, all that fire sent again to every pod every two seconds, whoever answers."""

    def __init__(self, kube):
        self.kube, self.names, self.stopped = kube, [], threading.Event()
        self.thread = threading.Thread(target=self.work, daemon=True)
        self.thread.start()

    def send(self, names, started):
        for pod in self.kube.pods:
            try:
                pod.ask("POST", "/api/v2/alerts", [alert(n, starts=started[n], ends=time.time() + 60) for n in names])
            except (OSError, AssertionError, http.client.HTTPException):
                pass  # that pod is away

    def work(self):
        started, turn = {}, 0
        while not self.stopped.wait(0.5):
            name = f"flow{len(self.names)}"
            started[name] = time.time()
            self.names.append(name)
            turn += 1
            self.send(self.names if turn % 4 == 0 else [name], started)
        self.send(self.names, started)

    def stop(self):
        self.stopped.set()
        self.thread.join(30)


def the_replicas_find_each_other_by_name_and_say_each_thing_once():
    kube = Kube()
    try:
        kube.whole()
        first = kube.pods[0].ask("POST", "/api/v2/silences", silence({"quiet": "yes"}))["silenceID"]
        for pod in kube.pods:
            wait_for("the silence is everywhere", lambda pod=pod: pod.ask("GET", f"/api/v2/silence/{first}"), 10)
        names = [f"once{i}" for i in range(20)]
        for pod in kube.pods:
            pod.ask("POST", "/api/v2/alerts", [alert(n) for n in names])
        wait_for("each is said", lambda: set(names) <= set(kube.heard()), 30)
        assert max(kube.heard().values()) == 1, kube.heard()
    finally:
        kube.end()


def a_rolling_restart_loses_nothing_and_doubles_nothing():
    """As the controller does it: from the last ordinal to the first, the next one once the one before is ready."""
    kube = Kube()
    try:
        kube.whole()
        kept = kube.pods[0].ask("POST", "/api/v2/silences", silence({"kept": "over the restart"}))["silenceID"]
        flow = Flow(kube)
        wait_for("the flow is heard", lambda: len(kube.heard()) >= 4, 30)
        for pod in reversed(kube.pods):
            before = len(flow.names)
            pod.stop()
            pod.start()
            wait_for(f"{pod.name} is ready", pod.ready, 60)
            wait_for("alerts went on meanwhile", lambda before=before: len(flow.names) >= before + 4, 30)
        kube.whole()
        wait_for("more after it", lambda n=len(flow.names): len(flow.names) >= n + 10, 30)
        flow.stop()
        wait_for("nothing is lost", lambda: set(flow.names) <= set(kube.heard()), 60)
        time.sleep(2 * 15 + 2)  # what the last position waits for by default
        twice = {n: c for n, c in kube.heard().items() if c > 1}
        assert not twice, f"of {len(flow.names)} twice: {twice}"
        for pod in kube.pods:
            assert pod.ask("GET", f"/api/v2/silence/{kept}")["status"]["state"] == "active"
        print(f"     {len(flow.names)} groups over the restart of {len(kube.pods)} pods, each said once")
    finally:
        kube.end()


if __name__ == "__main__":
    main([the_replicas_find_each_other_by_name_and_say_each_thing_once, a_rolling_restart_loses_nothing_and_doubles_nothing])
